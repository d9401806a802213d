"""Labelled data to simulate on: a demo name, an NPZ of X and y, or a file with a label column."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Descriptions
from plumbline_backend.domain.errors import InputError, did_you_mean

DEMOS = ("digits", "breast_cancer", "wine", "iris")
FEWEST_ITEMS = 10


@dataclass(frozen=True)
class Dataset:
    """x: (n, d) float32, columns standardised or embedded. y: (n,) indices into `classes`."""

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    descriptions: Descriptions | None = None

    def __post_init__(self) -> None:
        wrong = []
        if self.x.ndim != 2 or self.y.shape != self.x.shape[:1]:
            wrong.append(f"X has shape {self.x.shape} and y {self.y.shape}; expected (n, d) and (n,)")
        elif len(self.x) < FEWEST_ITEMS:
            wrong.append(f"{len(self.x)} labelled items; expected at least {FEWEST_ITEMS}")
        if not np.isfinite(self.x).all():
            wrong.append("features hold NaN or infinite values; expected finite numbers")
        if len(self.classes) < 2:
            wrong.append(f"{len(self.classes)} class; expected at least two to tell apart")
        if wrong:
            raise InputError(f"data {self.name!r}: " + "; ".join(wrong))

    def digest(self) -> str:
        """Of features, answers, class names and descriptions, wherever they came from."""
        found = hashlib.sha256(repr((self.x.shape, self.classes)).encode())
        texts = () if self.descriptions is None else (self.descriptions.prompts,)
        for part in (self.x, self.y, *texts):
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()


def load_dataset(data: str, label: str | None = None) -> Dataset:
    """The data behind a demo name or a path. Raises InputError naming what is wrong.

    label: the column with the answers of a CSV, TSV, JSONL or Parquet file; default: the one guessed as label. Items
    without an answer are left out. Files get the features that an import would give them.
    """
    if data in DEMOS:
        return _demo(data)
    path = Path(data)
    if not path.exists():
        raise InputError(f"data: {data!r} is neither a file nor a demo; {did_you_mean(data, DEMOS)}")
    return _npz(path) if path.suffix == ".npz" else _table(path, label)


def from_pool(folder: Path, column: str) -> Dataset:
    """The items of a pool that have an answer in `column`, with the pool's features."""
    from plumbline_backend.pool.pool import Pool
    from plumbline_backend.ranking import describe_classes

    pool = Pool.open(folder)
    answers = np.array(pool.column_values(column, np.arange(pool.n_items)), dtype=object)
    given = np.flatnonzero([value is not None and str(value) != "" for value in answers])
    classes, y = np.unique(answers[given].astype(str), return_inverse=True)
    texts = describe_classes(pool, [(str(c), "") for c in classes])
    x = pool.features.gather(given)
    return Dataset(pool.manifest.name, x, y.astype(np.int64), tuple(map(str, classes)), texts)


def standardised(x: NDArray[Any]) -> NDArray[np.float32]:
    """Columns of mean 0 and deviation 1; constant ones are 0."""
    x = np.asarray(x, dtype=np.float64)
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > 0, spread, np.inf), dtype=np.float32)


def _demo(name: str) -> Dataset:
    from sklearn import datasets  # a second to import

    loaded = getattr(datasets, f"load_{name}")()
    return Dataset(
        name, standardised(loaded.data), loaded.target.astype(np.int64), tuple(map(str, loaded.target_names))
    )


def _npz(path: Path) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in ("X", "y") if key not in archive.files]
            if missing:
                raise InputError(f"{path}: arrays {archive.files}; expected X (n, d) and y (n,)")
            x, answers = archive["X"], archive["y"]
    except (ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable NPZ file of plain arrays: {error}") from error
    if x.dtype.kind not in "fiub" or x.ndim != 2 or answers.ndim != 1 or len(answers) != len(x):
        raise InputError(
            f"{path}: X is {x.dtype} of shape {x.shape}, y of shape {answers.shape}; expected numbers (n, d) and (n,)"
        )
    if not np.isfinite(x).all():
        raise InputError(f"{path}: X holds NaN or infinite values; expected finite numbers")
    classes, y = np.unique(answers, return_inverse=True)
    return Dataset(path.stem, standardised(x), y.astype(np.int64), tuple(map(str, classes)))


def _table(path: Path, label: str | None) -> Dataset:
    """Build a pool in a folder of its own, as an import does, and read features and answers from it."""
    from plumbline_backend.importers import inspect_file
    from plumbline_backend.pool.build import build_pool
    from plumbline_backend.pool.features import fit_features
    from plumbline_backend.pool.pool import Pool

    columns = _with_label(list(inspect_file(path).columns), label, path)
    name = next(c.name for c in columns if c.role == "label")
    with TemporaryDirectory(prefix="plumbline-simulate-") as folder:
        build_pool(path, Path(folder) / "pool", columns, on_problem="refuse")
        fit_features(Pool.open(Path(folder) / "pool"))
        return replace(from_pool(Path(folder) / "pool", name), name=path.stem)


def _with_label(columns: list[Any], label: str | None, path: Path) -> list[Any]:
    names = [c.name for c in columns]
    if label is None:
        found = [c.name for c in columns if c.role == "label"]
        if len(found) != 1:
            raise InputError(
                f"{path}: {len(found)} columns look like labels; name one of {', '.join(names)} by --label"
            )
        return columns
    if label not in names:
        raise InputError(f"--label: {path} has no column {label!r}; {did_you_mean(label, names)}")
    roles = {c.name: "ignore" if c.role == "label" else c.role for c in columns} | {label: "label"}
    return [replace(c, role=roles[c.name]) for c in columns]
