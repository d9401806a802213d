"""P4: rows of the ledger are added, never changed and never removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from test_fault_kill_server import moved_to_postgres

from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.workspace import open_workspace

STORE = Path(__file__).parents[2] / "backend" / "plumbline_backend" / "store"
CHANGES = re.compile(r"\b(?:update|delete)\(\s*judgements\b|(?:UPDATE|DELETE FROM)\s+judgements\b")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def project(folder: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """An open project on either database, that does not train."""
    url = None
    if request.param == "postgres":
        url = moved_to_postgres(folder, request.getfixturevalue("postgres"))
    with open_workspace(folder, database_url=url, executor=InlineExecutor()) as workspace:
        found = workspace.project("many")
        found.loop.fit_soon = lambda: None  # type: ignore[method-assign]
        yield found


def rows(project: Project) -> list[tuple[object, ...]]:
    """Every column of every judgement, oldest first."""
    with project._store.database.read() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM judgements ORDER BY id"))]


def acts(project: Project) -> list[Callable[[], object]]:
    """Everything that a person can do to an answer."""
    ada, bob = project.person("Ada"), project.person("Bob")
    batches = project.desk.batches

    def record(item: int, uuid: str, answer: str | None = "c1", judge: object = ada, **more: object) -> None:
        project.record(item=item, judge=judge, client_uuid=uuid, answer=answer, **more)  # type: ignore[arg-type]

    free = [int(item) for item in range(200) if not project.loop.answers.in_reserve(item)][:5]
    return [
        lambda: record(1, "a"),
        lambda: record(1, "b", "c2"),
        lambda: record(2, "c", None, state="skipped"),
        lambda: record(2, "d", None, state="flagged", note="broken"),
        lambda: record(1, "e", "c1", judge=bob),
        lambda: project.undo(ada, "f"),
        lambda: project.undo(ada, "g"),
        lambda: batches.undo(batches.label(free, ada, "c2")),
        lambda: project.add_class("third", by="Ada"),
        lambda: project.merge_class("c3", "c1", by="Ada"),
        lambda: project.edit_class("c1", by="Ada", name="renamed"),
        lambda: project._store.ledger.rebuild_current(project.question().id),
    ]


def test_no_act_changes_what_was_written(project: Project) -> None:
    before: list[tuple[object, ...]] = []
    for act in acts(project):
        act()
        after = rows(project)
        assert after[: len(before)] == before
        before = after
    assert len(before) >= 17


def test_the_check_sees_a_changed_row(project: Project) -> None:
    acts(project)[0]()
    before = rows(project)
    project._store.database.write(
        lambda connection: connection.execute(text("UPDATE judgements SET note = 'quietly' WHERE id = 1"))
    )
    assert rows(project)[: len(before)] != before


def test_no_statement_of_the_store_changes_or_removes_a_judgement() -> None:
    found = {path.name for path in STORE.rglob("*.py") if CHANGES.search(path.read_text(encoding="utf-8"))}
    assert found == set()
    deleting = [
        p.name
        for p in STORE.glob("*.py")
        if re.search(r"judgements\):\s*\n\s+connection.execute\(delete", p.read_text())
    ]
    assert deleting == ["projects.py"], "a project is deleted with all that was said in it"
    assert CHANGES.search("connection.execute(update(judgements).values(note=''))")
