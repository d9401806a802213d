"""Rows of a label export: what the ledger says, with item keys and class names put beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import JudgeKind, Judgement, Question
from plumbline_backend.exporters.atomic import written_whole
from plumbline_backend.kinds.base import Kind
from plumbline_backend.kinds.choice import Choice

ROWS_PER_CHUNK = 2_000
"""Rows held at a time: a note may be long, and a Parquet row group should not be tiny."""


class LedgerRow(Protocol):
    """What the store streams: a judgement, who made it, and what became of it (store.ledger.LedgerRow)."""

    @property
    def judgement(self) -> Judgement: ...
    @property
    def judge_name(self) -> str: ...
    @property
    def judge_kind(self) -> JudgeKind: ...
    @property
    def judge_version(self) -> int: ...
    @property
    def standing(self) -> str: ...


@dataclass(frozen=True)
class LabelRow:
    """One judgement as it is written. Missing is None; `note` is never None.

    `class_id` and `class_name` are today's, merges followed; `recorded_class_id` is what was answered then. Where an
    answer is not one class, `class_id` is the answer as the ledger writes it and `class_name` says it in words.
    `time` is aware, in UTC; `seconds` is how long the judge took. `standing`: current, superseded (a newer row
    of the same judge stands), revoked (undone), or revocation (the row that undid another).
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
    judge_version: int
    note: str
    seconds: float | None
    time: datetime | None
    stratum: str
    judgement_id: int
    supersedes: int | None
    revokes: int | None
    standing: str
    more: Mapping[str, str | None] = field(default_factory=dict)
    """Columns of the question's kind, by their names."""

    def cell(self, column: str) -> Any:
        """The value of a column, of the usual ones or of the kind's."""
        return self.more[column] if column in self.more else getattr(self, column)


COLUMNS: tuple[str, ...] = tuple(each.name for each in fields(LabelRow) if each.name != "more")
TEXT_COLUMNS: tuple[str, ...] = tuple(
    each.name for each in fields(LabelRow) if each.name != "more" and "str" in str(each.type)
)


class LabelWriter(Protocol):
    """A file format for labels. `write` streams the rows into `path` and returns how many there were."""

    suffix: str
    more: tuple[str, ...]
    """Columns of the question's kind, behind the usual ones."""

    def write(self, path: Path, rows: Iterable[LabelRow]) -> int: ...


def label_rows(
    ledger: Iterable[LedgerRow],
    question: Question,
    keys: Callable[[Sequence[int]], Sequence[str]],
    kind: Kind | None = None,
) -> Iterator[LabelRow]:
    """The ledger's rows as label rows, a chunk at a time, in the same order.

    keys: item keys for a list of positions, in that order. Raises InputError when a row names a class that
    the question does not have.
    """
    kind = kind or Choice()
    stream = iter(ledger)
    while chunk := list(islice(stream, ROWS_PER_CHUNK)):
        for row, key in zip(chunk, keys([row.judgement.item for row in chunk]), strict=True):
            yield _label_row(row, key, question, kind)


def write_labels(writer: LabelWriter, path: Path, rows: Iterable[LabelRow]) -> int:
    """Write the rows to `path` as a whole or not at all; returns the number of rows.

    The file appears (or is replaced) only when the last row is on disk.
    """
    with written_whole(path) as unfinished:
        return writer.write(unfinished, rows)


def _label_row(row: LedgerRow, key: str, question: Question, kind: Kind) -> LabelRow:
    judgement = row.judgement
    class_id = _today(judgement, question, kind)
    nothing = dict.fromkeys(kind.columns(question))
    return LabelRow(
        item_key=key,
        position=judgement.item,
        question=question.text,
        question_version=judgement.question_version,
        class_id=class_id,
        class_name=None if class_id is None else kind.words(question, class_id),
        recorded_class_id=judgement.answer,
        state=judgement.state,
        judge_kind=row.judge_kind,
        judge_name=row.judge_name,
        judge_version=row.judge_version,
        note=judgement.note,
        seconds=judgement.seconds,
        time=judgement.created_at,
        stratum=judgement.stratum,
        judgement_id=judgement.id,
        supersedes=judgement.supersedes,
        revokes=judgement.revokes,
        standing=row.standing,
        more=nothing if class_id is None else kind.cells(question, class_id),
    )


def _today(judgement: Judgement, question: Question, kind: Kind) -> str | None:
    if judgement.answer is None:
        return None
    try:
        return kind.form.today(question, judgement.answer)
    except KeyError as error:
        raise InputError(
            f"judgement {judgement.id}: class {judgement.answer!r} is not one of question {question.text!r}; "
            f"expected one of {', '.join(each.id for each in question.classes)}"
        ) from error


def refuse_surrogates(row: LabelRow, index: int, format_name: str) -> None:
    """Raise InputError naming row and column when a text holds half a surrogate pair, which UTF-8 cannot."""
    for column in (*TEXT_COLUMNS, *row.more):
        value: Any = row.cell(column)
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
