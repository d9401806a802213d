"""The table of all outputs by all judges, and what a set of judges says of an output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.grades import Criterion, GradingJudge, Verdict, VerdictState
from plumbline_backend.domain.types import JudgeKind, Judgement

FAILED, PASSED, ERROR, ABSTAINED, NOT_RUN, STALE = 0, 1, 2, 3, 4, 5
CODES: dict[VerdictState, int] = {"fail": FAILED, "pass": PASSED, "error": ERROR, "abstain": ABSTAINED}
_STATES: dict[int, VerdictState] = {code: state for state, code in CODES.items()}


@dataclass(frozen=True)
class VerdictTable:
    """Verdicts as codes. `codes`: (n_outputs, n_judges), one of FAILED, PASSED, ERROR, ABSTAINED, NOT_RUN, STALE."""

    judges: tuple[GradingJudge, ...]
    codes: NDArray[np.int8]

    def column(self, judge_id: int) -> NDArray[np.int8]:
        """(n_outputs,) codes of one judge."""
        return self.codes[:, [judge.id for judge in self.judges].index(judge_id)]

    def state(self, output: int, judge_id: int) -> VerdictState | None:
        """What the judge says of one output; None where it was not run, or only on an older wording."""
        return _STATES.get(int(self.column(judge_id)[output]))

    def counts(self, judge_id: int) -> dict[str, int]:
        """How many outputs have each verdict, "not run" among them: not on today's wording."""
        codes = self.column(judge_id)
        found = {str(state): int((codes == code).sum()) for state, code in CODES.items()}
        return {**found, "not run": int(open_codes(codes).sum())}

    def n_stale(self, judge_id: int) -> int:
        """How many of those "not run" have a verdict on an older wording, which does not count."""
        return int((self.column(judge_id) == STALE).sum())

    def only(self, judge_ids: Sequence[int]) -> VerdictTable:
        """The table with these judges only, in this order."""
        places = {judge.id: at for at, judge in enumerate(self.judges)}
        chosen = [places[judge_id] for judge_id in judge_ids]
        return VerdictTable(tuple(self.judges[at] for at in chosen), self.codes[:, chosen])

    def as_set(self) -> NDArray[np.int8]:
        """(n_outputs,) what all judges say together: FAILED when any fails; ERROR when none fails and one is in
        error; NOT_RUN when none fails and one has not run on today's wording; else PASSED. Abstaining does not fail."""
        if not self.judges:
            return np.full(len(self.codes), NOT_RUN, dtype=np.int8)
        out = np.full(len(self.codes), PASSED, dtype=np.int8)
        for code in (NOT_RUN, ERROR, FAILED):
            out[(self.codes == code).any(axis=1)] = code
        out[(out == PASSED) & (self.codes == STALE).any(axis=1)] = NOT_RUN
        return out


def running(table: VerdictTable, judge_ids: Sequence[int]) -> list[int]:
    """Those that have answered anything on today's wording."""
    return [judge_id for judge_id in judge_ids if not open_codes(table.column(judge_id)).all()]


def together(table: VerdictTable) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n_outputs,) where any judge fails, and where all have answered, be it that they abstain.

    Figures of a set rest on the latter: an output that one judge fails is decided without the others, one that it
    passes is not, so the decided ones alone would hold too many failures.
    """
    answered = (table.codes == FAILED) | (table.codes == PASSED) | (table.codes == ABSTAINED)
    return (table.codes == FAILED).any(axis=1), answered.all(axis=1)


def open_codes(codes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where a judge has still to be asked: it was not run, or answered an older wording of its criterion."""
    return (codes == NOT_RUN) | (codes == STALE)


def valid_since(kind: JudgeKind, criterion: Criterion) -> int:
    """The oldest version of the criterion whose verdicts count today.

    A language model is asked the criterion's words, so any other wording is another question to it. Heads and outside
    judges answer its meaning, as grades do. An assertion never reads the criterion: what its code says stays said.
    """
    if kind == "assertion":
        return 1
    return criterion.version if kind == "llm" else criterion.valid_from


def codes_of(
    rows: Iterable[Judgement], n_outputs: int, criterion: Criterion, since: int = 1
) -> NDArray[np.int8]:
    """(n_outputs,) codes of a judge's rows, one of an output; those of a version before `since` are STALE."""
    codes = np.full(n_outputs, NOT_RUN, dtype=np.int8)
    for row in rows:
        codes[row.item] = verdict_code(row, criterion) if row.question_version >= since else STALE
    return codes


def verdict_code(row: Judgement, criterion: Criterion) -> int:
    """The code of a judge's row in the ledger: "flagged" is an error, "skipped" an abstention."""
    if row.answer is not None:
        return PASSED if criterion.passes(row.answer) else FAILED
    return ERROR if row.state == "flagged" else ABSTAINED


def verdict_of(row: Judgement, criterion: Criterion, since: int) -> Verdict:
    """A judge's row in the ledger as a verdict, with its explanation; stale where it is of a version before `since`."""
    state = _STATES[verdict_code(row, criterion)]
    p_pass = None if row.proba is None else row.proba[0]
    return Verdict(
        output=row.item,
        state=state,
        answer=row.answer,
        p_pass=p_pass,
        note=row.note,
        seconds=row.seconds,
        criterion_version=row.question_version,
        stale=row.question_version < since,
    )
