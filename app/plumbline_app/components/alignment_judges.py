"""Every judge against the grades: a row each, and for the open one its confusion matrix and agreement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.alignment_caveats import caveats
from plumbline_app.components.controls import button
from plumbline_app.components.estimates import index_in_words, share_cell, share_in_words
from plumbline_app.components.figures import facts, html_pane
from plumbline_app.components.grid import COMING, Grid, grid_column
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.judges.report import AlignmentReport, ChosenBy, CriterionReport, JudgeReport

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

COLUMNS = [
    grid_column("Criterion", "name"),
    grid_column("Judge", "name"),
    grid_column("In use", "name", "Which judge stands for the criterion, and why"),
    grid_column("Coverage", "interval", "Of the bad outputs, the share that it fails (true negative rate)"),
    grid_column("False failures", "interval", "Of the good outputs, the share that it fails"),
    grid_column(
        "Alignment", "interval", "Harmonic mean of coverage and the share of good outputs that it passes"
    ),
    grid_column("Graded", "number", "Outputs with a grade and a verdict"),
    grid_column("Open", "number", "Outputs in error, not applicable, or not run on today's wording"),
]


USED: dict[ChosenBy, str] = {
    "person": "by hand",
    "best": "best",
    "least ffr": "fewest false failures",
    "only": "only one",
    "none": "oldest",
}


class JudgesView(Viewer):
    """The judges of a report. `on_change` is called after another judge was chosen."""

    def __init__(self, project: GradingProject, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._project = project
        self._on_change = on_change
        self._pairs: list[tuple[CriterionReport, JudgeReport]] = []
        self._open: int | None = None
        self._grid = Grid(on_open=self._opened, caption="Judges", empty=COMING)
        self._caveats = place()
        self._detail = place()

    def __panel__(self) -> Viewable:
        return card(
            "Judges one by one",
            "Each against the grades of its criterion, or against the overall grades while that has none. "
            "– means unknown. Open one for its confusion matrix.",
            self._grid,
            self._caveats,
            self._detail,
        )

    def show(self, report: AlignmentReport) -> None:
        """The judges of this report; the open one stays open."""
        criteria = [report.overall, *report.criteria]
        self._pairs = [(criterion, judge) for criterion in criteria for judge in criterion.judges]
        together = None if report.chosen.adopted is None else report.chosen.judges
        rows = [_row(criterion, judge, together) for criterion, judge in self._pairs]
        rows += [[c.criterion.name, "no judge", *[None] * 6] for c in report.criteria if not c.judges]
        self._grid.empty = "No judge yet: add some on the Judges page."
        self._grid.show(COLUMNS, rows)
        fill(self._caveats, *[sentence(told) for told in caveats(report)])
        ids = [judge.judge.id for _, judge in self._pairs]
        if self._open in ids:
            self._grid.selected = ids.index(self._open)
            self._draw(*self._pairs[ids.index(self._open)])
        else:
            fill(self._detail)

    def _opened(self, row: int) -> None:
        if row < len(self._pairs):
            self._open = self._pairs[row][1].judge.id
            self._draw(*self._pairs[row])

    def _draw(self, criterion: CriterionReport, report: JudgeReport) -> None:
        choose = (
            button("Let the best be chosen", lambda: self._select(criterion, None))
            if criterion.criterion.selected == report.judge.id
            else button("Use this one for the criterion", lambda: self._select(criterion, report.judge.id))
        )
        fill(
            self._detail,
            confusion_grid(report),
            html_pane(facts(_facts(criterion, report))),
            line(choose),
        )

    def _select(self, criterion: CriterionReport, judge_id: int | None) -> None:
        try:
            self._project.select_judge(criterion.criterion.id, judge_id)
        except PlumblineError as error:
            fill(self._detail, notice("Not chosen", str(error), tone="bad"))
            return
        self._on_change()


def confusion_grid(report: JudgeReport) -> Viewable:
    """The graded outputs by what the person and the judge said."""
    bad_failed, bad_passed, good_failed, good_passed = report.alignment.graded
    grid = Grid(caption=f"Confusion matrix of {report.judge.name}")
    columns = [
        grid_column("Graded outputs", "name"),
        grid_column("Judge fails", "number"),
        grid_column("Judge passes", "number"),
        grid_column("Together", "number"),
    ]
    rows: Sequence[Sequence[Any]] = [
        ["You say bad", f"{bad_failed:,}", f"{bad_passed:,}", f"{bad_failed + bad_passed:,}"],
        ["You say good", f"{good_failed:,}", f"{good_passed:,}", f"{good_failed + good_passed:,}"],
    ]
    grid.show(columns, rows)
    return grid


def _row(criterion: CriterionReport, report: JudgeReport, together: tuple[int, ...] | None) -> list[Any]:
    """together: the judges of a set that is in use instead of one judge for each criterion."""
    found = report.alignment
    used = None
    if together is not None:
        used = "in the set" if report.judge.id in together else None
    elif criterion.chosen == report.judge.id:
        used = USED[criterion.chosen_by]
    undecided = report.n_errors + report.n_abstained + report.n_not_run
    return [
        criterion.criterion.name,
        report.judge.name,
        used,
        share_cell(found.coverage),
        share_cell(found.ffr),
        share_cell(found.alignment),
        f"{sum(found.graded):,}",
        f"{undecided:,}",
    ]


def _facts(criterion: CriterionReport, report: JudgeReport) -> list[tuple[str, str]]:
    found = report.alignment
    against = "the grades of its criterion" if report.against == "criterion" else "the overall grades"
    limit = criterion.criterion.ffr_limit
    rows = [
        ("Measured against", against),
        ("Good outputs passed (TPR)", share_in_words(found.tpr)),
        ("Bad outputs failed (TNR)", share_in_words(found.tnr)),
        ("Matthews correlation", index_in_words(found.mcc)),
        ("Cohen's kappa", index_in_words(found.kappa)),
        ("Alignment", share_in_words(found.alignment)),
        (
            "Not decided",
            f"{report.n_errors:,} in error, {report.n_abstained:,} not applicable, {report.n_not_run:,} not run"
            + (f" ({report.n_stale:,} only by an older wording)" if report.n_stale else ""),
        ),
        ("Graders with each other", index_in_words(criterion.agreement.between)),
        ("Graders with themselves", index_in_words(criterion.agreement.within)),
        ("Can be aligned with", _alignable(criterion)),
    ]
    if limit is not None:
        over = (
            " The chosen judge exceeds it."
            if criterion.over_limit and criterion.chosen == report.judge.id
            else ""
        )
        rows.append(("Limit of false failures", f"{100 * limit:g} %.{over}"))
    if len(report.by_version) > 1:
        rows += [
            (f"Alignment, criterion version {version}", share_in_words(each.alignment))
            for version, each in report.by_version
        ]
    if criterion.n_stale:
        rows.append(
            ("Stale grades", f"{criterion.n_stale:,} outputs: grade them again, blind, on the Grade page")
        )
    return rows


def _alignable(criterion: CriterionReport) -> str:
    words = {"yes": "yes", "no": "not alignable", "doubtful": "doubtful", "unknown": "unknown"}
    reason = criterion.agreement.reason
    return words[criterion.agreement.alignable] + (f": {reason}" if reason else "")
