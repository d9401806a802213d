"""A calibration run as an HTML page that needs nothing else, from what the Calibration page draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_scores import operating_point
from plumbline_backend.domain.calibration_summary import MEANINGS
from plumbline_backend.trust.calibration import CalibrationRun
from plumbline_backend.trust.thresholds import AS_GIVEN
from plumbline_backend.trust.view import numbers, page_view

View = Mapping[str, Any]
SIDE, LOW_SIDE = 300, 80
MOST_ROWS = 300
"""Rows of a table per class: a page of more is no longer read."""
SHOWN_THRESHOLDS = (0.25, 0.5, 0.75)
COLORS = ("#0d5f68", "#8a5a00")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #1c2427; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto; }
th, td { text-align: left; padding: 3px 10px; border-bottom: 1px solid #ddd; vertical-align: top; }
td small { color: #5a6468; } .note { border-left: 4px solid #8a5a00; padding: 4px 12px; background: #f6e9cd; }
.pair { display: flex; gap: 2rem; flex-wrap: wrap; } figure { margin: 0; } svg text { font-size: 11px; fill: #5a6468; }
"""


def report_of(run: CalibrationRun) -> dict[str, Any]:
    """What the page draws of a run, and under each state the figures of a few thresholds of every class."""
    view = page_view(run)
    for title, state in view["states"].items():
        proba = run.shown.proba if title == AS_GIVEN else run.after[title].proba
        state["thresholds"] = [
            _points_of(run, np.minimum(proba[:, k], 1.0), k) for k in range(len(view["classes"]))
        ]
    return view


def _points_of(run: CalibrationRun, own: NDArray[np.float64], k: int) -> list[dict[str, Any]]:
    """Precision, recall and false positive rate [value, low, high, n] of saying class k from each threshold on."""
    targets = run.shown.targets
    happened = targets[:, k] > 0 if run.shown.multi_label else targets == k
    found = [operating_point(own, happened, at, 1.0, 1.0) for at in SHOWN_THRESHOLDS]
    return [
        {
            "threshold": each.threshold,
            "n_yes": each.n_yes,
            "precision": numbers(each.precision),
            "recall": numbers(each.recall),
            "false_positive_rate": numbers(each.false_positive_rate),
        }
        for each in found
    ]


def as_html(view: View) -> str:
    """The report of one judge. view: of `report_of`. All text is escaped; unknown stays unknown."""
    name, n = escape(view["name"]), f"{view['n_shown']:,}"
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in view["notes"])
    changes = "".join(
        f"<li>{escape(key)} may change predictions: it changed {100 * each['changed']:.2f} % of the shown items</li>"
        for key, each in view["calibrators"].items()
        if each["changes_predictions"]
    )
    diagrams = "".join(_diagram(key, view, state) for key, state in view["states"].items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Calibration of {name}</title>'
        f"<style>{_STYLE}</style><h1>Calibration of {name}</h1>"
        f"<p>Calibrators were fitted on {escape(view['split'])}, n = {view['n_fit']:,}. Every figure below is measured "
        f"on the other n = {n} items, with {view['n_classes']:,} classes; intervals are 95 %, and the null is what "
        f"perfect calibration would show here.</p>{notes}"
        f"<p><b>Use {escape(view['chosen'])}.</b> {escape(view['reason'])}.</p>"
        f'<div class="pair">{diagrams}{_risk(view)}</div>'
        f"<h2>Cross-validated NLL on the fitting items</h2>{_comparison(view)}"
        f"<h2>Figures</h2>{_figures(view)}<ul>{changes}</ul>{_details(view)}"
        "<h2>What the figures are</h2><dl>"
        + "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in MEANINGS.items())
        + "</dl></html>\n"
    )


def _details(view: View) -> str:
    """Sets, classes, thresholds and slices of the last state: what the chosen calibrator makes of the judge."""
    title, state = list(view["states"].items())[-1]
    said = f"{escape(title)}, n = {view['n_shown']:,}"
    parts = []
    if state["sets"]:
        parts.append(f"<h2>Conformal sets ({said})</h2>{_sets(view, state)}")
    parts.append(f"<h2>Classes ({said})</h2>{_classes(view, state)}")
    parts.append(f"<h2>Thresholds ({said})</h2>{_thresholds(view, state)}")
    if state["slices"]:
        parts.append(f"<h2>Slices, worst first ({said})</h2>{_slices(state)}")
    return "".join(parts)


def _comparison(view: View) -> str:
    rows = [
        [escape(name), _spread(each["nll"]), _spread(each["above_best"])]
        for name, each in view["comparison"].items()
    ]
    n = next(iter(view["comparison"].values()))["nll"]["n"]
    return _table(("calibrator", f"NLL (n = {n:,})", "above the least"), rows)


def _figures(view: View) -> str:
    columns = {"as given": view["before"], **view["calibrators"]}
    rows = [
        [f'<span title="{escape(MEANINGS[name])}">{escape(name.replace("_", " "))}</span>']
        + [_spread(column[name], null=True, n=True) for column in columns.values()]
        for name in MEANINGS
    ]
    return _table(("", *map(escape, columns)), rows)


def _sets(view: View, state: View) -> str:
    rows = []
    for each in state["sets"]:
        worst = "unknown"
        if 0 <= each["worst"] < len(each["by_class"]):
            worst = f"{escape(view['classes'][each['worst']])}: {_of(each['by_class'][each['worst']])}"
        rows.append(
            [each["rule"].upper(), f"{each['promised']:.2f}"]
            + [_of(each[name]) for name in ("coverage", "size", "empty")]
            + [worst]
        )
    return _table(("rule", "promised", "coverage", "classes in a set", "empty", "class covered least"), rows)


def _classes(view: View, state: View) -> str:
    rows = []
    for k, (name, figure) in enumerate(zip(view["classes"], state["classes"], strict=False)):
        n_true, value, low, high, null, n = figure
        covered = _of(state["sets"][1]["by_class"][k]) if state["sets"] else "unknown"
        ece = _spread({"value": value, "low": low, "high": high, "null": null, "n": n}, null=True, n=True)
        rows.append([escape(name), f"{n_true:,}", ece, covered])
    more = f"<p>The first {MOST_ROWS} of {len(rows):,}.</p>" if len(rows) > MOST_ROWS else ""
    return more + _table(("class", "items that have it", "ECE", "in its APS set"), rows[:MOST_ROWS])


def _thresholds(view: View, state: View) -> str:
    heads = [f"from {at:.2f} on: found; right when said" for at in SHOWN_THRESHOLDS]
    rows = [
        [escape(name), *(f"{_of(each['recall'])}<br>{_of(each['precision'])}" for each in points)]
        for name, points in zip(view["classes"], state["thresholds"], strict=True)
    ]
    return _table(("class", *heads), rows[:MOST_ROWS])


def _slices(state: View) -> str:
    rows = [
        [
            escape(each["name"]),
            _of(each["accuracy"]),
            _of(each["elsewhere"]),
            _of(each["gap"]),
            f"{each['p_value']:.2g}" + (" (no accident)" if each["found"] else ""),
        ]
        for each in state["slices"]
    ]
    return _table(("items where", "accuracy", "elsewhere", "right minus confidence", "p, corrected"), rows)


def _diagram(title: str, view: View, state: View) -> str:
    measured = view["before"] if title == "as given" else view["calibrators"][title]
    figure, bins = measured["ece"], state["bins"]
    words = f"{title}: ECE {_digits(figure['value'])}, null {_digits(figure['null'])}, n = {figure['n']:,}"
    return (
        f"<figure><figcaption>{escape(words)}</figcaption>"
        f'<svg width="{SIDE + 60}" height="{SIDE + LOW_SIDE + 75}" role="img" aria-label="{escape(words)}">'
        f'<g transform="translate(45 10)">{"".join(_points(bins))}</g>'
        f'<g transform="translate(45 {SIDE + 35})">{"".join(_histogram(bins))}</g></svg></figure>'
    )


def _points(bins: View) -> Iterable[str]:
    yield from _axes("", "share right", SIDE)
    yield f'<line x1="0" y1="{SIDE}" x2="{SIDE}" y2="0" stroke="#878175" stroke-dasharray="3 4"/>'
    columns = ("confidence", "accuracy", "low", "high", "band_low", "band_high", "count")
    for confidence, accuracy, low, high, band_low, band_high, count in zip(
        *(bins[name] for name in columns), strict=True
    ):
        x, at = (
            f"{SIDE * confidence:.1f}",
            [f"{SIDE * (1 - v):.1f}" for v in (accuracy, low, high, band_low, band_high)],
        )
        yield (
            f'<line x1="{x}" x2="{x}" y1="{at[3]}" y2="{at[4]}" stroke="#878175" stroke-opacity=".35" '
            f'stroke-width="10"/><line x1="{x}" x2="{x}" y1="{at[1]}" y2="{at[2]}" stroke="{COLORS[0]}" '
            f'stroke-width="2"/><circle cx="{x}" cy="{at[0]}" r="4" fill="{COLORS[0]}"><title>{int(count):,} items'
            "</title></circle>"
        )


def _histogram(bins: View) -> Iterable[str]:
    yield from _axes("stated confidence", "items", LOW_SIDE, f"{max(bins['count']):,}")
    for low, high, count in zip(bins["edge_low"], bins["edge_high"], bins["count"], strict=True):
        height = LOW_SIDE * count / max(bins["count"])
        width = max(SIDE * (high - low), 1.5)
        left = min(SIDE * low, SIDE - width)
        yield (
            f'<rect x="{left:.1f}" y="{LOW_SIDE - height:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{COLORS[0]}" fill-opacity=".35" stroke="{COLORS[0]}"><title>{int(count):,} items</title></rect>'
        )


def _risk(view: View) -> str:
    """Error rate among the most confident items against their share, a line for each state."""
    curves = list(view["states"].items())
    top = max([0.05, *(point[2] for _, state in curves for point in state["risk"] if point[1] > 0.2)])
    words = f"error rate among the items accepted, n = {view['n_shown']:,}"
    marks = list(_axes("share of items accepted", f"error rate (up to {100 * top:.0f} %)", SIDE, ""))
    for i, (title, state) in enumerate(curves):
        points = " ".join(f"{SIDE * p[1]:.1f},{SIDE * (1 - min(p[2] / top, 1)):.1f}" for p in state["risk"])
        dash = "" if i == 0 else ' stroke-dasharray="6 4"'
        marks.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[i]}" stroke-width="2"{dash}/>')
        marks.append(
            f'<text x="8" y="{16 + 14 * i}">{"solid" if i == 0 else "dashed"}: {escape(title)}</text>'
        )
    return (
        f"<figure><figcaption>{escape(words)}</figcaption>"
        f'<svg width="{SIDE + 60}" height="{SIDE + 50}" role="img" aria-label="{escape(words)}">'
        f'<g transform="translate(45 10)">{"".join(marks)}</g></svg></figure>'
    )


def _axes(below: str, beside: str, height: int, top: str = "1") -> Iterable[str]:
    yield f'<rect width="{SIDE}" height="{height}" fill="none" stroke="#878175"/>'
    turned = f'x="-34" y="{height / 2}" transform="rotate(-90 -34 {height / 2})"'
    yield f'<text {turned} text-anchor="middle">{beside}</text>'
    yield f'<text x="-5" y="{height + 4}" text-anchor="end">0</text><text x="-5" y="10" text-anchor="end">{top}</text>'
    if below:
        yield f'<text x="{SIDE / 2}" y="{height + 30}" text-anchor="middle">{below}</text>'
    for tick in (0.0, 0.5, 1.0):
        yield f'<text x="{SIDE * tick}" y="{height + 15}" text-anchor="middle">{tick:g}</text>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _spread(figure: View, null: bool = False, n: bool = False) -> str:
    more = f"<br>null {_digits(figure['null'])}" if null and figure["null"] is not None else ""
    more += f"<br>n = {figure['n']:,}" if n else ""
    ends = f"{_digits(figure['low'])} to {_digits(figure['high'])}"
    return f"{_digits(figure['value'])}<br><small>{ends}{more}</small>"


def _of(interval: Sequence[Any]) -> str:
    """[value, low, high, n]."""
    value, low, high, n = interval
    return f"{_digits(value)}<br><small>{_digits(low)} to {_digits(high)}<br>n = {n:,}</small>"


def _digits(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
