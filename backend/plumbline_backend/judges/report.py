"""The alignment report: what is known of each judge and of the chosen set, with n and interval everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED, Alignment, measure
from plumbline_backend.domain.grades import Criterion, GradingJudge
from plumbline_backend.judges.choose import Candidate, best_of
from plumbline_backend.judges.graders import GraderAgreement, agreement_of
from plumbline_backend.judges.verdicts import ERROR, FAILED, NOT_RUN, PASSED, VerdictTable

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

Against = Literal["criterion", "overall"]
ChosenBy = Literal["person", "best", "only", "none"]


@dataclass(frozen=True)
class JudgeReport:
    """One judge. `alignment` rests on the outputs it decided and that were graded under the design.

    against: grades of its criterion, or the overall grades while that has none. selectivity: share it passes of what
    it decided, None where it decided nothing. by_version: alignment with the grades of each version of the
    criterion, oldest first.
    """

    judge: GradingJudge
    against: Against
    alignment: Alignment
    selectivity: float | None
    n_errors: int
    n_abstained: int
    n_not_run: int
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
    """The chosen judges together: an output fails when any of them fails it. `naive` uses the grades that chose."""

    judges: tuple[int, ...]
    alignment: Alignment
    n_undecided: int


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


def alignment_report(project: GradingProject) -> AlignmentReport:
    """Measure every judge in use, and the chosen ones together."""
    table = project.verdict_table()
    strata = project.design.strata()
    reports = [criterion_report(project, c, table, strata) for c in [project.overall(), *project.criteria()]]
    chosen = [report.chosen for report in reports if report.chosen is not None]
    truth, by_design = project.truth(), project.truth(designed=True)
    return AlignmentReport(
        n_outputs=project.n_outputs,
        n_graded=int((by_design != UNGRADED).sum()),
        n_good=int((by_design == GOOD).sum()),
        n_bad=int((by_design == BAD).sum()),
        n_by_hand=int(((truth != UNGRADED) & (by_design == UNGRADED)).sum()),
        from_file=len(project.kept.read().get("graded_at_import", [])),
        chosen=set_report(table.only(chosen), by_design, strata, project.seed),
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
    chosen, chosen_by = choice_of(criterion, judges, table, truth)
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
    criterion: Criterion, judges: list[GradingJudge], table: VerdictTable, truth: NDArray[np.int8]
) -> tuple[int | None, ChosenBy]:
    """The judge that stands for the criterion and why: chosen by a person, the best, or the only or oldest one."""
    ids = [judge.id for judge in judges]
    if criterion.selected in ids:
        return criterion.selected, "person"
    if len(ids) <= 1:
        return (ids[0], "only") if ids else (None, "none")
    best = best_of(candidates_of(judges, table), truth, criterion.ffr_limit)
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
    table: VerdictTable, truth: NDArray[np.int8], strata: NDArray[np.int64], seed: int
) -> SetReport:
    """The judges of the table together."""
    codes = table.as_set()
    return SetReport(
        judges=tuple(judge.id for judge in table.judges),
        alignment=measured(codes, truth, strata, seed),
        n_undecided=int((~decided(codes)).sum()),
    )


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
        n_abstained=int(len(codes) - n_decided - (codes == ERROR).sum() - (codes == NOT_RUN).sum()),
        n_not_run=int((codes == NOT_RUN).sum()),
        by_version=tuple(
            (version, measured(codes, grades, strata, project.seed))
            for version, grades in project.truth_by_version(judge.criterion_id).items()
        ),
    )
