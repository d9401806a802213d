"""Guessing what a column is for. Every guess comes with its reason and is the person's to correct."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plumbline_backend.domain.errors import shorten
from plumbline_backend.domain.types import Column, ColumnRole
from plumbline_backend.importers.convert import decode_dictionary, to_numbers, to_text

N_EXAMPLES = 5

MAX_CLASSES = 50
"""More different values than this are not proposed as label or category: nobody answers with 50 buttons."""

TEXT_LENGTH = 40
"""Mean characters above which a column reads as text: titles and sentences are longer, codes shorter."""

MOSTLY = 0.9
"""From this share of numbers on, a column is taken for measurements with some words in between."""

FEW_ROWS = 20
"""In so few rows even classes may all differ; then the name alone speaks."""

_ID_NAME = re.compile(
    r"(?:^|[_\s.-])(?:ids?|keys?|uuid|guid|objid|identifier)$|^(?:id|key|index|path|file|filename)$", re.I
)
_CAMEL_ID = re.compile(r"[a-z](?:Id|ID|Key)$")
_LABEL_NAME = re.compile(
    r"^(?:label|labels|class|classes|target|y|category|digit|species|intent|sentiment|gold|truth|answer)$"
    r"|(?:^|[_\s.-])(?:label|class|target)$",
    re.I,
)
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_IMAGE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def guess_columns(sample: pa.Table, n_sampled_all: bool) -> tuple[Column, ...]:
    """A column description with role and reason for every column of a sample of rows.

    n_sampled_all: whether the sample is the whole file (a unique column of a part may still repeat).
    At most one column becomes the id and one the label: the first that fits.
    """
    guesses = [_guess(name, sample.column(i).combine_chunks()) for i, name in enumerate(sample.column_names)]
    named_best = [c for c in guesses if c.role == "id" and c.name.lower() in ("id", "key")]
    if named_best:
        guesses = [_not_id(c) if c.role == "id" and c is not named_best[0] else c for c in guesses]
    guesses = _one_of_a_kind(guesses, "id", "metadata", "another column is the id already")
    guesses = _one_of_a_kind(guesses, "label", "category", "another column is the label already")
    if n_sampled_all:
        return tuple(guesses)
    suffix = f" (in the first {sample.num_rows:,} rows)"
    return tuple(_with(column, reason=column.reason + suffix) for column in guesses)


def _guess(name: str, array: pa.Array) -> Column:
    values = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    values = decode_dictionary(values)
    role, reason, kind = _role(name, values)
    return Column(name, kind, role, reason, _examples(values), _n_missing(values))


def _role(name: str, values: pa.Array) -> tuple[ColumnRole, str, str]:
    kind = values.type
    if pa.types.is_nested(kind):
        return _nested_role(values)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _binary_role(values)
    present = values.drop_null()
    text = to_text(present).array
    text = text.filter(pc.not_equal(text, ""))
    if len(text) == 0:
        return "ignore", "every value is missing", "string" if pa.types.is_string(kind) else str(kind)
    n_different = pc.count_distinct(text).as_py()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text_role(name, text, len(values), n_different)
    if (
        pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
        or pa.types.is_duration(kind)
    ):
        return "metadata", "holds times", str(kind)
    if pa.types.is_boolean(kind):
        return ("label" if _LABEL_NAME.search(name) else "category"), "true or false", "string"
    if pa.types.is_integer(kind):
        return _integer_role(name, values, n_different)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        if _LABEL_NAME.search(name) and n_different <= MAX_CLASSES:
            return "label", f"named like a label, {_values(n_different)}", "string"
        return "numeric", "numbers", "double"
    return "metadata", f"holds {kind}", str(kind)


def _text_role(name: str, text: pa.Array, n_rows: int, n_different: int) -> tuple[ColumnRole, str, str]:
    unique = n_different == len(text) == n_rows
    mean_length = float(pc.mean(pc.utf8_length(text)).as_py())
    if unique and _is_id_name(name) and mean_length <= 200:
        return "id", "named like an id, every value is different", "string"
    repeats = n_different < len(text) or len(text) <= 2
    if _LABEL_NAME.search(name) and (repeats or n_rows <= FEW_ROWS) and n_different <= MAX_CLASSES:
        return "label", f"named like a label, {_values(n_different)}", "string"
    numeric = _numeric_reason(text)
    if numeric is None:
        return "numeric", "every value that is there is a number", "double"
    if _all_numbers(text):
        role: ColumnRole = "id" if unique and _is_id_name(name) else "metadata"
        if repeats and n_different <= MAX_CLASSES:
            role = "category"
        return role, numeric, "string"
    mostly = _mostly_numbers(text)
    if mostly:
        return "metadata", mostly, "string"
    spaced = float(pc.mean(pc.cast(pc.match_substring(text, " "), pa.float64())).as_py())
    is_wordy = mean_length >= TEXT_LENGTH or spaced >= 0.5
    is_common = n_different <= len(text) / 2 and mean_length <= 2 * TEXT_LENGTH
    if n_different <= MAX_CLASSES and (is_common or (repeats and not is_wordy)):
        return "category", f"{_values(n_different)}; {numeric}", "string"
    if is_wordy:
        return "text", f"{mean_length:.0f} characters on average", "string"
    if unique:
        return "metadata", "short and different in every row", "string"
    return "category", f"{n_different} different short values", "string"


def _integer_role(name: str, values: pa.Array, n_different: int) -> tuple[ColumnRole, str, str]:
    unique = n_different == len(values) and values.null_count == 0
    if unique and _is_id_name(name):
        return "id", "named like an id, every value is different", "string"
    if _LABEL_NAME.search(name) and n_different <= MAX_CLASSES and (not unique or len(values) <= FEW_ROWS):
        return "label", f"named like a label, {_values(n_different)}", "string"
    largest = max(abs(value) for value in (pc.min(values).as_py(), pc.max(values).as_py()))
    if largest > 2**53:
        return "metadata", "integers with more digits than a float keeps", "string"
    return "numeric", "whole numbers", "int64"


def _binary_role(values: pa.Array) -> tuple[ColumnRole, str, str]:
    first = next((value.as_py() for value in values if value.is_valid), None)
    if first is None:
        return "ignore", "every value is missing", "binary"
    if first.startswith(_IMAGE_STARTS) or first[8:12] == b"WEBP":
        return "image", "holds images", "binary"
    if to_text(values).bad:
        return "ignore", "bytes that are neither text nor an image", "string"
    return "metadata", "text as bytes", "string"


def _nested_role(values: pa.Array) -> tuple[ColumnRole, str, str]:
    kind = values.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        member = pc.struct_field(values, "bytes")
        if pa.types.is_binary(member.type) or pa.types.is_large_binary(member.type):
            return _binary_role(member)
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list and _holds_numbers(kind.value_type):
        lengths = pc.unique(pc.list_value_length(values.drop_null())).to_pylist()
        if len(lengths) == 1 and lengths[0] > 0:
            width = lengths[0]
            return "features", f"a vector of {width} numbers in every row", f"fixed_size_list<float>[{width}]"
        if lengths:
            return (
                "metadata",
                f"lists of {min(lengths)} to {max(lengths)} numbers, kept as JSON text",
                "string",
            )
    return "metadata", "nested values, kept as JSON text", "string"


def _holds_numbers(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _numeric_reason(text: pa.Array) -> str | None:
    """None when every text is a number that a float keeps; otherwise why the column is not numeric."""
    numbers = to_numbers(text)
    if numbers.bad:
        row, misfit = min(numbers.bad.items())
        if "exactly" in misfit.expected:
            return f"numbers with more digits than a float keeps, such as {shorten(str(misfit.value), 30)!r}"
        if all("finite" in found.expected for found in numbers.bad.values()):
            return None
        return f"not all are numbers, such as {shorten(str(text[row].as_py()), 30)!r}"
    if numbers.array.null_count == len(text):
        return "every value says that it is not a number"
    coded = pc.fill_null(pc.match_substring_regex(text, "^[+-]?0[0-9]"), False)
    if pc.any(coded).as_py():
        example = text.filter(coded)[0].as_py()
        return f"codes with leading zeros, such as {shorten(example, 30)!r}, which numbers would lose"
    return None


def _mostly_numbers(text: pa.Array) -> str:
    """What to say of a column of numbers with a few words in it; empty when it is no such column."""
    bad = to_numbers(text).bad
    if not bad or len(bad) > (1 - MOSTLY) * len(text):
        return ""
    example = shorten(str(text[min(bad)].as_py()), 30)
    n_numbers = len(text) - len(bad)
    return f"{n_numbers} of {len(text)} are numbers, but not {example!r}; read as numeric, such rows are left out"


def _values(n: int) -> str:
    return "one value" if n == 1 else f"{n} different values"


def _all_numbers(text: pa.Array) -> bool:
    return all("exactly" in misfit.expected for misfit in to_numbers(text).bad.values())


def _is_id_name(name: str) -> bool:
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))


def _examples(values: pa.Array) -> tuple[str, ...]:
    if (
        pa.types.is_binary(values.type)
        or pa.types.is_large_binary(values.type)
        or pa.types.is_nested(values.type)
    ):
        return ()
    shown: list[str] = []
    for value in values.drop_null()[: 20 * N_EXAMPLES].to_pylist():
        text = shorten(str(value))
        if text and text not in shown:
            shown.append(text)
        if len(shown) == N_EXAMPLES:
            break
    return tuple(shown)


def _n_missing(values: pa.Array) -> int:
    if pa.types.is_string(values.type):
        return int(values.null_count + np.asarray(pc.fill_null(pc.equal(values, ""), False)).sum())
    return int(values.null_count)


def _not_id(column: Column) -> Column:
    return _with(column, role="metadata", reason=f"{column.reason}; another column is the id already")


def _one_of_a_kind(
    columns: Sequence[Column], role: ColumnRole, instead: ColumnRole, why: str
) -> list[Column]:
    found = False
    out = []
    for column in columns:
        if column.role == role and found:
            column = _with(column, role=instead, reason=f"{column.reason}; {why}")
        found = found or column.role == role
        out.append(column)
    return out


def _with(column: Column, **changes: object) -> Column:
    return Column(**{**column.__dict__, **changes})
