"""What is learned about a column while it is written: missing values, examples, look-alike labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline_backend.domain.errors import shorten
from plumbline_backend.domain.types import Column

N_EXAMPLES = 5
MAX_COUNTED_LABELS = 10_000
"""Different labels looked at for twins; a column with more of them is not a set of classes."""


class ColumnTally:
    """Counts over the rows that were kept."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._n_missing = 0
        self._examples: list[str] = []
        self._labels: set[str] = set()
        self.is_whole = column.role == "numeric" and column.type not in ("float", "halffloat")

    def add(self, values: pa.Array) -> None:
        """Count one batch in its stored type."""
        if pa.types.is_fixed_size_list(values.type):
            self.is_whole = False
            self._n_missing += int(np.isnan(np.asarray(values.flatten())).sum())
            return
        self._n_missing += values.null_count
        if self.is_whole and pa.types.is_floating(values.type):
            numbers = np.asarray(pc.drop_null(values))
            self.is_whole = bool(np.all(numbers == np.floor(numbers)))
        if pa.types.is_binary(values.type):
            return
        if self._column.role == "label" and len(self._labels) < MAX_COUNTED_LABELS:
            self._labels.update(pc.unique(pc.drop_null(values)).to_pylist())
        if len(self._examples) < N_EXAMPLES:
            for value in pc.drop_null(values)[: 10 * N_EXAMPLES].to_pylist():
                text = shorten(str(value))
                if text not in self._examples and len(self._examples) < N_EXAMPLES:
                    self._examples.append(text)

    def column(self) -> Column:
        """The column with what was counted."""
        examples = tuple(self._examples) or self._column.examples
        return replace(self._column, n_missing=self._n_missing, examples=examples)

    def notes(self) -> list[str]:
        """Sentences a person should see: missing numbers, labels that differ only by case or white space."""
        found = []
        if self._n_missing and self._column.role in ("numeric", "features"):
            found.append(
                f"column {self._column.name!r}: {self._n_missing:,} missing numbers (empty or NaN); "
                "they are filled with the median in the features"
            )
        twins: dict[str, list[str]] = {}
        for label in sorted(self._labels):
            twins.setdefault(" ".join(label.casefold().split()), []).append(label)
        found += [
            f"column {self._column.name!r}: the labels {', '.join(map(repr, same))} differ only by case or "
            "white space; they are kept apart and can be merged later"
            for same in twins.values()
            if len(same) > 1
        ]
        if self._column.role == "label" and len(self._labels) == 1:
            found.append(
                f"column {self._column.name!r}: every label is {next(iter(self._labels))!r}; "
                "a classifier needs at least two classes"
            )
        return found
