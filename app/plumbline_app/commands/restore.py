"""`plumbline restore`: a backup as a new workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plumbline_app.commands.progress import progress_bar
from plumbline_backend.backup import restore_backup


def restore(
    file: Annotated[Path, typer.Argument(help="The backup")],
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="New folder to make")] = Path(
        "workspace"
    ),
    database: Annotated[
        str | None,
        typer.Option(
            "--database", help="URL of an empty Postgres database; default: SQLite in the workspace"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output")
    ] = False,
) -> None:
    """Make a workspace from a backup, on SQLite or Postgres whichever it came from. Nothing is overwritten."""
    with progress_bar() as report:
        made = restore_backup(file, workspace, database, report)
    if as_json:
        print(json.dumps({"workspace": str(workspace), "files": made.n_files, "rows": dict(made.rows)}))
    else:
        print(f"Restored {workspace}: {sum(made.rows.values()):,} rows, {made.n_files:,} files.")
