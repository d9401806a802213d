"""Reads predictions that somebody else's model made, with labels: NPZ, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline_backend.arrays import load_arrays
from plumbline_backend.domain.errors import InputError, shorten
from plumbline_backend.trust.predictions import Predictions, from_logits, from_proba

PREFIXES = {"prob_": "probs", "logit_": "logits"}
LABELS = ("labels", "label")
SIGN_PREFIX = "label_"
_EXPECTED = (
    "expected NPZ with probs or logits (n, K) and labels (n,), or CSV or Parquet with a column label and "
    "one column prob_CLASS or logit_CLASS for each class (label_CLASS of 0 and 1 for several classes an item)"
)


def read_predictions(path: Path) -> Predictions:
    """The predictions of a file; its other columns (NPZ: arrays of length n) become slices.

    Labels are class indices from 0, or the classes' names; NPZ may name the classes in `classes`, and hold labels
    (n, K) of 0 and 1 for a multi-label question, as tables do in columns label_CLASS. Text is read as it stands: a
    class named NA stays one.
    Raises InputError naming file, what was found and what was expected.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; {_EXPECTED}")
    readers = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path.name}: the ending is {path.suffix!r}; {_EXPECTED}")
    try:
        return reader(path)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def _npz(path: Path) -> Predictions:
    try:
        arrays = load_arrays(path)
    except (ValueError, OSError, BadZipFile, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot be read as NPZ without pickles ({reason}); {_EXPECTED}") from error
    given = [name for name in ("probs", "logits") if name in arrays]
    if len(given) != 1 or "labels" not in arrays:
        raise InputError(f"found the arrays {', '.join(map(repr, arrays)) or 'none'}; {_EXPECTED}")
    scores, labels = arrays[given[0]], arrays["labels"]
    if scores.ndim != 2 or scores.dtype.kind not in "fiu":
        raise InputError(
            f"{given[0]} have shape {scores.shape} and type {scores.dtype}; expected numbers (n, K)"
        )
    names = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else None
    if names is not None and len(names) != scores.shape[1]:
        raise InputError(f"classes: found {len(names)} names; expected {scores.shape[1]}, one per column")
    rest = {n: a for n, a in arrays.items() if n not in (given[0], "labels", "classes")}
    slices = {n: a.astype(str) for n, a in rest.items() if a.ndim == 1 and len(a) == len(scores)}
    if labels.ndim == 1:
        labels = _indices(labels, names, scores.shape[1])
    return _built(path, given[0], scores, labels, names, slices)


def _csv(path: Path) -> Predictions:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read as CSV in UTF-8 ({str(error).splitlines()[0]}); {_EXPECTED}"
        ) from error
    return _table(path, table)


def _parquet(path: Path) -> Predictions:
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"cannot be read as Parquet ({str(error).splitlines()[0]}); {_EXPECTED}") from error
    return _table(path, table)


def _table(path: Path, table: pd.DataFrame) -> Predictions:
    columns = [str(column) for column in table.columns]
    table.columns = pd.Index(columns)
    label = [column for column in columns if column in LABELS]
    by_kind = {kind: [c for c in columns if c.startswith(prefix)] for prefix, kind in PREFIXES.items()}
    given = [kind for kind, found in by_kind.items() if found]
    signs = [column for column in columns if column.startswith(SIGN_PREFIX)]
    if len(label) + bool(signs) != 1 or len(given) != 1:
        raise InputError(f"found the columns {shorten(', '.join(map(repr, columns)))}; {_EXPECTED}")
    own = by_kind[given[0]]
    if len(own) < 2:
        raise InputError(f"found one column {own[0]!r}; expected a column for each of at least two classes")
    names = tuple(column.partition("_")[2] for column in own)
    scores = np.stack([_numbers(table[column], column) for column in own], axis=1)
    labels = _signs(table, names) if signs else _indices(table[label[0]].to_numpy(), names, len(names))
    used = {*own, *label, *signs}
    slices = {c: table[c].astype(str).to_numpy() for c in columns if c not in used}
    return _built(path, given[0], scores, labels, names, slices)


def _signs(table: pd.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64]:
    """(n, K) of what the columns label_CLASS say; that they are 0 and 1 is checked with the probabilities."""
    missing = [name for name in names if SIGN_PREFIX + name not in table.columns]
    if missing:
        raise InputError(
            f"found no column {SIGN_PREFIX + missing[0]!r}; expected one with 0 or 1 for each of {len(names)} classes"
        )
    return np.stack([_numbers(table[SIGN_PREFIX + name], SIGN_PREFIX + name) for name in names], axis=1)


def _numbers(column: pd.Series[Any], name: str) -> NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.isnan(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"row {row + 1}, column {name!r}: found {str(column.iloc[row])!r}; expected a number"
        )
    return numbers


def _indices(labels: NDArray[Any], names: tuple[str, ...] | None, n_classes: int) -> NDArray[np.int64]:
    """Class indices from names, or from whole numbers."""
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    text = np.array([str(value) for value in labels])
    index = {name: k for k, name in enumerate(names or ())}
    if all(value in index for value in set(text.tolist())):
        return np.array([index[value] for value in text], dtype=np.int64)
    whole = np.array([value.removesuffix(".0").isdecimal() for value in text], dtype=bool)
    if not whole.all():
        row = int(np.flatnonzero([v not in index and not w for v, w in zip(text, whole, strict=True)])[0])
        valid = ", ".join(names[:8]) if names else "class names are unknown"
        raise InputError(
            f"label of row {row + 1} is {shorten(str(text[row]))!r}; expected a class name ({valid}) or an index "
            f"from 0 to {n_classes - 1}"
        )
    return np.array([int(value.removesuffix(".0")) for value in text], dtype=np.int64)


def _built(
    path: Path,
    kind: str,
    scores: NDArray[Any],
    labels: NDArray[Any],
    names: tuple[str, ...] | None,
    slices: Mapping[str, NDArray[Any]],
) -> Predictions:
    if not len(scores):
        raise InputError("found 0 rows; expected at least one")
    if len(labels) != len(scores):
        raise InputError(f"found {len(labels)} labels for {len(scores)} rows; expected as many")
    make = from_proba if kind == "probs" else from_logits
    return make(path.stem, scores, labels, names, slices)
