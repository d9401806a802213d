"""What many seeds say together: labels needed for a share of full accuracy, the result's JSON, and a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.domain.intervals import bootstrap_mean
from plumbline_backend.simulation.one_run import SeedCurve
from plumbline_backend.simulation.setup import Setup

SHARES = (90, 95, 99)
CSV_COLUMNS = ("seed", "labels", "accuracy", "share_of_full_accuracy")


def needed(curve: SeedCurve, percent: int) -> int | None:
    """Fewest labels with which the curve reaches this share of the full pool's accuracy; None when it never does."""
    goal = percent / 100 * curve.full_accuracy
    for n, accuracy in zip(curve.labels, curve.accuracy, strict=True):
        if accuracy >= goal - 1e-12:
            return n
    return None


def median_needed(curves: Sequence[SeedCurve], percent: int) -> float | None:
    """The median over seeds; a seed that never gets there needs more than all others. None: not even the median."""
    values = sorted(float("inf") if (n := needed(curve, percent)) is None else float(n) for curve in curves)
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return None if not np.isfinite(middle) else int(middle) if middle.is_integer() else middle


def result_of(setup: Setup, curves: Sequence[SeedCurve]) -> dict[str, Any]:
    """The JSON of a simulation. `full_accuracy` is the mean over seeds; its interval is over seeds, n of them."""
    full = np.array([curve.full_accuracy for curve in curves])
    interval = bootstrap_mean(full, np.random.default_rng(0), low=0.0, high=1.0)
    return {
        "labels_needed": {str(p): median_needed(curves, p) for p in SHARES},
        "full_accuracy": float(full.mean()),
        "full_accuracy_interval": [interval.value, interval.low, interval.high, interval.n],
        "setup": asdict(setup),
        "seeds": [
            {**curve.as_json(), "labels_needed": {str(p): needed(curve, p) for p in SHARES}}
            for curve in curves
        ],
        **_pseudo(curves),
    }


def _pseudo(curves: Sequence[SeedCurve]) -> dict[str, Any]:
    """Wrong share of all pseudo-labels that were trained on, over all rounds and seeds; nothing without a pace."""
    rounds = [each for curve in curves for each in curve.pseudo]
    if not rounds:
        return {}
    n = sum(each["pseudo"] for each in rounds)
    wrong = sum(each["wrong"] for each in rounds)
    return {"pseudo_labels": {"n": n, "wrong": wrong, "error": wrong / n if n else None}}


def median_curve(curves: Sequence[SeedCurve]) -> list[tuple[int, float, float, float]]:
    """(labels, median, lower and upper quartile of the accuracy) where every seed has a point."""
    common = sorted(set.intersection(*({*curve.labels} for curve in curves))) if curves else []
    rows = []
    for n in common:
        values = [curve.accuracy[curve.labels.index(n)] for curve in curves]
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        rows.append((n, float(middle), float(low), float(high)))
    return rows


def write_table(path: Path, found: Mapping[str, Sequence[SeedCurve]]) -> None:
    """A CSV with a row per seed and number of labels; the strategy comes first where there are several."""
    several = len(found) > 1
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow([*(["strategy"] if several else []), *CSV_COLUMNS])
        for name, curves in found.items():
            writer.writerows([*([name] if several else []), *row] for curve in curves for row in _rows(curve))


def _rows(curve: SeedCurve) -> Iterator[list[Any]]:
    for n, accuracy in zip(curve.labels, curve.accuracy, strict=True):
        yield [curve.seed, n, f"{accuracy:.6f}", f"{accuracy / max(curve.full_accuracy, 1e-12):.6f}"]


def compared(found: Mapping[str, Sequence[SeedCurve]]) -> list[list[str]]:
    """A row per strategy for people: its name and the median labels for each share; a dash: beyond the budget."""
    needs = {name: [median_needed(curves, p) for p in SHARES] for name, curves in found.items()}
    return [[name, *("–" if n is None else f"{n:g}" for n in needed)] for name, needed in needs.items()]


def table_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values for people."""
    n = len(result["seeds"])
    rows = [
        (
            f"labels for {p} % of full accuracy",
            "more than the budget"
            if (m := result["labels_needed"][str(p)]) is None
            else f"{m:g} (median of {n} seeds)",
        )
        for p in SHARES
    ]
    value, low, high, _ = result["full_accuracy_interval"]
    rows.append(("full-pool accuracy", f"{value:.1%} ({low:.1%} to {high:.1%}, {n} seeds)"))
    if "pseudo_labels" in result:
        found = result["pseudo_labels"]
        share = (
            "none were made" if found["error"] is None else f"{found['error']:.2%} of {found['n']:,} wrong"
        )
        rows.append(("pseudo-labels", share))
    return rows
