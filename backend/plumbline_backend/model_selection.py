"""Which head suits a project's labels: cross-validation on the training labels, never on the random stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval
from plumbline_backend.heads.few_new import FEW, new_classes
from plumbline_backend.heads.making import make_head
from plumbline_backend.pool.pool import Pool
from plumbline_backend.training.gather import gather
from plumbline_backend.training.prepare import Material, prepare
from plumbline_backend.training.recipe import Recipe

FOLDS = 5
UNKNOWN = Interval(float("nan"), 0.0, 1.0, 0)
MAX_ITEMS = 5_000
"""More labels than this say little more about which head is better, and make the comparison long."""
Report = Callable[[float, str], None]


class Candidate(NamedTuple):
    """A head with its settings and what is done with the labels, under the name that a table gives it."""

    name: str
    head: str
    settings: Mapping[str, Any]
    recipe: Recipe


class HeadResult(NamedTuple):
    """One candidate over all folds. old, new: accuracy on classes with many and with few labels (n = 0: none).

    surprise: mean negative log-likelihood in nats of held-out labels, not calibrated. refused: why it was left out.
    balanced: the mean over the classes of the share of each that is found.
    """

    name: str
    accuracy: Interval
    old: Interval
    new: Interval
    surprise: float
    seconds: float
    refused: str
    balanced: Interval = UNKNOWN


class Comparison(NamedTuple):
    """Results in the order asked, the name of the head to take, and a sentence that says why."""

    results: tuple[HeadResult, ...]
    best: str
    why: str


def compare_heads(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """The worker's part. spec: pool, train_items, train_targets, classes, candidates, known, seed, and for `gather`."""
    items = np.array(spec["train_items"], dtype=np.int64)
    targets = np.array(spec["train_targets"], dtype=np.int64)
    rng = np.random.default_rng([spec["seed"], 3])
    if len(items) > MAX_ITEMS:
        kept = np.sort(rng.permutation(len(items))[:MAX_ITEMS])
        items, targets = items[kept], targets[kept]
    pool = Pool.open(Path(spec["pool"]))
    features = pool.features.gather(items)
    results = cross_validated(
        features,
        targets,
        len(spec["classes"]),
        [
            Candidate(each["name"], each["head"], each["settings"], Recipe.parse(each["recipe"]))
            for each in spec["candidates"]
        ],
        spec["known"],
        rng,
        report,
        lambda recipe: gather(spec, recipe, pool, items, features),
    )
    return {"results": [_as_json(result) for result in results], "n_train": len(items)}


def cross_validated(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.int64],
    n_classes: int,
    candidates: Sequence[Candidate],
    known: Mapping[str, Any],
    rng: np.random.Generator,
    report: Report | None = None,
    material_of: Callable[[Recipe], Material] | None = None,
) -> list[HeadResult]:
    """Each candidate fitted on four fifths and asked about the rest, five times, all on the same folds.

    What is held out is asked by its label alone; only the training part is weighed, mixed or aligned. material_of:
    what a recipe needs of all items; None where no candidate needs any.

    A class with a single label is trained on in every fold that does not hold it out, and counts as wrong in the one
    that does. Raises InputError when there are fewer than two labels per fold or fewer than two classes.
    """
    if len(targets) < 2 * FOLDS or len(np.unique(targets)) < 2:
        raise InputError(
            f"{len(targets)} labels of {len(np.unique(targets))} classes; a comparison needs {2 * FOLDS} labels of two "
            "classes or more"
        )
    fold = folds(targets, rng)
    is_new = new_classes(np.bincount(targets, minlength=n_classes).astype(float), FEW)
    items = Items(features, targets, n_classes, fold, is_new)
    results = []
    for i, candidate in enumerate(candidates):
        if report is not None:
            report(i / len(candidates), f"trying {candidate.name}, {i + 1} of {len(candidates)}")
        try:
            material = Material(None, np.zeros(len(targets), dtype=bool), None)
            if material_of is not None and candidate.recipe.changed():
                material = material_of(candidate.recipe)
            results.append(_one(candidate, known, items, material))
        except InputError as error:
            results.append(
                HeadResult(candidate.name, UNKNOWN, UNKNOWN, UNKNOWN, float("nan"), 0.0, str(error))
            )
    return results


class Items(NamedTuple):
    """Features (n, d), targets (n,), the number of classes, each item's fold, and which classes are new (K,)."""

    features: NDArray[np.floating[Any]]
    targets: NDArray[np.int64]
    n_classes: int
    fold: NDArray[np.int64]
    is_new: NDArray[np.bool_]


def chosen(results: Sequence[HeadResult]) -> Comparison:
    """The most accurate head; among those that it does not beat clearly, the one least surprised by the labels.

    "Clearly" is by their intervals: a head stays in the running while its upper end reaches the best one's accuracy.
    """
    able = [result for result in results if not result.refused]
    if not able:
        return Comparison(tuple(results), "", "No head can be trained on these labels.")
    leader = max(able, key=lambda result: result.accuracy.value)
    running = [result for result in able if result.accuracy.high >= leader.accuracy.value]
    best = min(running, key=lambda result: (result.surprise, result.seconds))
    n = leader.accuracy.n
    named = f"{best.name} is right on {100 * best.accuracy.value:.1f} % of {n:,} held-out labels"
    if len(running) == 1:
        why = f"{named}, more than any other head within its uncertainty."
    else:
        others = len(running) - 1
        why = (
            f"{named}; {others} other head{'s are' if others > 1 else ' is'} not clearly worse or better with so many "
            f"labels, and {best.name} is the least surprised by the labels (log-loss {best.surprise:.2f})."
        )
    return Comparison(tuple(results), best.name, why + _for_rare_classes(able, best))


def _for_rare_classes(able: Sequence[HeadResult], best: HeadResult) -> str:
    """A second sentence where another candidate finds clearly more of the average class."""
    even = max((result for result in able if result.balanced.n), key=lambda r: r.balanced.value, default=best)
    if even is best or not even.balanced.low > best.balanced.value:
        return ""
    return (
        f" Averaged over the classes, {even.name} finds more: {100 * even.balanced.value:.1f} % against "
        f"{100 * best.balanced.value:.1f} %."
    )


def from_json(result: Mapping[str, Any]) -> Comparison:
    """What the worker handed back, with the choice."""
    results = []
    for row in result["results"]:
        surprise = float("nan") if row["surprise"] is None else float(row["surprise"])
        shares = (_interval(row["accuracy"]), _interval(row["old"]), _interval(row["new"]))
        balanced = _interval(row["balanced"]) if "balanced" in row else UNKNOWN
        results.append(HeadResult(row["name"], *shares, surprise, row["seconds"], row["refused"], balanced))
    return chosen(results)


def folds(targets: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of each item; each class is dealt out evenly, beginning where the last one ended."""
    order = rng.permutation(len(targets))
    dealt = order[np.argsort(targets[order], kind="stable")]
    fold = np.empty(len(targets), dtype=np.int64)
    fold[dealt] = np.arange(len(targets)) % FOLDS
    return fold


def _one(candidate: Candidate, known: Mapping[str, Any], items: Items, material: Material) -> HeadResult:
    targets = items.targets
    right, surprise = np.zeros(len(targets), dtype=bool), np.zeros(len(targets))
    settings = {**candidate.recipe.head_settings(candidate.head), **candidate.settings}
    start = time.perf_counter()
    for i, (rest, held) in enumerate(_splits(items.fold)):
        x = items.features[rest]
        ready = prepare(
            candidate.recipe,
            x,
            targets[rest],
            None,
            items.n_classes,
            material.rows(rest),
            np.random.default_rng([i, 5]),
        )
        given = {**known, **ready.known, "unlabelled": items.features[held]}
        head = make_head(candidate.head, given, settings)
        head.fit(x, ready.targets, items.n_classes, sample_weight=ready.weights)
        logits = head.logits(items.features[held])
        right[held] = logits.argmax(axis=1) == targets[held]
        surprise[held] = logsumexp(logits, axis=1) - logits[np.arange(len(logits)), targets[held]]
    fresh = items.is_new[targets]

    def share(which: NDArray[np.bool_]) -> Interval:
        return wilson(float(right[which].sum()), int(which.sum()))

    return HeadResult(
        candidate.name,
        share(np.ones(len(targets), dtype=bool)),
        share(~fresh) if fresh.any() else wilson(0, 0),
        share(fresh),
        float(surprise.mean()),
        time.perf_counter() - start,
        "",
        balanced(right, targets),
    )


def balanced(right: NDArray[np.bool_], targets: NDArray[np.int64]) -> Interval:
    """Mean share of right answers over the classes, with a normal interval; n: items.

    Each class's variance is that of (right + 1) of (n + 2), so that a class with one item is not taken for certain.
    """
    present, place = np.unique(targets, return_inverse=True)
    n = np.bincount(place)
    found = np.bincount(place, right)
    value = float((found / n).mean())
    lifted = (found + 1) / (n + 2)
    spread = 1.96 * float(np.sqrt((lifted * (1 - lifted) / n).sum())) / len(present)
    return Interval(value, max(0.0, value - spread), min(1.0, value + spread), len(targets))


def _splits(fold: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for i in range(FOLDS):
        yield np.flatnonzero(fold != i), np.flatnonzero(fold == i)


def _interval(stored: Sequence[float | int | None]) -> Interval:
    value, low, high, n = (float("nan") if figure is None else float(figure) for figure in stored)
    return Interval(value, low, high, int(n))


def _as_json(result: HeadResult) -> dict[str, Any]:
    def interval(value: Interval) -> list[float | int | None]:
        return [None if np.isnan(v) else float(v) for v in value[:3]] + [value.n]

    return {
        "name": result.name,
        "accuracy": interval(result.accuracy),
        "old": interval(result.old),
        "new": interval(result.new),
        "surprise": None if np.isnan(result.surprise) else result.surprise,
        "seconds": result.seconds,
        "refused": result.refused,
        "balanced": interval(result.balanced),
    }
