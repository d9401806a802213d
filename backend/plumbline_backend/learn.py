"""Fit -> calibrate -> measure -> score -> rank: what the worker does with the labels, top to bottom."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plumbline_backend.domain.asking import Ranking
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Interval, Positions
from plumbline_backend.evaluation import StreamEvaluation, evaluate_on_stream
from plumbline_backend.heads.carried import carried
from plumbline_backend.heads.making import load_head, make_head
from plumbline_backend.heads.network import Network
from plumbline_backend.ingest import load_stream_order
from plumbline_backend.pace.round import FILE as PACE_FILE
from plumbline_backend.pace.round import (
    Round,
    compared_on_held_out,
    paired_on_stream,
    run_round,
    save_round,
    training_rows,
)
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.pool.pool import Pool
from plumbline_backend.ranking import Calibrated, Model, rank_pool, save_ranking
from plumbline_backend.registry import HEADS
from plumbline_backend.training.gather import gather
from plumbline_backend.training.grown import allowing_for
from plumbline_backend.training.prepare import prepare
from plumbline_backend.training.recipe import Recipe
from plumbline_backend.training.reproducible import reproducible

SCORE_ROWS = 65_536
"""Items scored at a time: 100 MB of float32 features at 384 columns."""
UNLABELLED = 5_000
"""Items without a label that a transductive head looks at: its graph over them takes about a second."""
TRAINED_ON = "trained_on.npy"
"""Positions of the items that a head was fitted on, kept for heads that explain their answers by them."""

Report = Callable[[float, str], None]


def fit_head(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """Train a head and rank the pool with it. Returns the new folder's name and the metrics.

    spec: what `Loop._start_fit` writes. The folder appears under `models` only when it is complete.
    """
    phases = Phases()
    pool = Pool.open(Path(spec["pool"]))
    report(0.05, "training")
    with phases("fit"), reproducible(spec["deterministic"]):
        head, recipe, trained_on = _fit(spec, pool)
    report(0.2, "calibrating")
    with phases("calibrate"):
        measured = _measure(spec, head, pool.features)
    with phases("score"):
        scores = _score(head, measured.calibrator.temperature_, pool.features, report)
    report(0.95, "ranking")
    with phases("rank"):
        ranking = _rank(spec, head, measured, scores, pool)
    with phases("pace"):
        paced = _pace(spec, head, measured, pool)
    metrics = {**_metrics(spec, head, measured, phases), "pace": paced.summary, "recipe": recipe}
    return {
        "folder": write_model(spec, head, scores, ranking, metrics, paced, trained_on),
        "metrics": metrics,
    }


class Phases:
    """Seconds spent in each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


class Fitted(NamedTuple):
    """A head that has learned, what became of the recipe (its options, and facts for people), and on which items."""

    head: Head
    recipe: dict[str, Any]
    items: Positions


def _fit(spec: Mapping[str, Any], pool: Pool, with_pseudo: bool = True) -> Fitted:
    rows = training_rows(spec, with_pseudo)
    x = pool.features.gather(rows.items)
    recipe = Recipe.parse(spec["recipe"])
    material = gather(spec, recipe, pool, rows.items, x)
    rng = np.random.default_rng([spec["seed"], spec["version"], 4])
    n_classes = len(spec["classes"])
    ready = prepare(recipe, x, rows.targets, rows.weights, n_classes, material, rng)
    head = new_head(spec, pool.features, ready.known)
    if isinstance(head, Network):
        head.checkpoint = _checkpoint(Path(spec["models"]))
    head.fit(
        x,
        ready.targets,
        n_classes,
        sample_weight=ready.weights,
        warm_start=previous_head(spec, pool.features.d),
    )
    facts = dict(ready.facts)
    if allowing_for(recipe, spec["added"], spec["head"]) != recipe:
        facts["n_just_added"] = len(spec["added"])
    return Fitted(head, {"options": recipe.changed(), "facts": facts}, rows.items)


def _checkpoint(models: Path) -> Path:
    """Where a long training is gone on from when its worker was killed."""
    folder = models / ".training"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "checkpoint"


def new_head(
    spec: Mapping[str, Any], features: FeatureMatrix, of_rows: Mapping[str, Any] | None = None
) -> Head:
    """The project's head, told what it asks for; unlabelled items are drawn outside labels and reserve.

    of_rows: what is known of the items that it will be fitted on.
    """
    known = {**spec["known"], **(of_rows or {})}
    if "unlabelled" in HEADS.get(spec["head"]).needs:
        rng = np.random.default_rng([spec["seed"], spec["version"], 2])
        seen = np.union1d(
            np.array(spec["train_items"], dtype=np.int64), load_stream_order(Path(spec["pool"]))
        )
        others = np.setdiff1d(np.arange(features.n), seen)
        known["unlabelled"] = features.gather(np.sort(rng.permutation(others)[:UNLABELLED]))
    recipe = allowing_for(Recipe.parse(spec["recipe"]), spec["added"], spec["head"])
    settings = {**recipe.head_settings(spec["head"]), **spec["head_settings"]}
    return make_head(spec["head"], known, settings)


def previous_head(spec: Mapping[str, Any], n_features: int) -> Head | None:
    """The last head, as a start for the next, when it has the same kind and features; of other classes where its rows
    can be carried over. None where trainings must not depend on earlier ones."""
    if spec["warm_start"] is None or spec["deterministic"]:
        return None
    folder = Path(spec["models"]) / spec["warm_start"]
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    previous = load_head(folder)
    if previous.name != spec["head"] or previous.width_ != n_features:
        return None
    found: Head | None = carried(previous, described["classes"], spec["classes"])
    return found


def _measure(spec: Mapping[str, Any], head: Head, features: FeatureMatrix) -> StreamEvaluation:
    stream = features.gather(np.array(spec["stream_items"], dtype=np.int64))
    return evaluate_on_stream(
        head.logits(stream),
        [spec["active"].index(class_id) for class_id in spec["classes"]],
        np.array(spec["stream_targets"], dtype=np.int64),
        len(spec["active"]),
        spec["calibrate_from"],
        spec["seed"],
    )


def _score(head: Head, temperature: float, features: FeatureMatrix, report: Report) -> PoolScores:
    parts = []
    for start, chunk in features.chunks(SCORE_ROWS):
        parts.append(head.scores(chunk, temperature))
        report(
            0.2 + 0.75 * (start + len(chunk)) / features.n, f"scored {start + len(chunk):,} of {features.n:,}"
        )
    return PoolScores.concatenate(parts)


def _rank(
    spec: Mapping[str, Any], head: Head, measured: StreamEvaluation, scores: PoolScores, pool: Pool
) -> Ranking:
    """The best items to ask, their utility and why; the reserve and what is closed are left out."""
    proba = Calibrated(head, measured.calibrator.proba)
    return rank_pool(spec, pool, Model(scores, proba, lambda: new_head(spec, pool.features)))


def _pace(spec: Mapping[str, Any], head: Head, measured: StreamEvaluation, pool: Pool) -> Round:
    """The round of the new head; where it learned from pseudo-labels, beside a head that did not."""
    features = pool.features
    proposed = run_round(
        spec,
        lambda x: measured.calibrator.proba(head.logits(x)),
        features,
        load_stream_order(Path(spec["pool"])),
    )
    paired = [0, 0, len(spec["stream_items"])]
    if spec["pace"]["items"] and spec["stream_items"]:
        x = features.gather(np.array(spec["stream_items"], dtype=np.int64))
        without = _fit(spec, pool, with_pseudo=False).head
        paired = paired_on_stream(spec, head.logits(x).argmax(axis=1), without.logits(x).argmax(axis=1))
    given: dict[str, Any] = {
        "paired": paired,
        "digest": spec["pace"]["digest"],
        "n_pseudo": len(spec["pace"]["items"]),
    }
    if spec["pace"]["compare_from"] is not None and len(spec["train_items"]) >= spec["pace"]["compare_from"]:
        given["held_out"] = compared_on_held_out(
            spec, lambda: new_head(spec, features), features, load_stream_order(Path(spec["pool"]))
        )
    return Round(proposed.arrays, {**proposed.summary, **given})


def _metrics(
    spec: Mapping[str, Any], head: Head, measured: StreamEvaluation, phases: Phases
) -> dict[str, Any]:
    evaluation = measured.evaluation
    return {
        "strategy": spec["strategy"],
        "head": spec["head"],
        "head_settings": dict(spec["head_settings"]),
        "head_facts": dict(head.facts()),
        "deterministic": spec["deterministic"],
        "l2": head.facts().get("l2", spec["known"]["l2"]),
        "classes": spec["classes"],
        "active": spec["active"],
        "temperature": measured.calibrator.temperature_,
        "temperature_note": measured.calibrator.note_,
        "seconds": phases.seconds,
        "accuracy": as_json(evaluation.accuracy),
        "ece": as_json(evaluation.ece),
        "ece_null": None if evaluation.n == 0 else evaluation.ece_null,
        "nll": as_json(evaluation.nll),
        "brier": as_json(evaluation.brier),
    }


def as_json(interval: Interval) -> list[float | int | None]:
    """[value, low, high, n], with None for what is unknown."""
    return [None if np.isnan(v) else float(v) for v in interval[:3]] + [interval.n]


def write_model(
    spec: Mapping[str, Any],
    head: Head,
    scores: PoolScores,
    ranking: Ranking,
    metrics: Mapping[str, Any],
    paced: Round | None,
    trained_on: Positions | None = None,
) -> str:
    """The new folder under `models`, complete at once; its name. paced: None without a pace. trained_on: the rows that
    the head explains its answers by, where it does."""
    models = Path(spec["models"])
    name = f"v{spec['version']:06d}-{uuid.uuid4().hex[:8]}"
    half_done = models / f".{name}"
    half_done.mkdir(parents=True)
    head.save(half_done)
    for part in ("top1", "top2", "entropy"):
        np.save(half_done / f"{part}.npy", getattr(scores, part).astype(np.float32))
    np.save(half_done / "argmax.npy", scores.argmax.astype(np.int32))
    save_ranking(half_done, ranking)
    if paced is not None:
        save_round(half_done, paced)
    if trained_on is not None and hasattr(head, "explain"):
        np.save(half_done / TRAINED_ON, trained_on)
    described = {"classes": spec["classes"], "metrics": metrics}
    (half_done / "model.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    _flush(half_done)
    half_done.rename(models / name)
    _drop_old_scores(models, keep=name, previous=spec["warm_start"])
    return name


def _flush(folder: Path) -> None:
    """Bring the folder to disk before its rename makes it visible."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _drop_old_scores(models: Path, keep: str, previous: str | None) -> None:
    """Scores are as long as the pool: only the serving model and the one before keep theirs, weights all stay."""
    for folder in models.iterdir():
        if folder.name.startswith(".") and folder.name != f".{keep}":
            shutil.rmtree(folder)  # left by a worker that was stopped half-way
        elif folder.name not in (keep, previous):
            for part in ("top1.npy", "top2.npy", "entropy.npy", "argmax.npy", PACE_FILE):
                (folder / part).unlink(missing_ok=True)
