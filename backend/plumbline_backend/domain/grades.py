"""The values of a grading project: outputs, criteria, grades, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from plumbline_backend.domain.types import JudgeKind, State, Stratum

CriterionKind = Literal["pass_fail", "rating"]
CRITERION_KINDS: tuple[CriterionKind, ...] = ("pass_fail", "rating")
CriterionStatus = Literal["active", "dropped", "merged"]
PASS, FAIL = "pass", "fail"
RATINGS = ("1", "2", "3", "4", "5")
"""Answers to a rating criterion, worst first."""
VerdictState = Literal["pass", "fail", "error", "abstain"]
"""What a judge says of an output. "error": it could not be run or read, never a pass or a fail. "abstain": it
ran and says that the criterion does not apply."""


@dataclass(frozen=True)
class Output:
    """One response of an LLM, with what it answered. `variables` are those of the prompt's template."""

    position: int
    key: str
    response: str
    prompt: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    system: str = ""
    reference: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Criterion:
    """A versioned question about every output. The overall question is one too, with `overall` set.

    `valid_from`: the oldest version whose grades still count; an edit that changes the meaning raises it.
    `pass_from`: the lowest rating that passes (rating criteria). `selected`: the judge chosen by hand. `in_sight`: how
    many outputs were graded when a person last chose among its judges, or retired one: such a choice is one by grades.
    """

    id: int
    name: str
    text: str
    guidelines: str
    kind: CriterionKind
    version: int
    valid_from: int = 1
    status: CriterionStatus = "active"
    merged_into: int | None = None
    ffr_limit: float | None = None
    pass_from: int = 4
    selected: int | None = None
    in_sight: int = 0
    source: str = "person"
    overall: bool = False

    def passes(self, answer: str) -> bool:
        """Whether an answer is a pass. A judge of a rating criterion may also answer pass or fail."""
        return int(answer) >= self.pass_from if answer in RATINGS else answer == PASS


@dataclass(frozen=True)
class Grade:
    """What a grader says of an output today. `passed` is None unless answered; `stale`: the criterion was edited."""

    judgement_id: int
    output: int
    criterion_id: int
    criterion_version: int
    grader: str
    state: State
    answer: str | None
    passed: bool | None
    note: str
    seconds: float | None
    at: datetime | None
    stale: bool
    stratum: Stratum
    probability: float | None


@dataclass(frozen=True)
class GradeAsk:
    """The next output to grade and how it was drawn.

    `probability`: of this output when its stratum had its turn, 1 / (outputs left in it); None for a re-grade or an
    overlap, which draw nothing new. `query_id` goes into `grade`.
    """

    output: int
    query_id: int
    stratum: Stratum
    probability: float | None
    reason: str


@dataclass(frozen=True)
class GradingJudge:
    """A validator of one criterion. `version` rises with each edit; older versions keep their verdicts."""

    id: int
    criterion_id: int
    kind: JudgeKind
    name: str
    version: int
    spec: Mapping[str, Any]
    cost: float = 0.0
    active: bool = True


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one output. `answer` is the class or rating; `p_pass` its probability of a pass."""

    output: int
    state: VerdictState
    answer: str | None = None
    p_pass: float | None = None
    note: str = ""
    seconds: float | None = None
    criterion_version: int | None = None
    """Of the criterion that it answered; None while it is not stored."""
    stale: bool = False
    """The criterion was reworded since: it counts as not given, until the judge is run again."""
