"""Which items are proposed, as what, with what weight, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.pace.policy import Pace, PaceView

LEAST_HUMAN = 3
"""Human labels that a class needs before anything is proposed for it."""
TAKEN, UNCLEAR, SEVERAL, DISAGREES, TOO_FEW = range(5)
"""Taken; inside the pace of no class; of two or more; unlike its nearest human label; of a class with too few."""
WHY = {
    TAKEN: "proposed",
    UNCLEAR: "no class is likely enough",
    SEVERAL: "two or more classes are likely enough",
    DISAGREES: "the nearest human label says something else",
    TOO_FEW: f"the class has fewer than {LEAST_HUMAN} human labels",
}
Nearest = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Rows of the view to the class index of each one's nearest human label, -1 where there is none."""
MOST_WEIGHT = 2.0
"""All pseudo-labels together weigh at most this many times the human labels."""


@dataclass(frozen=True)
class Proposals:
    """One row per candidate, all (n,). `target`: class index of those taken, -1 elsewhere; `weight` is 0 elsewhere."""

    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    status: NDArray[np.int8]

    @property
    def taken(self) -> NDArray[np.int64]:
        """Rows of the candidates that are proposed."""
        return np.flatnonzero(self.status == TAKEN)


def propose(
    policy: Pace,
    view: PaceView,
    n_human: NDArray[np.int64],
    nearest: Nearest,
) -> Proposals:
    """Apply the policy and the rules that hold for all of them: exactly one class, enough human labels, agreement.

    n_human: (K,) human labels per class. nearest is asked only about the rows that pass the other rules. Nothing is
    remembered from earlier rounds. Raises InputError when a policy answers with another shape or with weights
    outside [0, 1].
    """
    weights = np.asarray(policy.weights(view))
    if weights.shape != view.proba.shape:
        raise InputError(
            f"pace {policy.name!r} returned weights of shape {weights.shape}; expected {view.proba.shape}"
        )
    if not ((weights >= 0) & (weights <= 1)).all():
        raise InputError(f"pace {policy.name!r} returned weights outside 0 to 1 (or NaN); expected weights")
    inside = weights > 0
    n_inside = inside.sum(axis=1)
    only = inside.argmax(axis=1) if weights.shape[1] else np.zeros(len(weights), dtype=np.int64)
    status = np.full(len(weights), TAKEN, dtype=np.int8)
    if weights.shape[1]:
        status[n_human[only] < LEAST_HUMAN] = TOO_FEW
    status[n_inside == 0] = UNCLEAR
    status[n_inside > 1] = SEVERAL
    asked = np.flatnonzero(status == TAKEN)
    status[asked[nearest(asked) != only[asked]]] = DISAGREES
    taken = status == TAKEN
    return Proposals(
        target=np.where(taken, only, -1).astype(np.int64),
        weight=np.where(taken, weights.max(axis=1, initial=0.0), 0.0),
        status=status,
    )


def training_weights(weight: NDArray[np.float64], n_human: int) -> NDArray[np.float64]:
    """Weights (n,) for the fit, where a human label counts 1: scaled down so that they add up to 2 per human label."""
    total = float(weight.sum())
    most = MOST_WEIGHT * n_human
    return weight if total <= most else weight * (most / total)


def nearest_human(
    features: NDArray[np.floating],
    human: NDArray[np.floating],
    targets: NDArray[np.int64],
    block: int = 4096,
) -> NDArray[np.int64]:
    """(n,) class of the nearest human-labelled item in Euclidean distance of standardised columns; -1 without any.

    features: (n, d); human: (m, d); targets: (m,). Ties go to the item that was labelled first.
    """
    if not len(human):
        return np.full(len(features), -1, dtype=np.int64)
    mean = human.mean(axis=0, dtype=np.float64)
    scale = np.maximum(human.std(axis=0, dtype=np.float64), 1e-12)
    scale[human.std(axis=0) == 0] = np.inf  # a constant column says nothing of who is near
    reference = ((human - mean) / scale).astype(np.float32)
    length = (reference**2).sum(axis=1)
    out = np.empty(len(features), dtype=np.int64)
    for start in range(0, len(features), block):
        rows = ((features[start : start + block] - mean) / scale).astype(np.float32)
        out[start : start + block] = targets[(length - 2 * rows @ reference.T).argmin(axis=1)]
    return out
