"""Classes without a labelled item: they stay possible, and unlikely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from plumbline_backend.heads.program import Affine, affine


def over_all_classes(
    final: Affine, present: NDArray[np.int64], n_classes: int, hidden: NDArray[np.float64]
) -> Affine:
    """The last step of a head that learned only the `present` classes, with a row for every class.

    A class without items has the mean logit of the others and a constant, such that no labelled item gives it more
    than 1 / (n + n_classes) (rule of succession). hidden: (n, m) what the last step sees of the items.
    """
    if len(present) == n_classes:
        return final
    logits = hidden @ final.weight.T + final.bias
    gap = float((logsumexp(logits, axis=1) - logits.mean(axis=1)).min()) - np.log(len(hidden) + n_classes)
    rows = np.tile(final.weight.mean(axis=0), (n_classes, 1))
    bias = np.full(n_classes, final.bias.mean() + gap)
    rows[present], bias[present] = final.weight, final.bias
    return affine(rows, bias)
