"""Columns of a source to the columns of a pool, by role. Cells that do not fit are named, never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.domain.types import Column

MAX_KEY_LENGTH = 512
"""Characters in an id: it is shown, put in URLs and indexed by the database (Postgres's limit is 2704 bytes)."""

EXACT_INTEGER = 2**53
"""Above it a 64-bit float no longer holds every integer."""

EXACTLY = "a number that a 64-bit float holds exactly; as category or id every digit is kept"

FLOAT32_MAX = float(np.finfo(np.float32).max)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NOT_A_NUMBER = re.compile(r"[+-]?nan", re.ASCII | re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)


class Misfit(NamedTuple):
    """What was wrong with one cell: the sentence for Problem.expected, and the cell as text."""

    expected: str
    value: str | None


class Converted(NamedTuple):
    """A column in its stored type. `bad` maps row indices to what was wrong; those rows hold nulls or zeros."""

    array: pa.Array
    bad: Mapping[int, Misfit]


def convert(array: pa.Array, column: Column) -> Converted:
    """The column as its role stores it.

    id, label, category, text, metadata: string; numeric: int64 or float64 with NaN as null; image: binary;
    features: fixed-size list of float32 with NaN where a number is missing.
    """
    plain = decode_dictionary(array)
    if column.role == "id":
        return _keys(to_text(plain))
    if column.role in ("label", "category"):
        return _without_nul(_empty_as_null(to_text(plain)))
    if column.role == "numeric":
        return _as_stored(to_numbers(plain), stored_type(column))
    if column.role == "features":
        return to_vectors(plain, _width(column.type))
    if column.role == "image":
        return _to_bytes(plain)
    return to_text(plain)


def stored_type(column: Column) -> pa.DataType:
    """The Arrow type that `convert` gives for a column, known before the first row is read."""
    if column.role == "image":
        return pa.binary()
    if column.role == "features":
        return pa.list_(pa.float32(), _width(column.type))
    if column.role == "numeric":
        return pa.int64() if column.type in _INTEGER_TYPES else pa.float64()
    return pa.string()


_INTEGER_TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")


def decode_dictionary(array: pa.Array) -> pa.Array:
    """A dictionary-encoded column as its values; any other column unchanged."""
    if pa.types.is_dictionary(array.type):
        return pc.cast(array, array.type.value_type)
    return array


def to_text(array: pa.Array) -> Converted:
    """Any column as strings: numbers and times in their exact text, nested values as JSON."""
    if pa.types.is_string(array.type):
        return Converted(array, {})
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return _bytes_to_text(array)
    if pa.types.is_nested(array.type) or pa.types.is_duration(array.type):
        cells = [None if cell is None else json_text(cell) for cell in array.to_pylist()]
        return Converted(pa.array(cells, pa.string()), {})
    return Converted(pc.cast(array, pa.string()), {})


def to_numbers(array: pa.Array) -> Converted:
    """Numbers with missing values as null. NaN is missing; infinities and words are misfits."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return Converted(pc.cast(array, pa.int8()).cast(pa.float64()), {})
    if pa.types.is_integer(kind):
        if str(kind) in _INTEGER_TYPES:
            return Converted(pc.cast(array, pa.int64()), {})
        return _checked_floats(pc.cast(array, pa.float64(), safe=False), array)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _checked_floats(pc.cast(array, pa.float64()), array)
    if pa.types.is_timestamp(kind):
        micros = pc.cast(pc.cast(array, pa.timestamp("us", tz=kind.tz), safe=False), pa.int64())
        return Converted(pc.divide(pc.cast(micros, pa.float64(), safe=False), 1e6), {})
    text = to_text(array)
    numbers = _parse_numbers(text.array)
    return Converted(numbers.array, {**numbers.bad, **text.bad})


def to_vectors(array: pa.Array, width: int) -> Converted:
    """Equal-length lists of numbers as (n, width) float32; NaN marks a missing number, a missing list is all NaN."""
    kind = array.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        cells = array.to_pylist()
        bad = {i: Misfit(f"a list of {width} numbers", str(c)) for i, c in enumerate(cells) if c is not None}
        return Converted(_vectors(np.full((len(cells), width), np.nan, np.float32)), bad)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), -1))
    bad = {
        int(i): Misfit(f"a list of {width} numbers", f"{lengths[i]} numbers")
        for i in np.flatnonzero((lengths != width) & (lengths >= 0))
    }
    out = np.full((len(array), width), np.nan, dtype=np.float32)
    fitting = np.flatnonzero(lengths == width)
    flat = (array if len(fitting) == len(array) else array.take(pa.array(fitting))).flatten()
    values = np.asarray(pc.fill_null(pc.cast(flat, pa.float64()), np.nan)).reshape(len(fitting), width)
    too_large = np.isinf(values) | (np.abs(values) > FLOAT32_MAX)
    for i in np.flatnonzero(too_large.any(axis=1)):
        j = int(np.argmax(too_large[i]))
        bad[int(fitting[i])] = Misfit(
            "finite numbers that fit 32-bit floats", f"{values[i, j]} at place {j + 1} of {width}"
        )
    out[fitting] = np.where(too_large, 0.0, values)
    return Converted(_vectors(out), bad)


def json_text(value: Any) -> str:
    """A nested value as JSON text; what JSON has no form for (times, bytes, decimals) as its text."""
    return json.dumps(value, ensure_ascii=False, default=_json_fallback)


def _json_fallback(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _keys(text: Converted) -> Converted:
    bad = dict(text.bad)
    lengths = np.asarray(pc.fill_null(pc.utf8_length(text.array), 0))
    for i in np.flatnonzero(lengths == 0):
        bad.setdefault(int(i), Misfit("an id that is not empty", None))
    for i in np.flatnonzero(lengths > MAX_KEY_LENGTH):
        value = text.array[int(i)].as_py()
        bad[int(i)] = Misfit(f"an id of at most {MAX_KEY_LENGTH} characters, not {lengths[i]}", value)
    return _without_nul(Converted(text.array, bad))


def _without_nul(text: Converted) -> Converted:
    holds_nul = np.asarray(pc.fill_null(pc.match_substring(text.array, "\0"), False))
    bad = dict(text.bad)
    for i in np.flatnonzero(holds_nul):
        bad[int(i)] = Misfit("text without NUL characters", text.array[int(i)].as_py())
    return Converted(text.array, bad)


def _empty_as_null(text: Converted) -> Converted:
    empty = pc.equal(text.array, "")
    return Converted(pc.if_else(empty, pa.scalar(None, pa.string()), text.array), text.bad)


def _bytes_to_text(array: pa.Array) -> Converted:
    try:
        return Converted(pc.cast(array, pa.string()), {})
    except pa.ArrowInvalid:
        cells: list[str | None] = []
        bad: dict[int, Misfit] = {}
        for i, cell in enumerate(array.to_pylist()):
            try:
                cells.append(None if cell is None else cell.decode())
            except UnicodeDecodeError:
                cells.append(None)
                bad[i] = Misfit("text in UTF-8", repr(cell[:40]))
        return Converted(pa.array(cells, pa.string()), bad)


def _to_bytes(array: pa.Array) -> Converted:
    """Images as bytes; a struct with a `bytes` member (as Hugging Face's datasets write) gives that member."""
    if pa.types.is_struct(array.type) and array.type.get_field_index("bytes") >= 0:
        array = pc.struct_field(array, "bytes")
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return Converted(pc.cast(array, pa.binary()), {})
    cells = array.to_pylist()
    bad = {i: Misfit("the bytes of an image", str(cell)) for i, cell in enumerate(cells) if cell is not None}
    return Converted(pa.nulls(len(cells), pa.binary()), bad)


def _as_stored(numbers: Converted, kind: pa.DataType) -> Converted:
    """Numbers in the stored type; integers that a float would round are misfits."""
    if numbers.array.type == kind:
        return numbers
    bad = dict(numbers.bad)
    if pa.types.is_integer(numbers.array.type):
        values = np.asarray(pc.fill_null(numbers.array, 0))
        for i in np.flatnonzero(np.abs(values) > EXACT_INTEGER):
            bad[int(i)] = Misfit(EXACTLY, str(values[i]))
    return Converted(pc.cast(numbers.array, kind, safe=False), bad)


def _checked_floats(values: pa.Array, source: pa.Array) -> Converted:
    numbers = np.asarray(pc.fill_null(values, np.nan))
    bad = {
        int(i): Misfit("a finite number, or nothing where it is unknown", str(source[int(i)].as_py()))
        for i in np.flatnonzero(np.isinf(numbers))
    }
    return Converted(pa.array(numbers, mask=~np.isfinite(numbers)), bad)


def _parse_numbers(text: pa.Array) -> Converted:
    bad: dict[int, Misfit] = {}
    filled = text
    try:
        numbers = np.asarray(pc.fill_null(pc.cast(text, pa.float64()), np.nan))
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(text)
        filled = pc.if_else(pc.equal(pc.fill_null(trimmed, ""), ""), "nan", trimmed)
        try:
            numbers = np.asarray(pc.cast(filled, pa.float64()))
        except pa.ArrowInvalid:
            numbers, bad = _parse_one_by_one(filled.to_pylist())
    for i in np.flatnonzero(np.isinf(numbers)):
        bad[int(i)] = Misfit("a finite number, or nothing where it is unknown", text[int(i)].as_py())
    for i in np.flatnonzero(np.abs(numbers) >= EXACT_INTEGER):
        cell = filled[int(i)].as_py()
        if int(i) not in bad and cell.lstrip("+-").isdigit() and int(cell) != int(numbers[i]):
            bad[int(i)] = Misfit(EXACTLY, cell)
    return Converted(pa.array(numbers, mask=~np.isfinite(numbers)), bad)


def _parse_one_by_one(cells: list[str]) -> tuple[NDArray[np.float64], dict[int, Misfit]]:
    numbers = np.full(len(cells), np.nan)
    bad: dict[int, Misfit] = {}
    for i, cell in enumerate(cells):
        if _NUMBER.fullmatch(cell) or _INFINITE.fullmatch(cell):
            numbers[i] = float(cell)
        elif not _NOT_A_NUMBER.fullmatch(cell):
            bad[i] = Misfit("a number, or nothing where it is unknown", cell)
    return numbers, bad


def _vectors(values: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), max(values.shape[1], 1))


def _width(column_type: str) -> int:
    """The length in a type such as "fixed_size_list<float>[64]"."""
    found = re.search(r"\[(\d+)\]$", column_type)
    return int(found.group(1)) if found else 0
