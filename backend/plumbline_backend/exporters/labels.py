"""Rows of a label export: what the ledger says, with item keys and class names put beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import JudgeKind, Question, State, Stratum
from plumbline_backend.exporters.atomic import written_whole

ROWS_PER_CHUNK = 2_000
"""Rows held at a time: a note may be long, and a Parquet row group should not be tiny."""


class LedgerRow(Protocol):
    """What the store streams: one judgement with its judge's kind and name."""

    @property
    def id(self) -> int: ...
    @property
    def item(self) -> int: ...
    @property
    def question_version(self) -> int: ...
    @property
    def judge_kind(self) -> JudgeKind: ...
    @property
    def judge_name(self) -> str: ...
    @property
    def answer(self) -> str | None: ...
    @property
    def state(self) -> State: ...
    @property
    def stratum(self) -> Stratum: ...
    @property
    def note(self) -> str: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def supersedes(self) -> int | None: ...
    @property
    def revokes(self) -> int | None: ...


@dataclass(frozen=True)
class LabelRow:
    """One judgement as it is written. Missing is None; `note` is never None.

    `class_id` and `class_name` are today's, merges followed; `recorded_class_id` is what was answered then.
    `time` is aware, in UTC; `seconds` is how long the judge took.
    """

    item_key: str
    position: int
    question: str
    question_version: int
    class_id: str | None
    class_name: str | None
    recorded_class_id: str | None
    state: str
    judge_kind: str
    judge_name: str
    note: str
    seconds: float | None
    time: datetime | None
    stratum: str
    judgement_id: int
    supersedes: int | None
    revokes: int | None


COLUMNS: tuple[str, ...] = tuple(each.name for each in fields(LabelRow))
TEXT_COLUMNS: tuple[str, ...] = tuple(each.name for each in fields(LabelRow) if "str" in str(each.type))


class LabelWriter(Protocol):
    """A file format for labels. `write` streams the rows into `path` and returns how many there were."""

    suffix: str

    def write(self, path: Path, rows: Iterable[LabelRow]) -> int: ...


def label_rows(
    ledger: Iterable[LedgerRow], question: Question, keys: Callable[[Sequence[int]], Sequence[str]]
) -> Iterator[LabelRow]:
    """The ledger's rows as label rows, a chunk at a time, in the same order.

    keys: item keys for a list of positions, in that order. Raises InputError when a row names a class that
    the question does not have.
    """
    names = {each.id: each.name for each in question.classes}
    stream = iter(ledger)
    while chunk := list(islice(stream, ROWS_PER_CHUNK)):
        for row, key in zip(chunk, keys([row.item for row in chunk]), strict=True):
            yield _label_row(row, key, question, names)


def write_labels(writer: LabelWriter, path: Path, rows: Iterable[LabelRow]) -> int:
    """Write the rows to `path` as a whole or not at all; returns the number of rows.

    The file appears (or is replaced) only when the last row is on disk.
    """
    with written_whole(path) as unfinished:
        return writer.write(unfinished, rows)


def _label_row(row: LedgerRow, key: str, question: Question, names: dict[str, str]) -> LabelRow:
    class_id = None if row.answer is None else _resolve(row, question)
    return LabelRow(
        item_key=key,
        position=row.item,
        question=question.text,
        question_version=row.question_version,
        class_id=class_id,
        class_name=None if class_id is None else names[class_id],
        recorded_class_id=row.answer,
        state=row.state,
        judge_kind=row.judge_kind,
        judge_name=row.judge_name,
        note=row.note,
        seconds=row.seconds,
        time=row.created_at,
        stratum=row.stratum,
        judgement_id=row.id,
        supersedes=row.supersedes,
        revokes=row.revokes,
    )


def _resolve(row: LedgerRow, question: Question) -> str:
    assert row.answer is not None
    try:
        return question.resolve(row.answer)
    except KeyError as error:
        raise InputError(
            f"judgement {row.id}: class {row.answer!r} is not one of question {question.text!r}; "
            f"expected one of {', '.join(each.id for each in question.classes)}"
        ) from error


def refuse_surrogates(row: LabelRow, index: int, format_name: str) -> None:
    """Raise InputError naming row and column when a text holds half a surrogate pair, which UTF-8 cannot."""
    for column in TEXT_COLUMNS:
        value: Any = getattr(row, column)
        if value is not None and not _is_utf8(value):
            raise InputError(
                f"row {index}, column {column!r}: {value!r:.80} holds half a surrogate pair; "
                f"expected text that UTF-8 can carry ({format_name} cannot keep it; jsonl can)"
            )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
