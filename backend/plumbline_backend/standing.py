"""Where a project stands, as pages and scripts are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plumbline_backend.domain.types import Job, ModelVersion, State


@dataclass(frozen=True)
class LoopStatus:
    """Where the labelling stands. Counts are of items; `n_behind` counts judgements the model has not seen."""

    n_items: int
    n_answered: int
    n_by_state: Mapping[str, int]
    n_by_class: Mapping[str, int]
    n_train: int
    n_stream: int
    n_reserve: int
    stream_share: float
    strategy: str
    model: ModelVersion | None
    n_behind: int
    training: Job | None
    failed: Job | None
    waiting: str


@dataclass(frozen=True)
class LabelledState:
    """What people say of one item, for the pool table."""

    position: int
    state: State | None
    class_id: str | None
    judges: tuple[str, ...]
