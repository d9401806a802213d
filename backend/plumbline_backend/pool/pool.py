"""The pool: items by position or key, columns in order, images, search, features. Read-only once built."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.types import Column, Item
from plumbline_backend.pool.fields import KEY_FIELD, FieldStore
from plumbline_backend.pool.image_check import view
from plumbline_backend.pool.keys import KeyIndex
from plumbline_backend.pool.manifest import Manifest, load_manifest
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.pool.search import Page, Search

FEATURES_FOLDER = "features"
DEFAULT_FEATURES = "default"


class Pool:
    """One imported pool on disk. Opening maps files and reads the manifest only; safe for many threads."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._fields = FieldStore(folder / "fields", manifest.batch_rows)
        self._keys = KeyIndex(folder / "keys", self.key)
        self._whole = frozenset(manifest.whole_numbers)
        self._search = Search(self)

    @classmethod
    def open(cls, folder: str | Path) -> Pool:
        """The pool at `folder`. Raises NotFoundError where there is none."""
        place = Path(folder)
        return cls(place, load_manifest(place))

    @property
    def n_items(self) -> int:
        """How many items there are; positions run from 0 to n_items - 1."""
        return self.manifest.n_items

    def __len__(self) -> int:
        return self.n_items

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that were kept, in the order of the source."""
        return self.manifest.columns

    @property
    def data_hash(self) -> str:
        """SHA-256 over the data files, as hex."""
        return self.manifest.data_hash

    @property
    def n_batches_read(self) -> int:
        """Record batches opened for random access so far (the counted work of item access)."""
        return self._fields.n_batches_read

    def columns_of(self, *roles: str) -> tuple[Column, ...]:
        """The columns with one of the roles."""
        return tuple(column for column in self.columns if column.role in roles)

    def column_named(self, name: str) -> Column:
        """The column called `name`. Raises NotFoundError with the nearest name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotFoundError(
            f"column {name!r} does not exist; {did_you_mean(name, [c.name for c in self.columns])}"
        )

    def item(self, position: int) -> Item:
        """The item at `position`. Raises InputError outside [0, n_items)."""
        return self.items([position])[0]

    def items(self, positions: Sequence[int] | NDArray[Any]) -> list[Item]:
        """The items at `positions`, in their order. Images and feature vectors are not among the fields."""
        shown = [(c, self._field_of(c)) for c in self.columns if c.role not in ("image", "features")]
        out: list[Item | None] = [None] * len(positions)
        for located in self._fields.locate(positions):
            keys = located.batch.column(0)
            columns = [(c.name, located.batch.column(field)) for c, field in shown]
            for row, place in zip(located.rows.tolist(), located.order.tolist(), strict=True):
                fields = {name: self._plain(name, values[row].as_py()) for name, values in columns}
                out[place] = Item(int(positions[place]), keys[row].as_py(), fields)
        return [item for item in out if item is not None]

    def key(self, position: int) -> str:
        """The key of the item at `position`. Raises InputError outside [0, n_items)."""
        return self.keys([position])[0]

    def keys(self, positions: Sequence[int] | NDArray[Any]) -> list[str]:
        """The keys of the items at `positions`, in their order."""
        return self._values(KEY_FIELD, positions)

    def position(self, key: str) -> int:
        """The position of the item with this key. Raises NotFoundError when there is none."""
        found = self._keys.position(key)
        if found is None:
            raise NotFoundError(f"no item has the key {key!r}")
        return found

    def column(self, name: str) -> Iterator[pa.Array]:
        """The column's values in order of position, one Arrow array per record batch.

        Feature columns come as float32 fixed-size lists. Raises NotFoundError for an unknown name.
        """
        column = self.column_named(name)
        if column.role == "features":
            for _, rows in self.matrix(name).chunks(4096):
                yield pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
            return
        field = self._field_of(column)
        for _, batch in self._fields.scan():
            yield batch.column(field)

    def column_values(self, name: str, positions: Sequence[int] | NDArray[Any]) -> list[Any]:
        """The column's values at `positions`, in their order; None where missing."""
        column = self.column_named(name)
        if column.role == "features":
            return list(self.matrix(name).gather(positions))
        return [self._plain(name, value) for value in self._values(self._field_of(column), positions)]

    def column_array(self, name: str, positions: Sequence[int] | NDArray[Any]) -> pa.Array:
        """The column's values at `positions`, in their order, as one Arrow array in the stored type."""
        field = self._field_of(self.column_named(name))
        parts, order = [], []
        for located in self._fields.locate(positions):
            parts.append(located.batch.column(field).take(pa.array(located.rows)))
            order.append(located.order)
        if not parts:
            return next(self.column(name)).slice(0, 0)
        return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(order))))

    def value_counts(self, name: str) -> dict[str, int]:
        """How often each text value of a column occurs, most frequent first, missing values left out.

        Raises InputError for columns that are not text.
        """
        counts: dict[str, int] = {}
        for values in self.column(name):
            if not pa.types.is_string(values.type):
                raise InputError(
                    f"column {name!r} holds {values.type}; expected a column of text, labels or categories"
                )
            for pair in pc.value_counts(pc.drop_null(values)).to_pylist():
                counts[pair["values"]] = counts.get(pair["values"], 0) + pair["counts"]
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def image(self, position: int, column: str | None = None) -> tuple[bytes, str]:
        """(bytes, mime type) of an item's image as a browser shows it; PNG or JPEG.

        column: the first image column unless named. Raises NotFoundError where there is no image.
        """
        columns = self.columns_of("image")
        if column is None and not columns:
            raise NotFoundError(f"{self.manifest.name} has no image column")
        name = columns[0].name if column is None else column
        if self.column_named(name).role != "image":
            raise InputError(
                f"column {name!r} is not an image; {did_you_mean(name, [c.name for c in columns])}"
            )
        data = self.column_values(name, [position])[0]
        if data is None:
            raise NotFoundError(f"item {position} has no image in column {name!r}")
        return view(data)

    def search(
        self,
        text: str = "",
        filters: Mapping[str, Any] | None = None,
        offset: int = 0,
        limit: int = 50,
        within: NDArray[np.int64] | None = None,
    ) -> Page:
        """Positions of the items that match, in order of position; see `pool.search` for the filters."""
        return self._search.run(text, filters or {}, offset, limit, within)

    def matrix(self, name: str) -> FeatureMatrix:
        """The vectors of a column with role features, as imported. Raises NotFoundError."""
        column = self.column_named(name)
        kind, _, folder = self.manifest.storage[column.name].partition(":")
        if kind != "matrix":
            raise NotFoundError(f"column {name!r} holds no vectors; it has the role {column.role}")
        width = self.manifest.matrix_width[name]
        return FeatureMatrix(self.folder / "matrices" / folder, [f"{name}[{i}]" for i in range(width)])

    def features_named(self, name: str = DEFAULT_FEATURES) -> FeatureMatrix:
        """A fitted feature set. Raises NotFoundError when `fit_features` has not been run for it."""
        folder = self.folder / FEATURES_FOLDER / name
        spec = folder / "spec.json"
        if not spec.is_file():
            raise NotFoundError(f"{self.manifest.name} has no features {name!r} yet; run fit_features first")
        return FeatureMatrix(folder, json.loads(spec.read_text(encoding="utf-8"))["names"])

    @property
    def has_features(self) -> bool:
        """Whether the default feature set has been fitted."""
        return (self.folder / FEATURES_FOLDER / DEFAULT_FEATURES / "spec.json").is_file()

    @cached_property
    def features(self) -> FeatureMatrix:
        """The default feature set; raises NotFoundError until it has been fitted."""
        return self.features_named()

    def scan(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(position of the first row, record batch) in order; columns by `field_of`."""
        return self._fields.scan()

    def field_of(self, name: str) -> str:
        """The Arrow field that stores a column. Raises InputError for a column of vectors."""
        return self._field_of(self.column_named(name))

    def _field_of(self, column: Column) -> str:
        kind, _, field = self.manifest.storage[column.name].partition(":")
        if kind != "fields":
            raise InputError(f"column {column.name!r} holds vectors; expected a column of single values")
        return field

    def _values(self, field: str, positions: Sequence[int] | NDArray[Any]) -> list[Any]:
        out: list[Any] = [None] * len(positions)
        for located in self._fields.locate(positions):
            values = located.batch.column(field)
            for row, place in zip(located.rows.tolist(), located.order.tolist(), strict=True):
                out[place] = values[row].as_py()
        return out

    def _plain(self, name: str, value: Any) -> Any:
        """Floats of a column that holds only whole numbers are shown as integers."""
        return int(value) if name in self._whole and isinstance(value, float) else value
