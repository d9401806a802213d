"""Items that belong to no class: which score refuses them, from where on, and how good that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice, text_field
from plumbline_app.components.grid import Grid, grid_column, interval_cell
from plumbline_app.components.item_detail import item_detail
from plumbline_app.components.job_row import JobRow
from plumbline_app.components.layout import card, fill, line, place, side_by_side
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError, PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.trust.scope import SERVED
from plumbline_backend.trust.view import interval_of

if TYPE_CHECKING:
    from plumbline_backend.jobs.runner import Jobs
    from plumbline_backend.project import Project

NEVER = "never refuse"
FIELDS = {"padding-top": "8px"}
NO_CLASS = "no class marks them"
ONLY_COMPARED = " (compared only)"
BELOW = (
    'An item that scores above the threshold is "none of these" in predictions, in the API and in the exported '
    "classifier. The threshold keeps a chosen share of random-stream items of known classes, which the score was not "
    "fitted to."
)
COLUMNS = (
    grid_column("Score", "name"),
    grid_column("What it is", "text"),
    grid_column("Threshold", "number", "Above it an item is refused; – where n is too small to promise it"),
    grid_column("n", "number", "Held-out items of known classes that the threshold rests on"),
    grid_column(
        "AUROC", "text", "Chance that a marked item scores above a known one; 95 % interval (DeLong)"
    ),
    grid_column("Missed", "interval", "Marked items that would not be refused; lower is better"),
    grid_column("Kept", "interval", "Other known items that would be kept, to compare with the promise"),
)


class ScopeCard(Viewer):
    """The rule in use and its choice; a comparison of all scores; the items farthest from every class."""

    def __init__(self, project: Project, jobs: Jobs) -> None:
        super().__init__()
        self._project, self._scope = project, project.desk.trust.scope
        self._job_row = JobRow(jobs, self._ended)

    def __panel__(self) -> Viewable:
        scope = self._scope
        names = {NEVER: "", **{name.replace("_", " "): name for name in SERVED}}
        classes = {NO_CLASS: "", **{c.name: c.id for c in self._project.question().active}}
        last = scope.last() or {}
        marked = scope.outside_class or last.get("outside_class") or ""
        self._name = choice("Refuse by", names, scope.chosen, width=220)
        self._kept = text_field("Keep of known items, %", f"{100 * scope.kept:g}", width=180)
        self._class = choice(
            "Class of what is out of scope",
            classes,
            marked if marked in classes.values() else "",
            width=240,
        )
        self._said, self._body = place(), place()
        self._in_use = sentence(self._words())
        use = line(self._name, self._kept, button("Use this rule", self._use), **FIELDS)
        compare = line(self._class, button("Compare scores", self._compare), **FIELDS)
        if last:
            self._show(last)
        return card(
            "Items of no class", BELOW, use, self._in_use, compare, self._job_row, self._said, self._body
        )

    def poll(self) -> None:
        """Follow the comparison that runs; call it often."""
        self._job_row.poll()

    def _use(self) -> None:
        try:
            self._scope.choose(self._name.value, _share(str(self._kept.value)), self._class.value or None)
        except PlumblineError as error:
            fill(self._said, notice("Not changed", str(error), tone="bad"))
            return
        self._in_use.object = sentence(self._words()).object
        fill(
            self._said,
            notice("The rule is in use", "Predictions and exports follow it from now on.", tone="good"),
        )

    def _words(self) -> str:
        if not self._scope.chosen:
            return "In use: none. Every item gets the class that is likeliest, however far it is from all of them."
        name = self._scope.chosen.replace("_", " ")
        words = f"In use: {name}, keeping {100 * self._scope.kept:g} % of known items"
        marked = self._scope.outside_class
        if marked is None:
            return f"{words}."
        named = {c.id: c.name for c in self._project.question().classes}
        return f"{words}; items of class {named[marked]} are no known items."

    def _compare(self) -> None:
        try:
            job = self._scope.start(self._class.value or None)
        except PlumblineError as error:
            fill(self._said, notice("Not compared", str(error), tone="bad"))
            return
        fill(self._said)
        self._job_row.follow(job, "Comparing scores")

    def _ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._said, notice("Not compared", job.message, tone="bad"))
        elif job.state == "done":
            self._job_row.follow(None)
            self._show(job.result or {})

    def _show(self, result: Mapping[str, Any]) -> None:
        scores = Grid(caption="Out-of-scope scores")
        scores.show(COLUMNS, [_row(each) for each in result["scores"]])
        pool = result["pool"]
        refused = interval_of(pool["refused"])
        far = Grid(self._open_item, caption="Items farthest from every class", rows_height=320)
        keys = self._project.pool.keys([item for item, _ in pool["farthest"]])
        far.show(
            (grid_column("Item", "name"), grid_column("Score", "number")),
            [[key, f"{score:.4g}"] for key, (_, score) in zip(keys, pool["farthest"], strict=True)],
        )
        self._farthest, self._detail = pool["farthest"], place()
        name = pool["score"].replace("_", " ")
        below = (
            f"By {name}: {100 * refused.value:.1f} % ({100 * refused.low:.1f} to {100 * refused.high:.1f} %) of "
            f"n = {refused.n:,} items drawn from the pool would be refused. Press a row to see the item."
        )
        if not any("auroc" in each for each in result["scores"]):
            below = (
                "No class marks what is out of scope, so how many such items are missed is unknown. " + below
            )
        fill(
            self._body,
            scores,
            side_by_side(card("Farthest from every class", below, far), self._detail),
        )

    def _open_item(self, index: int) -> None:
        item = self._farthest[index][0]
        fill(self._detail, item_detail(self._project, item, lambda: fill(self._detail)))


def _row(score: Mapping[str, Any]) -> list[Any]:
    served = "" if score["name"] in SERVED else ONLY_COMPARED
    cells: list[Any] = [score["name"].replace("_", " ") + served, score["explanation"]]
    cells += ["–" if score["threshold"] is None else f"{score['threshold']:.4g}", f"{score['n']:,}"]
    if "auroc" not in score:
        return [*cells, "unknown", None, None]
    value, low, high, n = score["auroc"]
    spread = "unknown" if value is None else f"{value:.3f} ({low:.3f} to {high:.3f}, n = {n:,})"
    return [
        *cells,
        spread,
        interval_cell(interval_of(score["missed"])),
        interval_cell(interval_of(score["kept"])),
    ]


def _share(text: str) -> float:
    try:
        return float(text.replace(",", ".").replace("%", "")) / 100
    except ValueError as error:
        raise InputError(
            f"share of known items to keep: found {text!r}; expected a number such as 95"
        ) from error
