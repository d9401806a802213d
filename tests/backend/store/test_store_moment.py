"""Reading everything from one moment: one connection, each thing looked for once; what goes wrong keeps its name."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.store import Store


def test_a_moment_reads_each_thing_once_and_from_one_snapshot(store: Store, desk: Any) -> None:
    statements: list[str] = []
    event.listen(store.database._reader, "before_cursor_execute", lambda *a: statements.append(a[2]))
    slug, question = desk.project.slug, desk.question.id
    with store.database.moment():
        first = store.projects.get(slug)
        assert store.ledger.newest_id(question) == 0
        desk.record(1)  # by this thread, through the writer: not seen in here
        store.projects.change_settings(first.id, {"overlap": 3})
        assert store.projects.get(slug) is first
        assert store.questions.get(question) is store.questions.get(question)
        assert store.ledger.newest_id(question) == 0
        with store.database.moment():  # one in another is the same
            assert store.projects.get(slug) is first
    assert sum("FROM projects" in each for each in statements if each.startswith("SELECT")) <= 2
    assert store.projects.get(slug).settings == {"overlap": 3}
    assert store.ledger.newest_id(question) > 0


def test_what_goes_wrong_in_a_moment_is_not_put_on_the_database(store: Store) -> None:
    with pytest.raises(FileNotFoundError), store.database.moment():
        raise FileNotFoundError("a ranking")
    with pytest.raises(NotFoundError, match="project 'nothing' does not exist"), store.database.moment():
        store.projects.get("nothing")
    assert store.projects.list() == []
