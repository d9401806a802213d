"""A part of the shown items that somebody chose, by one metadata column and value: every figure of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_slices import slice_parts
from plumbline_backend.domain.calibration_summary import Summary, summarise, summarise_labels
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.trust.calibration import CalibrationRun
from plumbline_backend.trust.thresholds import read_shown

Parts = dict[str, dict[str, int]]
"""For each column the parts of the items that it makes, in words, and how many items each has."""
MOST_VALUES = 200
"""Values of a text column that can be chosen, the most frequent first: a list of more is no longer read."""


def keep_slices(run: CalibrationRun, folder: Path, name: str) -> dict[str, Any]:
    """Write each column's part of every shown item to the folder. Returns the parts of each column and its file."""
    parts: Parts = {}
    files: dict[str, str] = {}
    for i, (column, values) in enumerate(run.shown.slices.items()):
        found = slice_parts(values, MOST_VALUES)
        if found:
            parts[column] = {words: int(inside.sum()) for words, inside in found}
            files[column] = f"{name}-column-{i}.npy"
            np.save(folder / files[column], _numbered([inside for _, inside in found]))
    return {"parts": parts, "part_files": files}


def slice_summary(view: Mapping[str, Any], state: str, column: str, words: str) -> Summary:
    """All figures of the shown items of one part of a column, in one state of a judge.

    view: of `MeasuredJudges.measured`. Raises InputError for a column or part that is not there, NotFoundError when the
    run was replaced by a newer one.
    """
    parts: Parts = view.get("parts", {})
    if column not in parts:
        raise InputError(f"column: found {column!r}; {did_you_mean(column, list(parts))}")
    if words not in parts[column]:
        raise InputError(f"value of {column}: found {words!r}; {did_you_mean(words, list(parts[column]))}")
    targets, proba, part = read_shown(view, state, view["part_files"][column])
    rows = np.flatnonzero(part == list(parts[column]).index(words))
    make = summarise_labels if targets.ndim == 2 else summarise
    return make(np.ascontiguousarray(proba[rows]), np.asarray(targets[rows]), np.random.default_rng(0))


def _numbered(insides: list[NDArray[np.bool_]]) -> NDArray[np.int32]:
    """(n,) the place of the part that holds each item, -1 for none; parts of one column do not overlap."""
    found = np.full(len(insides[0]), -1, dtype=np.int32)
    for place, inside in enumerate(insides):
        found[inside] = place
    return found
