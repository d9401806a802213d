"""A calibration run as JSON, and as an HTML page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from plumbline_backend.domain.calibration_intervals import Figure
from plumbline_backend.domain.calibration_summary import MEANINGS, Summary
from plumbline_backend.domain.reliability import Reliability
from plumbline_backend.domain.types import Interval
from plumbline_backend.trust.calibration import CalibrationRun

SIDE = 300
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #1c2427; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 10px; border-bottom: 1px solid #ddd; }
td small { color: #5a6468; } .note { border-left: 4px solid #8a5a00; padding: 4px 12px; background: #f6e9cd; }
.pair { display: flex; gap: 2rem; flex-wrap: wrap; } svg text { font-size: 11px; fill: #5a6468; }
"""


def as_json(run: CalibrationRun) -> dict[str, Any]:
    """before, calibrators, n_fit, n_shown, and what was chosen and why. Unknown is null."""
    return {
        "name": run.shown.name,
        "split": run.split,
        "n_fit": run.fit.n,
        "n_shown": run.shown.n,
        "n_classes": run.before.n_classes,
        "kind": run.before.kind,
        "before": _figures(run.before),
        "calibrators": {
            name: {
                "parameters": {key: _known(value) for key, value in each.parameters.items()},
                "changes_predictions": each.changes_predictions,
                "changed": each.changed,
                "note": each.note,
                **_figures(each.summary),
            }
            for name, each in run.after.items()
        },
        "chosen": run.comparison.chosen,
        "reason": run.comparison.reason,
        "comparison": {
            row.name: {"nll": _interval(row.nll), "above_best": _interval(row.above_best)}
            for row in run.comparison.rows
        },
        "notes": list(run.notes),
    }


def as_html(run: CalibrationRun) -> str:
    """The report as one page: figures before and after, diagrams, comparison, notes. All text is escaped."""
    chosen = run.after.get(run.comparison.chosen)
    diagrams = [("as given", run.before)] + ([(chosen.name, chosen.summary)] if chosen else [])
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in run.notes)
    changing = [each for each in run.after.values() if each.changes_predictions]
    changes = "".join(
        f"<li>{escape(each.name)} may change predictions: it changed {100 * each.changed:.2f} % of the shown items</li>"
        for each in changing
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration of '
        f"{escape(run.shown.name)}</title><style>{_STYLE}</style>"
        f"<h1>Calibration of {escape(run.shown.name)}</h1>"
        f"<p>Calibrators were fitted on {escape(run.split)}, n = {run.fit.n:,}. Every figure below is measured on "
        f"the other n = {run.shown.n:,} items, with {run.before.n_classes:,} classes; intervals are 95 %, and the "
        "null is what perfect calibration would show here.</p>"
        f"{notes}<p><b>Use {escape(run.comparison.chosen)}.</b> {escape(run.comparison.reason)}.</p>"
        f'<div class="pair">{"".join(_diagram(title, s) for title, s in diagrams)}</div>'
        f"<h2>Cross-validated NLL on the fitting items</h2>{_comparison(run)}"
        f"<h2>Figures</h2>{_table(run)}<ul>{changes}</ul>"
        "<h2>What they are</h2><dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in MEANINGS.items())
        + "</dl></html>\n"
    )


def _figures(summary: Summary) -> dict[str, dict[str, float | int | None]]:
    return {
        name: {
            "value": _known(f.value),
            "low": _known(f.low),
            "high": _known(f.high),
            "null": _known(f.null),
            "n": f.n,
        }
        for name, f in summary.figures.items()
    }


def _interval(interval: Interval) -> dict[str, float | int | None]:
    value, low, high, n = interval
    return {"value": _known(value), "low": _known(low), "high": _known(high), "n": n}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _table(run: CalibrationRun) -> str:
    columns = [("as given", run.before)] + [(name, each.summary) for name, each in run.after.items()]
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    rows = [
        f'<tr><th title="{escape(MEANINGS[name])}">{escape(name.replace("_", " "))}</th>'
        + "".join(_cell(summary.figures[name]) for _, summary in columns)
        + "</tr>"
        for name in MEANINGS
    ]
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _cell(figure: Figure) -> str:
    null = "" if math.isnan(figure.null) else f"<br>null {_digits(figure.null)}"
    return f"<td>{_digits(figure.value)}<br><small>{_digits(figure.low)} to {_digits(figure.high)}{null}</small></td>"


def _comparison(run: CalibrationRun) -> str:
    rows = "".join(
        f"<tr><td>{escape(row.name)}</td><td>{_digits(row.nll.value)} <small>{_digits(row.nll.low)} to "
        f"{_digits(row.nll.high)}</small></td><td>{_digits(row.above_best.value)} <small>{_digits(row.above_best.low)} "
        f"to {_digits(row.above_best.high)}</small></td></tr>"
        for row in run.comparison.rows
    )
    head = f"<th>calibrator</th><th>NLL (n = {run.comparison.n:,})</th><th>above the least</th>"
    return f"<table><tr>{head}</tr>{rows}</table>"


def _diagram(title: str, summary: Summary) -> str:
    bins, figure = summary.reliability, summary.figures["ece"]
    words = f"{title}: ECE {_digits(figure.value)}, null {_digits(figure.null)}, n = {figure.n:,}"
    return (
        f"<figure><figcaption>{escape(words)}</figcaption>"
        f'<svg width="{SIDE + 60}" height="{SIDE + 50}" role="img" aria-label="{escape(words)}">'
        f'<g transform="translate(45 10)">{"".join(_marks(bins))}</g></svg></figure>'
    )


def _marks(bins: Reliability) -> Sequence[str]:
    def at(x: float, y: float) -> tuple[str, str]:
        return f"{SIDE * x:.1f}", f"{SIDE * (1 - y):.1f}"

    marks = [
        f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#878175"/>',
        f'<line x1="0" y1="{SIDE}" x2="{SIDE}" y2="0" stroke="#878175" stroke-dasharray="3 4"/>',
        f'<text x="{SIDE / 2}" y="{SIDE + 32}" text-anchor="middle">stated confidence</text>',
        f'<text x="-34" y="{SIDE / 2}" transform="rotate(-90 -34 {SIDE / 2})" text-anchor="middle">share right</text>',
    ]
    for tick in (0.0, 0.5, 1.0):
        marks.append(f'<text x="{SIDE * tick}" y="{SIDE + 15}" text-anchor="middle">{tick:g}</text>')
        marks.append(f'<text x="-5" y="{SIDE * (1 - tick) + 4}" text-anchor="end">{tick:g}</text>')
    for i in range(len(bins.count)):
        x, y = at(float(bins.confidence[i]), float(bins.accuracy[i]))
        _, low = at(0, float(bins.low[i]))
        _, high = at(0, float(bins.high[i]))
        _, band_low = at(0, float(bins.band_low[i]))
        _, band_high = at(0, float(bins.band_high[i]))
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{band_low}" y2="{band_high}" stroke="#878175" stroke-opacity=".35" '
            f'stroke-width="10"/><line x1="{x}" x2="{x}" y1="{low}" y2="{high}" stroke="#0d5f68" stroke-width="2"/>'
            f'<circle cx="{x}" cy="{y}" r="4" fill="#0d5f68"><title>{int(bins.count[i]):,} items</title></circle>'
        )
    return marks


def _digits(value: float) -> str:
    return "unknown" if not math.isfinite(value) else f"{value:.4f}"
