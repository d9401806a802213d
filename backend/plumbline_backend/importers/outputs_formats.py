"""Which format a file of LLM outputs has, and its reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem, did_you_mean
from plumbline_backend.importers import outputs_inspect, outputs_promptfoo, outputs_table
from plumbline_backend.importers.outputs import OutputsFile
from plumbline_backend.importers.outputs_json import load_json
from plumbline_backend.importers.outputs_mapping import OutputMapping
from plumbline_backend.importers.source import PREVIEW_ROWS

READERS = {
    "table": outputs_table.read,
    "promptfoo": outputs_promptfoo.read,
    "inspect": outputs_inspect.read,
}
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".eval")


def read_outputs(path: Path, format_name: str | None, mapping: Mapping[str, Any] | None) -> OutputsFile:
    """Every output of a file.

    format_name: "table" (CSV, TSV or JSONL with columns named by `mapping`, or guessed), "promptfoo" (its JSON
    results), "inspect" (an evaluation log as .json or .eval); None: guessed. Raises InputError for what cannot be
    read at all; rows that cannot be read are problems of the result.
    """
    if not path.is_file():
        raise InputError(f"{path.name}: no such file; expected the path of a file that exists")
    name = format_name or guess_format(path)
    if name not in READERS:
        raise InputError(f"format of outputs: found {name!r}; {did_you_mean(name, READERS)}")
    return READERS[name](path, mapping)


def guess_format(path: Path) -> str:
    """By suffix, and for JSON by its members. Raises InputError."""
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".jsonl", ".ndjson"):
        return "table"
    if suffix == ".eval":
        return "inspect"
    if suffix != ".json":
        raise InputError(
            f"{path.name}: unknown kind of file {suffix!r}; expected one of {', '.join(SUFFIXES)}"
        )
    document = load_json(path)
    if isinstance(document, dict) and "results" in document:
        return "promptfoo"
    if isinstance(document, dict) and "samples" in document:
        return "inspect"
    raise InputError(
        f"{path.name}: a JSON file without results (promptfoo) or samples (Inspect); expected one of them, or JSON "
        "Lines with one output per line"
    )


@dataclass(frozen=True)
class OutputsPreview:
    """What a file of outputs looks like before anything is stored.

    columns, rows, proposed: of a table (proposed None: no column looks like a response); formats that name their parts
    have no columns, and rows that show their outputs. n_rows: outputs found; problems: rows that cannot be read; notes:
    decisions worth a look (a guessed encoding, a renamed column).
    """

    format: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    proposed: OutputMapping | None
    n_rows: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def inspect_outputs(path: Path) -> OutputsPreview:
    """Look at a file of outputs without importing it. Raises InputError for what cannot be read at all."""
    if not path.is_file():
        raise InputError(f"{path.name}: no such file; expected the path of a file that exists")
    name = guess_format(path)
    if name == "table":
        table = outputs_table.inspect_table(path)
        return OutputsPreview(
            name, table.columns, table.rows, table.proposed, table.n_rows, table.problems, table.notes
        )
    found = READERS[name](path, None)
    rows = tuple(
        {
            "id": o.key,
            "response": o.response,
            "prompt": o.prompt,
            "system": o.system,
            "judges": len(o.verdicts),
        }
        for o in found.outputs[:PREVIEW_ROWS]
    )
    return OutputsPreview(name, (), rows, None, len(found.outputs), found.problems)
