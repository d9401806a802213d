"""The alignment report as it is used: sets of several judges, drawn by other judges, that change between the draws.

Beside the product's estimate (weights, effective number) the same draws are measured by a posterior per cell and
without weights.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment_intervals import FIGURES, GRADES, graded, note, told, true_figures
from common import environment, write
from judge_pools import JudgedPool, real_pools, synthetic
from plumbline_backend.domain.alignment import (
    Alignment,
    Cells,
    Tables,
    cells_of,
    draw_tables,
    summarise,
)

DRAWS = 500
Make = Callable[[np.random.Generator], JudgedPool]
Rows = dict[str, list[tuple[float, bool | None]]]


class Setting(NamedTuple):
    """n_set: judges that are measured together. n_splits: judges, none of them measured, that the draws are made by,
    one after the other."""

    name: str
    n_set: int
    n_splits: int


SETTINGS = (
    Setting("one judge, drawn by another", 1, 1),
    Setting("three judges together, drawn by another", 3, 1),
    Setting("two judges together, drawn by three others in turn", 2, 3),
    Setting("two judges together, drawn by five others in turn", 2, 5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    options = parser.parse_args()
    started = time.perf_counter()
    sources: dict[str, Make] = {pool.name: lambda _, pool=pool: pool for pool in real_pools()}
    for n_outputs, alike in ((100, 0.0), (500, 0.7)):
        name = f"synthetic, {n_outputs} outputs, 20 judges, alike {alike:g}"
        sources[name] = lambda rng, n=n_outputs, a=alike: synthetic(rng, n, 20, a)
    result: dict[str, Any] = {
        "environment": environment(["numpy", "scipy"]),
        "repeats": options.repeats,
        "settings": {
            setting.name: {name: intervals(make, setting, options.repeats) for name, make in sources.items()}
            for setting in SETTINGS
        },
    }
    result["summary"] = summary(result["settings"])
    result["seconds"] = round(time.perf_counter() - started, 1)
    write("alignment_designs", result)


def intervals(make: Make, setting: Setting, repeats: int) -> dict[str, Any]:
    """Per number of grades and way of estimating: mean error, and share of intervals that hold the truth."""
    out = {}
    for n_grades in GRADES:
        rng = np.random.default_rng([n_grades, setting.n_set, setting.n_splits])
        names = list(ESTIMATES) if setting.n_splits > 1 else ["product"]
        rows: dict[str, Rows] = {name: defaultdict(list) for name in names}
        for _ in range(repeats):
            pool = make(rng)
            if n_grades > len(pool.bad):
                continue
            judges = rng.permutation(len(pool.failed))[: setting.n_set + setting.n_splits]
            measured, splits = judges[: setting.n_set], judges[setting.n_set :]
            failed = pool.failed[measured].any(axis=0)
            if failed.all() or not failed.any():
                continue
            drawn, strata = draw_in_turn(pool.failed[splits], n_grades, rng)
            cells = cells_of(failed, graded(pool.bad, drawn), strata)
            truth = true_figures(failed, pool.bad)
            for name in rows:
                found = ESTIMATES[name](cells, rng)
                for figure in FIGURES:
                    note(rows[name][figure], getattr(found, figure)[:3], truth[figure])
        if rows["product"]:
            out[str(n_grades)] = {name: told(found) for name, found in rows.items()}
    return out


def draw_in_turn(
    splits: NDArray[np.bool_], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """n outputs, an equal part by each judge of `splits`: half of what it fails, half of what it passes, uniformly
    among those not yet drawn. Second, (n_outputs,) the groups that all splits together make."""
    left = np.ones(splits.shape[1], dtype=bool)
    drawn = []
    for turn in range(n):
        failed = splits[turn * len(splits) // n]
        side = failed if turn % 2 == 0 else ~failed
        among = np.flatnonzero(left & side)
        if not len(among):
            among = np.flatnonzero(left)
        drawn.append(int(rng.choice(among)))
        left[drawn[-1]] = False
    group = (1 << np.arange(len(splits), dtype=np.int64)) @ splits.astype(np.int64)
    return np.array(drawn, dtype=np.int64), group


def product(cells: Cells, rng: np.random.Generator) -> Alignment:
    """As the report does: each graded output counts by what it stands for."""
    return summarise(cells, draw_tables(cells, rng, DRAWS))


def per_cell(cells: Cells, rng: np.random.Generator) -> Alignment:
    """Jeffreys' posterior of each cell by itself."""
    return summarise(cells, _tables(cells, cells.bad, cells.good, cells.total, cells.failed, rng))


def unweighted(cells: Cells, rng: np.random.Generator) -> Alignment:
    """All graded outputs of a side count alike."""
    sides = np.array([True, False])
    bad, good, total = (
        np.array([column[cells.failed == side].sum() for side in sides])
        for column in (cells.bad, cells.good, cells.total)
    )
    return summarise(cells, _tables(cells, bad, good, total, sides, rng))


ESTIMATES: dict[str, Callable[[Cells, np.random.Generator], Alignment]] = {
    "product": product,
    "posterior per cell": per_cell,
    "unweighted": unweighted,
}


def _tables(
    cells: Cells,
    bad: NDArray[np.int64],
    good: NDArray[np.int64],
    total: NDArray[np.int64],
    failed: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Tables:
    rates = rng.beta(0.5 + bad, 0.5 + good, size=(DRAWS, len(bad)))
    drawn = bad + rng.binomial(total - bad - good, rates)
    counts = []
    for side in (True, False):
        n_bad = drawn[:, failed == side].sum(axis=1).astype(np.float64)
        counts += [n_bad, float(cells.total[cells.failed == side].sum()) - n_bad]
    bad_failed, good_failed, bad_passed, good_passed = counts
    return Tables(bad_failed, bad_passed, good_failed, good_passed)


def summary(settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Over the pools, per setting, number of grades and way of estimating: mean and worst bias, and how often intervals
    hold, mean and least."""
    out: dict[str, Any] = {}
    for setting, pools in settings.items():
        for n_grades in GRADES:
            found = [pool[str(n_grades)] for pool in pools.values() if str(n_grades) in pool]
            if found:
                out.setdefault(setting, {})[str(n_grades)] = {who: _over(found, who) for who in found[0]}
    return out


def _over(cells: Sequence[dict[str, Any]], who: str) -> dict[str, Any]:
    out = {}
    for figure in cells[0][who]:
        found = [cell[who][figure] for cell in cells if figure in cell[who]]
        biases, held = [each["bias"] for each in found], [each["holds"] for each in found]
        out[figure] = {
            "bias": round(float(np.mean(biases)), 4),
            "worst_bias": max(biases, key=abs),
            "holds": round(float(np.mean(held)), 4),
            "least_holds": min(held),
        }
    return out


if __name__ == "__main__":
    main()
