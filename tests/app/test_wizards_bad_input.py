"""The whole tables of bad input through the pages' importers, on SQLite and on Postgres: each file is refused in the
same words as everywhere, or kept exactly, and the page is usable afterwards."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import panel as pn
import pytest

from plumbline_app.components.grid import Grid
from plumbline_app.components.import_review import ImportChoice
from plumbline_app.components.import_wizard import ImportWizard
from plumbline_app.components.outputs_review import OutputsChoice
from plumbline_app.components.outputs_wizard import OutputsWizard
from plumbline_backend.domain.errors import ImportRefusedError, JobFailedError
from plumbline_backend.importers.outputs_mapping import GradeColumn, OutputMapping
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool import with_roles
from plumbline_backend.workspace import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent.parent / "backend" / "importers"))
from test_import_bad_input import KEPT, REFUSED


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(
        tmp_path / "ws",
        database_url=database_url,
        executor=InlineExecutor(),
        settings={"worker_threads": 1},
    ) as opened:
        yield opened


def cases(workspace: Workspace, rows: list[Any]) -> list[tuple[int, Any]]:
    """Every row of a table on SQLite; on Postgres those with characters that a database can be particular about."""
    numbered = list(enumerate(rows))
    if workspace.store.database.dialect == "sqlite":
        return numbered
    return [(n, row) for n, row in numbered if not _is_plain(row)]


def _is_plain(row: Any) -> bool:
    content = next(part for part in row if isinstance(part, bytes))
    return content.isascii() and b"\0" not in content and b"\\u" not in content


class Seen:
    """What a wizard shows: its words, and the cells of its grids."""

    def __init__(self, wizard: ImportWizard | OutputsWizard) -> None:
        self._layouts = (wizard._said, wizard._body)

    @property
    def words(self) -> str:
        panes = [pane for layout in self._layouts for pane in layout.select(pn.pane.HTML)]
        return html.unescape("\n".join(str(pane.object) for pane in panes))

    @property
    def cells(self) -> list[object]:
        grids = [grid for layout in self._layouts for grid in layout.select(Grid)]
        return [cell for grid in grids for row in grid.rows for cell in row]

    @property
    def asks_to_import(self) -> bool:
        """Whether the file could be looked at, and its columns are asked for."""
        return "<h2>The project</h2>" in self.words


def written(folder: Path, number: int, name: str, content: bytes) -> Path:
    path = folder / f"case{number}" / name
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def ended(workspace: Workspace, wizard: ImportWizard | OutputsWizard) -> None:
    """Wait for the import as a page does that looks at it every now and then."""
    if wizard.job:
        with suppress(JobFailedError, ImportRefusedError):
            workspace.jobs.wait(wizard.job)
        wizard.poll()


def through_items(
    workspace: Workspace, path: Path, roles: dict[str, str], name: str
) -> tuple[Seen, ImportWizard]:
    wizard = ImportWizard(workspace)
    wizard._named(str(path))
    seen = Seen(wizard)
    if seen.asks_to_import:
        columns = with_roles(workspace.inspect(path).columns, roles)
        wizard._import(ImportChoice(name, "What is it?", tuple(columns), "reference", "refuse", "choice", ()))
        ended(workspace, wizard)
    return seen, wizard


def test_items_that_are_refused_leave_the_wizard_with_the_reason(
    workspace: Workspace, tmp_path: Path
) -> None:
    for number, (what, name, content, roles, message) in cases(workspace, REFUSED):
        seen, wizard = through_items(workspace, written(tmp_path, number, name, content), roles, f"r{number}")
        assert "cannot be read" in seen.words or "Nothing was imported" in seen.words, (what, seen.words)
        expected = message.rpartition("; expected ")[2]
        assert any(str(cell).startswith(expected.removesuffix("file")[:60]) for cell in seen.cells), (
            what,
            seen.cells,
        )
        wizard._start_over()
        assert "cannot be read" not in seen.words
    assert workspace.projects() == []
    assert list((workspace.folder / "pool").iterdir()) == []


def test_items_that_are_kept_come_out_of_the_wizard_as_they_were(
    workspace: Workspace, tmp_path: Path
) -> None:
    for number, (what, content, roles, column, values) in cases(workspace, KEPT):
        given = roles if column in ("id", "x") else {**roles, column: "text"}
        if column == "id":
            given = {**roles, "id": "id"}
        path = written(tmp_path, number, "a.csv", content)
        seen, _ = through_items(workspace, path, given, f"kept {number}")
        assert "is ready" in seen.words, (what, seen.words)
        pool = workspace.project(f"kept-{number}").pool
        expected = ["" if v is None and column not in ("x",) else v for v in values]
        found = [
            "" if v is None and column not in ("x",) else v
            for v in pool.column_values(column, range(pool.n_items))
        ]
        assert found == expected, what


def through_outputs(
    workspace: Workspace, path: Path, mapping: OutputMapping, name: str
) -> tuple[Seen, OutputsWizard]:
    wizard = OutputsWizard(workspace)
    wizard._named(str(path))
    seen = Seen(wizard)
    if seen.asks_to_import:
        wizard._begin(OutputsChoice(name, mapping, skip_bad_rows=False))
        ended(workspace, wizard)
    return seen, wizard


NUMBERS_OR_LABELS = (
    *("a word among numbers", "infinite", "more digits than a float keeps"),
    *("empty id", "NUL in a label"),
)
"""Refused for their roles as items; as outputs they are texts, and an empty id stands for the row's number."""


def test_outputs_that_are_refused_leave_the_wizard_with_the_reason(
    workspace: Workspace, tmp_path: Path
) -> None:
    for number, (what, name, content, roles, message) in cases(workspace, REFUSED):
        if what in NUMBERS_OR_LABELS:
            continue
        mapping = OutputMapping("a" if name.endswith("l") else "x", id=roles.get("id"))
        seen, wizard = through_outputs(
            workspace, written(tmp_path, number, name, content), mapping, f"r{number}"
        )
        assert any(w in seen.words for w in ("cannot be read", "Nothing was imported", "refused")), (
            what,
            seen.words,
        )
        if name.endswith((".csv", ".jsonl")):
            expected = message.rpartition("; expected ")[2][:60]
            told = [str(cell) for cell in seen.cells]
            assert any(cell.startswith(expected) for cell in told), (what, told)
        else:
            assert "unknown kind of file" in seen.words
        wizard._start_over()
    assert workspace.projects() == []


def test_outputs_that_are_kept_come_out_of_the_wizard_as_they_were(
    workspace: Workspace, tmp_path: Path
) -> None:
    for number, (what, content, _, column, values) in cases(workspace, KEPT):
        mapping = OutputMapping(column, id=None if column == "id" else "id")
        seen, _ = through_outputs(
            workspace, written(tmp_path, number, "a.csv", content), mapping, f"kept {number}"
        )
        assert "is ready" in seen.words, (what, seen.words)
        pool = workspace.grading(f"kept-{number}").pool
        found = pool.column_values("response", range(pool.n_items))
        if column != "x" and None not in values:
            assert found == values, what


def test_a_nul_for_the_ledger_is_refused_before_anything_is_made(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = written(tmp_path, 0, "o.csv", b"output,human,note\nx,good,a\0b\ny,bad,\n")
    mapping = OutputMapping("output", grades=(GradeColumn("human", "eva", note="note"),))
    seen, wizard = through_outputs(workspace, path, mapping, "nul")
    assert "Nothing was imported" in seen.words
    assert "text without NUL characters" in seen.cells
    assert workspace.projects() == []
    wizard._begin(OutputsChoice("nul", mapping, skip_bad_rows=True))
    ended(workspace, wizard)
    assert "1 outputs, 1 rows left out" in seen.words
    assert workspace.grading("nul").pool.n_items == 1
