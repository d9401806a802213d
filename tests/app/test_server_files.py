"""Behind a login a path on the server is no way around the roles."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from team import Team, open_team

from plumbline_app.views import folders_offered, workspace_view
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.people import EVERYTHING
from plumbline_backend.people.errors import ForbiddenError


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "shared").mkdir()
    with open_team(folder, settings={"import_folders": f"{folder / 'shared'}, /nowhere"}) as opened:
        yield opened


def view(team: Team, person: str) -> Any:
    return workspace_view(team.workspace, team.workspace.store.people.access_by_name(person))  # type: ignore[arg-type]


def table(path: Path) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["key", "text"], ["a", "one short text"], ["b", "another short text"]])
    return path


@pytest.mark.parametrize("person", ["maker", "boss"])
def test_only_uploads_and_allowed_folders_are_read(team: Team, person: str, tmp_path: Path) -> None:
    outside = table(tmp_path / "outside.csv")
    shared = team.workspace.folder.parent / "shared"
    link = shared / f"{person}.csv"
    link.symlink_to(outside)
    exports = team.workspace.folder / "exports" / "secret"
    exports.mkdir(parents=True, exist_ok=True)
    workspace = view(team, person)
    for path in (
        outside,
        link,
        shared / ".." / "things.csv",
        table(exports / "labels.csv"),
        team.workspace.folder / "uploads",
        team.workspace.folder / "plumbline.db",
        "/etc/passwd",
    ):
        for call in (
            workspace.inspect,
            workspace.inspect_outputs,
            lambda path: workspace.start_import(path, "stolen", []),
            lambda path: workspace.start_import_outputs(path, "stolen"),
        ):
            with pytest.raises(ForbiddenError, match=r"setting import_folders .*; upload the file instead"):
                call(path)
    assert len(workspace.inspect(table(shared / "own.csv")).columns) == 2
    _, upload = workspace.new_upload("x.csv")
    assert len(workspace.inspect(table(upload)).columns) == 2
    assert folders_offered(workspace) == (shared.resolve(), Path("/nowhere"))


def test_without_a_login_any_path_can_be_named(team: Team, tmp_path: Path) -> None:
    workspace = workspace_view(team.workspace, EVERYTHING)
    assert folders_offered(workspace) is None
    assert len(workspace.inspect(table(tmp_path / "own.csv")).columns) == 2


def test_a_job_is_known_to_those_of_its_project(team: Team) -> None:
    secret = team.workspace.project("secret")
    job = secret.start_export("labels", format="csv")
    team.workspace.jobs.wait(job.id)
    assert view(team, "boss").jobs.get(job.id).id == job.id
    assert view(team, "boss").jobs.list(secret.row.id)[0].id == job.id
    for person in ("owner", "maker", "stranger"):
        with pytest.raises(NotFoundError, match="does not exist here"):
            view(team, person).jobs.get(job.id)
        assert view(team, person).jobs.list(secret.row.id) == []
