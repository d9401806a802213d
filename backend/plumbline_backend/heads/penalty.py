"""How strongly weights are held back where nobody says: by how far the features spread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

SHARE = 0.07
"""l2 for features of variance 1 in all. Accuracy on clinc150 (MiniLM) at .03, .07, .3 and 1: with 5 labels per class
.872 .871 .870 .844, with 20 .929 .929 .928 .916, with all .954 .956 .952 .943. On standardised digits, breast_cancer
and wine with 2 labels per class and more, .03 and .1 were within .012 of the best of .001 to 3."""


def penalty(l2: float | None, spread: NDArray[np.floating]) -> float:
    """The l2 that is used: the given one, or `SHARE` of the median variance times the columns that vary.

    spread: (d,) standard deviations. The median, so that one column of large numbers does not hold back the others;
    by variance, so that the same features in another unit give the same probabilities.
    """
    if l2 is not None:
        return l2
    varying = spread[spread > 0].astype(np.float64)
    return float(SHARE * len(varying) * np.median(varying) ** 2) if len(varying) else 1.0


def checked_l2(l2: float | None) -> Iterator[str]:
    """What is wrong with it, in words."""
    if l2 is not None and not 0 <= l2 < float("inf"):
        yield f"l2 is {l2}; expected a finite number, zero or more, or None to have it chosen by the features' spread"


def require_l2(l2: float | None) -> None:
    """Raises InputError when it cannot be used."""
    for problem in checked_l2(l2):
        raise InputError(problem)
