"""The command line: its own commands, and those of commands/. Exit status 0: done, 1: failed, 2: refused input."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from plumbline_app.commands.backup import backup
from plumbline_app.commands.calibrate import calibrate
from plumbline_app.commands.check_plugin import check_plugin
from plumbline_app.commands.judges import judges_app
from plumbline_app.commands.progress import follow, progress_bar
from plumbline_app.commands.restore import restore
from plumbline_app.commands.simulate import simulate
from plumbline_app.commands.train import train
from plumbline_app.doctor import examine
from plumbline_backend.domain.errors import InputError, PlumblineError
from plumbline_backend.domain.types import COLUMN_ROLES, Column
from plumbline_backend.pool.chosen import embedded
from plumbline_backend.pool.features import FeaturePart
from plumbline_backend.registry import KINDS
from plumbline_backend.workspace import DEFAULT_KIND, Workspace, open_workspace

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Turn a pile of items into labels you can trust and a classifier you can ship.",
)
errors = Console(stderr=True)
DEMO_MARK = ".demo-workspace"

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder that holds everything")]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="Postgres URL; default: SQLite in the workspace")
]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output")]


app.command()(calibrate)
app.command()(train)
app.command()(simulate)
app.command()(backup)
app.command()(restore)
app.command()(check_plugin)
app.add_typer(judges_app, name="judges")


def main() -> None:
    """Run the command line; errors that are meant for people are printed without a traceback."""
    try:
        app()
    except InputError as error:
        errors.print(f"[bold red]Refused.[/] {_plain(error)}", highlight=False)
        sys.exit(2)
    except PlumblineError as error:
        errors.print(f"[bold red]Failed.[/] {_plain(error)}", highlight=False)
        sys.exit(1)


@app.command()
def serve(
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    host: HostOption = None,
    port: PortOption = None,
    with_demo: Annotated[
        bool, typer.Option(help="Add the demo projects when they are not there yet")
    ] = False,
) -> None:
    """Serve the pages of a workspace until interrupted."""
    with open_workspace(workspace, database_url=database, settings={"host": host, "port": port}) as opened:
        if with_demo:
            _add_demos(opened)
        _serve(opened)


@app.command()
def demo(
    workspace: WorkspaceOption = Path("workspace-demo"),
    host: HostOption = None,
    port: PortOption = None,
    fresh: Annotated[bool, typer.Option(help="Delete the demo workspace first and start over")] = False,
) -> None:
    """Serve a workspace with the demo projects."""
    if fresh:
        _remove_demo(workspace)
    is_new = not workspace.exists()
    with open_workspace(workspace, settings={"host": host, "port": port}) as opened:
        if is_new:
            (workspace / DEMO_MARK).touch()
        _add_demos(opened)
        _serve(opened)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL, Parquet, NPZ, FITS, or a folder of images")],
    name: Annotated[str | None, typer.Option(help="Project name; default: the file's name")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help=f"COLUMN=ROLE, any of {', '.join(COLUMN_ROLES)}")
    ] = None,
    label_use: Annotated[
        str, typer.Option(help="What a label column is for: reference, training or ignore")
    ] = "reference",
    kind: Annotated[str, typer.Option(help=f"Of the question: {', '.join(KINDS.names())}")] = DEFAULT_KIND,
    question: Annotated[str, typer.Option(help="What is asked of every item; default: by the kind")] = "",
    embed: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=MODEL: sentence embeddings of a text column; MODEL is a folder or a hub name"
        ),
    ] = None,
    skip_bad_rows: Annotated[bool, typer.Option(help="Import the rest and list what was skipped")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the guessed roles and stop")] = False,
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a file as a new project."""
    with open_workspace(workspace, database_url=database) as opened:
        columns = _with_roles(opened.inspect(file).columns, role or [])
        if dry_run:
            _print_columns(columns, as_json)
            return
        job = opened.start_import(
            file, name or file.stem, columns, label_use=label_use, kind=kind, text=question,  # type: ignore[arg-type]
            on_problem="skip" if skip_bad_rows else "refuse", features=_embedded(embed or []),
        )  # fmt: skip
        done = follow(opened, job)
        result = dict(done.result or {})
    if as_json:
        print(json.dumps(result))
    else:
        print(
            f"Imported {result['n_items']:,} items as project {result['slug']!r}; {result['n_skipped']:,} rows skipped."
        )
        for problem in result["problems"]:
            print(f"  skipped: {problem}")


@app.command()
def export(
    project: Annotated[str, typer.Argument(help="The project's name in its URL")],
    what: Annotated[str, typer.Argument(help="labels or classifier")],
    out: Annotated[Path, typer.Argument(help="File (labels) or folder (classifier) to write")],
    format: Annotated[str, typer.Option(help="Of labels: csv, parquet or jsonl")] = "csv",  # noqa: A002
    history: Annotated[bool, typer.Option(help="Every row of the ledger, not only what holds today")] = False,
    spreadsheet_safe: Annotated[
        bool, typer.Option(help="CSV: put a quote before cells that a spreadsheet would run")
    ] = True,
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a project's labels, or its newest classifier as a folder that runs without Plumbline."""
    if what not in ("labels", "classifier"):
        raise InputError(f"what: found {what!r}; expected labels or classifier")
    with open_workspace(workspace, database_url=database) as opened:
        found = opened.project(project)
        safe = {"spreadsheet_safe": spreadsheet_safe} if format == "csv" else {}
        with progress_bar() as show:
            show(0.0, f"writing the {what}")
            if what == "labels":
                path = found.export_labels(out, format, history=history, **safe)
            else:
                path = found.export_classifier(out)
    print(json.dumps({"path": str(path)}) if as_json else f"Wrote {path}")


@app.command()
def doctor(
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed, which path the kernels take, and what is missing with the command that brings it."""
    findings = examine(workspace, database)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = "ok     " if finding.ok else "missing"
            print(
                f"{mark}  {finding.name:<22} {finding.found}"
                + (f"\n         -> {finding.remedy}" if finding.remedy else "")
            )
    if not all(finding.ok or finding.optional for finding in findings):
        sys.exit(1)


def _serve(workspace: Workspace) -> None:
    from plumbline_app.main import (
        serve as serve_pages,
    )  # Panel takes seconds to import; other commands do without

    host, port = workspace.settings["host"], workspace.settings["port"]
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::1", "::") else host
    print(
        f"Plumbline is at http://{shown}:{port}  (workspace {workspace.folder}; stop with Ctrl+C)", flush=True
    )
    serve_pages(workspace, host, port)


def _add_demos(workspace: Workspace) -> None:
    from plumbline_backend.pool.demos import DEMOS

    for name in DEMOS:
        workspace.create_demo(name)


def _remove_demo(folder: Path) -> None:
    import shutil

    if not folder.exists():
        return
    if not (folder / DEMO_MARK).exists():
        raise InputError(
            f"--fresh: {folder} was not made by `plumbline demo`; expected a demo workspace, so it stays"
        )
    shutil.rmtree(folder)


def _with_roles(columns: tuple[Column, ...], given: list[str]) -> list[Column]:
    roles = {}
    for assignment in given:
        column, _, role = assignment.rpartition("=")
        if column not in {c.name for c in columns} or role not in COLUMN_ROLES:
            names = ", ".join(c.name for c in columns)
            valid = f"COLUMN one of {names}, ROLE one of {', '.join(COLUMN_ROLES)}"
            raise InputError(f"--role: found {assignment!r}; expected COLUMN=ROLE, {valid}")
        roles[column] = role
    return [replace(c, role=roles.get(c.name, c.role)) for c in columns]


def _embedded(given: list[str]) -> list[FeaturePart]:
    pairs = [assignment.rpartition("=") for assignment in given]
    for (column, _, model), assignment in zip(pairs, given, strict=True):
        if not column or not model:
            raise InputError(
                f"--embed: found {assignment!r}; expected COLUMN=MODEL, as comment=path/to/model"
            )
    return [embedded(column, model) for column, _, model in pairs]


def _print_columns(columns: list[Column], as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                [{"name": c.name, "type": c.type, "role": c.role, "reason": c.reason} for c in columns]
            )
        )
        return
    for c in columns:
        print(f"{c.name:<32} {c.type:<12} {c.role:<10} {c.reason}")


def _plain(error: Exception) -> str:
    """The message, with what rich would take for markup left as it is."""
    return str(error).replace("[", r"\[")


if __name__ == "__main__":
    main()
