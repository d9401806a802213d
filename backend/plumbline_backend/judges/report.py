"""The alignment report: what is known of each judge and of the chosen set, with n and interval everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import (
    BAD,
    GOOD,
    UNGRADED,
    Alignment,
    cells_of,
    draw_tables,
    grades_needed,
    measure,
    summarise,
)
from plumbline_backend.domain.grades import Criterion, GradingJudge
from plumbline_backend.domain.optimism import Choose, cross_validated
from plumbline_backend.judges.adopted import AdoptedSet, adopted, chooser
from plumbline_backend.judges.choose import Candidate, best_of
from plumbline_backend.judges.graders import GraderAgreement, agreement_of
from plumbline_backend.judges.verdicts import (
    ABSTAINED,
    ERROR,
    FAILED,
    PASSED,
    STALE,
    VerdictTable,
    open_codes,
)

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

TARGET_WIDTH = 0.2
"""Width of the alignment's interval that one usually wants to reach: about plus or minus 0.1."""
Against = Literal["criterion", "overall"]
Method = Literal["no choice", "cross-validated", "too few grades", "no judges"]
METHODS: dict[Method, str] = {
    "no choice": "measured on the grades: no judge was chosen by them",
    "cross-validated": "cross-validated: the choice was made again without some of the grades and looked at on those",
    "too few grades": "measured on the same grades that chose the judges, so too good: grade more outputs",
    "no judges": "there is no judge yet",
}
"""How the figures of the chosen set came about, in words for the page."""
ChosenBy = Literal["person", "best", "only", "none"]


@dataclass(frozen=True)
class JudgeReport:
    """One judge. `alignment` rests on the outputs it decided and that were graded under the design.

    against: grades of its criterion, or the overall grades while that has none. selectivity: share it passes of what
    it decided, None where it decided nothing. n_stale: of those not run, what it judged by an older wording.
    by_version: what it said of each version of the criterion against the grades of that version, oldest first.
    """

    judge: GradingJudge
    against: Against
    alignment: Alignment
    selectivity: float | None
    n_errors: int
    n_abstained: int
    n_not_run: int
    n_stale: int
    by_version: tuple[tuple[int, Alignment], ...]


@dataclass(frozen=True)
class CriterionReport:
    """A criterion with its judges. `over_limit`: the chosen judge fails more good outputs than the limit allows."""

    criterion: Criterion
    judges: tuple[JudgeReport, ...]
    chosen: int | None
    chosen_by: ChosenBy
    over_limit: bool
    n_graded: int
    n_stale: int
    agreement: GraderAgreement


@dataclass(frozen=True)
class SetReport:
    """The chosen judges together: an output fails when any of them fails it.

    adopted: they are a smallest set that a person took into use; else one judge stands for each criterion.
    apparent: measured on the grades that also chose the judges, so too good where several were to choose from.
    corrected: the same without that optimism, None while it cannot be told. method: says which of them to show and
    how it came about. more_grades: until the interval of the alignment is as narrow as asked, None: never.
    """

    judges: tuple[int, ...]
    apparent: Alignment
    corrected: Alignment | None
    method: Method
    n_undecided: int
    more_grades: int | None
    adopted: AdoptedSet | None = None

    @property
    def alignment(self) -> Alignment:
        """The figures to show."""
        return self.apparent if self.corrected is None else self.corrected


@dataclass(frozen=True)
class AlignmentReport:
    """Everything on the report's page. Counts are of outputs with an overall grade."""

    n_outputs: int
    n_graded: int
    n_good: int
    n_bad: int
    n_by_hand: int
    from_file: int
    chosen: SetReport
    overall: CriterionReport
    criteria: tuple[CriterionReport, ...]


def alignment_report(project: GradingProject, target_width: float = TARGET_WIDTH) -> AlignmentReport:
    """Measure every judge in use, and the chosen ones together.

    target_width: of the alignment's interval, for the number of grades still needed.
    """
    table = project.verdict_table()
    strata = project.design.strata()
    reports = [criterion_report(project, c, table, strata) for c in [project.overall(), *project.criteria()]]
    truth, by_design = project.truth(), project.truth(designed=True)
    return AlignmentReport(
        n_outputs=project.n_outputs,
        n_graded=int((by_design != UNGRADED).sum()),
        n_good=int((by_design == GOOD).sum()),
        n_bad=int((by_design == BAD).sum()),
        n_by_hand=int(((truth != UNGRADED) & (by_design == UNGRADED)).sum()),
        from_file=len(project.kept.read().get("graded_at_import", [])),
        chosen=set_report(project, reports, table, by_design, strata, target_width),
        overall=reports[0],
        criteria=tuple(reports[1:]),
    )


def criterion_report(
    project: GradingProject, criterion: Criterion, table: VerdictTable, strata: NDArray[np.int64]
) -> CriterionReport:
    """The judges of one criterion against its grades."""
    grades = project.grades(criterion.id)
    truth, against = reference_grades(project, criterion)
    judges = [judge for judge in table.judges if judge.criterion_id == criterion.id]
    reports = tuple(
        _judge_report(project, judge, table.column(judge.id), truth, against, strata) for judge in judges
    )
    chosen, chosen_by = choice_of(criterion, judges, table, lambda: truth)
    ffr = next((r.alignment.ffr.value for r in reports if r.judge.id == chosen), None)
    return CriterionReport(
        criterion=criterion,
        judges=reports,
        chosen=chosen,
        chosen_by=chosen_by,
        over_limit=ffr is not None and criterion.ffr_limit is not None and ffr > criterion.ffr_limit,
        n_graded=len({g.output for g in grades if g.passed is not None and not g.stale}),
        n_stale=len({g.output for g in grades if g.stale}),
        agreement=agreement_of(project, criterion),
    )


def reference_grades(project: GradingProject, criterion: Criterion) -> tuple[NDArray[np.int8], Against]:
    """(n_outputs,) the grades a judge of this criterion is measured by: its own, else the overall ones."""
    own = project.truth(criterion.id, designed=True)
    if criterion.overall or (own != UNGRADED).any():
        return own, "overall" if criterion.overall else "criterion"
    return project.truth(designed=True), "overall"


def choice_of(
    criterion: Criterion,
    judges: list[GradingJudge],
    table: VerdictTable,
    truth: Callable[[], NDArray[np.int8]],
) -> tuple[int | None, ChosenBy]:
    """The judge that stands for the criterion and why: chosen by a person, the best, or the only or oldest one.

    truth: gives the grades it is measured by; only asked where there are several to choose from.
    """
    ids = [judge.id for judge in judges]
    if criterion.selected in ids:
        return criterion.selected, "person"
    if len(ids) <= 1:
        return (ids[0], "only") if ids else (None, "none")
    best = best_of(candidates_of(judges, table), truth(), criterion.ffr_limit)
    return (best, "best") if best is not None else (ids[0], "none")


def candidates_of(judges: list[GradingJudge], table: VerdictTable) -> list[Candidate]:
    """Judges with their verdicts, as the choice needs them."""
    out = []
    for judge in judges:
        codes = table.column(judge.id)
        out.append(Candidate(judge.id, codes == FAILED, decided(codes), judge.cost))
    return out


def decided(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where a verdict is a pass or a fail."""
    return (codes == FAILED) | (codes == PASSED)


def measured(
    codes: NDArray[np.int8], truth: NDArray[np.int8], strata: NDArray[np.int64], seed: int
) -> Alignment:
    """Alignment over the outputs that were decided; the others are not part of what is estimated."""
    known = decided(codes)
    return measure(codes[known] == FAILED, truth[known], strata[known], np.random.default_rng(seed))


def set_report(
    project: GradingProject,
    reports: list[CriterionReport],
    table: VerdictTable,
    truth: NDArray[np.int8],
    strata: NDArray[np.int64],
    target_width: float,
) -> SetReport:
    """The chosen judges together, with and without the optimism of their choice."""
    together = adopted(project)
    ids = [report.chosen for report in reports if report.chosen is not None]
    if together is not None:
        ids = [judge.id for judge in together.judges]
    codes = table.only(ids).as_set()
    known, rng = decided(codes), np.random.default_rng(project.seed)
    cells = cells_of(codes[known] == FAILED, truth[known], strata[known])
    corrected = None
    if together is not None or any(report.chosen_by == "best" for report in reports):
        choose = (
            _chooser(project, reports, table)
            if together is None
            else chooser(together, candidates_of(list(table.judges), table), table)
        )
        corrected = cross_validated(
            choose, codes == FAILED, np.where(known, truth, UNGRADED), strata, rng, known
        )
    return SetReport(
        judges=tuple(ids),
        apparent=summarise(cells, draw_tables(cells, rng)),
        corrected=corrected,
        method=_method(reports, corrected, together is not None),
        n_undecided=int((~known).sum()),
        more_grades=grades_needed(cells, "alignment", target_width, rng) if ids else None,
        adopted=together,
    )


def _method(reports: list[CriterionReport], corrected: Alignment | None, adopted: bool) -> Method:
    if not adopted and all(report.chosen is None for report in reports):
        return "no judges"
    if corrected is not None:
        return "cross-validated"
    open_choice = adopted or any(len(r.judges) > 1 and r.chosen_by != "person" for r in reports)
    return "too few grades" if open_choice else "no choice"


def _chooser(project: GradingProject, reports: list[CriterionReport], table: VerdictTable) -> Choose:
    """The whole choice again, from the grades of the outputs that a fold leaves: every criterion chooses its judge."""
    truths = {r.criterion.id: reference_grades(project, r.criterion)[0] for r in reports}

    def choose(grades: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        ids = []
        for report in reports:
            judges = [each.judge for each in report.judges]
            seen = np.where(grades == UNGRADED, UNGRADED, truths[report.criterion.id]).astype(np.int8)
            chosen, by = choice_of(report.criterion, judges, table, partial(np.array, seen))
            if by == "none" and judges:
                return None
            ids += [chosen] if chosen is not None else []
        codes = table.only(ids).as_set()
        return codes == FAILED, decided(codes)

    return choose


def _judge_report(
    project: GradingProject,
    judge: GradingJudge,
    codes: NDArray[np.int8],
    truth: NDArray[np.int8],
    against: Against,
    strata: NDArray[np.int64],
) -> JudgeReport:
    n_decided = int(decided(codes).sum())
    return JudgeReport(
        judge=judge,
        against=against,
        alignment=measured(codes, truth, strata, project.seed),
        selectivity=float((codes == PASSED).sum() / n_decided) if n_decided else None,
        n_errors=int((codes == ERROR).sum()),
        n_abstained=int((codes == ABSTAINED).sum()),
        n_not_run=int(open_codes(codes).sum()),
        n_stale=int((codes == STALE).sum()),
        by_version=tuple(
            (version, measured(project.bench.codes_at(judge, version), grades, strata, project.seed))
            for version, grades in project.truth_by_version(judge.criterion_id).items()
        ),
    )
