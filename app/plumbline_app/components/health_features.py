"""What the features are like, columns that give the label away, and whether another import differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice
from plumbline_app.components.figures import Tile, html_pane, tiles
from plumbline_app.components.grid import Grid, grid_column, interval_cell
from plumbline_app.components.job_row import JobRow
from plumbline_app.components.layout import card, fill, line, place, side_by_side
from plumbline_app.components.words import notice, sentence
from plumbline_backend.criteria.settings import GRADE_PURPOSE
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.trust.view import interval_of

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.workspace import Workspace

OWN = "this import's own halves"
TABLE_PX = 360
BELOW = (
    "How many directions the features really have, how far apart the classes lie in them, which single column already "
    "predicts the label, and which columns of another import are distributed otherwise."
)
SHORTCUTS = (
    grid_column("Column alone", "name"),
    grid_column("Right", "interval", "Share of labels it predicts on held-out folds; 95 % interval"),
    grid_column("Base", "number", "Share of the most frequent label: what knowing nothing gives"),
    grid_column("", "text"),
)
SHIFT = (
    grid_column("Column", "name"),
    grid_column(
        "Difference", "number", "Kolmogorov-Smirnov's D of numbers, Cramer's V of other values; 0 to 1"
    ),
    grid_column("p, corrected", "number", "For all columns compared (Holm); below 0.05 it is no accident"),
    grid_column("", "text"),
)


class FeaturesCard(Viewer):
    """The newest look at the features, and a button for the next one."""

    def __init__(self, project: Project, workspace: Workspace) -> None:
        super().__init__()
        self._look, self._slug, self._workspace = project.desk.health.features, project.slug, workspace
        self._job_row = JobRow(workspace.jobs, self._ended)

    def __panel__(self) -> Viewable:
        self._other = choice("Compare with", {OWN: ""}, "", width=280)
        self._said, self._body = (
            place(sentence("Nothing looked at yet: press Look at the features.")),
            place(),
        )
        choose = line(self._other, button("Look at the features", self._start), **{"padding-top": "8px"})
        return card("Features and columns", BELOW, choose, self._job_row, self._said, self._body)

    def load(self) -> None:
        """Offer the other projects and show the last look."""
        others = [row for row in self._workspace.projects() if row.slug != self._slug]
        names = {row.name: row.slug for row in others if row.settings.get("purpose") != GRADE_PURPOSE}
        self._other.options = {OWN: "", **names}
        running, last = self._look.running(), self._look.last()
        if running is not None:
            self._job_row.follow(running, "Looking at the features")
        if last is not None:
            self._show(last)

    def poll(self) -> None:
        """Follow the look that runs; call it often."""
        self._job_row.poll()

    def _start(self) -> None:
        try:
            job = self._look.start(self._other.value)
        except PlumblineError as error:
            fill(self._said, notice("Not compared", str(error), tone="bad"))
            return
        fill(self._said)
        self._job_row.follow(job, "Looking at the features")

    def _ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._said, notice("The look failed", job.message, tone="bad"))
        elif job.state == "done":
            self._job_row.follow(None)
            self._show(job.result or {})

    def _show(self, found: Mapping[str, Any]) -> None:
        fill(self._said, *_warnings(found))
        labels, shift = found["labels"], found["shift"]
        parts: list[Viewable] = [html_pane(tiles(_tiles(found)))]
        if labels["why_not"]:
            parts.append(sentence(f"What labels say of the features is unknown: {labels['why_not']}."))
        alone = Grid(caption="Columns alone", rows_height=TABLE_PX, empty="No column, or too few labels.")
        alone.show(SHORTCUTS, [_shortcut_row(each) for each in found["shortcuts"]])
        differ = Grid(caption="Columns compared", rows_height=TABLE_PX, empty="No column to compare.")
        differ.show(SHIFT, [_shift_row(each) for each in shift["columns"]])
        n = " and ".join(f"{each:,}" for each in shift["n"])
        fill(
            self._body,
            *parts,
            side_by_side(
                card("What one column alone predicts", "Training labels; five held-out folds.", alone),
                card(f"Compared with {shift['with']}", f"n = {n} items drawn at random.", differ),
            ),
        )


def _tiles(found: Mapping[str, Any]) -> list[Tile]:
    n, labels = found["n"], found["labels"]
    shown = [
        Tile(
            "Intrinsic dimension",
            _plain(found["two_nn"], 1),
            f"TwoNN, n = {found['n_different']:,} different items",
            f"by maximum likelihood {_plain(found['mle'], 1)}",
        ),
        Tile(
            "Clustered, without labels",
            _plain(found["separability"], 2),
            f"n = {n:,}",
            "mean edge of the spanning tree over its longest; lower is more clustered",
        ),
    ]
    if labels["why_not"]:
        return shown
    near, nc4 = interval_of(labels["neighbours"]), interval_of(labels["nc4"])
    return [
        *shown,
        Tile(
            "Nearest item has the same label",
            f"{100 * near.value:.0f} %",
            f"{100 * near.low:.0f} to {100 * near.high:.0f} % (95 %), n = {near.n:,}",
            f"in {labels['n_classes']:,} classes",
        ),
        Tile(
            "Collapse (NC1)",
            _plain(labels["nc1"], 2),
            f"n = {labels['n']:,}; 0: every class is one point",
            f"NC2 {_plain(labels['nc2'], 2)}, NC3 {_plain(labels['nc3'], 2)}, NC4 {100 * nc4.value:.0f} %",
        ),
    ]


def _warnings(found: Mapping[str, Any]) -> list[Viewable]:
    shift = found["shift"]
    moved = [name for name, _, _, shifted in shift["columns"] if shifted]
    leaks = [name for name, _, _, suspicious in found["shortcuts"] if suspicious]
    said: list[Viewable] = []
    if moved:
        other = (
            "its second half is distributed otherwise"
            if shift["own"]
            else f"{shift['with']} is distributed otherwise"
        )
        said.append(
            notice(
                f"This import differs: {_listed(moved)}",
                f"Against what it is compared with, {other} is distributed otherwise in {len(moved)} of "
                f"{len(shift['columns'])} columns. Figures measured on the one need not hold for the other.",
                tone="warn",
            )
        )
    if leaks:
        said.append(
            notice(
                f"Columns that alone give the label away: {_listed(leaks)}",
                "A head may learn them instead of the content. Leave them out unless they will be known in use.",
                tone="warn",
            )
        )
    return said


def _shortcut_row(each: Sequence[Any]) -> list[Any]:
    name, accuracy, base, suspicious = each
    return [
        name,
        interval_cell(interval_of(accuracy)),
        f"{100 * base:.0f} %",
        "gives the label away" if suspicious else "",
    ]


def _shift_row(each: Sequence[Any]) -> list[Any]:
    name, statistic, p_value, shifted = each
    return [name, _plain(statistic, 3), f"{p_value:.2g}", "differs" if shifted else ""]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _plain(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"
