"""Intervals and null values for calibration measures.

A calibration error is a distance: noise only ever adds to it, so a bootstrap around the measured value is wrong near 0.
Here the interval is the set of errors under which the measured value is not surprising: simulations along the line
from perfect calibration through an estimate of the true accuracies, and beyond it, say what each true error would show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_cells import Cells, compressed, isotonic, mass_starts
from plumbline_backend.domain.types import Interval

Measure = Callable[[Cells], float]
Scale = Literal["plain", "log"]
"""Where a measure's noise is about normal. Areas and shares of variance are skewed: on a WideResNet's answers (n = 500)
the excess AURC's interval holds the truth in 87 % of samples on the plain scale and in 95 % on the logarithm's."""

_STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.2, 3.0)
"""Where on the line is simulated; 0 is perfect calibration, 1 the estimate."""
_SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.8)
"""The same from one accuracy for all items on."""
ESTIMATE_BINS = 10
"""Bins of the estimate that is simulated. A full isotonic fit follows the noise: its samples spread by up to a fifth
more than a WideResNet's answers do, and its own error is taken for true."""
_Z = 1.959963984540054
_NEAR_NULL = np.array(
    [
        (0.0, 1.645, 6.0),
        (0.25, 1.645, 5.54),
        (0.5, 1.658, 3.0),
        (0.75, 1.735, 2.381),
        (1.0, 1.819, 2.155),
        (1.25, 1.885, 2.047),
        (1.5, 1.93, 1.991),
        (1.75, 1.954, 1.965),
        (2.0, _Z, _Z),
    ]
)
"""For a true value that lies so many spreads above the least possible one: how many spreads above and below it a sample
may lie to be among 95 % in order of likelihood ratio (Feldman and Cousins 1998). An equal-tailed interval would hold a
perfect calibration in 97.5 % of samples, since no error lies below it."""
_WIDER = 1.05
"""For spreads that are known from 40 samples a step and from an estimate: with 1.96 the intervals of ECE held the truth
in 92 % of samples of 500 answers of a WideResNet (benchmarks/calibration_coverage.py)."""


class Figure(NamedTuple):
    """A measure with its 95 % interval, the value that perfect calibration would give, and the number of items.

    null is NaN where perfect calibration says nothing about the measure.
    """

    value: float
    low: float
    high: float
    null: float
    n: int


@dataclass(frozen=True)
class Worlds:
    """Simulated samples of the same size, for each step from perfect calibration to three times the estimate."""

    observed: Cells
    expected: tuple[Cells, ...]
    samples: tuple[tuple[Cells, ...], ...]


def worlds(cells: Cells, rng: np.random.Generator, n_samples: int = 40) -> Worlds:
    """Draw `n_samples` samples at each step: items by their share, answers by the step's accuracies."""
    grouped = compressed(cells)
    return _along(grouped, grouped.confidence, _STEPS, rng, n_samples)


def flat_worlds(cells: Cells, rng: np.random.Generator, n_samples: int = 40) -> Worlds:
    """The same on the line from one accuracy for all items through the estimate: what spreads accuracies apart."""
    grouped = compressed(cells)
    flat = np.full(len(grouped.count), grouped.right.sum() / max(grouped.n, 1.0))
    return _along(grouped, flat, _SPREADS, rng, n_samples)


def _along(
    grouped: Cells,
    start: NDArray[np.float64],
    steps: Sequence[float],
    rng: np.random.Generator,
    n_samples: int,
) -> Worlds:
    n = round(grouped.n)
    estimate = _estimate(grouped)
    expected, samples = [], []
    for step in steps:
        accuracy = np.clip(start + step * (estimate - start), 0.0, 1.0)
        expected.append(Cells(grouped.confidence, grouped.count, grouped.count * accuracy))
        count = rng.multinomial(n, grouped.count / grouped.n, size=n_samples)
        right = rng.binomial(count, accuracy)
        samples.append(
            tuple(
                Cells(grouped.confidence, c, r)
                for c, r in zip(count.astype(np.float64), right.astype(np.float64), strict=True)
            )
        )
    return Worlds(grouped, tuple(expected), tuple(samples))


def _estimate(cells: Cells) -> NDArray[np.float64]:
    """(n_cells,) accuracies that the answers make likely: the isotonic fit of a few bins, its gaps joined by lines."""
    wanted = min(ESTIMATE_BINS, max(2, round(sqrt(cells.n) / 2)))
    starts = mass_starts(cells.count, wanted)
    count = np.add.reduceat(cells.count, starts)
    stated = np.add.reduceat(cells.confidence * cells.count, starts) / count
    gap = isotonic(Cells(stated, count, np.add.reduceat(cells.right, starts))) - stated
    return np.clip(cells.confidence + np.interp(cells.confidence, stated, gap), 0.0, 1.0)


def error_figure(
    measure: Measure,
    cells: Cells,
    drawn: Worlds,
    true: Measure | None = None,
    exact: Measure | None = None,
    wider: float = _WIDER,
) -> Figure:
    """A calibration error with the interval of all true errors that would show it in 95 % of samples.

    measure: from cells to the figure; true: the same for expected counts, where that differs (debiased measures);
    exact: for the shown value, where `measure` trades digits for time; wider: as `inverted`.
    """
    value, grouped = (exact or measure)(cells), measure(drawn.observed)
    truth = np.array([(true or measure)(each) for each in drawn.expected])
    shown = np.array([[measure(sample) for sample in step] for step in drawn.samples])
    ends = inverted(grouped, truth, shown, wider)
    moved = value - grouped  # what grouping for the simulations did to the value
    null = float(shown[0].mean())
    low = max(0.0, ends[0] + moved) if ends[0] > 0 else 0.0
    return Figure(value, min(value, low), max(value, ends[1] + moved), null, round(cells.n))


def inverted(
    value: float, truth: NDArray[np.float64], shown: NDArray[np.float64], wider: float = _WIDER
) -> tuple[float, float]:
    """The least and greatest truth (n_steps,) whose samples (n_steps, n_samples) hold `value` among 95 %.

    The samples of an error lean to the right; their quantiles are taken as normal with a correction for that
    (Cornish and Fisher 1938).
    """
    order = np.argsort(truth, kind="stable")
    truth, shown = truth[order], shown[order]
    mean, spread = shown.mean(axis=1), shown.std(axis=1, ddof=1)
    standard = (shown - mean[:, None]) / np.maximum(spread, 1e-300)[:, None]
    # neighbouring steps are alike: averaging steadies what few samples say
    lean = _averaged((standard**3).mean(axis=1), 2) * (_Z**2 - 1) / 6
    spread = _averaged(spread, 1)
    from_null = np.maximum(mean - mean[0], 0.0) / np.maximum(spread, 1e-300)
    above, below = (wider * np.interp(from_null, _NEAR_NULL[:, 0], _NEAR_NULL[:, k]) for k in (1, 2))
    upper = np.maximum.accumulate(mean + (lean + above) * spread)
    lower = np.maximum.accumulate(mean + (lean - below) * spread)
    return _crossing(value, upper, truth, truth[0]), _crossing(value, lower, truth, truth[-1])


def _averaged(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Each value's mean with its `reach` neighbours on either side."""
    width = 2 * reach + 1
    return np.convolve(np.pad(values, reach, mode="edge"), np.full(width, 1 / width), mode="valid")


def _crossing(value: float, curve: NDArray[np.float64], truth: NDArray[np.float64], outside: float) -> float:
    """The truth at which the ascending curve reaches the value."""
    if value <= curve[0]:
        return float(truth[0])
    if value >= curve[-1]:
        return float(outside)
    after = int(np.searchsorted(curve, value, side="right"))
    rise = curve[after] - curve[after - 1]
    share = 1.0 if rise <= 0 else (value - curve[after - 1]) / rise
    return float(truth[after - 1] + share * (truth[after] - truth[after - 1]))


def bootstrap_figures(
    measures: Sequence[tuple[Measure, Scale]],
    cells: Cells,
    rng: np.random.Generator,
    drawn: Worlds,
    n_resamples: int = 200,
) -> list[Figure]:
    """Measures that noise does not push one way, with a bootstrap interval over items, all on one draw.

    On the measure's scale the resampled figure's bias is taken off, and added to its spread: the bias is itself only
    estimated. The figure is then taken as normal there (Davison and Hinkley 1997). A measure for "log" that can be 0
    stays "plain" where it is.
    """
    grouped = drawn.observed
    share = np.concatenate([grouped.right, grouped.count - grouped.right]) / grouped.n
    counts = rng.multinomial(round(grouped.n), share, size=n_resamples).astype(np.float64)
    half = len(grouped.count)
    found = []
    for measure, scale in measures:
        value, centre = measure(cells), measure(grouped)
        resampled = np.array(
            [measure(Cells(grouped.confidence, row[:half] + row[half:], row[:half])) for row in counts]
        )
        null = float(np.mean([measure(sample) for sample in drawn.samples[0]]))
        low, high = _around(value, centre, resampled, scale)
        found.append(Figure(value, min(value, low), max(value, high), null, round(cells.n)))
    return found


def _around(value: float, centre: float, resampled: NDArray[np.float64], scale: Scale) -> tuple[float, float]:
    """The interval's ends; centre: the value of what was resampled, which the grouping may have moved a little."""
    if scale == "log" and min(value, centre, float(resampled.min())) > 0:
        low, high = _around(log(value), log(centre), np.log(resampled), "plain")
        return exp(low), exp(high)
    bias = float(resampled.mean()) - centre
    half = _Z * hypot(float(resampled.std(ddof=1)), bias)
    return value - bias - half, value - bias + half


def skewed_mean(values: NDArray[np.floating], low: float = -np.inf, high: float = np.inf) -> Interval:
    """The mean of (n,) values with Hall's interval, which corrects Student's for skewness in closed form.

    n = 0: unknown. n = 1: the range. Source: Hall 1992, "On the removal of skewness by transformation".
    """
    n = len(values)
    if n == 0:
        return Interval(float("nan"), float(low), float(high), 0)
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if n > 1 else float("nan")
    if n == 1:
        return Interval(mean, float(low), float(high), 1)
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return Interval(mean, mean, mean, n)
    skew = float(np.mean(((values - mean) / spread) ** 3))
    ends = [mean - spread * _hall(z / sqrt(n), skew, n) for z in (_Z, -_Z)]
    return Interval(mean, max(low, min(ends[0], mean)), min(high, max(ends[1], mean)), n)


def _hall(quantile: float, skew: float, n: int) -> float:
    if abs(skew) < 1e-6:
        return quantile
    inner = 1 + skew * (quantile - skew / (6 * n))
    return 3 / skew * (float(np.cbrt(inner)) - 1)
