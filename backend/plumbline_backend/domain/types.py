"""The values that pass between layers. All are frozen; arrays inside them are never written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Proba = NDArray[np.floating[Any]]
"""(n_items, n_classes), rows sum to 1."""
Utility = NDArray[np.floating[Any]]
"""(n_items,), higher is better."""
Positions = NDArray[np.int64]
"""(n,), positions of items in their pool."""

State = Literal["answered", "skipped", "unsure", "flagged"]
STATES: tuple[State, ...] = ("answered", "skipped", "unsure", "flagged")
JudgeKind = Literal["person", "head", "assertion", "llm", "rule", "imported"]
QuestionKind = Literal["choice", "pass_fail", "rating", "multi_label", "hierarchical"]
Stratum = Literal[
    "stream",
    "model",
    "random",
    "browse",
    "audit",
    "review",
    "judged_fail",
    "judged_pass",
    "judged_unknown",
    "overlap",
    "regrade",
    "adjudication",
]
"""How an item came to be asked: from the random stream, a model's ranking, uniformly at random, or by hand; as a blind
check of a proposal (audit), or on the Review page, knowing the proposal (review). When grading: uniformly among the
outputs that the chosen judges fail, pass or leave open; because another grader has graded it (overlap); to be graded
blind once more (regrade). Because people answered it differently: the last word on it (adjudication)."""
ColumnRole = Literal["id", "text", "image", "numeric", "category", "label", "features", "metadata", "ignore"]
COLUMN_ROLES: tuple[ColumnRole, ...] = (
    "id",
    "text",
    "image",
    "numeric",
    "category",
    "label",
    "features",
    "metadata",
    "ignore",
)
JobState = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class LabelClass:
    """One possible answer of a choice question. `id` never changes; everything else may."""

    id: str
    name: str
    color: str
    key: str | None = None
    description: str = ""
    merged_into: str | None = None
    parent: str | None = None
    """The class above it in the tree of a hierarchical question."""


class Labels(NamedTuple):
    """Items and their targets among the classes that were asked for with them: (n,) places of one class each, -1 where
    it is none of them, or for several classes (n, K) with 1 yes, 0 no, -1 not said."""

    items: Positions
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Question:
    """What is asked of every item. Each edit makes a new version; `classes` is in display order."""

    id: int
    project_id: int
    version: int
    kind: QuestionKind
    text: str
    guidelines: str
    classes: tuple[LabelClass, ...]

    @property
    def active(self) -> tuple[LabelClass, ...]:
        """Classes that can still be answered: those not merged into another."""
        return tuple(c for c in self.classes if c.merged_into is None)

    @property
    def classes_by_age(self) -> tuple[LabelClass, ...]:
        """All classes, the oldest first, whatever the order in which they are shown."""
        return tuple(sorted(self.classes, key=lambda c: (len(c.id), c.id)))

    def resolve(self, class_id: str) -> str:
        """The class that `class_id` stands for today, following merges. Raises KeyError when unknown."""
        by_id = {c.id: c for c in self.classes}
        found = by_id[class_id]
        while found.merged_into is not None:
            found = by_id[found.merged_into]
        return found.id


@dataclass(frozen=True)
class QuestionChange:
    """One line of a question's history."""

    version: int
    change: str
    by: str
    at: datetime


@dataclass(frozen=True)
class ProjectRow:
    """A project as the store keeps it. `slug` is its name in URLs and folders; `settings` are per project."""

    id: int
    slug: str
    name: str
    created_at: datetime
    n_items: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judge:
    """Anything that answers questions about items."""

    id: int
    project_id: int
    kind: JudgeKind
    name: str
    version: int = 1
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewJudgement:
    """A judgement before the store has given it an id and a time.

    `client_uuid` makes a retry idempotent: the same one twice is recorded once.
    """

    item: int
    question_id: int
    question_version: int
    judge_id: int
    client_uuid: str
    state: State = "answered"
    answer: str | None = None
    proba: tuple[float, ...] | None = None
    note: str = ""
    seconds: float | None = None
    query_id: int | None = None
    stratum: Stratum = "browse"


@dataclass(frozen=True)
class Judgement(NewJudgement):
    """One row of the ledger. Rows are never changed; `supersedes` and `revokes` name earlier rows."""

    id: int = 0
    created_at: datetime | None = None
    supersedes: int | None = None
    revokes: int | None = None


@dataclass(frozen=True)
class Ask:
    """An item leased to one holder (a browser tab) so that nobody else is asked it now."""

    item: int
    query_id: int | None
    stratum: Stratum
    rank: int
    utility: float | None
    reason: str

    @property
    def shown_stratum(self) -> Stratum:
        """What whoever is asked may know of it: a blind check passes for one of the model's asks."""
        return "model" if self.stratum == "audit" else self.stratum


class Interval(NamedTuple):
    """A figure with its 95 % interval and the number of items it rests on. NaN value: unknown (n = 0)."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Column:
    """A column of the pool: its name in the file, the Arrow type as text, its role, and a few examples."""

    name: str
    type: str
    role: ColumnRole
    reason: str = ""
    examples: tuple[str, ...] = ()
    n_missing: int = 0


@dataclass(frozen=True)
class Item:
    """One item of a pool. `fields` holds what its row says, with missing values as None."""

    position: int
    key: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class ModelVersion:
    """A trained, calibrated head. `metrics` is JSON-like; intervals in it are [value, low, high, n]."""

    id: int
    project_id: int
    question_id: int
    version: int
    judge_id: int
    folder: str
    created_at: datetime
    n_train: int
    n_stream: int
    ledger_id: int
    """Id of the newest judgement that the fit had seen; newer ones make the model stale."""
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QueryRow:
    """Why items were asked: a strategy over one model's scores. `folder` holds the ranking's arrays."""

    id: int
    project_id: int
    question_id: int
    strategy: str
    model_id: int | None
    seed: int
    created_at: datetime
    folder: str


@dataclass(frozen=True)
class Job:
    """Long work with progress. A result counts only with the fencing token of the newest claim."""

    id: int
    project_id: int | None
    kind: str
    state: JobState
    progress: float
    message: str
    token: int
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_until: datetime | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
