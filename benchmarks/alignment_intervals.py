"""Bias and interval coverage of the alignment report beside naive EvalGen.

Grades are taken from the known truth. Ours draws half from what the judge fails and half from what it passes; naive
EvalGen grades in turn the output with the highest and the lowest sum of selectivities of the judges that fail it, and
takes plain shares with Wilson intervals.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import environment, write
from judge_pools import JudgedPool, real_pools, synthetic
from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED, measure
from plumbline_backend.domain.intervals import wilson

GRADES = (10, 16, 30, 60)
FIGURES = ("coverage", "ffr", "alignment")
DRAWS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2_000)
    options = parser.parse_args()
    started = time.perf_counter()
    sources: dict[str, Callable[[np.random.Generator], JudgedPool]] = {
        pool.name: lambda _, pool=pool: pool for pool in real_pools()
    }
    for n_outputs, alike in ((100, 0.0), (100, 0.7), (500, 0.0)):
        name = f"synthetic, {n_outputs} outputs, 20 judges, alike {alike:g}"
        sources[name] = lambda rng, n=n_outputs, a=alike: synthetic(rng, n, 20, a)
    result: dict[str, Any] = {
        "environment": environment(["numpy", "scipy"]),
        "repeats": options.repeats,
        "intervals": {name: intervals(make, options.repeats) for name, make in sources.items()},
    }
    result["summary"] = summary(result["intervals"])
    result["seconds"] = round(time.perf_counter() - started, 1)
    write("alignment_intervals", result)


def intervals(make: Callable[[np.random.Generator], JudgedPool], repeats: int) -> dict[str, Any]:
    """Per number of grades: mean error and share of intervals that hold the truth, for a judge at random."""
    out = {}
    for n_grades in GRADES:
        rng = np.random.default_rng(n_grades)
        ours: dict[str, list[tuple[float, bool | None]]] = defaultdict(list)
        naive: dict[str, list[tuple[float, bool | None]]] = defaultdict(list)
        for _ in range(repeats):
            pool = make(rng)
            if n_grades > len(pool.bad):
                continue
            failed = pool.failed[rng.integers(len(pool.failed))]
            truth = true_figures(failed, pool.bad)
            found = measure(failed, graded(pool.bad, draw_by_strata(failed, n_grades, rng)), None, rng, DRAWS)
            for name in FIGURES:
                note(ours[name], getattr(found, name)[:3], truth[name])
            drawn = draw_extremes(pool.failed, n_grades, rng)
            for name, found_naive in naive_figures(failed[drawn], pool.bad[drawn]).items():
                note(naive[name], found_naive, truth[name])
        if ours:
            out[str(n_grades)] = {"ours": told(ours), "naive": told(naive)}
    return out


def draw_by_strata(failed: NDArray[np.bool_], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Half from each side, uniformly inside; what one side lacks the other gives."""
    sides = [rng.permutation(np.flatnonzero(failed == side)).tolist() for side in (True, False)]
    first = int(rng.integers(2))
    picked = [(sides[(turn + first) % 2] or sides[(turn + first + 1) % 2]).pop() for turn in range(n)]
    return np.array(picked, dtype=np.int64)


def draw_extremes(failed: NDArray[np.bool_], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """EvalGen's order: in turn the highest and the lowest sum of selectivity over the judges that fail the output."""
    selectivity = 1 - failed.mean(axis=1)
    score = (failed * selectivity[:, None]).sum(axis=0)
    order = np.lexsort((rng.random(len(score)), score))
    high, low = order[::-1], order
    picked = [int(high[turn // 2] if turn % 2 == 0 else low[turn // 2]) for turn in range(n)]
    return np.array(picked, dtype=np.int64)


def true_figures(failed: NDArray[np.bool_], bad: NDArray[np.bool_]) -> dict[str, float]:
    """Coverage, false failures and alignment over the whole pool."""
    coverage, ffr = float(failed[bad].mean()), float(failed[~bad].mean())
    both = coverage + 1 - ffr
    return {"coverage": coverage, "ffr": ffr, "alignment": 2 * coverage * (1 - ffr) / both if both else 0.0}


def naive_figures(failed: NDArray[np.bool_], bad: NDArray[np.bool_]) -> dict[str, tuple[float | None, ...]]:
    """Plain shares with Wilson intervals; alignment has none."""
    coverage = wilson(int((failed & bad).sum()), int(bad.sum()))
    ffr = wilson(int((failed & ~bad).sum()), int((~bad).sum()))
    if coverage.n == 0 or ffr.n == 0:
        alignment: tuple[float | None, ...] = (None, None, None)
    else:
        both = coverage.value + 1 - ffr.value
        value = 2 * coverage.value * (1 - ffr.value) / both if both else 0.0
        alignment = (value, None, None)
    shown = {"coverage": coverage, "ffr": ffr}
    return {**{k: v[:3] if v.n else (None,) * 3 for k, v in shown.items()}, "alignment": alignment}


def graded(bad: NDArray[np.bool_], drawn: NDArray[np.int64]) -> NDArray[np.int8]:
    """(n_outputs,) the truth where it was drawn."""
    grades = np.full(len(bad), UNGRADED, dtype=np.int8)
    grades[drawn] = np.where(bad[drawn], BAD, GOOD)
    return grades


def note(rows: list[tuple[float, bool | None]], found: Any, truth: float) -> None:
    """Keep the error, and whether the interval holds the truth; nothing where the figure is unknown."""
    value, low, high = found
    if value is not None:
        rows.append((value - truth, None if low is None else bool(low - 1e-12 <= truth <= high + 1e-12)))


def told(rows: dict[str, list[tuple[float, bool | None]]]) -> dict[str, Any]:
    """Means over the repeats. The alignment of the naive method has no interval."""
    out = {}
    for name, found in rows.items():
        errors = np.array([error for error, _ in found])
        out[name] = {
            "bias": round(float(errors.mean()), 4),
            "bias_se": round(float(errors.std() / np.sqrt(len(errors))), 4),
            "rmse": round(float(np.sqrt((errors**2).mean())), 4),
            "holds": _share([held for _, held in found]),
            "n": len(found),
        }
    return out


def summary(intervals: dict[str, Any]) -> dict[str, Any]:
    """Over all pools, per number of grades: mean bias and share of intervals that hold, ours and naive."""
    out: dict[str, Any] = {}
    for n_grades in GRADES:
        cells = [pool[str(n_grades)] for pool in intervals.values() if str(n_grades) in pool]
        if cells:
            out[str(n_grades)] = {who: _mean(cells, who) for who in ("ours", "naive")}
    return out


def _share(held: list[bool | None]) -> float | None:
    """The share of intervals that hold; None for a figure without intervals."""
    known = [each for each in held if each is not None]
    return round(float(np.mean(known)), 4) if known else None


def _mean(cells: list[dict[str, Any]], who: str) -> dict[str, Any]:
    names = sorted({name for cell in cells for name in cell[who]})
    out: dict[str, Any] = {}
    for name in names:
        found = [cell[who][name] for cell in cells if name in cell[who]]
        held = [each["holds"] for each in found if each["holds"] is not None]
        out[name] = {
            "bias": round(float(np.mean([each["bias"] for each in found])), 4),
            "holds": round(float(np.mean(held)), 4) if held else None,
        }
    return out


if __name__ == "__main__":
    main()
