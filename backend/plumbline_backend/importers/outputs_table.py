"""LLM outputs as CSV, TSV or JSON Lines: one output per row, with a mapping from columns to what they mean."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem, did_you_mean
from plumbline_backend.importers.encoding import detect_encoding
from plumbline_backend.importers.outputs import FoundGrade, FoundOutput, FoundVerdict, OutputsFile
from plumbline_backend.importers.outputs_json import passed_of, score_of, state_of, text_of, texts_of

NAMES = {
    "response": ("response", "output", "completion", "answer", "generation", "text", "summary", "prediction"),
    "id": ("id", "key", "output_id", "run_id", "example_id", "uuid"),
    "prompt": ("prompt", "rendered_prompt", "question", "instruction"),
    "system": ("system", "model", "model_name", "provider", "variant"),
    "reference": ("reference", "expected", "target", "ideal", "gold"),
}
"""Column names that are taken for each part when no mapping is given, in order of preference."""
GRADE_NAMES = ("grade", "label", "human", "human_grade", "rating", "overall")


@dataclass(frozen=True)
class GradeColumn:
    """A column of a person's grades; criterion None: the overall question. `note`: the column of remarks."""

    column: str
    grader: str
    criterion: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class VerdictColumn:
    """A column of a judge's verdicts, with its columns of scores and explanations."""

    column: str
    judge: str
    score: str | None = None
    explanation: str | None = None


@dataclass(frozen=True)
class OutputMapping:
    """What each column is. `variables`: columns, or one column that holds an object of them. The rest is metadata."""

    response: str
    id: str | None = None
    prompt: str | None = None
    system: str | None = None
    reference: str | None = None
    variables: tuple[str, ...] = ()
    grades: tuple[GradeColumn, ...] = ()
    verdicts: tuple[VerdictColumn, ...] = ()
    template: str = ""

    @property
    def columns(self) -> set[str]:
        """Every column that the mapping names."""
        named = [self.response, self.id, self.prompt, self.system, self.reference, *self.variables]
        named += [part for g in self.grades for part in (g.column, g.note)]
        named += [part for v in self.verdicts for part in (v.column, v.score, v.explanation)]
        return {name for name in named if name is not None}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-like values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OutputMapping:
        """From what `to_dict` gave. Raises InputError naming unknown members."""
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown or not values.get("response"):
            wrong = f"unknown members {', '.join(unknown)}" if unknown else "no response column"
            raise InputError(f"mapping: found {wrong}; expected {', '.join(cls.__dataclass_fields__)}")
        given = dict(values)
        given["variables"] = tuple(given.get("variables", ()))
        given["grades"] = tuple(_made(GradeColumn, g) for g in given.get("grades", ()))
        given["verdicts"] = tuple(_made(VerdictColumn, v) for v in given.get("verdicts", ()))
        return cls(**given)


@dataclass(frozen=True)
class TablePreview:
    """The columns, the first rows, and the mapping that the names suggest (None: no column looks like a response)."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    proposed: OutputMapping | None
    n_rows: int
    problems: tuple[Problem, ...] = field(default=())


def inspect_table(path: Path, n_rows: int = 10) -> TablePreview:
    """Look at a table without importing anything. Raises InputError when it cannot be read."""
    rows, problems = _read_rows(path)
    columns = _columns(row for _, row in rows)
    shown = tuple(row for _, row in rows[:n_rows])
    return TablePreview(columns, shown, propose(columns, [r for _, r in rows]), len(rows), tuple(problems))


def read(path: Path, mapping: Mapping[str, Any] | None) -> OutputsFile:
    """Every row as an output. Raises InputError for a mapping that names columns the file does not have."""
    rows, problems = _read_rows(path)
    if problems and not rows:
        return OutputsFile("table", (), tuple(problems))
    columns = _columns(row for _, row in rows)
    chosen = propose(columns, [r for _, r in rows]) if mapping is None else OutputMapping.from_dict(mapping)
    if chosen is None:
        raise InputError(
            f"{path.name}: no column looks like a response (columns: {', '.join(columns)}); say which one it is"
        )
    missing = sorted(chosen.columns - set(columns))
    if missing:
        raise InputError(
            f"{path.name}: column {missing[0]!r} does not exist; {did_you_mean(missing[0], columns)}"
        )
    outputs = []
    for number, row in rows:
        found = _output(path.name, number, row, chosen)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            outputs.append(found)
    return OutputsFile("table", tuple(outputs), tuple(problems), template=chosen.template)


def propose(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> OutputMapping | None:
    """The mapping that column names suggest; None without a response column."""
    by_name = {_plain(column): column for column in reversed(columns)}
    picked = {part: next((by_name[n] for n in names if n in by_name), None) for part, names in NAMES.items()}
    response = picked.pop("response")
    if response is None:
        return None
    objects = [c for c in columns if _plain(c) in ("variables", "vars", "inputs")]
    variables = objects[:1] or [c for c in columns if _plain(c).startswith(("var_", "var:", "vars."))]
    grades = [c for c in columns if _plain(c) in GRADE_NAMES and _grades_column(c, rows)]
    return OutputMapping(
        response=response,
        variables=tuple(variables),
        grades=tuple(GradeColumn(column, "the file") for column in grades[:1]),
        id=picked["id"],
        prompt=picked["prompt"],
        system=picked["system"],
        reference=picked["reference"],
    )


def _made(kind: Any, values: Any) -> Any:
    names = set(kind.__dataclass_fields__)
    if not isinstance(values, Mapping) or not set(values) <= names:
        raise InputError(
            f"mapping: found {values!r}; expected an object with some of {', '.join(sorted(names))}"
        )
    return kind(**values)


def _output(file: str, number: int, row: Mapping[str, Any], mapping: OutputMapping) -> FoundOutput | Problem:
    response = row.get(mapping.response)
    if response is None:
        return Problem(file, "a response", number, mapping.response, "nothing")
    grades = []
    for column in mapping.grades:
        value = row.get(column.column)
        passed = passed_of(value)
        if passed is None and value not in (None, ""):
            return Problem(file, "good or bad, true or false, 1 or 0", number, column.column, str(value))
        if passed is not None:
            note = text_of(row.get(column.note)) if column.note else ""
            grades.append(FoundGrade(column.grader, passed, column.criterion, note))
    return FoundOutput(
        row=number,
        response=text_of(response),
        key=text_of(row.get(mapping.id)) if mapping.id else "",
        prompt=text_of(row.get(mapping.prompt)) if mapping.prompt else "",
        variables=_variables(row, mapping),
        system=text_of(row.get(mapping.system)) if mapping.system else "",
        reference=text_of(row.get(mapping.reference)) if mapping.reference else "",
        metadata={name: value for name, value in row.items() if name not in mapping.columns},
        grades=tuple(grades),
        verdicts=tuple(_verdict(row, column) for column in mapping.verdicts),
    )


def _verdict(row: Mapping[str, Any], column: VerdictColumn) -> FoundVerdict:
    return FoundVerdict(
        column.judge,
        state_of(row.get(column.column)),
        score_of(row.get(column.score)) if column.score else None,
        text_of(row.get(column.explanation)) if column.explanation else "",
    )


def _variables(row: Mapping[str, Any], mapping: OutputMapping) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in mapping.variables:
        value = row.get(column)
        parsed = _object(value)
        if parsed is not None:
            found |= texts_of(parsed)
        elif value is not None:
            found[re.sub(r"^vars?[_:.]", "", column)] = text_of(value)
    return found


def _object(value: Any) -> Mapping[str, Any] | None:
    """An object, or the object that a text in JSON holds."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return None
    return value if isinstance(value, Mapping) else None


def _grades_column(column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every value there is reads as good or bad, and there is one."""
    values = [row.get(column) for row in rows if row.get(column) not in (None, "")]
    return bool(values) and all(passed_of(value) is not None for value in values)


def _read_rows(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], list[Problem]]:
    encoding = detect_encoding(path)
    text = path.read_bytes()[encoding.bom_bytes :].decode(encoding.name, errors="replace")
    if path.suffix.lower() in (".csv", ".tsv"):
        return _csv_rows(path, text)
    return _json_rows(path.name, text)


def _csv_rows(path: Path, text: str) -> tuple[list[tuple[int, dict[str, Any]]], list[Problem]]:
    csv.field_size_limit(64 * 2**20)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter)
    header = next(reader, [])
    if len(set(header)) != len(header) or not header:
        raise InputError(f"{path.name}: found the header {header}; expected different column names")
    rows, problems = [], []
    for number, cells in enumerate(reader, 1):
        if not cells:
            continue
        if len(cells) != len(header):
            problems.append(Problem(path.name, f"{len(header)} cells", number, value=f"{len(cells)} cells"))
            continue
        rows.append((number, dict(zip(header, cells, strict=True))))
    return rows, problems


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max((",", ";", "\t"), key=first.count)


def _json_rows(name: str, text: str) -> tuple[list[tuple[int, dict[str, Any]]], list[Problem]]:
    rows, problems = [], []
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            problems.append(Problem(name, f"one JSON object per line ({error})", number, value=line[:80]))
            continue
        if isinstance(value, dict):
            rows.append((number, value))
        else:
            problems.append(Problem(name, "a JSON object", number, value=line[:80]))
    return rows, problems


def _lines(text: str) -> Iterator[str]:
    """Lines that end at a newline; other separators may occur inside a JSON text."""
    yield from text.split("\n")


def _columns(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row))


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_")
