"""Finding items: text in any column, filters per column, and pages of the result."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

if TYPE_CHECKING:
    from plumbline_backend.pool.pool import Pool

N_CACHED = 8
"""Results kept for paging: at most 8 MB each at a million items."""


class Page(NamedTuple):
    """One page of a result: positions in order, and how many items match in all."""

    positions: NDArray[np.int64]
    n_total: int


@dataclass(frozen=True)
class OneOf:
    """The value is one of these, compared as the column stores them (numbers as numbers)."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Between:
    """A number from low to high, both included; None leaves an end open."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Contains:
    """The text occurs in the value, whatever the case."""

    text: str


@dataclass(frozen=True)
class Missing:
    """The value is missing (or, with `missing` False, is there)."""

    missing: bool = True


Filter = OneOf | Between | Contains | Missing


class Search:
    """Scans the columns that a query touches and keeps the latest results for paging. A pool never changes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._results: OrderedDict[object, NDArray[np.int64]] = OrderedDict()
        self._lock = Lock()

    def run(
        self, text: str, filters: Mapping[str, Any], offset: int, limit: int, within: NDArray[np.int64] | None
    ) -> Page:
        """The page [offset, offset + limit) of the items that match all conditions.

        text: matched ignoring case in the key and every text column; filters: column name to a filter, a
        value or a collection of values; within: only these positions, in their order.
        Raises InputError for unknown columns, filters that do not fit, or a negative offset or limit.
        """
        if offset < 0 or limit < 0:
            raise InputError(f"offset {offset}, limit {limit}; expected both at least 0")
        conditions = {name: self._filter(name, given) for name, given in filters.items()}
        if not text and not conditions:
            everything = (
                np.arange(self._pool.n_items, dtype=np.int64) if within is None else np.asarray(within)
            )
            return Page(everything[offset : offset + limit].astype(np.int64), len(everything))
        matches = self._matches(text, conditions)
        if within is not None:
            wanted = np.asarray(within, dtype=np.int64)
            inside = np.zeros(self._pool.n_items, dtype=bool)
            inside[matches] = True
            matches = wanted[inside[wanted]]
        return Page(matches[offset : offset + limit].copy(), len(matches))

    def _filter(self, name: str, given: Any) -> Filter:
        column = self._pool.column_named(name)
        if column.role in ("image", "features"):
            raise InputError(f"column {name!r} cannot be filtered; it has the role {column.role}")
        if isinstance(given, (OneOf, Between, Contains, Missing)):
            return given
        if given is None:
            return Missing()
        if isinstance(given, (list, tuple, set, frozenset)):
            return OneOf(tuple(given))
        return OneOf((given,))

    def _matches(self, text: str, conditions: Mapping[str, Filter]) -> NDArray[np.int64]:
        query = (text.casefold(), tuple(sorted((name, repr(f)) for name, f in conditions.items())))
        with self._lock:
            if query in self._results:
                self._results.move_to_end(query)
                return self._results[query]
        searched = ["key", *self._text_fields()] if text else []
        found = []
        for start, batch in self._pool.scan():
            keep = np.ones(batch.num_rows, dtype=bool)
            for name, condition in conditions.items():
                keep &= _holds(batch.column(self._pool.field_of(name)), condition, name)
            if text and keep.any():
                keep &= _any_contains([batch.column(field) for field in searched], text)
            found.append(np.flatnonzero(keep) + start)
        matches = np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)
        with self._lock:
            self._results[query] = matches
            while len(self._results) > N_CACHED:
                self._results.popitem(last=False)
        return matches

    def _text_fields(self) -> list[str]:
        pool = self._pool
        shown = pool.columns_of("text", "label", "category", "metadata", "numeric")
        return [pool.field_of(column.name) for column in shown if column.role != "numeric"]


def _any_contains(columns: Sequence[pa.Array], text: str) -> NDArray[np.bool_]:
    keep = np.zeros(len(columns[0]), dtype=bool)
    for values in columns:
        strings = values if pa.types.is_string(values.type) else pc.cast(values, pa.string())
        keep |= _as_mask(pc.match_substring(strings, text, ignore_case=True))
    return keep


def _holds(values: pa.Array, condition: Filter, name: str) -> NDArray[np.bool_]:
    if isinstance(condition, Missing):
        is_null = np.asarray(pc.is_null(values))
        return is_null if condition.missing else ~is_null
    if isinstance(condition, Contains):
        return _any_contains([values], condition.text)
    if isinstance(condition, Between):
        if pa.types.is_string(values.type):
            raise InputError(f"column {name!r} holds text; expected a column of numbers for a range")
        keep = _as_mask(pc.is_valid(values))
        if condition.low is not None:
            keep &= _as_mask(pc.greater_equal(values, condition.low))
        if condition.high is not None:
            keep &= _as_mask(pc.less_equal(values, condition.high))
        return keep
    return _is_one_of(values, condition.values, name)


def _is_one_of(values: pa.Array, wanted: tuple[Any, ...], name: str) -> NDArray[np.bool_]:
    keep = np.zeros(len(values), dtype=bool)
    if None in wanted:
        keep |= np.asarray(pc.is_null(values))
    chosen = [value for value in wanted if value is not None]
    try:
        as_stored = [str(v) if pa.types.is_string(values.type) else v for v in chosen]
        lookup = pa.array(as_stored, values.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
        raise InputError(
            f"column {name!r} holds {values.type}; none of {chosen!r} can be one ({error})"
        ) from error
    return keep | _as_mask(pc.is_in(values, value_set=lookup))


def _as_mask(values: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(values, False), dtype=bool)
