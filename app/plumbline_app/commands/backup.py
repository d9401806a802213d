"""`plumbline backup`: a whole workspace in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plumbline_app.commands.progress import progress_bar
from plumbline_backend.backup import write_backup
from plumbline_backend.workspace import open_workspace


def backup(
    out: Annotated[Path, typer.Argument(help="File to write, such as monday.tar")],
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="Folder that holds everything")] = Path(
        "workspace"
    ),
    database: Annotated[
        str | None, typer.Option("--database", help="Postgres URL; default: SQLite in the workspace")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output")
    ] = False,
) -> None:
    """Back up a workspace that no server has open: rows, pools, models, settings.

    A running server backs itself up: POST /api/v1/backups.
    """
    with open_workspace(workspace, database_url=database) as opened, progress_bar() as report:
        made = write_backup(opened.folder, opened.store.database, out, report)
    if as_json:
        print(
            json.dumps(
                {"path": str(out), "bytes": made.n_bytes, "files": made.n_files, "rows": dict(made.rows)}
            )
        )
    else:
        print(
            f"Wrote {out}: {sum(made.rows.values()):,} rows, {made.n_files:,} files, {made.n_bytes:,} bytes."
        )
