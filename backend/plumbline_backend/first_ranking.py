"""What is asked before there is a model: a ranking by a strategy that needs none, made in a worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plumbline_backend.domain.types import Job, QueryRow, Question
from plumbline_backend.jobs.executors import Work
from plumbline_backend.pool.pool import Pool
from plumbline_backend.ranking import needs_of, rank_pool, save_ranking

if TYPE_CHECKING:
    from plumbline_backend.loop import Loop

KIND = "first_ranking"
WITHOUT_MODEL = frozenset({"features", "descriptions"})
"""What is known before the first answer."""


class FirstRanking:
    """Starts the job when it is due: no model yet, and a strategy that needs none and has not ranked so far."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._asked_for: tuple[str, int] | None = None

    def start_if_due(self) -> Job | None:
        """Start the job unless the ranking is there. The caller holds the loop's lock."""
        loop = self._loop
        question, query = loop.question(), loop.newest_query()
        wanted = (loop.strategy, question.version)
        if self._asked_for == wanted or loop.newest_model() is not None or loop.strategy == "random":
            return None
        spec = self._spec(question)
        needs = needs_of(spec)
        same_strategy = query is not None and query.strategy == loop.strategy
        if not needs <= WITHOUT_MODEL or (same_strategy and "descriptions" not in needs):
            return None
        self._asked_for = wanted
        return loop.jobs.start(
            KIND,
            question.project_id,
            Work(KIND, spec),
            on_result=lambda _, result: loop.keep_query(spec, None, result["folder"]),
            lane=f"fit-{question.project_id % 2}",
        )

    def serves(self, query: QueryRow) -> bool:
        """Whether a ranking still counts: one without a model only while its strategy is the one in force."""
        return query.model_id is not None or query.strategy == self._loop.strategy

    def _spec(self, question: Question) -> dict[str, Any]:
        loop = self._loop
        return {
            "models": str(loop.folders.models),
            "pool": str(loop.folders.pool),
            "classes": [],
            "class_texts": class_texts(question, ()),
            "train_items": [],
            "train_targets": [],
            "closed_items": loop.answers.closed_items().tolist(),
            "strategy": loop.strategy,
            "seed": loop.seed,
            "ranking_length": loop.ranking_length,
            "version": 0,
        }


def rank_first(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's part: rank without a model and write the ranking. Returns the folder's name."""
    report(0.1, "finding where to start")
    pool = Pool.open(Path(spec["pool"]))
    ranking = rank_pool(spec, pool, None)
    name = f"first-{uuid.uuid4().hex[:8]}"
    half_done = Path(spec["models"]) / f".{name}"
    half_done.mkdir(parents=True)
    save_ranking(half_done, ranking)
    half_done.rename(half_done.with_name(name))
    return {"folder": name, "n": int(np.size(ranking.items))}


def class_texts(question: Question, trained: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, description) of every active class, those that the head knows first and in its order."""
    by_id = {c.id: c for c in question.active}
    order = [*trained, *(class_id for class_id in by_id if class_id not in trained)]
    return [(by_id[class_id].name, by_id[class_id].description) for class_id in order if class_id in by_id]
