"""Where the material of a recipe comes from: people's answers, columns of the pool, an earlier version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.aggregation import METHODS
from plumbline_backend.domain.agreement import MISSING
from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.making import load_head
from plumbline_backend.pool.pool import Pool
from plumbline_backend.training.prepare import Material, check_size
from plumbline_backend.training.recipe import AGGREGATIONS, Recipe

MOST_DOMAINS = 100


def gather(
    spec: Mapping[str, Any],
    recipe: Recipe,
    pool: Pool,
    items: NDArray[np.int64],
    features: NDArray[np.floating[Any]],
) -> Material:
    """The material of these items, in their order; only what the recipe asks for is read.

    spec: "classes" (ids), "class_names", "votes" ([item, class index, answers]), "ratings" ([item, person, class
    index]), "trusted" (items), "models" and "teacher" (folders).
    """
    shares = None
    if recipe.soft != "none":
        check_size(len(items), len(spec["classes"]))
    if recipe.soft == "annotators":
        shares = _votes(spec["votes"], items, len(spec["classes"]))
    elif recipe.soft in AGGREGATIONS:
        shares = _aggregated(recipe.soft, spec["ratings"], items, len(spec["classes"]))
    elif recipe.soft == "columns":
        shares = judged(pool, spec["class_names"], items)
    elif recipe.soft == "teacher":
        shares = _taught(spec, features)
    trusted = np.isin(items, np.asarray(spec["trusted"], dtype=np.int64))
    return Material(shares, trusted, groups(pool, recipe.domain, items) if recipe.domain else None)


def probability_columns(columns: Sequence[str], class_names: Sequence[str]) -> list[str] | None:
    """One column per class, named by a common beginning and the class's name ("p_cat", "p_dog"); None without."""
    for column in columns:
        if not column.endswith(class_names[0]) or column == class_names[0]:
            continue
        start = column[: len(column) - len(class_names[0])]
        wanted = [start + name for name in class_names]
        if set(wanted) <= set(columns):
            return wanted
    return None


def judged(pool: Pool, class_names: Sequence[str], items: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, K) what the columns say; a row with a missing or negative value is zero.

    Raises InputError without columns and on text in them.
    """
    found = probability_columns([column.name for column in pool.columns], class_names)
    if found is None:
        raise InputError(
            f"no columns hold a judge's probabilities; expected one per class with the same beginning, such as "
            f"'p_{class_names[0]}' and 'p_{class_names[-1]}'"
        )
    table = np.column_stack([_numbers(name, pool.column_values(name, items)) for name in found])
    bad = ~(np.isfinite(table) & (table >= 0)).all(axis=1)
    table[bad] = 0.0
    return np.asarray(table)


def groups(pool: Pool, name: str, items: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the group of each item by the column's value. Raises InputError for one group or more than 100."""
    values = ["" if value is None else str(value) for value in pool.column_values(name, items)]
    found, place = np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)
    if not 2 <= len(found) <= MOST_DOMAINS:
        raise InputError(
            f"column {name!r} has {len(found):,} different values among the labelled items; expected 2 to "
            f"{MOST_DOMAINS}"
        )
    return place.astype(np.int64)


def _votes(votes: Sequence[Sequence[int]], items: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    place = {int(item): row for row, item in enumerate(items)}
    shares = np.zeros((len(items), n_classes))
    for item, target, n in votes:
        if item in place:
            shares[place[item], target] += n
    return shares


def _aggregated(
    method: str, ratings: Sequence[Sequence[int]], items: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """(n, K) what the people say together; zeros where nobody answered or somebody had the last word.

    Raises InputError below two people: one alone says nothing of how reliable anybody is.
    """
    given = np.asarray(ratings, dtype=np.int64).reshape(-1, 3)
    rated, row = np.unique(given[:, 0], return_inverse=True)
    people, column = np.unique(given[:, 1], return_inverse=True)
    if len(people) < 2:
        raise InputError(f"soft labels by {method}: {len(people)} people answered; expected at least two")
    table = np.full((len(rated), len(people)), MISSING, dtype=np.int64)
    table[row, column] = given[:, 2]
    proba = METHODS[method](table, n_classes).proba
    shares = np.zeros((len(items), n_classes))
    known = np.isin(items, rated)
    shares[known] = proba[np.searchsorted(rated, items[known])]
    return shares


def _taught(spec: Mapping[str, Any], features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The teacher's calibrated probabilities over today's classes; classes that it does not know get none."""
    if not spec["teacher"]:
        return np.zeros((len(features), len(spec["classes"])))
    folder = Path(spec["models"]) / spec["teacher"]
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    teacher = load_head(folder)
    if teacher.width_ != features.shape[1]:
        raise InputError(
            f"the teaching version was trained on {teacher.width_} features; expected {features.shape[1]}"
        )
    proba = teacher.proba(features, described["metrics"]["temperature"])
    shares = np.zeros((len(features), len(spec["classes"])))
    for column, class_id in enumerate(described["classes"]):
        if class_id in spec["classes"]:
            shares[:, spec["classes"].index(class_id)] = proba[:, column]
    return shares


def _numbers(name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    out = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        try:
            out[row] = float(value)
        except ValueError as error:
            raise InputError(f"column {name!r} holds {value!r}; expected probabilities") from error
    return out
