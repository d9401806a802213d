"""How well judges agree with a person's grades, with intervals that hold under the sampling design.

An output that the person calls bad should be failed, a good one passed. From the outputs that were graded, the
number of bad and good ones among those that were not is drawn from its posterior; every figure is computed from
the same draws, so that intervals of ratios and of harmonic means need no formula of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

N_DRAWS = 4_000
"""Of the posterior; the 2.5 % point then moves by about a tenth of a standard deviation between seeds."""
GOOD, BAD, UNGRADED = 0, 1, -1


class Estimate(NamedTuple):
    """A figure with its 95 % interval. None: unknown, because nothing was graded that it could rest on.

    n: the graded outputs it rests on (for coverage the bad ones, for the false failure rate the good ones).
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


UNKNOWN = Estimate(None, None, None, 0)


class Cells(NamedTuple):
    """Groups of outputs, in each of which the graded ones are a uniform sample. All arrays are (n_cells,)."""

    failed: NDArray[np.bool_]
    """Whether the judge fails the outputs of the cell."""
    total: NDArray[np.int64]
    bad: NDArray[np.int64]
    good: NDArray[np.int64]


class Tables(NamedTuple):
    """Draws of the whole set's confusion matrix, each (n_draws,): the person's word first, then the judge's."""

    bad_failed: NDArray[np.float64]
    bad_passed: NDArray[np.float64]
    good_failed: NDArray[np.float64]
    good_passed: NDArray[np.float64]


class Alignment(NamedTuple):
    """What is said of one judge, or of a set of judges that fails what any of them fails.

    coverage: share of the bad outputs that are failed (the true negative rate). ffr: share of the good outputs
    that are failed (one minus the true positive rate). alignment: harmonic mean of coverage and 1 - ffr.
    pass_rate: share of good outputs in the whole set, whatever the judge says.
    """

    coverage: Estimate
    ffr: Estimate
    alignment: Estimate
    pass_rate: Estimate
    tpr: Estimate
    tnr: Estimate
    mcc: Estimate
    kappa: Estimate
    graded: tuple[int, int, int, int]
    """Graded outputs: bad failed, bad passed, good failed, good passed."""
    n_outputs: int


def measure(
    failed: NDArray[np.bool_],
    grades: NDArray[np.integer[Any]],
    strata: NDArray[np.integer[Any]] | None,
    rng: np.random.Generator,
    n_draws: int = N_DRAWS,
) -> Alignment:
    """Alignment of a judge with the grades.

    failed: (n_outputs,) its verdicts. grades: (n_outputs,) GOOD, BAD or UNGRADED. strata: (n_outputs,) numbers of
    the groups in each of which the graded outputs were drawn uniformly, whatever their shares; None: one group.
    Raises InputError on shapes that differ.
    """
    cells = cells_of(failed, grades, strata)
    return summarise(cells, draw_tables(cells, rng, n_draws))


def cells_of(
    failed: NDArray[np.bool_],
    grades: NDArray[np.integer[Any]],
    strata: NDArray[np.integer[Any]] | None = None,
) -> Cells:
    """The strata, split by what the judge says: still uniform samples, as verdicts were there before the draws."""
    groups = np.zeros(len(failed), dtype=np.int64) if strata is None else np.asarray(strata)
    if not len(failed) == len(grades) == len(groups):
        raise InputError(
            f"alignment: {len(failed)} verdicts, {len(grades)} grades and {len(groups)} strata; expected one of "
            "each for every output"
        )
    _, cell = np.unique(groups * 2 + np.asarray(failed, dtype=np.int64), return_inverse=True)
    n_cells = int(cell.max()) + 1 if len(cell) else 0
    counts = [np.bincount(cell[grades == value], minlength=n_cells) for value in (BAD, GOOD)]
    is_failed = np.zeros(n_cells, dtype=bool)
    is_failed[cell] = failed
    return Cells(is_failed, np.bincount(cell, minlength=n_cells), counts[0], counts[1])


def draw_tables(cells: Cells, rng: np.random.Generator, n_draws: int = N_DRAWS) -> Tables:
    """Draws of the whole set's confusion matrix: per cell p ~ Beta, then Binomial for what is ungraded.

    One cell on a side of the verdict has Jeffreys' prior, Beta(1/2, 1/2). Where the judges changed between draws a
    side has several cells, many of them hardly graded; each then has a prior of the same weight (one output)
    around a draw for its side as a whole, so that an empty cell neither counts as half bad nor as known.
    """
    counts: list[NDArray[np.float64]] = []
    for side in (True, False):
        mine = (cells.failed == side) & (cells.total > 0)
        bad, good, total = cells.bad[mine], cells.good[mine], cells.total[mine]
        drawn_bad = np.zeros(n_draws)
        if mine.any():
            p = rng.beta(0.5 + bad.sum(), 0.5 + good.sum(), size=n_draws)
            for b, g, t in zip(bad.tolist(), good.tolist(), total.tolist(), strict=True):
                inside = p if len(bad) == 1 else rng.beta(_above_zero(p + b), _above_zero(1 - p + g))
                drawn_bad += b + rng.binomial(t - b - g, inside)
        counts += [drawn_bad, total.sum() - drawn_bad]
    bad_failed, good_failed, bad_passed, good_passed = counts
    return Tables(bad_failed, bad_passed, good_failed, good_passed)


def summarise(cells: Cells, tables: Tables) -> Alignment:
    """The figures of the draws; those that rest on no graded output are unknown."""
    graded = graded_table(cells)
    n_bad, n_good = graded[0] + graded[1], graded[2] + graded[3]
    n = n_bad + n_good
    both = min(n_bad, n_good)
    figures = figures_of(tables)
    return Alignment(
        coverage=estimate(figures["coverage"], n_bad),
        ffr=estimate(figures["ffr"], n_good),
        alignment=estimate(figures["alignment"], n if both else 0),
        pass_rate=estimate(figures["pass_rate"], n),
        tpr=estimate(1 - figures["ffr"], n_good),
        tnr=estimate(figures["coverage"], n_bad),
        mcc=estimate(figures["mcc"], n if both else 0),
        kappa=estimate(figures["kappa"], n if both else 0),
        graded=graded,
        n_outputs=int(cells.total.sum()),
    )


def graded_table(cells: Cells) -> tuple[int, int, int, int]:
    """Graded outputs: bad failed, bad passed, good failed, good passed."""
    failed = cells.failed
    return (
        int(cells.bad[failed].sum()),
        int(cells.bad[~failed].sum()),
        int(cells.good[failed].sum()),
        int(cells.good[~failed].sum()),
    )


def figures_of(tables: Tables) -> Mapping[str, NDArray[np.float64]]:
    """Coverage, ffr, alignment, pass rate, MCC and kappa of each draw, NaN where a draw leaves one undefined."""
    bf, bp, gf, gp = tables
    with np.errstate(invalid="ignore", divide="ignore"):
        coverage = bf / (bf + bp)
        ffr = gf / (gf + gp)
        alignment = harmonic(coverage, ffr)
        n = bf + bp + gf + gp
        mcc = (gp * bf - gf * bp) / np.sqrt((gp + gf) * (gp + bp) * (bf + gf) * (bf + bp))
        agree = (gp + bf) / n
        chance = ((gp + gf) * (gp + bp) + (bf + bp) * (bf + gf)) / n**2
        kappa = (agree - chance) / (1 - chance)
    return {
        "coverage": coverage,
        "ffr": ffr,
        "alignment": alignment,
        "pass_rate": (gf + gp) / np.maximum(n, 1),
        "mcc": mcc,
        "kappa": kappa,
    }


def harmonic(coverage: NDArray[np.float64], ffr: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 c (1 - f) / (c + 1 - f), zero where both parts are zero: such a judge fails the good and passes the bad."""
    specific = 1 - ffr
    both = coverage + specific
    return np.where(both == 0, 0.0, 2 * coverage * specific / np.where(both == 0, 1.0, both))


def estimate(draws: NDArray[np.float64], n: int) -> Estimate:
    """Median and 95 % interval of the draws that are defined; unknown where n is 0 or hardly any is."""
    defined = draws[np.isfinite(draws)]
    if n == 0 or len(defined) < 0.5 * len(draws):
        return Estimate(None, None, None, n)
    low, value, high = np.quantile(defined, [0.025, 0.5, 0.975])
    return Estimate(float(value), float(low), float(high), n)


def _above_zero(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Beta's shapes must be positive; a draw of exactly 0 or 1 is moved by less than it can tell."""
    return np.maximum(shape, 1e-9)
