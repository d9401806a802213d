"""The table of all outputs by all judges, and what a set of judges says of an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.grades import Criterion, GradingJudge, Verdict, VerdictState
from plumbline_backend.domain.types import Judgement

FAILED, PASSED, ERROR, ABSTAINED, NOT_RUN = 0, 1, 2, 3, 4
CODES: dict[VerdictState, int] = {"fail": FAILED, "pass": PASSED, "error": ERROR, "abstain": ABSTAINED}
_STATES: dict[int, VerdictState] = {code: state for state, code in CODES.items()}


@dataclass(frozen=True)
class VerdictTable:
    """Verdicts as codes. `codes`: (n_outputs, n_judges), one of FAILED, PASSED, ERROR, ABSTAINED, NOT_RUN."""

    judges: tuple[GradingJudge, ...]
    codes: NDArray[np.int8]

    def column(self, judge_id: int) -> NDArray[np.int8]:
        """(n_outputs,) codes of one judge."""
        return self.codes[:, [judge.id for judge in self.judges].index(judge_id)]

    def state(self, output: int, judge_id: int) -> VerdictState | None:
        """What the judge says of one output; None where it was not run."""
        return _STATES.get(int(self.column(judge_id)[output]))

    def counts(self, judge_id: int) -> dict[str, int]:
        """How many outputs have each verdict, "not run" among them."""
        codes = self.column(judge_id)
        found = {str(state): int((codes == code).sum()) for state, code in CODES.items()}
        return {**found, "not run": int((codes == NOT_RUN).sum())}

    def only(self, judge_ids: Sequence[int]) -> VerdictTable:
        """The table with these judges only, in this order."""
        places = {judge.id: at for at, judge in enumerate(self.judges)}
        chosen = [places[judge_id] for judge_id in judge_ids]
        return VerdictTable(tuple(self.judges[at] for at in chosen), self.codes[:, chosen])

    def as_set(self) -> NDArray[np.int8]:
        """(n_outputs,) what all judges say together: FAILED when any fails; ERROR when none fails and one is in
        error; NOT_RUN when none fails and one has not run; else PASSED. Abstaining does not fail an output."""
        if not self.judges:
            return np.full(len(self.codes), NOT_RUN, dtype=np.int8)
        out = np.full(len(self.codes), PASSED, dtype=np.int8)
        for code in (NOT_RUN, ERROR, FAILED):
            out[(self.codes == code).any(axis=1)] = code
        return out


def verdict_code(row: Judgement, criterion: Criterion) -> int:
    """The code of a judge's row in the ledger: "flagged" is an error, "skipped" an abstention."""
    if row.answer is not None:
        return PASSED if criterion.passes(row.answer) else FAILED
    return ERROR if row.state == "flagged" else ABSTAINED


def verdict_of(row: Judgement, criterion: Criterion) -> Verdict:
    """A judge's row in the ledger as a verdict, with its explanation."""
    state = _STATES[verdict_code(row, criterion)]
    p_pass = None if row.proba is None else row.proba[0]
    return Verdict(row.item, state, row.answer, p_pass, row.note, row.seconds)
