"""Which items belong to the random stream, and which asks go to it.

The stream is a uniform random share of the items, fixed before the first query and never trained on:
what is measured on it is an honest estimate for the whole pool, whatever the strategy asks elsewhere.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import floor

import numpy as np

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Positions

_DENOMINATOR = 10_000
"""Shares are read as the nearest fraction with at most this denominator, so 0.1 is exactly one in ten."""


def draw_reserve(n_items: int, share: float, rng: np.random.Generator) -> Positions:
    """Positions set aside for the stream, in the random order in which they are to be asked.

    Returns round(share * n_items) positions, at least one when share > 0 and n_items >= 2, and never all
    of them, so that something is left to train on. Any prefix is itself a uniform random sample.
    Raises InputError when n_items is negative or share is outside [0, 1].
    """
    _check_share(share)
    if n_items < 0:
        raise InputError(f"n_items is {n_items}; expected a number of items, zero or more")
    if share == 0 or n_items < 2:
        return np.empty(0, dtype=np.int64)
    size = min(max(round(share * n_items), 1), n_items - 1)
    return rng.choice(n_items, size=size, replace=False, shuffle=True).astype(np.int64)


def is_stream_ask(t: int, share: float, offset: float = 0.0) -> bool:
    """Whether ask number `t` (counted from 0 over the project's life) goes to the random stream.

    Systematic: any window of L consecutive asks holds floor(share L) or ceil(share L) stream asks, so the
    share is exact however the asks are batched. `offset` in [0, 1) moves the pattern.
    Raises InputError when t is negative, share outside [0, 1] or offset outside [0, 1).
    """
    _check_share(share)
    if t < 0:
        raise InputError(f"ask number is {t}; expected zero or more")
    if not 0 <= offset < 1:
        raise InputError(f"offset is {offset}; expected a number from 0 up to but not including 1")
    step, start = _as_fraction(share), _as_fraction(offset)
    return floor((t + 1) * step + start) > floor(t * step + start)


@lru_cache(maxsize=256)
def _as_fraction(value: float) -> Fraction:
    """Few shares and offsets are asked about over and over, once for every candidate item."""
    return Fraction(value).limit_denominator(_DENOMINATOR)


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"stream share is {share}; expected a number from 0 to 1, such as 0.1 for 10 %")
