"""How well a chosen judge does, without the luck of having been chosen.

The best of many judges on few grades looks better than it is: by 0.21 at 10 grades and 0.06 at 30 on the eight SPADE
pipelines. Here the whole choice is made again without some of the grades and looked at on those. What was graded is
known; what the held-out grades tell is how often the choice is right about outputs that it has not seen. Each counts
by the outputs of its stratum that it stands for, with Jeffreys' prior as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import (
    BAD,
    N_DRAWS,
    UNGRADED,
    Alignment,
    Cells,
    Tables,
    cells_of,
    summarise,
    weights_of,
)

Choose = Callable[[NDArray[np.int8]], tuple[NDArray[np.bool_], NDArray[np.bool_]] | None]
"""From (n_outputs,) grades to what would be chosen by them: where it fails, and where it decides. None: nothing."""
N_FOLDS = 10
N_REPEATS = 3
"""Folds, and ways of cutting them. Leaving out one grade at a time has the same bias, but its intervals hold in 0.90
only where 30 grades choose among judges that are no good."""
DISCOUNT = 0.35
"""A held-out grade counts for less than one: the folds' choices share most of their grades, so they err together. At
0.35 the 95 % intervals hold the truth in 0.94 to 0.99 of the repetitions, at 0.45 in 0.91 to 0.99, at 0.6 in 0.88 to
0.98; figures in benchmarks/results/selection_optimism_best.json."""


def cross_validated(
    choose: Choose,
    failed: NDArray[np.bool_],
    grades: NDArray[np.int8],
    strata: NDArray[np.integer[Any]],
    rng: np.random.Generator,
    known: NDArray[np.bool_] | None = None,
    n_draws: int = N_DRAWS,
) -> Alignment | None:
    """Figures of the chosen judge with the optimism of its choice removed.

    choose: makes the choice from grades, those outside a fold. failed: (n_outputs,) the verdicts of what was chosen
    from all grades; known: where it decided, by default everywhere. grades, strata: as in `alignment.measure`. None if
    no fold had anything to choose by: a bad and a good output are needed outside it.
    """
    graded = np.flatnonzero(grades != UNGRADED)
    if len(graded) < 2:
        return None
    everywhere = np.ones(len(grades), dtype=bool) if known is None else known
    weights = np.zeros(len(grades))
    weights[everywhere] = weights_of(grades[everywhere], strata[everywhere])
    told, squares = np.zeros((2, 2)), np.zeros((2, 1))
    for _ in range(N_REPEATS):
        for held_out in _folds(graded, rng):
            fold_grades = grades.copy()
            fold_grades[held_out] = UNGRADED
            chosen = choose(fold_grades)
            if chosen is None:
                continue
            fails, decides = chosen
            inside = held_out[decides[held_out]]
            side, weight = fails[inside].astype(int), weights[inside] / N_REPEATS
            np.add.at(told, (side, (grades[inside] == BAD).astype(int)), weight)
            np.add.at(squares[:, 0], side, weights[inside] * weight)
    if not told.sum():
        return None
    effective = told * told.sum(axis=1, keepdims=True) / np.where(squares > 0, squares, 1.0)
    cells = cells_of(failed[everywhere], grades[everywhere], strata[everywhere])
    return summarise(cells, _draw(cells, effective, rng, n_draws))


def _draw(cells: Cells, held_out: NDArray[np.float64], rng: np.random.Generator, n_draws: int) -> Tables:
    """As `alignment.draw_tables`, with the rates of what is ungraded from the held-out grades only.

    held_out: (2, 2) effective numbers of them, by whether the folds' choice fails them and whether they are bad. A
    prior nearer to the rate on the grades that chose would bring part of the optimism back.
    """
    counts: list[NDArray[np.float64]] = []
    for side in (True, False):
        mine = cells.failed == side
        bad, graded, total = (
            int(each[mine].sum()) for each in (cells.bad, cells.bad + cells.good, cells.total)
        )
        good_seen, bad_seen = held_out[int(side)]
        rate = rng.beta(DISCOUNT * (0.5 + bad_seen), DISCOUNT * (0.5 + good_seen), size=n_draws)
        drawn = bad + rng.binomial(total - graded, rate)
        counts += [drawn.astype(np.float64), (total - drawn).astype(np.float64)]
    bad_failed, good_failed, bad_passed, good_passed = counts
    return Tables(bad_failed, bad_passed, good_failed, good_passed)


def _folds(graded: NDArray[np.int64], rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The graded outputs in random parts of nearly one size."""
    yield from np.array_split(rng.permutation(graded), min(N_FOLDS, len(graded)))
