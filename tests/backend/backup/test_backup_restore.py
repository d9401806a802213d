"""P5: what a restored workspace holds is what was backed up, on whichever database."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from plumbline_backend.backup import restore_backup, write_backup
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.store import Database
from plumbline_backend.store.dump import dump
from plumbline_backend.workspace import open_workspace

NOTE = 'a "note" with ümlauts, 中文, a tab\t and 007'


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with answers, a revision, an undo, a merge, a model and a token."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = [[f"k{i}", i % 2 + i / 100, "odd" if i % 2 else "even"] for i in range(60)]
    with (folder / "things.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["key", "size", "label"], *rows])
    with open_workspace(folder / "workspace", settings={"worker_threads": 1}) as workspace:
        project = workspace.import_items(folder / "things.csv", "things")
        project.add_class("neither", by="Ada")
        ada = project.person("Ada")
        for item in range(30):
            project.record(
                item=item,
                judge=ada,
                client_uuid=f"u{item}",
                answer=f"c{1 + item % 2}",
                note=NOTE,
                seconds=0.1,
            )
        project.record(item=3, judge=ada, client_uuid="again", answer="c3")
        project.undo(ada, "undo")
        project.merge_class("c3", "c1", by="Ada")
        job = project.fit()
        assert job is not None
        project.wait(job)
        workspace.store.tokens.create("Ada", "laptop", 30)
        project.next_items(ada, "tab", 5)
    return folder / "workspace"


class Backup(NamedTuple):
    """A backup, and every row as it was then."""

    path: Path
    tables: dict[str, bytes]


@pytest.fixture(scope="module")
def backup(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """Its backup."""
    out = tmp_path_factory.mktemp("backup") / "monday.tar"
    with open_workspace(labelled) as workspace:
        while (job := workspace.project("things").fit()) is not None:
            workspace.project("things").wait(job)
        write_backup(workspace.folder, workspace.store.database, out)
        dumped = dumped_tables(workspace.store.database)
    return Backup(out, dumped)


def tables(url: Path | str) -> dict[str, bytes]:
    """Every row of every table."""
    database = Database(url)
    try:
        return dumped_tables(database)
    finally:
        database.close()


def dumped_tables(database: Database) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    dump(database, lambda name, lines: found.update({name: b"".join(lines)}))
    return found


def said(folder: Path, url: str | None = None) -> tuple[bytes, np.ndarray[Any, Any]]:
    """The label export and the model's probabilities of a workspace."""
    with open_workspace(folder, database_url=url) as workspace:
        project = workspace.project("things")
        out = project.export_labels(folder / "labels.jsonl", "jsonl", history=True).read_bytes()
        (folder / "labels.jsonl").unlink()
        predicted = project.predict(range(60))
        assert predicted is not None
        return out, predicted.proba


@pytest.fixture
def fresh_postgres(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes empty databases."""
    server = request.getfixturevalue("postgres")

    def make() -> str:
        name = f"restore_{uuid4().hex}"
        server.psql(f"CREATE DATABASE {name}")
        url: str = server.get_uri(database=name)
        return url

    return make


def test_export_then_restore_is_identical(labelled: Path, backup: Backup, tmp_path: Path) -> None:
    restored = tmp_path / "restored"
    restore_backup(backup.path, restored)
    before = backup.tables
    assert tables(restored / "plumbline.db") == before
    assert before["judgements"].count(b"\n") == 32, "30 answers, a revision and its undo"
    labels, proba = said(labelled)
    labels_after, proba_after = said(restored)
    assert labels_after == labels
    assert np.array_equal(proba_after, proba)
    with open_workspace(restored) as workspace:
        project = workspace.project("things")
        row = project.record(item=50, judge=project.person("Ada"), client_uuid="new", answer="c1")
        assert row.id > 32, "ids go on after the restored ones"


@pytest.mark.postgres
def test_a_backup_goes_from_sqlite_to_postgres_and_back(
    backup: Backup, tmp_path: Path, fresh_postgres: Callable[[], str]
) -> None:
    url = fresh_postgres()
    restore_backup(backup.path, tmp_path / "on-postgres", url)
    before = backup.tables
    assert tables(url) == before
    with open_workspace(tmp_path / "on-postgres", database_url=url) as workspace:
        project = workspace.project("things")
        write_backup(workspace.folder, workspace.store.database, tmp_path / "back.tar")
        row = project.record(item=50, judge=project.person("Ada"), client_uuid="new", answer="c1")
        assert row.id > 32
    restore_backup(tmp_path / "back.tar", tmp_path / "back")
    assert tables(tmp_path / "back" / "plumbline.db") == before
    with pytest.raises(ConflictError, match="holds projects already"):
        restore_backup(backup.path, tmp_path / "again", url)
    assert not (tmp_path / "again").exists()


def test_the_comparison_would_see_one_changed_row(backup: Backup, tmp_path: Path) -> None:
    restore_backup(backup.path, tmp_path / "restored")
    database = Database(tmp_path / "restored" / "plumbline.db")
    database.write(lambda connection: connection.execute(text("UPDATE judgements SET note='' WHERE id=7")))
    database.close()
    assert tables(tmp_path / "restored" / "plumbline.db") != backup.tables


def altered(backup: Path, out: Path, change: Callable[[tarfile.TarInfo, bytes], Iterator[Any]]) -> Path:
    """A copy of the archive with its members changed."""
    with tarfile.open(backup) as source, tarfile.open(out, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            for changed, data in change(member, content.read()):
                changed.size = len(data)
                target.addfile(changed, io.BytesIO(data))
    return out


def test_a_file_that_was_altered_or_cut_off_is_refused(backup: Backup, tmp_path: Path) -> None:
    def one_byte(member: tarfile.TarInfo, data: bytes) -> Iterator[Any]:
        if member.name.endswith("judgements.jsonl"):
            data = data.replace(b'"c1"', b'"c2"', 1)
        yield member, data

    def one_less(member: tarfile.TarInfo, data: bytes) -> Iterator[Any]:
        if "stream.npy" not in member.name:
            yield member, data

    def climbs(member: tarfile.TarInfo, data: bytes) -> Iterator[Any]:
        yield member, data
        yield tarfile.TarInfo("files/../../evil"), b"x"

    def links(member: tarfile.TarInfo, data: bytes) -> Iterator[Any]:
        link = tarfile.TarInfo("files/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        yield link, b""
        yield member, data

    cases = [(one_byte, "not what was written"), (one_less, "not what was written")]
    cases += [(climbs, "expected plain files"), (links, "expected plain files")]
    for number, (change, words) in enumerate(cases):
        bad = altered(backup.path, tmp_path / f"{number}.tar", change)
        with pytest.raises(InputError, match=words):
            restore_backup(bad, tmp_path / "new")
    for size in (0, 100, 5_000, backup.path.stat().st_size - 12_000):
        (tmp_path / "cut.tar").write_bytes(backup.path.read_bytes()[:size])
        with pytest.raises(InputError, match="backup"):
            restore_backup(tmp_path / "cut.tar", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tar", "1.tar", "2.tar", "3.tar", "cut.tar"]


def test_nothing_is_overwritten(labelled: Path, backup: Backup) -> None:
    with pytest.raises(ConflictError, match="is not empty"):
        restore_backup(backup.path, labelled)
    with open_workspace(labelled) as workspace, pytest.raises(InputError, match="exists already"):
        write_backup(workspace.folder, workspace.store.database, backup.path)


def test_a_running_server_backs_itself_up(labelled: Path, tmp_path: Path) -> None:
    with open_workspace(labelled) as workspace:
        job = workspace.jobs.wait(workspace.start_backup().id)
        assert job.result is not None
        path = workspace.backups_folder / job.result["file"]
        project = workspace.project("things")
        n_then = len(project.history(limit=1_000))
    restore_backup(path, tmp_path / "restored")
    with open_workspace(tmp_path / "restored") as workspace:
        assert len(workspace.project("things").history(limit=1_000)) == n_then
        assert not workspace.backups_folder.exists(), "a backup holds no backups"
    path.unlink()
    path.parent.rmdir()
