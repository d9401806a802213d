"""Classify items with the exported model. Needs only onnxruntime and numpy (see requirements.txt).

    python predict.py INPUT.csv -o OUT.csv

INPUT: .csv, .tsv, .jsonl, .npz (one array per column), or .npy for a model with one input or only numbers.
OUT: CSV with the row, the class, its probability, and the probability of every class; where an item may carry
several classes: those of probability 0.5 or more, and the largest probability. A refused item is "none of these".
Pictures: uint8 arrays (.npy, .npz) as model_card.md says, or file names in a column when Pillow is installed.
Sentence embeddings: vectors as model_card.md says, or the texts when sentence-transformers is installed.

From Python: `Classifier(folder).predict({"column": values})` gives class ids and probabilities.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

ROWS_PER_BATCH = 256
"""Text counts are dense inside the model: 256 rows of 20,000 terms are 40 MB."""
CHARACTERS_PER_RUN = 4_000_000
"""At most half as many words, of 32 bytes each: 64 MB. One longer text runs alone."""
NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
ARRAY_ERRORS = (ValueError, EOFError, OSError, TypeError, AttributeError, zipfile.BadZipFile)
FLOAT32_MAX = float(np.finfo(np.float32).max)
RUNNABLE = tuple("=+-@＝＋－＠\t\r\n")


class InputError(ValueError):
    """The input cannot be used; the message names file, row and column."""


class Described(str):
    """What was found, in words: shown without quotes."""

    __repr__ = str.__str__


class Prediction(NamedTuple):
    """(n,) likeliest, (n, n_classes) in the order of `classes`, (n,) whether of no class: None without such a rule."""

    class_id: np.ndarray
    proba: np.ndarray
    none_of_these: np.ndarray | None = None
    out_of_scope_score: np.ndarray | None = None


class Classifier:
    """The model of an export folder."""

    def __init__(self, folder: str | Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(Path(folder) / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        properties = self._session.get_modelmeta().custom_metadata_map
        self.schema: dict[str, Any] = json.loads(properties["plumbline.schema"])
        self.inputs: list[dict[str, Any]] = [
            {**each, "folder": str(folder)} for each in self.schema["inputs"]
        ]
        self.columns: list[str] = [each["column"] for each in self.inputs]
        self.classes: list[dict[str, str]] = self.schema["classes"]

    def predict(self, columns: Mapping[str, Any], where: str = "input", first_row: int = 1) -> Prediction:
        """Classify n items. columns: per column n values: numbers (NaN or None: missing), text, or arrays.

        Raises InputError that names `where`, the row (counted from `first_row`) and the column.
        """
        feed = {}
        for each in self.inputs:
            if each["column"] not in columns:
                raise InputError(_no_column(where, each["column"], columns))
            place = Place(where, each["column"], first_row)
            feed[each["name"]] = CONVERTERS[each["kind"]](columns[each["column"]], each, place)
        sizes = {name: len(array) for name, array in feed.items()}
        if len(set(sizes.values())) > 1:
            raise InputError(
                f"{where}: columns of different lengths {sizes}; expected one value per row in each"
            )
        if not next(iter(sizes.values())):
            kinds: Any = ((0,), "O"), ((0, len(self.classes)), "f4"), ((0,), "?"), ((0,), "f8")
            return Prediction(*(np.empty(*kind) for kind in kinds[: len(self._session.get_outputs())]))
        runs = [
            self._session.run(None, {name: array[rows] for name, array in feed.items()})
            for rows in _portions([array for array in feed.values() if array.dtype == object])
        ]
        return Prediction(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))


def _portions(texts: list[np.ndarray]) -> Iterator[slice]:
    """Runs of rows whose number times their longest text is bounded: the model pads rows to the longest."""
    if not texts:
        yield slice(None)
        return
    lengths = [max(len(array[i, 0]) for array in texts) for i in range(len(texts[0]))]
    start = longest = 0
    for i, length in enumerate(lengths):
        longest = max(longest, length)
        if i > start and (i + 1 - start) * longest > CHARACTERS_PER_RUN:
            yield slice(start, i)
            start, longest = i, length
    yield slice(start, len(lengths))


class Place(NamedTuple):
    """Where a value came from, for messages."""

    file: str
    column: str
    first_row: int

    def refuse(self, index: int, found: Any, expected: str) -> InputError:
        """The error for the value at `index` of the present batch."""
        return InputError(
            f"{self.file}, row {self.first_row + index}, column {self.column!r}: found {_short(found)}; "
            f"expected {expected}"
        )


def _numbers(values: Any, _schema: Mapping[str, Any], place: Place) -> np.ndarray:
    """(n, 1) float32; missing (None, NaN, empty text) is NaN; beyond float32 is its largest number."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub" and values.ndim == 1:
        numbers = values.astype(np.float64)
    else:
        numbers = np.array([_number(v, i, place) for i, v in enumerate(values)], dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise place.refuse(
            int(infinite[0]), values[infinite[0]], "a finite number, or nothing where it is missing"
        )
    return np.clip(numbers, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32).reshape(-1, 1)


def _number(value: Any, index: int, place: Place) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return float("nan")
        if not NUMBER.fullmatch(text):
            raise place.refuse(index, value, "a number, or nothing where it is missing")
        return float(text)
    if isinstance(value, (int, float, np.number, np.bool_)):
        try:
            return float(value)
        except OverflowError as error:
            raise place.refuse(index, value, "a number that float64 can hold") from error
    raise place.refuse(index, value, "a number, or nothing where it is missing")


def _texts(values: Any, _schema: Mapping[str, Any], place: Place) -> np.ndarray:
    """(n, 1) text; missing (None, NaN) is empty text."""
    return np.array([_text(v, i, place) for i, v in enumerate(values)], dtype=object).reshape(-1, 1)


def _text(value: Any, index: int, place: Place) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, (dict, list, np.ndarray)):
        raise place.refuse(index, value, "text")
    if isinstance(value, (float, np.floating)):
        raise place.refuse(index, value, "text; put numbers in quotes, written as in the training data")
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise place.refuse(
            index, text, "text that UTF-8 can carry (this holds half a surrogate pair)"
        ) from error
    return text


def _vectors(values: Any, schema: Mapping[str, Any], place: Place) -> np.ndarray:
    """(n, d) float32; NaN where a number is missing."""
    width = schema["shape"][0]
    expected = f"{width} numbers" + (", as [1.5, 2, ...]" if not isinstance(values, np.ndarray) else "")
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        rows = values.reshape(len(values), -1) if values.size else np.empty((0, width))
        if rows.shape[1] != width:
            raise place.refuse(0, Described(f"{rows.shape[1]} numbers"), expected)
    else:
        rows = np.array(
            [_vector(v, i, width, expected, place) for i, v in enumerate(values)], dtype=np.float64
        )
        rows = rows.reshape(-1, width)
    with np.errstate(over="ignore"):
        short = rows.astype(np.float32)
    bad = np.flatnonzero(np.isinf(short).any(axis=1))
    if len(bad):
        found = rows[bad[0]][np.isinf(short[bad[0]])][0]
        raise place.refuse(int(bad[0]), float(found), "finite numbers that fit 32-bit floats")
    return short


def _vector(value: Any, index: int, width: int, expected: str, place: Place) -> list[float]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise place.refuse(index, value, expected) from error
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != width:
        raise place.refuse(index, value, expected)
    return [_number(each, index, place) for each in value]


def _embeddings(values: Any, schema: Mapping[str, Any], place: Place) -> np.ndarray:
    """(n, d) float32: vectors as they are, texts as the model of the training sees them."""
    width = schema["shape"][0]
    if any(_is_vector(value, width) for value in values):
        return _vectors(values, schema, place)
    texts = _texts(values, schema, place).reshape(-1).tolist()
    if not texts:
        return np.empty((0, width), dtype=np.float32)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise place.refuse(
            0,
            texts[0],
            f"{width} numbers, as [1.5, 2, ...], that the model {schema['model']} makes of the text "
            "(see model_card.md); to read the texts themselves, install sentence-transformers",
        ) from error
    encoder = Path(schema["folder"], schema["encoder"]) if schema["encoder"] else schema["model"]
    if str(encoder) not in ENCODERS:
        ENCODERS[str(encoder)] = SentenceTransformer(str(encoder), device="cpu")
    unit = ENCODERS[str(encoder)].encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return np.nan_to_num(np.asarray(unit, dtype=np.float32) * np.float32(width**0.5))


ENCODERS: dict[str, Any] = {}


def _is_vector(value: Any, width: int) -> bool:
    if not isinstance(value, str):
        return isinstance(value, (list, tuple, np.ndarray, np.number))
    return value.lstrip().startswith("[") and value.count(",") == width - 1


def _pictures(values: Any, schema: Mapping[str, Any], place: Place) -> np.ndarray:
    """(n, side, side, channels) uint8."""
    shape = tuple(schema["shape"])
    if isinstance(values, np.ndarray) and values.dtype == np.uint8:
        if values.shape[1:] not in (shape, shape[:2] if shape[2] == 1 else shape):
            raise place.refuse(
                0, Described(f"an array of shape {values.shape[1:]}"), f"uint8 of shape {shape}"
            )
        return values.reshape(-1, *shape)
    if isinstance(values, np.ndarray) and values.dtype != object:
        raise place.refuse(0, Described(f"an array of {values.dtype}"), f"uint8 of shape {shape}")
    return np.stack([_picture(v, i, shape, place) for i, v in enumerate(values)])


def _picture(value: Any, index: int, shape: tuple[int, ...], place: Place) -> np.ndarray:
    """A picture file: upright, over white, 8 bits, resized; as it was done for training."""
    if isinstance(value, np.ndarray):
        raise place.refuse(
            index, Described(f"an array of {value.dtype} {value.shape}"), f"uint8 of shape {shape}"
        )
    if not value:
        raise place.refuse(index, value, "a picture")
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise place.refuse(
            index,
            value,
            f"uint8 pictures of shape {shape} in .npy or .npz; to read picture files, install pillow",
        ) from error
    try:
        with Image.open(Path(place.file).parent / str(value)) as picture:
            flat = _eight_bit(ImageOps.exif_transpose(picture)).convert("L" if shape[2] == 1 else "RGB")
        small = flat.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise place.refuse(index, value, f"a picture file that can be read ({error})") from error
    return np.asarray(small, dtype=np.uint8).reshape(shape)


def _eight_bit(picture: Any) -> Any:
    from PIL import Image

    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
        span = values.max() - values.min()
        return Image.fromarray(
            np.round((values - values.min()) * (255.0 / span if span > 0 else 0.0)).astype(np.uint8)
        )
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if picture.mode in ("LA", "RGBA", "PA") or (picture.mode == "P" and "transparency" in picture.info):
        over = picture.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
        return flat.convert("L" if picture.mode == "LA" else "RGB")
    return picture.convert("RGB")


CONVERTERS = {
    "numeric": _numbers,
    "category": _texts,
    "text": _texts,
    "vector": _vectors,
    "embedding": _embeddings,
    "image": _pictures,
}


def batches(path: Path, classifier: Classifier) -> Iterator[tuple[int, dict[str, Any]]]:
    """The file's columns, some rows at a time, each with the number of its first row (from 1)."""
    readers = {".csv": _delimited, ".tsv": _delimited, ".jsonl": _json_lines, ".npz": _arrays, ".npy": _array}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: cannot tell its format; expected one of {', '.join(readers)}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    yield from readers[path.suffix.lower()](path, classifier)


def _delimited(path: Path, _classifier: Classifier) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    row = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise InputError(f"{path}: is empty; expected a line of column names, then rows")
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise InputError(f"{path}: column {twice[0]!r} appears twice; expected each name once")
            while lines := list(islice((line for line in reader if line), ROWS_PER_BATCH)):
                for index, line in enumerate(lines, row + 1):
                    if len(line) != len(header):
                        raise InputError(
                            f"{path}, row {index}: has {len(line)} cells; expected {len(header)}, one per column"
                        )
                yield row + 1, dict(zip(header, zip(*lines, strict=True), strict=True))
                row += len(lines)
        except UnicodeDecodeError as error:
            raise InputError(f"{path}, after row {row}: is not UTF-8 ({error}); save it as UTF-8") from error
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}; expected well-formed CSV") from error


def _json_lines(path: Path, classifier: Classifier) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    with path.open("rb") as file:
        while lines := list(islice((line for line in file if line.strip()), ROWS_PER_BATCH)):
            records = [_json_record(path, row + i, line, classifier) for i, line in enumerate(lines, 1)]
            names = dict.fromkeys(name for record in records for name in record)
            yield row + 1, {name: [record.get(name) for record in records] for name in names}
            row += len(lines)


def _json_record(path: Path, row: int, line: bytes, classifier: Classifier) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, row {row}: is not JSON ({error}); expected one object a line") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}, row {row}: found {_short(record)}; expected an object with the columns")
    for column in classifier.columns:
        if column not in record:
            raise InputError(_no_column(f"{path}, row {row}", column, record))
    return record


def _arrays(path: Path, classifier: Classifier) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files if name in classifier.columns}
            missing = [column for column in classifier.columns if column not in found]
            if missing:
                raise InputError(_no_column(str(path), missing[0], file.files))
    except InputError:
        raise
    except ARRAY_ERRORS as error:
        raise InputError(f"{path}: is not an array file ({error})") from error
    lengths = {column: len(array) for column, array in found.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path}: arrays of different lengths {lengths}; expected one value per row in each")
    yield from _slices(found, next(iter(lengths.values())))


def _array(path: Path, classifier: Classifier) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except ARRAY_ERRORS as error:
        raise InputError(f"{path}: is not an array file ({error})") from error
    columns = classifier.columns
    if len(columns) == 1 and array.ndim:
        yield from _slices({columns[0]: array}, len(array))
    elif array.ndim == 2 and array.shape[1] == len(columns) and array.dtype.kind in "fiub":
        yield from _slices({name: array[:, i] for i, name in enumerate(columns)}, len(array))
    else:
        raise InputError(
            f"{path}: an array of {array.dtype} {array.shape}; expected numbers of shape "
            f"(n, {len(columns)}) for the columns {', '.join(columns)}, or a .npz, .csv or .jsonl with them by name"
        )


def _slices(arrays: Mapping[str, np.ndarray], n: int) -> Iterator[tuple[int, dict[str, Any]]]:
    for start in range(0, n, ROWS_PER_BATCH):
        yield start + 1, {name: array[start : start + ROWS_PER_BATCH] for name, array in arrays.items()}


def write_predictions(classifier: Classifier, source: Path, out: Any, keep: Sequence[str], raw: bool) -> int:
    """Classify the rows of `source` into the open text file `out`; returns their number."""
    names = {each["id"]: each["name"] for each in classifier.classes}
    ids = [each["id"] for each in classifier.classes]
    guard = (lambda text: text) if raw else _guarded
    several = classifier.schema.get("link") == "sigmoid"
    refuses = ["none_of_these"] if classifier.schema.get("none_of_these") is not None else []
    writer = csv.writer(out)
    first = ["row", *keep, "class_id", "class", "probability", *refuses]
    writer.writerow([*first, *(guard(f"p:{each}") for each in ids)])
    n = 0
    for first_row, columns in batches(source, classifier):
        for column in keep:
            if column not in columns:
                raise InputError(_no_column(str(source), column, columns))
        found = classifier.predict(columns, str(source), first_row)
        for i, (class_id, proba) in enumerate(zip(found.class_id, found.proba, strict=True)):
            kept = [guard(str(columns[column][i])) for column in keep]
            said = [ids[k] for k in np.flatnonzero(proba >= 0.5)] if several else [class_id]
            words = (" ".join(said), "; ".join(names[each] for each in said))
            refused = found.none_of_these is not None and bool(found.none_of_these[i])
            chosen = ("", "none of these") if refused else map(guard, words)
            said_of = [f"{proba[ids.index(class_id)]:.9g}", *(str(refused).lower() for _ in refuses)]
            writer.writerow([first_row + i, *kept, *chosen, *said_of, *(f"{p:.9g}" for p in proba)])
        n += len(found.class_id)
    return n


def _guarded(text: str) -> str:
    """An apostrophe in front of text that a spreadsheet could run."""
    return "'" + text if text.startswith(RUNNABLE) or text.lstrip().startswith(RUNNABLE) else text


def _no_column(where: str, column: str, found: Any) -> str:
    names = [str(name) for name in found]
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{where}: has no column {column!r}; {hint}Found: {', '.join(map(repr, names[:30])) or 'none'}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 a file could not be read or written, 2 the input was refused; then OUT is untouched."""
    parser = argparse.ArgumentParser(description="Classify items with this folder's model.")
    parser.add_argument("input", type=Path, help=".csv, .tsv, .jsonl, .npz or .npy")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the CSV to write")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="COLUMN", help="copy a column; repeatable"
    )
    parser.add_argument("--raw", action="store_true", help="do not guard text that a spreadsheet could run")
    options = parser.parse_args(arguments)
    unfinished = options.out.with_name(options.out.name + ".part")
    try:
        classifier = Classifier(Path(__file__).resolve().parent)
        with unfinished.open("w", encoding="utf-8", newline="") as out:
            n = write_predictions(classifier, options.input, out, options.keep, options.raw)
        os.replace(unfinished, options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"{n} rows classified: {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
