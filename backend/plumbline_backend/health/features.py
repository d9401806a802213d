"""The worker's part of the check of features: their shape, what gives the label away, and what differs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.types as kinds
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.pool.pool import Pool
from plumbline_backend.trust.diagnostics import (
    Shift,
    intrinsic_dimension,
    neighbour_agreement,
    neural_collapse,
    separability,
    shifts,
    shortcuts,
)

MOST_ITEMS = 5_000
"""Items drawn at random to look at features and columns; labels are drawn in the same number."""
LEAST_LABELS = 20
COLUMN_ROLES = ("category", "numeric", "metadata")
SHOWN_COLUMNS = 100
HALVES = "the first half of this import"

Report = Callable[[float, str], None]


def check_features(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """Look at a pool's features and columns. spec: pool, items, targets, n_classes, l2, seed, other ({"pool", "name"},
    or None: the import's own halves). Returns JSON; unknown is null."""
    pool = Pool.open(Path(spec["pool"]))
    rng = np.random.default_rng(spec["seed"])
    report(0.05, "how many directions the features have")
    rows = _drawn(np.arange(pool.n_items), rng)
    features = np.asarray(pool.features.gather(rows), dtype=np.float64)
    shape = intrinsic_dimension(features, rng)
    report(0.3, "how well classes are apart")
    items, targets = np.array(spec["items"], dtype=np.int64), np.array(spec["targets"], dtype=np.int64)
    kept = _drawn(np.arange(len(items)), rng)
    items, targets = items[kept], targets[kept]
    labelled = _labelled(pool, items, targets, spec, rng)
    report(0.7, "columns that give the label away")
    found = shortcuts(_columns(pool, items), targets, rng) if len(items) >= LEAST_LABELS else []
    report(0.85, "columns that differ")
    compared = _compared(pool, spec["other"], rng)
    return _known(
        {
            "n": len(rows),
            "two_nn": shape.two_nn,
            "mle": shape.mle,
            "n_different": shape.n,
            "separability": separability(features, rng),
            "labels": labelled,
            "shortcuts": [
                [each.column, list(each.accuracy), each.base, each.suspicious]
                for each in found[:SHOWN_COLUMNS]
            ],
            "shift": compared,
        }
    )


def columns_shift(pool: Pool, other: Pool, rng: np.random.Generator) -> list[Shift]:
    """Columns by name that both pools have, from the most to the least different. Raises InputError without any."""
    old, new = (_columns(each, _drawn(np.arange(each.n_items), rng)) for each in (pool, other))
    if not set(old) & set(new):
        raise InputError(
            f"{other.manifest.name} shares no category, numeric or metadata column with {pool.manifest.name}; "
            f"expected one of {', '.join(old) or 'none'}"
        )
    return shifts(old, new)


def _compared(pool: Pool, other: Mapping[str, str] | None, rng: np.random.Generator) -> dict[str, Any]:
    if other is None:
        halves = np.array_split(np.arange(pool.n_items), 2)
        first, second = (_columns(pool, _drawn(half, rng)) for half in halves)
        found, name, n = shifts(first, second), HALVES, [len(half) for half in halves]
    else:
        there = Pool.open(Path(other["pool"]))
        found, name, n = columns_shift(pool, there, rng), other["name"], [pool.n_items, there.n_items]
    return {
        "with": name,
        "own": other is None,
        "n": [min(MOST_ITEMS, each) for each in n],
        "columns": [
            [each.column, each.statistic, each.p_value, each.shifted] for each in found[:SHOWN_COLUMNS]
        ],
    }


def _labelled(
    pool: Pool,
    items: NDArray[np.int64],
    targets: NDArray[np.int64],
    spec: Mapping[str, Any],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """What labels say of the features: neighbours' agreement, and the neural collapse of a linear head on them."""
    present, y = np.unique(targets, return_inverse=True)
    if len(items) < LEAST_LABELS or len(present) < 2:
        return {
            "why_not": f"{len(items)} labels of {len(present)} classes; expected at least {LEAST_LABELS} labels "
            "of 2 classes"
        }
    x = np.asarray(pool.features.gather(items), dtype=np.float64)
    head = LinearSoftmax(l2=spec["l2"]).fit(x, y, len(present))
    found = neural_collapse(x, y, head.weight_, head.logits(x).argmax(axis=1))
    return {
        "why_not": "",
        "n": len(items),
        "n_classes": len(present),
        "nc1": found.nc1,
        "nc2": found.nc2,
        "nc3": found.nc3,
        "nc4": list(found.nc4),
        "neighbours": list(neighbour_agreement(x, y)),
        "separability": separability(x, rng),
    }


def _columns(pool: Pool, items: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Numbers as float64, a missing one as NaN; everything else as text, a missing value as an empty one."""
    found = {}
    for column in pool.columns_of(*COLUMN_ROLES):
        values = pool.column_array(column.name, items)
        if kinds.is_floating(values.type) or kinds.is_integer(values.type):
            numbers = [np.nan if v is None else float(v) for v in values.to_pylist()]
            found[column.name] = np.array(numbers, dtype=np.float64)
        else:
            found[column.name] = np.array(["" if v is None else str(v) for v in values.to_pylist()])
    return found


def _drawn(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= MOST_ITEMS else np.sort(rng.choice(rows, MOST_ITEMS, replace=False))


def _known(value: Any) -> Any:
    """The value as JSON, with null for what is unknown."""
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_known(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
