"""Feature sets: which columns go through which transform, fitted on a sample, applied to every item."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline_backend.arrays import load_arrays
from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.pool.files import sync_folder, sync_tree
from plumbline_backend.pool.matrix import FeatureMatrix, MatrixWriter
from plumbline_backend.pool.pool import DEFAULT_FEATURES, FEATURES_FOLDER, Pool
from plumbline_backend.pool.transforms.base import Block, Transform
from plumbline_backend.registry import TRANSFORMS

SAMPLE_ROWS = 50_000
"""Items a transform is fitted on: a mean is then known to 0.5 % of a standard deviation."""

CHUNK_ROWS = 4096

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class FeaturePart:
    """Columns that go through one transform together; `options` are keyword arguments of its class."""

    transform: str
    columns: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-like values."""
        return {"transform": self.transform, "columns": list(self.columns), "options": dict(self.options)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeaturePart:
        """From what `to_dict` gave."""
        return cls(values["transform"], tuple(values["columns"]), dict(values["options"]))


@dataclass(frozen=True)
class FeatureSpec:
    """A feature set: its parts side by side. `seed` draws the sample and starts the decompositions."""

    parts: tuple[FeaturePart, ...]
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-like values."""
        return {"parts": [part.to_dict() for part in self.parts], "seed": self.seed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSpec:
        """From what `to_dict` gave."""
        return cls(tuple(map(FeaturePart.from_dict, values["parts"])), int(values["seed"]))


@dataclass(frozen=True)
class FittedPart:
    """A part with its learned transform, and the half-open range of feature columns it fills."""

    part: FeaturePart
    transform: Transform
    start: int
    stop: int


@dataclass(frozen=True)
class FittedFeatures:
    """A fitted feature set, as a model carries it and an export rebuilds it.

    `notes` tell which parts gave no features (a text column without words, one image).
    """

    spec: FeatureSpec
    parts: tuple[FittedPart, ...]
    notes: tuple[str, ...] = ()

    @property
    def d(self) -> int:
        """Number of features."""
        return self.parts[-1].stop if self.parts else 0

    @property
    def names(self) -> tuple[str, ...]:
        """One name per feature."""
        return tuple(name for fitted in self.parts for name in fitted.transform.feature_names)

    def apply(self, columns: Mapping[str, pa.Array]) -> Block:
        """(n, d) float32 of columns by name, as the pool stores them."""
        blocks = [p.transform.apply([columns[name] for name in p.part.columns]) for p in self.parts]
        return np.concatenate(blocks, axis=1)

    def save(self, folder: Path) -> None:
        """spec.json (spec, names, state per part) and arrays.npz ("<part>.<name>")."""
        states = []
        arrays: dict[str, NDArray[Any]] = {}
        for i, fitted in enumerate(self.parts):
            state, learned = fitted.transform.to_state()
            states.append(
                {
                    **fitted.part.to_dict(),
                    "start": fitted.start,
                    "stop": fitted.stop,
                    "state": state,
                }
            )
            arrays.update({f"{i}.{name}": array for name, array in learned.items()})
        np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        saved = {
            "spec": self.spec.to_dict(),
            "names": list(self.names),
            "parts": states,
            "notes": list(self.notes),
        }
        (folder / "spec.json").write_text(json.dumps(saved, ensure_ascii=False), encoding="utf-8")


def default_spec(pool: Pool, seed: int = 0, chosen: Sequence[FeaturePart] = ()) -> FeatureSpec:
    """Every column by its role: numbers together, each vector, category, text and image column on its own.

    chosen: parts that take the place of what their columns would get. Raises InputError when no column can give
    features.
    """
    taken = {name for part in chosen for name in part.columns}
    numbers = tuple(c.name for c in pool.columns_of("numeric") if c.name not in taken)
    parts = [FeaturePart("numeric", numbers)] if numbers else []
    parts += [FeaturePart("numeric", (c.name,)) for c in pool.columns_of("features") if c.name not in taken]
    parts += [
        FeaturePart(role, (c.name,))
        for role in ("category", "text", "image")
        for c in pool.columns_of(role)
        if c.name not in taken
    ]
    parts += chosen
    if not parts:
        raise InputError(
            f"{pool.manifest.name}: no column to learn from; expected at least one with the role "
            "numeric, features, category, text or image"
        )
    return FeatureSpec(tuple(parts), seed)


def fit_features(
    pool: Pool,
    spec: FeatureSpec | None = None,
    progress: Progress | None = None,
    name: str = DEFAULT_FEATURES,
) -> FittedFeatures:
    """Fit the spec (default: by roles) on a sample and write features/<name>/ for every item.

    A feature set of that name is replaced when the new one is complete. Raises InputError when nothing
    can be learned from the columns.
    """
    chosen = spec if spec is not None else default_spec(pool)
    report = progress or _silent
    fitted = _fit(pool, chosen, report)
    folder = pool.folder / FEATURES_FOLDER / name
    folder.parent.mkdir(exist_ok=True)
    building = folder.with_name(f".{name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.building")
    building.mkdir()
    writer = MatrixWriter(building, fitted.d)
    try:
        for columns in column_chunks(pool, [n for p in fitted.parts for n in p.part.columns]):
            writer.append(fitted.apply(columns))
            report(0.3 + 0.68 * writer.n_rows / max(pool.n_items, 1), f"{writer.n_rows:,} items")
        writer.close()
        fitted.save(building)
        sync_tree(building)
        _replace(building, folder)
    except BaseException:
        writer.close()
        shutil.rmtree(building, ignore_errors=True)
        raise
    pool.__dict__.pop("features", None)
    report(1.0, f"{fitted.d:,} features of {pool.n_items:,} items")
    return fitted


def load_features(pool: Pool, name: str = DEFAULT_FEATURES) -> FittedFeatures:
    """The fitted feature set that belongs to `pool.features_named(name)`. Raises NotFoundError."""
    folder = pool.folder / FEATURES_FOLDER / name
    if not (folder / "spec.json").is_file():
        raise NotFoundError(f"{pool.manifest.name} has no features {name!r} yet; run fit_features first")
    return load_fitted(folder)


def load_fitted(folder: Path) -> FittedFeatures:
    """What `FittedFeatures.save` wrote to `folder`."""
    saved = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    arrays = load_arrays(folder / "arrays.npz")
    parts = []
    for i, entry in enumerate(saved["parts"]):
        mine = {n.partition(".")[2]: a for n, a in arrays.items() if n.startswith(f"{i}.")}
        transform = TRANSFORMS.get(entry["transform"]).from_state(entry["state"], mine)
        part = FeaturePart.from_dict(entry)
        parts.append(FittedPart(part, transform, entry["start"], entry["stop"]))
    return FittedFeatures(FeatureSpec.from_dict(saved["spec"]), tuple(parts), tuple(saved["notes"]))


def column_chunks(pool: Pool, names: Sequence[str], rows: int = CHUNK_ROWS) -> Iterator[dict[str, pa.Array]]:
    """The named columns, vectors included, in order of position and in pieces of at most `rows` items."""
    vectors = {n: pool.matrix(n) for n in names if pool.column_named(n).role == "features"}
    fields = {n: pool.field_of(n) for n in names if n not in vectors}
    for start, batch in pool.scan():
        for offset in range(0, batch.num_rows, rows):
            piece = batch.slice(offset, rows)
            columns = {n: piece.column(field_name) for n, field_name in fields.items()}
            for n, matrix in vectors.items():
                at = np.arange(start + offset, start + offset + piece.num_rows)
                columns[n] = _as_lists(matrix, at)
            yield columns


def columns_at(pool: Pool, names: Sequence[str], positions: NDArray[np.int64]) -> dict[str, pa.Array]:
    """The named columns at `positions`, as the pool stores them."""
    out: dict[str, pa.Array] = {}
    for name in names:
        if pool.column_named(name).role == "features":
            out[name] = _as_lists(pool.matrix(name), positions)
        else:
            out[name] = pool.column_array(name, positions)
    return out


def _fit(pool: Pool, spec: FeatureSpec, report: Progress) -> FittedFeatures:
    rng = np.random.default_rng(spec.seed)
    n_sample = min(SAMPLE_ROWS, pool.n_items)
    positions = np.sort(rng.choice(pool.n_items, n_sample, replace=False)).astype(np.int64)
    parts: list[FittedPart] = []
    notes: list[str] = []
    start = 0
    for i, part in enumerate(spec.parts):
        shown = ", ".join(part.columns[:3]) + (", ..." if len(part.columns) > 3 else "")
        report(0.3 * i / len(spec.parts), f"learning {part.transform} features of {shown}")
        sample = columns_at(pool, part.columns, positions)
        transform = TRANSFORMS.get(part.transform)(**part.options)
        transform.fit([sample[name] for name in part.columns], part.columns, rng)
        width = len(transform.feature_names)
        if width == 0:
            notes.append(f"{part.transform} gives no features for {shown}: nothing varies in it")
            continue
        parts.append(FittedPart(part, transform, start, start + width))
        start += width
    if not parts:
        raise InputError(f"{pool.manifest.name}: no features to learn from; {'; '.join(notes)}")
    return FittedFeatures(spec, tuple(parts), tuple(notes))


def _as_lists(matrix: FeatureMatrix, positions: NDArray[np.int64]) -> pa.Array:
    rows = matrix.gather(positions)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), matrix.d)


def _replace(building: Path, folder: Path) -> None:
    """Put a complete folder in place of another; readers of the old one keep their mappings."""
    if folder.exists():
        old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
        folder.rename(old)
        building.rename(folder)
        shutil.rmtree(old)
    else:
        building.rename(folder)
    sync_folder(folder.parent)


def _silent(fraction: float, message: str) -> None:
    """The progress of someone who does not look."""
