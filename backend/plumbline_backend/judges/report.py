"""The alignment report: what is known of each judge and of the chosen set, with n and interval everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from plumbline_backend.judges.assertion import DRAFTED_FROM
from plumbline_backend.judges.choose import Candidate, best_of, least_ffr
from plumbline_backend.judges.graders import GraderAgreement, agreement_of
from plumbline_backend.judges.reference import Against, Evidence, Reference, reference_grades
from plumbline_backend.judges.verdicts import (
    ABSTAINED,
    ERROR,
    FAILED,
    PASSED,
    STALE,
    VerdictTable,
    open_codes,
    running,
    together,
)

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

TARGET_WIDTH = 0.2
"""Width of the alignment's interval that one usually wants to reach: about plus or minus 0.1."""
Method = Literal["no choice", "cross-validated", "by hand", "too few grades", "no judges"]
METHODS: dict[Method, str] = {
    "no choice": "measured on the grades: no judge was chosen by them",
    "cross-validated": "cross-validated: the choice was made again without some of the grades and looked at on those",
    "by hand": "measured on grades that could be seen when judges were chosen or retired by hand, so perhaps too good",
    "too few grades": "measured on the same grades that chose the judges, so too good: grade more outputs",
    "no judges": "there is no judge yet",
}
"""How the figures of the chosen set came about, in words for the page."""
ChosenBy = Literal["person", "best", "least ffr", "only", "none"]
"""Why a judge stands for its criterion: a person chose it; it is the best within the limit of false failures; it fails
the fewest good outputs, as none meets the limit; it is the only one; the oldest, as there is nothing to choose by."""


BY_GRADES: tuple[ChosenBy, ...] = ("best", "least ffr")


@dataclass(frozen=True)
class JudgeReport:
    """One judge. `alignment` rests on the outputs it decided and that were graded under the design.

    against: grades of its criterion, or the overall grades while that has none. selectivity: share it passes of what
    it decided, None where it decided nothing. n_stale: of those not run, what it judged by an older wording.
    n_drafted: of the graded outputs, those that the model was shown which wrote the judge: they flatter it.
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
    n_drafted: int
    by_version: tuple[tuple[int, Alignment], ...]


@dataclass(frozen=True)
class CriterionReport:
    """A criterion with its judges. `over_limit`: the chosen judge fails more good outputs than the limit allows.

    n_passed_over: drawn outputs that its grades left out on the way; where there are any, the figures rest on outputs
    that a person chose to grade.
    """

    criterion: Criterion
    judges: tuple[JudgeReport, ...]
    chosen: int | None
    chosen_by: ChosenBy
    over_limit: bool
    n_graded: int
    n_stale: int
    n_passed_over: int
    agreement: GraderAgreement


@dataclass(frozen=True)
class SetReport:
    """The chosen judges together: an output fails when any of them fails it.

    adopted: they are a smallest set that a person took into use; else one judge stands for each criterion.
    apparent: measured on the grades that also chose the judges, so too good where several were to choose from.
    corrected: the same without that optimism, None while it cannot be told. method: says which of them to show and
    how it came about. n_undecided: outputs that not all of them have answered, which are left out. not_run: of the
    judges, those without any verdict, which are left out. more_grades: until the interval of the alignment is as narrow
    as asked, None: never.
    n_in_sight: how many outputs were graded when a judge was chosen or retired by hand, where that was not what the
    best of the grades would be.
    """

    judges: tuple[int, ...]
    apparent: Alignment
    corrected: Alignment | None
    method: Method
    n_undecided: int
    more_grades: int | None
    n_in_sight: int = 0
    not_run: tuple[int, ...] = ()
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
    reference = reference_grades(project, criterion)
    truth = reference.truth
    judges = [judge for judge in table.judges if judge.criterion_id == criterion.id]
    reports = tuple(
        _judge_report(project, judge, table.column(judge.id), reference, strata) for judge in judges
    )
    chosen, chosen_by = choice_of(criterion, judges, table, lambda: Evidence(truth, strata))
    ffr = next((r.alignment.ffr.value for r in reports if r.judge.id == chosen), None)
    return CriterionReport(
        criterion=criterion,
        judges=reports,
        chosen=chosen,
        chosen_by=chosen_by,
        over_limit=ffr is not None and criterion.ffr_limit is not None and ffr > criterion.ffr_limit,
        n_graded=len({g.output for g in grades if g.passed is not None and not g.stale}),
        n_stale=len({g.output for g in grades if g.stale}),
        n_passed_over=reference.n_passed_over,
        agreement=agreement_of(project, criterion),
    )


def choice_of(
    criterion: Criterion,
    judges: list[GradingJudge],
    table: VerdictTable,
    evidence: Callable[[], Evidence],
) -> tuple[int | None, ChosenBy]:
    """The judge that stands for the criterion and why.

    evidence: the grades it is measured by; only asked for where there are several to choose from.
    """
    ids = [judge.id for judge in judges]
    if criterion.selected in ids:
        return criterion.selected, "person"
    if len(ids) <= 1:
        return (ids[0], "only") if ids else (None, "none")
    candidates, (grades, strata) = candidates_of(judges, table), evidence()
    best = best_of(candidates, grades, criterion.ffr_limit, strata)
    if best is not None:
        return best, "best"
    least = None if criterion.ffr_limit is None else least_ffr(candidates, grades, strata)
    return (ids[0], "none") if least is None else (least, "least ffr")


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
    in_use = adopted(project)
    reports = [_as_by_grades(project, report, table, strata) for report in reports]
    ids = [report.chosen for report in reports if report.chosen is not None]
    if in_use is not None:
        ids = [judge.id for judge in in_use.judges]
    used = running(table, ids)
    failed, known = together(table.only(used))
    known &= bool(used)
    rng = np.random.default_rng(project.seed)
    cells = cells_of(failed[known], truth[known], strata[known])
    corrected = None
    if in_use is not None or any(report.chosen_by in BY_GRADES for report in reports):
        choose = (
            _chooser(project, reports, table, strata)
            if in_use is None
            else chooser(in_use, candidates_of(list(table.judges), table), table)
        )
        corrected = cross_validated(choose, failed, np.where(known, truth, UNGRADED), strata, rng, known)
    return SetReport(
        judges=tuple(ids),
        apparent=summarise(cells, draw_tables(cells, rng)),
        corrected=corrected,
        method=_method(reports, corrected, in_use is not None),
        n_undecided=int((~known).sum()),
        more_grades=grades_needed(cells, "alignment", target_width, rng) if used else None,
        not_run=tuple(judge_id for judge_id in ids if judge_id not in used),
        n_in_sight=0 if in_use is not None else _in_sight(reports),
        adopted=in_use,
    )


def _as_by_grades(
    project: GradingProject, report: CriterionReport, table: VerdictTable, strata: NDArray[np.int64]
) -> CriterionReport:
    """Where a person chose, with the grades in sight, just what the grades would choose, that is a choice by them."""
    if report.chosen_by != "person" or not report.criterion.in_sight:
        return report
    free = replace(report.criterion, selected=None)
    judges = [each.judge for each in report.judges]
    truth = reference_grades(project, free).truth
    chosen, by = choice_of(free, judges, table, lambda: Evidence(truth, strata))
    if chosen != report.chosen or by not in BY_GRADES:
        return report
    return replace(report, criterion=free, chosen_by=by)


def _in_sight(reports: list[CriterionReport]) -> int:
    """How many outputs were graded when a person chose, or left only one, otherwise than the grades would."""
    return max((r.criterion.in_sight for r in reports if r.chosen_by in ("person", "only")), default=0)


def _method(reports: list[CriterionReport], corrected: Alignment | None, adopted: bool) -> Method:
    if not adopted and all(report.chosen is None for report in reports):
        return "no judges"
    if not adopted and _in_sight(reports):
        return "by hand"
    if corrected is not None:
        return "cross-validated"
    open_choice = adopted or any(len(r.judges) > 1 and r.chosen_by != "person" for r in reports)
    return "too few grades" if open_choice else "no choice"


def _chooser(
    project: GradingProject, reports: list[CriterionReport], table: VerdictTable, strata: NDArray[np.int64]
) -> Choose:
    """The whole choice again, from the grades of the outputs that a fold leaves: every criterion chooses its judge."""
    truths = {r.criterion.id: reference_grades(project, r.criterion).truth for r in reports}

    def choose(grades: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        ids = []
        for report in reports:
            judges = [each.judge for each in report.judges]
            seen = np.where(grades == UNGRADED, UNGRADED, truths[report.criterion.id]).astype(np.int8)
            chosen, by = choice_of(report.criterion, judges, table, partial(Evidence, seen, strata))
            if by == "none" and judges:
                return None
            ids += [chosen] if chosen is not None else []
        return together(table.only(running(table, ids)))

    return choose


def _judge_report(
    project: GradingProject,
    judge: GradingJudge,
    codes: NDArray[np.int8],
    reference: Reference,
    strata: NDArray[np.int64],
) -> JudgeReport:
    truth, shown = reference.truth, judge.spec.get(DRAFTED_FROM, [])
    n_decided = int(decided(codes).sum())
    return JudgeReport(
        judge=judge,
        against=reference.against,
        alignment=measured(codes, truth, strata, project.seed),
        selectivity=float((codes == PASSED).sum() / n_decided) if n_decided else None,
        n_errors=int((codes == ERROR).sum()),
        n_abstained=int((codes == ABSTAINED).sum()),
        n_not_run=int(open_codes(codes).sum()),
        n_stale=int((codes == STALE).sum()),
        n_drafted=int((decided(codes[shown]) & (truth[shown] != UNGRADED)).sum()),
        by_version=tuple(
            (version, measured(project.bench.codes_at(judge, version), grades, strata, project.seed))
            for version, grades in project.truth_by_version(judge.criterion_id).items()
        ),
    )
