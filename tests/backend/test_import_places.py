"""What an import leaves: everything when it ends well, nothing when it is cancelled, fails or dies, at every moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plumbline_backend.domain.errors import ImportRefusedError, JobFailedError, NotFoundError
from plumbline_backend.import_places import UNFINISHED
from plumbline_backend.jobs.executors import InlineExecutor, SubprocessExecutor
from plumbline_backend.pool.files import held, is_held
from plumbline_backend.store import open_store
from plumbline_backend.workspace import Workspace, open_workspace

SERVER = """
import os, signal, sys, time
from plumbline_backend.workspace import open_workspace
with open_workspace(sys.argv[1], settings={"worker_threads": 1}) as workspace:
    columns = workspace.inspect(sys.argv[2]).columns
    job = workspace.start_import(sys.argv[2], "long", columns, label_use="training")
    print("started", flush=True)
    workspace.jobs.wait(job.id)
    print("done", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        yield opened


def numbers(path: Path, n: int, *extra: str) -> Path:
    rows = "".join(f"k{i},{i % 7}.5,{'a' if i % 2 else 'b'}\n" for i in range(n))
    path.write_text("key,x,label\n" + rows + "".join(f"{line}\n" for line in extra), encoding="utf-8")
    return path


def pools(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "pool").iterdir())


def until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.02)


def test_a_finished_import_leaves_its_pool_and_nothing_beside_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    project = workspace.import_items(numbers(tmp_path / "a.csv", 20), "a")
    assert pools(workspace.folder) == ["a"]
    assert UNFINISHED not in project.row.settings


def test_the_name_of_an_import_that_may_still_be_written_is_taken(workspace: Workspace) -> None:
    (workspace.folder / "pool" / ".a.importing").mkdir()
    assert workspace.free_slug("a") == "a-2"


def test_leftovers_that_cannot_be_removed_keep_no_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_workspace(tmp_path / "ws", executor=InlineExecutor()).close()
    (tmp_path / "ws" / "pool" / ".a.importing").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(f"not yours: {path}")

    monkeypatch.setattr("plumbline_backend.import_places.shutil.rmtree", refuse)
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        assert opened.projects() == []
    assert "cannot be removed: not yours" in caplog.text


def test_a_cancelled_import_leaves_nothing_and_its_name_is_free(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "ws", executor=SubprocessExecutor(1)) as workspace:
        file = numbers(tmp_path / "long.csv", 400_000)
        job = workspace.start_import(file, "long", workspace.inspect(file).columns)
        until(lambda: list((workspace.folder / "pool").glob(".long.importing/.pool.*.building/*")))
        workspace.jobs.cancel(job.id)
        until(lambda: workspace.jobs.get(job.id).state == "cancelled", 20)
        assert pools(workspace.folder) == []
        assert workspace.free_slug("long") == "long"


def test_an_import_that_fails_during_its_features_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no memory left")

    monkeypatch.setattr("plumbline_backend.ingest.fit_features", broken)
    with pytest.raises(JobFailedError, match="no memory left"):
        workspace.import_items(numbers(tmp_path / "a.csv", 20), "a")
    assert pools(workspace.folder) == []


def test_a_refused_import_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="row 21"):
        workspace.import_items(numbers(tmp_path / "a.csv", 20, "short"), "a")
    assert pools(workspace.folder) == []


def test_a_handover_that_fails_half_way_takes_everything_back(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project and its question are written; recording the labels of the file fails."""
    seen: list[object] = []

    def broken(*_: object) -> None:
        seen.extend(workspace.store.projects.list())
        assert workspace.projects() == []
        with pytest.raises(NotFoundError, match="is still being imported"):
            workspace.project("a")
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("plumbline_backend.item_import.record_imported", broken)
    with pytest.raises(JobFailedError, match="the disk is full"):
        workspace.import_items(numbers(tmp_path / "a.csv", 20), "a", label_use="training")
    assert len(seen) == 1
    assert workspace.store.projects.list() == []
    assert pools(workspace.folder) == []
    monkeypatch.undo()
    assert workspace.import_items(tmp_path / "a.csv", "a").slug == "a"


def test_an_import_that_is_cancelled_while_its_rows_are_written_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled_meanwhile(*_: object) -> None:
        workspace.jobs.cancel(workspace.jobs.list()[0].id)

    monkeypatch.setattr("plumbline_backend.item_import.record_imported", cancelled_meanwhile)
    with pytest.raises(JobFailedError, match="cancelled"):
        workspace.import_items(numbers(tmp_path / "a.csv", 20), "a", label_use="training")
    assert (workspace.store.projects.list(), pools(workspace.folder)) == ([], [])


def test_two_imports_of_one_name_get_two_slugs_while_neither_has_a_folder(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = numbers(tmp_path / "a.csv", 20)
    columns = workspace.inspect(file).columns
    jobs = [workspace.start_import(file, "a", columns) for _ in range(3)]
    slugs = [workspace.jobs.wait(job.id).spec["slug"] for job in jobs]
    assert slugs == ["a", "a-2", "a-3"]
    assert pools(workspace.folder) == slugs


@pytest.mark.parametrize("moment", ["rename", "project", "question", "labels"])
def test_a_server_killed_inside_the_handover_is_cleared_up_by_the_next(moment: str, tmp_path: Path) -> None:
    """A child process ends itself with SIGKILL right after one of the handover's steps."""
    kill = f"""
import os, signal
from pathlib import Path
from plumbline_backend import item_import, import_places
from plumbline_backend.store.projects import Projects
from plumbline_backend.store.questions import Questions
def deadly(call):
    def run(*args, **options):
        call(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    return run
moment = {moment!r}
if moment == "rename":
    import_places.sync_folder = deadly(import_places.sync_folder)
if moment == "project":
    Projects.create = deadly(Projects.create)
if moment == "question":
    Questions.create = deadly(Questions.create)
if moment == "labels":
    item_import.record_imported = deadly(item_import.record_imported)
"""
    numbers(tmp_path / "a.csv", 20)
    code = kill + SERVER
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "ws", tmp_path / "a.csv"], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert pools(tmp_path / "ws") == [".long.importing", "long"]
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        assert workspace.store.projects.list() == []
        assert pools(workspace.folder) == []
        assert workspace.import_items(tmp_path / "a.csv", "long").slug == "long"


def test_a_server_killed_after_the_handover_keeps_its_project(tmp_path: Path) -> None:
    numbers(tmp_path / "a.csv", 20)
    kill = """
import os, shutil, signal
from plumbline_backend import import_places
import_places.shutil.rmtree = lambda path: os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", kill + SERVER, tmp_path / "ws", tmp_path / "a.csv"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        assert pools(workspace.folder) == ["long"]
        assert workspace.project("long").row.n_items == 20
        assert len(workspace.project("long").question().active) == 2


@pytest.mark.slow
def test_a_server_killed_while_its_worker_reads_takes_the_worker_with_it(tmp_path: Path) -> None:
    """kill -9 of a real server in the middle of an import: no worker goes on, and the next start clears up."""
    numbers(tmp_path / "long.csv", 400_000)
    command = [sys.executable, "-c", SERVER, tmp_path / "ws", tmp_path / "long.csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "started\n"
        scratch = tmp_path / "ws" / "pool" / ".long.importing"
        until(lambda: is_held(scratch) and list(scratch.glob(".pool.*.building/*")))
        os.kill(server.pid, signal.SIGKILL)
    until(lambda: not is_held(scratch), 20)
    assert pools(tmp_path / "ws") == [".long.importing"]
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        assert pools(workspace.folder) == []
        assert workspace.jobs.list()[0].state in ("failed", "running")
        assert workspace.free_slug("long") == "long"


def test_what_somebody_still_builds_in_stays_and_whole_pools_of_another_database_too(tmp_path: Path) -> None:
    """A workspace opened with an empty database has no rows for its pools: that alone removes nothing."""
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        workspace.import_items(numbers(tmp_path / "a.csv", 20), "a")
    scratch = tmp_path / "ws" / "pool" / ".b.importing"
    scratch.mkdir()
    (tmp_path / "ws" / "pool" / ".old.1.abc.building").mkdir()
    other = f"sqlite:///{tmp_path / 'other.db'}"
    open_store(other).close()
    with (
        held(scratch),
        open_workspace(tmp_path / "ws", database_url=other, executor=InlineExecutor()) as workspace,
    ):
        assert pools(workspace.folder) == [".b.importing", "a"]
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        assert pools(workspace.folder) == ["a"]
        assert workspace.project("a").row.n_items == 20


def test_an_import_of_outputs_is_as_safe(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("plumbline_backend.grading_import._record_verdicts", broken)
    with pytest.raises(JobFailedError, match="the disk is full"):
        workspace.create_grading_demo()
    assert (workspace.store.projects.list(), pools(workspace.folder)) == ([], [])
    monkeypatch.undo()
    assert workspace.create_grading_demo().n_outputs > 100
    assert pools(workspace.folder) == ["replies-to-customers"]


def test_held_ends_with_its_block(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "missing")
    with held(tmp_path), held(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_the_slug_is_free_again_when_the_job_cannot_start(tmp_path: Path) -> None:
    opened = open_workspace(tmp_path / "ws", executor=InlineExecutor())
    file = numbers(tmp_path / "a.csv", 20)
    columns = opened.inspect(file).columns
    opened.jobs._closing = True
    with pytest.raises(Exception, match="closing"):
        opened.start_import(file, "a", columns)
    assert opened.free_slug("a") == "a"
    opened.close()
