"""One round of the pace, in the worker that trained the head: whom it would teach itself with, and what to check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.arrays import load_arrays
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Positions
from plumbline_backend.pace.held_out import CANDIDATES as FOLD_CANDIDATES
from plumbline_backend.pace.held_out import on_held_out
from plumbline_backend.pace.policy import PaceView
from plumbline_backend.pace.proposals import TAKEN, UNCLEAR, WHY, Proposals, nearest_human, propose
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.registry import PACES

FILE, AUDIT_FILE = "pace.npz", "audit.npz"
"""Everything of a round, as long as its model serves; and what is checked blindly, for good."""
CANDIDATES = 100_000
CANDIDATE_CELLS = 25_000_000
"""Items looked at in a round, drawn at random where there are more, and the probabilities held for them at once
(200 MB). A round over 100,000 x 64 with 10 classes and 500 human labels takes 0.3 CPU seconds."""
REFERENCE = 5_000
"""Human labels among which the nearest is looked for, drawn at random where there are more."""
LOOKED_AT = 20_000
"""Human labels that are looked at for contradictions, the same random ones in every version."""
AUDIT_SHARE, AUDIT_MOST = 0.02, 20
"""Proposals of a round that are kept ready for a blind check."""
UNCLEAR_KEPT = 5_000
SPLD_GROUPS = 50
CONTRADICTED = 0.5
"""A label counts as contradicted where the head gives another class more than this."""

ProbaOf = Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]]
"""Features to calibrated probabilities over the head's classes."""


class Round(NamedTuple):
    """What goes into the model's folder and into its metrics."""

    arrays: dict[str, NDArray[Any]]
    summary: dict[str, Any]


def run_round(
    spec: Mapping[str, Any], proba_of: ProbaOf, features: FeatureMatrix, reserve: Positions
) -> Round:
    """Propose pseudo-labels with the head that was just trained.

    spec: what `Loop._start_fit` writes; `pace` in it holds the policy, lambda per class and the items that a person
    refused. The reserve is never proposed; its answered items show, unseen by the head, how often a proposal is right.
    """
    rng = np.random.default_rng([spec["seed"], spec["version"], 2])
    pace, n_classes = spec["pace"], len(spec["classes"])
    human = np.array(spec["train_items"], dtype=np.int64)
    targets = np.array(spec["train_targets"], dtype=np.int64)
    candidates = _candidates(spec, features.n, reserve, n_classes, rng)
    stream = np.array(spec["stream_items"], dtype=np.int64)
    rows = np.r_[candidates, stream]
    x = features.gather(rows)
    proba = proba_of(x)
    nearest = _Nearest(x, features, human, targets, rng)
    policy = PACES.get(pace["policy"])()
    groups = _groups(x, rng) if "groups" in policy.needs else np.zeros(len(rows), dtype=np.int64)
    lam = np.array([pace["lam"][c] for c in spec["classes"]])
    n_human = np.bincount(targets, minlength=n_classes)
    found = propose(policy, PaceView(proba, lam, groups), n_human, nearest)
    n = len(candidates)
    return Round(
        {
            **_taken(found, candidates, proba, nearest, rng),
            **_unclear(found, candidates, proba),
            **_contradicted(spec, human, targets, proba_of, features),
        },
        {
            "policy": pace["policy"],
            "n_candidates": n,
            "n_by_status": {why: int((found.status[:n] == s).sum()) for s, why in WHY.items()},
            "lam": {c: float(value) for c, value in zip(spec["classes"], lam, strict=True)},
            "stream": _on_stream(spec, found, n),
        },
    )


class Saved(NamedTuple):
    """A round as its model's folder keeps it. Items are positions; targets index the model's classes."""

    items: Positions
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    proba: NDArray[np.float64]
    nearest: Positions
    audit: Positions
    audit_target: NDArray[np.int64]
    unclear: Positions
    contradicted: Positions
    contradicted_target: NDArray[np.int64]
    contradicted_as: NDArray[np.int64]
    streak: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path) -> Saved | None:
        """The round of a model, None where its folder holds none (an older model's is dropped)."""
        path = folder / FILE
        if not path.exists():
            return None
        arrays = load_arrays(path)
        return cls(**{name: arrays[name] for name in cls._fields})


def save_round(folder: Path, found: Round) -> None:
    """Write both files into the model's folder."""
    audit = {name: found.arrays[name] for name in ("audit", "audit_target")}
    np.savez(folder / FILE, **found.arrays)  # type: ignore[arg-type]
    np.savez(folder / AUDIT_FILE, **audit)  # type: ignore[arg-type]


def saved_audit(folder: Path) -> dict[int, int]:
    """{item: class index} that a round proposed and had checked blindly; empty where there was no round."""
    path = folder / AUDIT_FILE
    if not path.exists():
        return {}
    arrays = load_arrays(path)
    return dict(zip(arrays["audit"].tolist(), arrays["audit_target"].tolist(), strict=True))


class _Nearest:
    """Finds nearest human labels for the rows that need it, and remembers which they were."""

    def __init__(
        self,
        x: NDArray[np.floating[Any]],
        features: FeatureMatrix,
        human: Positions,
        targets: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        kept = np.sort(rng.permutation(len(human))[:REFERENCE])
        self._x, self._items, self._targets = x, human[kept], targets[kept]
        self._reference = features.gather(self._items)
        self.item = np.full(len(x), -1, dtype=np.int64)

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        places = nearest_human(self._x[rows], self._reference, np.arange(len(self._items)))
        self.item[rows] = self._items[places] if len(self._items) else -1
        return self._targets[places] if len(self._items) else np.full(len(rows), -1, dtype=np.int64)


def _candidates(
    spec: Mapping[str, Any], n_items: int, reserve: Positions, n_classes: int, rng: np.random.Generator
) -> Positions:
    free = np.ones(n_items, dtype=bool)
    for closed in (reserve, spec["closed_items"], spec["train_items"], spec["pace"]["refused"]):
        free[np.asarray(closed, dtype=np.int64)] = False
    items = np.flatnonzero(free)
    most = min(CANDIDATES, CANDIDATE_CELLS // max(n_classes, 1))
    return items if len(items) <= most else np.sort(rng.choice(items, size=most, replace=False))


def _groups(x: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.int64]:
    """Clusters for SPLD: k-means on standardised features of at most 10,000 rows, the others by nearest centre."""
    from sklearn.cluster import MiniBatchKMeans

    if len(x) < 2:
        return np.zeros(len(x), dtype=np.int64)
    scale = np.maximum(x.std(axis=0), 1e-9)
    sample = x if len(x) <= 10_000 else x[rng.choice(len(x), 10_000, replace=False)]
    k = min(SPLD_GROUPS, len(np.unique(sample, axis=0)))
    model = MiniBatchKMeans(k, random_state=int(rng.integers(2**31)), n_init=1).fit(sample / scale)
    return model.predict(x / scale).astype(np.int64)


def _taken(
    found: Proposals,
    candidates: Positions,
    proba: NDArray[np.float64],
    nearest: _Nearest,
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    rows = found.taken[found.taken < len(candidates)]
    certain = proba[rows, found.target[rows]]
    rows = rows[np.argsort(-certain, kind="stable")]
    return {
        "items": candidates[rows],
        "target": found.target[rows],
        "weight": found.weight[rows],
        "proba": proba[rows, found.target[rows]],
        "nearest": nearest.item[rows],
        **_audit(candidates[rows], found.target[rows], rng),
    }


def _audit(items: Positions, target: NDArray[np.int64], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Proposals drawn uniformly, in the order in which they are to be checked."""
    n = min(AUDIT_MOST, int(np.ceil(AUDIT_SHARE * len(items))))
    drawn = rng.permutation(len(items))[:n]
    return {"audit": items[drawn], "audit_target": target[drawn]}


def _unclear(found: Proposals, candidates: Positions, proba: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Items inside no class's pace, the least certain first."""
    rows = np.flatnonzero(found.status[: len(candidates)] == UNCLEAR)
    order = np.argsort(proba[rows].max(axis=1, initial=0.0), kind="stable")
    return {"unclear": candidates[rows[order[:UNCLEAR_KEPT]]]}


def _contradicted(
    spec: Mapping[str, Any],
    human: Positions,
    targets: NDArray[np.int64],
    proba_of: ProbaOf,
    features: FeatureMatrix,
) -> dict[str, NDArray[Any]]:
    """Human labels that the head contradicts although it learned from them, and for how many versions in a row."""
    if len(human) > LOOKED_AT:  # a hash of the position decides, so that a label stays or goes with its item
        order = np.argsort((human * 2_654_435_761) % 2**32, kind="stable")[:LOOKED_AT]
        human, targets = human[order], targets[order]
    proba = proba_of(features.gather(human))
    says = proba.argmax(axis=1)
    rows = np.flatnonzero((says != targets) & (proba.max(axis=1) > CONTRADICTED))
    before = _streaks_before(spec)
    streak = [1 + before.get((int(human[i]), spec["classes"][targets[i]]), 0) for i in rows]
    return {
        "contradicted": human[rows],
        "contradicted_target": targets[rows],
        "contradicted_as": says[rows].astype(np.int64),
        "streak": np.array(streak, dtype=np.int64),
    }


def _streaks_before(spec: Mapping[str, Any]) -> dict[tuple[int, str], int]:
    """By item and class id, from the model before this one."""
    if spec["warm_start"] is None:
        return {}
    saved = Saved.load(Path(spec["models"]) / spec["warm_start"])
    if saved is None:
        return {}
    names = spec["pace"]["classes_before"]
    return {
        (int(item), names[target]): int(n)
        for item, target, n in zip(saved.contradicted, saved.contradicted_target, saved.streak, strict=True)
    }


def _on_stream(spec: Mapping[str, Any], found: Proposals, start: int) -> dict[str, list[int]]:
    """By class id, [n, right]: stream answers that the policy would have proposed as that class."""
    ids = [spec["active"][t] if t >= 0 else None for t in spec["stream_targets"]]
    counts: dict[str, list[int]] = {}
    for row, truth in enumerate(ids, start):
        if found.status[row] != TAKEN or truth is None:
            continue
        said = spec["classes"][found.target[row]]
        entry = counts.setdefault(said, [0, 0])
        entry[0] += 1
        entry[1] += said == truth
    return counts


def compared_on_held_out(
    spec: Mapping[str, Any], new_head: Callable[[], Head], features: FeatureMatrix, reserve: Positions
) -> list[int]:
    """[only with, only without, n]: human labels, held out in turn, that only one of two heads gets right."""
    rng = np.random.default_rng([spec["seed"], spec["version"], 5])
    classes, pace = spec["classes"], spec["pace"]
    human = np.array(spec["train_items"], dtype=np.int64)
    kept = np.sort(rng.permutation(len(human))[:REFERENCE])
    candidates = _candidates(spec, features.n, reserve, len(classes), rng)
    x = features.gather(np.sort(rng.permutation(candidates)[:FOLD_CANDIDATES]))
    policy = PACES.get(pace["policy"])()

    def fit(
        rows: NDArray[np.floating[Any]], targets: NDArray[np.int64], weight: NDArray[np.float64] | None
    ) -> ProbaOf:
        return new_head().fit(rows, targets, len(classes), sample_weight=weight).proba

    found = on_held_out(
        policy,
        np.array([pace["lam"][c] for c in classes]),
        features.gather(human[kept]),
        np.array(spec["train_targets"], dtype=np.int64)[kept],
        x,
        _groups(x, rng) if "groups" in policy.needs else np.zeros(len(x), dtype=np.int64),
        fit,
        rng,
    )
    return list(found)


class Rows(NamedTuple):
    """What a head is fitted on: items, class indices, and weights or None where all count 1."""

    items: Positions
    targets: NDArray[np.int64]
    weights: NDArray[np.float64] | None


def training_rows(spec: Mapping[str, Any], with_pseudo: bool = True) -> Rows:
    """Human labels, each weighing 1 or as the spec's `train_weights` says, and the pseudo-labels beside them."""
    items, targets = np.array(spec["train_items"]), np.array(spec["train_targets"])
    given = spec.get("train_weights")
    weights = None if given is None else np.array(given, dtype=np.float64)
    pace = spec["pace"]
    if with_pseudo and pace["items"]:
        items, targets = np.r_[items, pace["items"]], np.r_[targets, pace["targets"]]
        human = np.ones(len(spec["train_items"])) if weights is None else weights
        weights = np.r_[human, pace["weights"]]
    return Rows(items.astype(np.int64), targets.astype(np.int64), weights)


def paired_on_stream(
    spec: Mapping[str, Any], says: NDArray[np.int64], says_without: NDArray[np.int64]
) -> list[int]:
    """[only with, only without, n]: stream answers that one of two heads gets right.

    says: (n_stream,) class indices of the head that learned from pseudo-labels too; says_without: of one that did not.
    """
    truth = [spec["active"][t] if t >= 0 else None for t in spec["stream_targets"]]
    with_, without = (
        np.array([spec["classes"][k] == t for k, t in zip(each, truth, strict=True)], dtype=bool)
        for each in (says, says_without)
    )
    return [int((with_ & ~without).sum()), int((~with_ & without).sum()), len(truth)]
