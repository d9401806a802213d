"""Fit -> calibrate -> measure -> score -> rank for question kinds that are not one softmax over classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.making import make_head
from plumbline_backend.kinds.base import Kind, Measured
from plumbline_backend.learn import SCORE_ROWS, Phases, Report, previous_head, write_model
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.pool.pool import Pool
from plumbline_backend.ranking import Model, rank_pool
from plumbline_backend.registry import KINDS
from plumbline_backend.training.reproducible import reproducible


def fit_kind(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """The worker's part of `Loop._start_fit`, as learn.fit_head for a choice. Returns folder and metrics."""
    kind: Kind = KINDS.get(spec["kind"])()
    phases, pool = Phases(), Pool.open(Path(spec["pool"]))
    report(0.05, "training")
    with phases("fit"), reproducible(spec["deterministic"]):
        head = _fit(spec, pool.features)
    report(0.2, "calibrating")
    with phases("calibrate"):
        measured = kind.measure(spec, head, pool.features)
    with phases("score"):
        scores = _score(kind, head, measured.temperature, pool.features, report)
    report(0.95, "ranking")
    with phases("rank"):
        # A strategy sees which items are labelled; an item's several classes are no single target.
        seen = {**spec, "train_targets": [0] * len(spec["train_items"])}
        model = Model(scores, lambda x: head.proba(x, measured.temperature), lambda: _new_head(spec))
        ranking = rank_pool(seen, pool, model)
        ranking = ranking._replace(why=kind.why(ranking.why))
    metrics = _metrics(spec, head, measured, phases)
    return {"folder": write_model(spec, head, scores, ranking, metrics, None), "metrics": metrics}


def _fit(spec: Mapping[str, Any], features: FeatureMatrix) -> Head:
    items = np.array(spec["train_items"], dtype=np.int64)
    return _new_head(spec).fit(
        features.gather(items),
        np.array(spec["train_targets"]),
        len(spec["classes"]),
        warm_start=previous_head(spec, features.d),
    )


def _new_head(spec: Mapping[str, Any]) -> Head:
    return make_head(spec["head"], spec["known"], spec["head_settings"])


def _score(kind: Kind, head: Head, temperature: float, features: FeatureMatrix, report: Report) -> PoolScores:
    parts = []
    for start, chunk in features.chunks(SCORE_ROWS):
        parts.append(kind.scores(head, chunk, temperature))
        done = start + len(chunk)
        report(0.2 + 0.75 * done / features.n, f"scored {done:,} of {features.n:,}")
    return PoolScores.concatenate(parts)


def _metrics(spec: Mapping[str, Any], head: Head, measured: Measured, phases: Phases) -> dict[str, Any]:
    return {
        "strategy": spec["strategy"],
        "head": spec["head"],
        "head_settings": dict(spec["head_settings"]),
        "head_facts": dict(head.facts()),
        "deterministic": spec["deterministic"],
        "l2": head.facts().get("l2", spec["known"]["l2"]),
        "classes": spec["classes"],
        "active": spec["active"],
        "temperature": measured.temperature,
        "temperature_note": measured.note,
        "seconds": phases.seconds,
        "pace": {"digest": spec["pace"]["digest"]},
        **measured.metrics,
    }
