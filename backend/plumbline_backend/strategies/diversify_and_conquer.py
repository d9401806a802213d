"""Diversify and Conquer: clusters, drawn from more where the model still has something to learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import anchors, apart, longer, sample
from plumbline_backend.strategies.geometry import centred, k_means

CANDIDATES, CLUSTERS = 20_000, 32


class DiversifyAndConquer:
    """Items drawn cluster by cluster; a cluster's share is what the newest model lacks there.

    The share is the mean margin utility of its candidates plus the mean of 1 - p(answer) over its labelled
    items, refined with every model; within a cluster items are drawn by their utility. Source: Yu et al. 2024 (arXiv
    2409.11378).
    """

    name = "diversify_and_conquer"
    needs: frozenset[Need] = frozenset({"proba", "features", "labels"})
    explanation = (
        "Asks a mix from all regions of the pool, more from those where the newest model is still weak."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the margin utility, in [0, 1]; the order is that of the draw."""
        scores, labelled = view.the_scores(), view.the_labels()
        items, known = sample(view, rng, CANDIDATES, n), anchors(view, rng)
        if not len(items):
            return Ranking(items, np.empty(0), "")
        rows = view.the_features().gather(np.concatenate([items, known]))
        found = k_means(centred(rows), CLUSTERS, rng)
        utility = 1 - (scores.top1[items] - scores.top2[items]).astype(np.float64)
        missing = _missing(
            view, rows[len(items) :], known, dict(zip(labelled.items, labelled.targets, strict=True))
        )
        k = len(found.size)
        share = mean_of(found.member[: len(items)], utility, k) + mean_of(
            found.member[len(items) :], missing, k
        )
        order = drawn(found.member[: len(items)], utility, share, longer(n), rng)
        return apart(
            Ranking(items[order], utility[order], "the model is still weak in its region of the pool"),
            view,
            n,
        )


def _missing(
    view: PoolView, rows: NDArray[np.float32], known: NDArray[np.int64], answers: dict[int, int]
) -> NDArray[np.float64]:
    """(m,) one minus the probability of the answer."""
    proba = view.the_proba()(rows)
    told = proba[np.arange(len(known)), [answers[int(item)] for item in known]]
    return np.asarray(1 - told, dtype=np.float64)


def mean_of(member: NDArray[np.int64], values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(k,) mean per cluster, 0 where there is none."""
    return np.bincount(member, values, minlength=k) / np.maximum(np.bincount(member, minlength=k), 1)


def drawn(
    member: NDArray[np.int64],
    utility: NDArray[np.float64],
    share: NDArray[np.float64],
    n: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Rows: the clusters by their share, in each one rows without replacement by their utility (Gumbel keys)."""
    key = np.log(np.maximum(utility, 1e-9)) + rng.gumbel(size=len(utility))
    order = np.lexsort((-key, member))
    at = np.searchsorted(member[order], np.arange(len(share)))
    ends = np.searchsorted(member[order], np.arange(len(share)), side="right")
    out = np.empty(min(n, len(member)), dtype=np.int64)
    for turn in range(len(out)):
        weight = np.where(at < ends, share + 1e-9, 0.0)
        cluster = int(rng.choice(len(weight), p=weight / weight.sum()))
        out[turn] = order[at[cluster]]
        at[cluster] += 1
    return out
