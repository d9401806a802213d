"""The pass rate of outputs that only a judge has seen, corrected for the errors it is known to make.

Where the graded outputs are a sample of the same outputs, `alignment.measure` gives the pass rate directly.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from plumbline_backend.domain.alignment import Estimate
from plumbline_backend.domain.errors import InputError

MIN_YOUDEN = 0.1
"""Sensitivity + specificity - 1 below which the correction only spreads noise: the interval is ten times as wide."""


def rogan_gladen(
    passed: int,
    n_outputs: int,
    good_passed: int,
    n_good: int,
    bad_failed: int,
    n_bad: int,
    confidence: float = 0.95,
) -> Estimate:
    """The pass rate when the judge's errors were measured elsewhere, or on equally many good and bad outputs.

    passed of n_outputs: what the judge passes. good_passed of n_good: its sensitivity on outputs known to be good;
    bad_failed of n_bad: its specificity. The interval is Lang and Reiczigel's, which counts the uncertainty of all
    three; a bootstrap that holds the raw rate fixed covers 0.83 to 0.91 only. Unknown (n stays) without good or bad
    ones, and when the judge is hardly better than chance: then it cannot be corrected.
    Raises InputError on counts that do not fit. Source: Rogan and Gladen 1978; Lang and Reiczigel 2014.
    """
    for name, k, n in (("passed", passed, n_outputs), ("good_passed", good_passed, n_good),
                       ("bad_failed", bad_failed, n_bad)):  # fmt: skip
        if not 0 <= k <= n:
            raise InputError(f"{name}: found {k} of {n}; expected a count from 0 to {n}")
    n_known = n_good + n_bad
    if n_good == 0 or n_bad == 0 or n_outputs == 0:
        return Estimate(None, None, None, n_known)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    sensitivity, specificity = (good_passed + 1) / (n_good + 2), (bad_failed + 1) / (n_bad + 2)
    rate, n_rate = (passed + z**2 / 2) / (n_outputs + z**2), n_outputs + z**2
    youden = sensitivity + specificity - 1
    if youden < MIN_YOUDEN:
        return Estimate(None, None, None, n_known)
    theta = (rate + specificity - 1) / youden
    of_good = sensitivity * (1 - sensitivity) / (n_good + 2)
    of_bad = specificity * (1 - specificity) / (n_bad + 2)
    shift = 2 * z**2 * (theta * of_good - (1 - theta) * of_bad)
    half = z * sqrt(rate * (1 - rate) / n_rate + theta**2 * of_good + (1 - theta) ** 2 * of_bad) / youden
    value = min(1.0, max(0.0, theta))
    low, high = (min(1.0, max(0.0, theta + shift + sign * half)) for sign in (-1, 1))
    return Estimate(value, min(low, value), max(high, value), n_known)
