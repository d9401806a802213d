"""A start without any label, from what the classes are called."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Descriptions, FeatureRows, Need, PoolView, Ranking
from plumbline_backend.strategies.base import SAMPLE, apart, longer, sample

CANDIDATES = 20_000


class ZeroLabel:
    """Each class in turn, fewest answers first: the item whose text is nearest to the class's description.

    A class's prototype is the weighted mean of its prompts' embeddings. A prompt weighs by how much its largest
    similarity to items stands out, once the mean similarity of each class (the bias of frequent words) is taken
    off: zero-shot prompt ensembling. Source: Allingham et al. 2023 (ZPE).
    """

    name = "zero_label"
    needs: frozenset[Need] = frozenset({"features", "descriptions"})
    explanation = (
        "Asks the texts closest to the name and description of each class: a start without any answer."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: how much more likely than by chance the class is, (softmax share - 1/K), in (-1, 1)."""
        texts = view.the_descriptions()
        items = sample(view, rng, min(CANDIDATES, SAMPLE), n)
        if not len(items):
            return Ranking(items, np.empty(0), "")
        similarity = weighted_similarity(view.the_features(), items, texts)
        k = similarity.shape[1]
        lift = np.exp(similarity - similarity.max(axis=1, keepdims=True))
        lift = lift / lift.sum(axis=1, keepdims=True) - 1 / k
        order, utility = _in_turn(lift, _answers(view, k), longer(n))
        return apart(
            Ranking(
                items[order], utility, "its text is close to the description of a class with few answers"
            ),
            view,
            n,
        )


def weighted_similarity(
    features: FeatureRows, items: NDArray[np.int64], texts: Descriptions
) -> NDArray[np.float64]:
    """(m, n_classes) similarity to the weighted prototypes, each class's mean taken off, in standard deviations."""
    x = _unit(features.gather(items)[:, texts.start : texts.stop])
    prompts = _unit(np.asarray(texts.prompts, dtype=np.float32))
    weight = prompt_weights(x, prompts)
    prototypes = _unit(np.tensordot(weight, prompts, axes=1))
    return _standard(x @ prototypes.T)


def prompt_weights(x: NDArray[np.floating], prompts: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n_prompts,) summing to one: softmax over prompts of the items' mean largest bias-free similarity."""
    score = np.array([_standard(x @ prompt.T).max(axis=1).mean() for prompt in prompts])
    weight = np.exp(score - score.max())
    return weight / weight.sum()


def _standard(similarity: NDArray[np.floating]) -> NDArray[np.float64]:
    free = similarity.astype(np.float64) - similarity.mean(axis=0)
    return free / max(float(free.std()), 1e-12)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _answers(view: PoolView, k: int) -> NDArray[np.int64]:
    have = np.zeros(k, dtype=np.int64)
    if view.labelled is not None and view.labelled.n_classes <= k:
        have += np.bincount(view.labelled.targets, minlength=k)
    return have


def _in_turn(
    lift: NDArray[np.float64], have: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows and their lift: always the class with the fewest answers and picks, its best free row."""
    queues = [iter(np.argsort(-lift[:, c], kind="stable").tolist()) for c in range(lift.shape[1])]
    counts = have.astype(float)
    free = np.ones(len(lift), dtype=bool)
    rows: list[int] = []
    utility: list[float] = []
    while len(rows) < min(n, len(lift)):
        c = int(counts.argmin())
        row = next(row for row in queues[c] if free[row])
        free[row] = False
        rows.append(row)
        utility.append(float(lift[row, c]))
        counts[c] += 1
    return np.array(rows, dtype=np.int64), np.array(utility)
