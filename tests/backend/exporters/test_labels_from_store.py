"""Labels straight from a real store and pool: what is current, the whole history, and bounded memory."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from plumbline_backend.domain.types import LabelClass, NewJudgement, Question
from plumbline_backend.exporters.labels import LabelRow, label_rows, write_labels
from plumbline_backend.exporters.labels_csv import CsvLabels
from plumbline_backend.exporters.labels_parquet import ParquetLabels
from plumbline_backend.pool.demos import build_demo
from plumbline_backend.pool.pool import Pool
from plumbline_backend.store import Store, open_store

CLASSES = (LabelClass("cat", "=Cat", "#d55e00", "1"), LabelClass("dog", "Dog", "#0072b2", "2"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "plumbline.db") as opened:
        yield opened


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    build_demo("wine", tmp_path / "pool")
    return Pool.open(tmp_path / "pool")


@pytest.fixture
def question(store: Store) -> Question:
    project = store.projects.create("wine", "Wine", 178, {})
    return store.questions.create(project.id, "What is it?", "choice", "", CLASSES, "Ada")


def new(question: Question, judge_id: int, item: int, answer: str | None, note: str = "") -> NewJudgement:
    return NewJudgement(
        item=item,
        question_id=question.id,
        question_version=1,
        judge_id=judge_id,
        client_uuid=uuid4().hex,
        state="skipped" if answer is None else "answered",
        answer=answer,
        note=note,
        seconds=0.5,
        stratum="stream",
    )


def exported(path: Path) -> list[LabelRow]:
    return [LabelRow(**each) for each in pq.read_table(path).to_pylist()]


def test_current_labels_and_history(tmp_path: Path, store: Store, pool: Pool, question: Question) -> None:
    """Item 3: cat, revised to dog. Item 5: cat, undone. Item 8: skipped. 5 rows in all, 2 of them current."""
    ada = store.judges.ensure(question.project_id, "person", "Ada")
    first = store.ledger.record(new(question, ada.id, 3, "cat", "-1 of them"))
    second = store.ledger.record(new(question, ada.id, 3, "dog"))
    third = store.ledger.record(new(question, ada.id, 5, "cat"))
    store.ledger.undo(question.id, ada.id, uuid4().hex, third.id)
    store.ledger.record(new(question, ada.id, 8, None))

    rows = label_rows(store.ledger.iter_rows(question.id), question, pool.keys)
    assert write_labels(ParquetLabels(), tmp_path / "now.parquet", rows) == 2
    dog, skipped = exported(tmp_path / "now.parquet")
    assert (dog.item_key, dog.position, dog.class_id, dog.class_name) == (pool.key(3), 3, "dog", "Dog")
    assert (dog.judge_name, dog.judge_kind, dog.stratum, dog.seconds) == ("Ada", "person", "stream", 0.5)
    assert (dog.judgement_id, dog.supersedes, dog.standing) == (second.id, first.id, "current")
    assert dog.time == second.created_at
    assert (skipped.position, skipped.state, skipped.class_id) == (8, "skipped", None)

    rows = label_rows(store.ledger.iter_rows(question.id, include_superseded=True), question, pool.keys)
    assert write_labels(ParquetLabels(), tmp_path / "all.parquet", rows) == 5
    history = exported(tmp_path / "all.parquet")
    assert [(row.position, row.standing) for row in history] == [
        (3, "superseded"),
        (3, "current"),
        (5, "revoked"),
        (5, "revocation"),
        (8, "current"),
    ]
    assert history[3].revokes == third.id

    rows = label_rows(store.ledger.iter_rows(question.id, include_superseded=True), question, pool.keys)
    write_labels(CsvLabels(), tmp_path / "all.csv", rows)
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        cell = next(csv.DictReader(file))
    assert (cell["class_name"], cell["note"], cell["escaped_columns"]) == (
        "'=Cat",
        "'-1 of them",
        "class_name note",
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_ledger(
    tmp_path: Path, store: Store, pool: Pool, question: Question
) -> None:
    """16,000 notes of 2,500 characters are 40 MB; the export holds well under half of that."""
    judges = [store.judges.ensure(question.project_id, "person", f"judge {j}") for j in range(100)]
    drafts = [
        new(question, judge.id, item, "cat", f"{judge.id}:{item} ".ljust(2_500, "x"))
        for judge in judges
        for item in range(160)
    ]
    store.ledger.record_many(drafts, "imported")
    del drafts
    rows = label_rows(store.ledger.iter_rows(question.id), question, pool.keys)
    tracemalloc.start()
    assert write_labels(CsvLabels(), tmp_path / "a.csv", rows) == 16_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "a.csv").stat().st_size > 40e6
    assert peak < 16e6
