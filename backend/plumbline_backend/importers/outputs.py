"""LLM outputs from files: what a reader of any format gives, checked and made into a pool."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plumbline_backend.domain.errors import ImportRefusedError, InputError, Problem
from plumbline_backend.domain.grades import VerdictState
from plumbline_backend.domain.types import Column
from plumbline_backend.importers.convert import MAX_KEY_LENGTH
from plumbline_backend.importers.source import OnProblem, ProblemLog, SourceBatch
from plumbline_backend.pool.build import PoolSummary, Progress, write_pool

COLUMNS = (
    Column("key", "string", "id", "names the output"),
    Column("response", "string", "text", "what the model answered"),
    Column("prompt", "string", "metadata", "what it was asked"),
    Column("variables", "string", "metadata", "the prompt's variables, as JSON"),
    Column("system", "string", "metadata", "which model or prompt answered"),
    Column("reference", "string", "metadata", "a good answer, where there is one"),
    Column("metadata", "string", "metadata", "everything else, as JSON"),
)
MAX_RESPONSE = 10_000_000
"""Characters of one response; a megabyte is read, shown and judged like any other."""


@dataclass(frozen=True)
class FoundGrade:
    """A person's grade that came with the file; criterion None: the overall question."""

    grader: str
    passed: bool
    criterion: str | None = None
    note: str = ""


@dataclass(frozen=True)
class FoundVerdict:
    """An outside judge's verdict that came with the file. `score` and `explanation` are kept as they were.

    criterion None: of the overall question.
    """

    judge: str
    state: VerdictState
    score: float | None = None
    explanation: str = ""
    criterion: str | None = None


@dataclass(frozen=True)
class FoundOutput:
    """One output as a file tells it. `row` counts from 1, for messages. An empty key asks for the row's number."""

    row: int
    response: str
    key: str = ""
    prompt: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    system: str = ""
    reference: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    grades: tuple[FoundGrade, ...] = ()
    verdicts: tuple[FoundVerdict, ...] = ()


@dataclass(frozen=True)
class OutputsFile:
    """All that a file holds. `template`: the prompt with its variables in double braces, where the format tells."""

    format: str
    outputs: tuple[FoundOutput, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    template: str = ""


def accepted(name: str, found: OutputsFile, on_problem: OnProblem) -> list[FoundOutput]:
    """The outputs with a key each, after the checks that hold for every format.

    A key that comes twice or cannot be one, a response that is too long, a NUL in what goes to the ledger, and the
    reader's own problems refuse the file, or with on_problem "skip" leave the row out. Responses that are alike under
    different keys are kept: two systems may say
    the same. Raises ImportRefusedError, InputError when nothing is left.
    """
    problems = list(found.problems)
    seen: dict[str, int] = {}
    kept = []
    for output in found.outputs:
        key = output.key or str(output.row)
        problem = _problem(name, key, seen, output)
        if problem is not None:
            problems.append(problem)
            continue
        seen[key] = output.row
        kept.append(output)
    if problems and on_problem == "refuse":
        raise ImportRefusedError(problems[:100], max(0, len(problems) - 100))
    if not kept:
        raise InputError(f"{name}: no output was found; expected at least one response")
    return kept


def _problem(name: str, key: str, seen: Mapping[str, int], output: FoundOutput) -> Problem | None:
    """What is wrong with one output, in respect of those before it."""
    if key in seen:
        return Problem(name, f"a unique id (row {seen[key]} has the same)", output.row, "id", key)
    if len(key) > MAX_KEY_LENGTH:
        expected = f"an id of at most {MAX_KEY_LENGTH} characters, not {len(key)}"
        return Problem(name, expected, output.row, "id", key)
    if len(output.response) > MAX_RESPONSE:
        size = f"{len(output.response):,} characters"
        return Problem(name, f"at most {MAX_RESPONSE:,} characters", output.row, "response", size)
    for column, text in _to_the_ledger(key, output):
        if "\0" in text:
            return Problem(name, "text without NUL characters", output.row, column, text)
    return None


def _to_the_ledger(key: str, output: FoundOutput) -> Iterator[tuple[str, str]]:
    """(what it is, text) of all that is kept in the database, where a text has no NUL."""
    yield "id", key
    for grade in output.grades:
        yield from (("grader", grade.grader), ("criterion", grade.criterion or ""), ("note", grade.note))
    for verdict in output.verdicts:
        yield "judge", verdict.judge
        yield "criterion", verdict.criterion or ""
        yield "explanation", verdict.explanation


def sorted_out(
    found: Iterable[FoundOutput | Problem],
) -> tuple[tuple[FoundOutput, ...], tuple[Problem, ...]]:
    """Outputs and problems apart, each in order."""
    everything = list(found)
    outputs = tuple(each for each in everything if isinstance(each, FoundOutput))
    return outputs, tuple(each for each in everything if isinstance(each, Problem))


def write_outputs(
    name: str, outputs: Sequence[FoundOutput], folder: Path, about: dict[str, Any], progress: Progress | None
) -> PoolSummary:
    """The outputs as a pool at `folder`. Raises ConflictError when there is something."""

    def read(_: ProblemLog) -> Iterator[SourceBatch]:
        rows = np.array([output.row for output in outputs], dtype=np.int64)
        yield SourceBatch(_batch(outputs), rows, 1.0)

    return write_pool(name, read, folder, COLUMNS, about, progress=progress)


def n_alike(outputs: Sequence[FoundOutput]) -> int:
    """How many outputs repeat an earlier one word for word, prompt, variables and system included."""
    seen = {(o.prompt, json.dumps(o.variables, sort_keys=True), o.system, o.response) for o in outputs}
    return len(outputs) - len(seen)


def _batch(outputs: Sequence[FoundOutput]) -> pa.RecordBatch:
    columns = {
        "key": [o.key or str(o.row) for o in outputs],
        "response": [o.response for o in outputs],
        "prompt": [o.prompt for o in outputs],
        "variables": [json.dumps(o.variables) for o in outputs],
        "system": [o.system for o in outputs],
        "reference": [o.reference for o in outputs],
        "metadata": [json.dumps(o.metadata) for o in outputs],
    }
    arrays = [pa.array(values, pa.string()) for values in columns.values()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
