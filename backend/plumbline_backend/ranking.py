"""Rank a pool with a project's strategy: what it needs is brought, what it answers is checked, failures are said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline_backend.arrays import load_arrays
from plumbline_backend.domain.asking import Descriptions, Labelled, PoolView, ProbaOf, Ranking
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ports import Head, Logits, Strategy
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Proba
from plumbline_backend.ingest import load_stream_order
from plumbline_backend.plugins import find_strategy
from plumbline_backend.pool.features import load_features
from plumbline_backend.pool.pool import Pool
from plumbline_backend.strategies.base import ask
from plumbline_backend.strategies.committee import bootstrapped
from plumbline_backend.strategies.random import Random

RANKING_FILE = "ranking.npz"
PROMPTS = ("{name}", "{name} {description}", "this is about {name}", "{description}")
"""How a class is put into words; their weights are found from the pool (see `strategies.zero_label`)."""


class Calibrated:
    """A head's calibrated probabilities as a function of features; it can travel to another process."""

    def __init__(self, head: Head, calibrate: Callable[[Logits], Proba]) -> None:
        self._head, self._calibrate = head, calibrate

    def __call__(self, features: NDArray[np.floating[Any]]) -> Proba:
        return self._calibrate(self._head.logits(features))


class Model:
    """What a strategy may use of the newest model: scores, probabilities, and heads like it for a committee."""

    def __init__(self, scores: PoolScores, proba: ProbaOf, new_head: Callable[[], Head]) -> None:
        self.scores, self.proba, self.new_head = scores, proba, new_head


def rank_pool(spec: Mapping[str, Any], pool: Pool, model: Model | None) -> Ranking:
    """The next `spec["ranking_length"]` items to ask; the reserve and what is closed are left out.

    model: None before there is one. A strategy that lacks something or answers nonsense, and a plug-in that raises,
    hangs or ends its process (all of which are an InputError), is replaced by random items, and `why` says so; the page
    shows it with every question. Any other exception is a fault of ours: the job fails, and the page says that.
    """
    rng = np.random.default_rng([spec["seed"], spec["version"]])
    view = view_of(spec, pool, model, rng)
    try:
        return ask(strategy_of(spec), view, spec["ranking_length"], rng)
    except InputError as error:
        drawn = Random().pick(view, spec["ranking_length"], rng)
        return drawn._replace(why=f"drawn at random, because the chosen strategy could not rank: {error}")


def save_ranking(folder: Path, ranking: Ranking) -> None:
    """Write items, utility and why into an existing folder."""
    np.savez(folder / RANKING_FILE, items=ranking.items, utility=ranking.utility, why=np.array(ranking.why))


def load_ranking(folder: Path) -> Ranking:
    """What `save_ranking` wrote; rankings of earlier versions do not say why."""
    saved = load_arrays(folder / RANKING_FILE)
    return Ranking(saved["items"], saved["utility"], str(saved.get("why", "")))


def strategy_of(spec: Mapping[str, Any]) -> Strategy:
    """The strategy named in the spec, from the registry or from the workspace's `plugins` folder."""
    return find_strategy(spec["strategy"], plugins_beside(Path(spec["models"])))


def plugins_beside(models: Path) -> Path:
    """The workspace's folder of plug-ins, seen from a project's folder of models."""
    return models.parent.parent / "plugins"


def check_strategy(name: str, plugins: Path, pool: Pool) -> None:
    """Raises InputError where no such strategy exists, a plug-in is broken, or the pool can never meet its needs."""
    needs = find_strategy(name, plugins).needs
    if "descriptions" in needs and describe_classes(pool, [("", "")]) is None:
        PoolView(np.ones(1, dtype=bool)).check(name, frozenset({"descriptions"}))


def needs_of(spec: Mapping[str, Any]) -> frozenset[str]:
    """What the chosen strategy declares; nothing when it cannot be used (which is said when it is asked)."""
    try:
        return frozenset(strategy_of(spec).needs)
    except InputError:
        return frozenset()


def view_of(spec: Mapping[str, Any], pool: Pool, model: Model | None, rng: np.random.Generator) -> PoolView:
    """What a strategy may see of the project. Committees are trained, and text is read, only where they are used."""
    candidates = np.ones(pool.n_items, dtype=bool)
    candidates[load_stream_order(Path(spec["pool"]))] = False
    candidates[np.array(spec["closed_items"], dtype=np.int64)] = False
    labelled = _labelled(spec)
    view = PoolView(
        candidates,
        features=pool.features if pool.has_features else None,
        labelled=labelled,
        descriptions=describe_classes(pool, spec["class_texts"])
        if "descriptions" in needs_of(spec)
        else None,
    )
    if model is None or labelled is None:
        return view

    def committee() -> list[ProbaOf]:
        return bootstrapped(model.new_head, pool.features.gather(labelled.items), labelled, rng)

    return PoolView(
        candidates, model.scores, view.features, labelled, model.proba, committee, view.descriptions
    )


def _labelled(spec: Mapping[str, Any]) -> Labelled | None:
    items = np.array(spec["train_items"], dtype=np.int64)
    if not len(items):
        return None
    return Labelled(items, np.array(spec["train_targets"], dtype=np.int64), len(spec["classes"]))


def describe_classes(pool: Pool, texts: Sequence[tuple[str, str]]) -> Descriptions | None:
    """Classes, as (name, description), through the transform of the first text column; None where there is none."""
    if not pool.has_features:
        return None
    parts = [p for p in load_features(pool).parts if p.part.transform in ("text", "embedding")]
    if not parts or not texts:
        return None
    first = parts[0]
    worded = [
        pa.array([prompt.format(name=name, description=description or name) for name, description in texts])
        for prompt in PROMPTS
    ]
    prompts = np.stack([first.transform.apply([column]) for column in worded])
    return Descriptions(prompts, first.start, first.stop)
