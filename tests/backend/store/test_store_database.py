"""Databases: URLs, snapshots, group commit, versions of SQLite, a Postgres that stops answering."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from plumbline_backend.domain.errors import InputError
from plumbline_backend.store import Database, DatabaseError, Store, open_store, sqlite_report
from plumbline_backend.store.sqlite import wal_safe


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
        ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 53, 4), True),
    ],
)  # fmt: skip
def test_which_sqlite_may_use_a_write_ahead_log(version: tuple[int, int, int], safe: bool) -> None:
    assert wal_safe(version) is safe


def test_the_pragmas_are_what_the_report_says(tmp_path: Path) -> None:
    report = sqlite_report()
    with open_store(tmp_path / "a.db") as store:
        assert report.version in store.database.describe()
        for engine, query_only in ((store.database._reader, 1), (store.database._writing, 0)):
            with engine.begin() as connection:
                found = {
                    name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout", "query_only")
                }
            assert found == {
                "journal_mode": report.journal_mode,
                "foreign_keys": 1,
                "synchronous": 2 if report.wal_safe else 3,
                "busy_timeout": 5_000,
                "query_only": query_only,
            }


def test_an_unsafe_sqlite_gets_the_rollback_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path / "a.db") as store:
        store.projects.create("a", "A", 1, {})
    monkeypatch.setattr("plumbline_backend.store.sqlite.wal_safe", lambda _version: False)
    report = sqlite_report()
    assert (report.driver, report.journal_mode) == ("sqlite3", "delete")
    assert "pip install pysqlite3" in report.advice
    with open_store(tmp_path / "a.db") as store:
        assert store.projects.get("a").name == "A"
        store.projects.create("b", "B", 1, {})
        with store.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/name", "expected sqlite:///... or postgresql://"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("nowhere/at/all.db", "the folder 'nowhere/at' does not exist"),
        ("postgresql://host/name", "names no user"),
        ("postgresql://me@host/name?ssl=1", "option 'ssl' does not exist; did you mean 'sslmode'"),
        (
            "postgresql://me@host/name?sslmode=requires",
            "sslmode 'requires' does not exist; did you mean 'require'",
        ),
        ("postgresql://me@host/name?timeout=never", "timeout is 'never'; expected seconds"),
        ("postgresql://me@host:port/name", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_used_say_why(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Database(url)


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"postgresql://me:\*\*\*@/name") as caught:
        open_store(f"postgresql://me:secret@/name?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "plumbline.db"
    path.write_bytes(b"these are my notes, not a database\n" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        open_store(path)
    assert path.read_bytes().startswith(b"these are my notes")


def test_a_reader_cannot_write(store: Store) -> None:
    with (
        pytest.raises(DatabaseError, match=r"readonly|read-only"),
        store.database.read() as connection,
    ):
        connection.execute(text("DELETE FROM projects"))


def test_a_read_sees_one_moment(store: Store) -> None:
    with store.database.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM projects")).scalar()
        store.projects.create("a", "A", 1, {})
        assert connection.execute(text("SELECT count(*) FROM projects")).scalar() == before
    with store.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM projects")).scalar() == 1


def test_writes_of_many_threads_share_commits(tmp_path: Path, make_desk: Any) -> None:
    with open_store(tmp_path / "a.db") as store:
        desk = make_desk(store)
        commits = []
        event.listen(store.database._writing, "commit", lambda _: commits.append(1))
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(desk.record, range(400)))
        assert len(desk.answers()) == 400
        assert len(commits) < 300


def test_a_failed_write_takes_nobody_with_it(store: Store, make_desk: Any) -> None:
    desk = make_desk(store)
    blocked = threading.Event()

    def block(_connection: object) -> None:
        blocked.wait(10)

    def record(item: int) -> str:
        try:
            desk.record(item, "cat" if item % 3 else "cow")
        except InputError:
            return "refused"
        return "recorded"

    with ThreadPoolExecutor(12) as pool:
        pool.submit(store.database.write, block)
        outcomes = [pool.submit(record, item) for item in range(10)]
        time.sleep(0.2)
        blocked.set()
    assert [outcome.result() for outcome in outcomes] == [
        "recorded" if item % 3 else "refused" for item in range(10)
    ]
    assert sorted(item for item, _ in desk.answers()) == [1, 2, 4, 5, 7, 8]


def test_a_commit_that_fails_acknowledges_nobody(tmp_path: Path, make_desk: Any) -> None:
    """The disk is full: no judgement of the group counts, and the next one works again."""
    with open_store(tmp_path / "a.db") as store:
        desk = make_desk(store)
        writing = store.database._writing
        with writing.begin() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DatabaseError, match="full"):
            [desk.record(item, note="x" * 50_000) for item in range(200)]
        acknowledged = len(desk.answers())
        with writing.begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        desk.record(999)
        assert len(desk.answers()) == acknowledged + 1


def test_a_write_inside_a_write_is_a_mistake_not_a_deadlock(tmp_path: Path) -> None:
    with (
        open_store(tmp_path / "a.db") as store,
        pytest.raises(RuntimeError, match="inside another write"),
    ):
        store.database.write(lambda _: store.database.write(lambda _: None))


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.db")
    store.close()
    store.close()
    with pytest.raises(RuntimeError, match="the store is closed"):
        store.projects.create("a", "A", 1, {})


def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    """A command line beside the server: its transaction of half a second delays ours, nothing fails."""
    with open_store(tmp_path / "a.db") as store:
        store.projects.create("a", "A", 1, {})
        script = (
            "import sys, time; from plumbline_backend.store import Database; database = Database(sys.argv[1]); "
            "database.write(lambda c: (print('in', flush=True), time.sleep(0.5))); database.close()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "a.db")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        started = time.monotonic()
        store.projects.create("b", "B", 1, {})
        assert time.monotonic() - started > 0.2
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.mark.postgres
def test_a_postgres_that_freezes_is_given_up_and_used_again_when_it_wakes(postgres: Any) -> None:
    postgres.psql("CREATE DATABASE freezing")
    with open_store(f"{postgres.get_uri(database='freezing')}&timeout=1") as store:
        store.projects.create("a", "A", 1, {})
        with store.database.read() as connection:
            backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        os.kill(backend, signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises(DatabaseError), store.database.read() as connection:
                connection.exec_driver_sql("SELECT pg_sleep(3)")
        finally:
            os.kill(backend, signal.SIGCONT)
        assert time.monotonic() - started < 6
        assert store.projects.get("a").name == "A"
        assert "PostgreSQL" in store.database.describe()


@pytest.mark.postgres
def test_a_deadlock_is_tried_again(postgres: Any) -> None:
    postgres.psql("CREATE DATABASE deadlocks")
    with open_store(postgres.get_uri(database="deadlocks")) as store:
        ids = [store.projects.create(slug, slug, 0, {}).id for slug in ("a", "b")]
        both_hold_one = threading.Barrier(2)
        attempts: list[int] = []

        def bump(connection: Any, order: list[int]) -> None:
            attempts.append(1)
            for position, project_id in enumerate(order):
                connection.execute(text(f"UPDATE projects SET n_items = n_items + 1 WHERE id = {project_id}"))
                if position == 0 and len(attempts) <= 2:
                    both_hold_one.wait(10)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda order: store.database.write(lambda c: bump(c, order)), (ids, ids[::-1])))
        assert [project.n_items for project in store.projects.list()] == [2, 2]
        assert len(attempts) > 2
