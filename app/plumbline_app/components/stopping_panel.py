"""Is it time to stop? The signs side by side, each with what it rests on. It never decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

from panel.viewable import Viewable, Viewer

from plumbline_app.components.charts import percent, percent_interval
from plumbline_app.components.controls import choice
from plumbline_app.components.grid import Grid, GridColumn, grid_column
from plumbline_app.components.layout import card, fill, place
from plumbline_app.components.words import sentence
from plumbline_backend.domain.stopping import STABLE_KAPPA, STABLE_ROUNDS, Ahead
from plumbline_backend.domain.types import Interval
from plumbline_backend.project import Project
from plumbline_backend.report import LearningCurve
from plumbline_backend.stopping_report import StoppingReport, set_target, stopping_report, target_of

COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Sign", "text"),
    grid_column("Now", "text", "With its 95 % interval and the number of items it rests on"),
    grid_column("Held against", "text"),
    grid_column("What it says", "text"),
)
TARGETS = (0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)
BELOW = "Signs that more answers would change little. They never decide; only the first says if the model is right."


class StoppingPanel(Viewer):
    """The signs for the newest models, and the target that they are held against."""

    def __init__(self, project: Project, curve: LearningCurve) -> None:
        super().__init__()
        self._project, self._curve = project, curve
        target = target_of(project)
        offered = {percent(each): each for each in sorted({*TARGETS, target})}
        self._target = choice("Target accuracy", offered, target, width=180)
        self._target.param.watch(lambda event: self._aim(event.new), "value")
        self._table = Grid(caption="Signs for stopping")
        self._body = place()

    def __panel__(self) -> Viewable:
        self._draw()
        return card("Is it time to stop?", BELOW, self._target, self._body)

    def _aim(self, target: float) -> None:
        set_target(self._project, target)
        self._draw()

    def _draw(self) -> None:
        report = stopping_report(self._project, self._curve)
        if report is None:
            fill(self._body, sentence("No model yet; the first signs come with it."))
            return
        self._table.show(COLUMNS, sign_rows(report))
        fill(self._body, self._table, sentence(compared(report.compared)))


def sign_rows(report: StoppingReport) -> list[list[str]]:
    """A row per sign: name, value with interval and n, what it is held against, what it says."""
    return [
        [
            "Accuracy on the random stream",
            shown(report.accuracy),
            f"target {percent(report.target)}",
            _target(report),
        ],
        [
            "More labels to the target",
            _ahead(report.ahead),
            "the learning curve, continued",
            _effort(report.ahead),
        ],
        [
            "Agreement with the model before (kappa)",
            "unknown" if not report.kappas else _plain(report.kappas[-1]),
            f"{STABLE_KAPPA} in {STABLE_ROUNDS} rounds",
            _stable(report),
        ],
        ["Items that changed class", _or_unknown(report.change), "0 %", _change(report.change)],
        [
            "Overall uncertainty",
            shown(report.uncertainty),
            "0 %: certain of every item",
            _uncertainty(report),
        ],
        [
            "Class separability, without labels",
            shown(report.separability),
            "unknown"
            if report.separability_chance is None
            else f"{percent(report.separability_chance)} by chance",
            "How often the nearest other item is predicted as the same class.",
        ],
    ]


def shown(interval: Interval) -> str:
    """A share with its interval and n; unknown stays unknown."""
    if math.isnan(interval.value):
        return f"unknown, n = {interval.n:,}"
    return f"{percent(interval.value)} ({percent_interval(interval)}), n = {interval.n:,}"


def compared(labels: Sequence[int]) -> str:
    """Which models the agreement is between."""
    if len(labels) < 2:
        return "Agreement and change need a second model with at least ten more labels."
    told = ", ".join(f"{n:,}" for n in labels[:-1])
    return (
        f"Models are compared on the same items, drawn uniformly from the pool; those with {told} and "
        f"{labels[-1]:,} labels."
    )


def _plain(interval: Interval) -> str:
    if math.isnan(interval.value):
        return f"unknown, n = {interval.n:,}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f}), n = {interval.n:,}"


def _or_unknown(interval: Interval | None) -> str:
    return "unknown" if interval is None else shown(interval)


def _target(report: StoppingReport) -> str:
    return {
        "reached": "Reached: the whole interval lies at or above the target.",
        "not yet": "Not yet: the whole interval lies below the target.",
        "cannot tell": "Cannot tell: more random-stream answers would narrow the interval.",
    }[report.verdict]


def _ahead(ahead: Ahead | None) -> str:
    if ahead is None:
        return "unknown"
    if ahead.high == 0:
        return "none"
    most = "no upper end" if ahead.high is None else f"{ahead.high:,}"
    return f"about {ahead.labels:,} ({ahead.low:,} to {most})"


def _effort(ahead: Ahead | None) -> str:
    if ahead is None:
        return "The curve does not say: too few sizes, no falling error, or too far ahead."
    return (
        "The newest model is there."
        if ahead.high == 0
        else "An extrapolation: it assumes that the curve goes on as it did."
    )


def _stable(report: StoppingReport) -> str:
    if report.stable is None:
        return f"Too early: {len(report.kappas)} of {STABLE_ROUNDS} rounds."
    return "The models agree: they hardly move any more." if report.stable else "The models still move."


def _change(change: Interval | None) -> str:
    if change is None:
        return "Too early: one model so far."
    return "No item moved." if change.value == 0 else f"{round(change.value * change.n):,} items moved."


def _uncertainty(report: StoppingReport) -> str:
    if math.isnan(report.uncertainty.value):
        return "Too early."
    return "Falls as the model learns; probabilities that are not calibrated mislead it."
