"""`plumbline train`: learn now from every answer, and say what the head is worth."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline_app.commands.progress import follow
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.heads.tuning import in_words, read
from plumbline_backend.workspace import open_workspace

if TYPE_CHECKING:
    from plumbline_backend.project import Project


def train(
    project: Annotated[str, typer.Argument(help="The project's name in its URL")],
    head: Annotated[
        str | None, typer.Option(help="Head to train, from now on; default: the project's own")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the head, from now on; NAME=default takes it back",
        ),
    ] = None,
    show_settings: Annotated[
        bool, typer.Option("--settings", help="List the head's settings and train nothing")
    ] = False,
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
    """Train a project's head on every answer there is, and measure it on the random stream.

    A model that knows every answer already is not trained again. Exit status 0: done, 1: failed, 2: refused input.
    """
    with open_workspace(workspace, database_url=database) as opened:
        found = opened.project(project)
        if show_settings:
            print(_settings(found, head or found.heads.chosen, as_json))
            return
        if head is not None or settings:
            _choose(found, head or found.heads.chosen, settings or [])
        trained = False
        while (job := found.fit()) is not None:
            follow(opened, job)
            trained = True
        result = _result(found, trained)
    print(json.dumps(result) if as_json else _words(result))


def _choose(project: Project, head: str, texts: Sequence[str]) -> None:
    """Set the head and what was asked for; other settings stay. Raises InputError naming what cannot be read."""
    pairs = [text.partition("=") for text in texts]
    for (name, equals, _), text in zip(pairs, texts, strict=True):
        if not equals or not name.strip():
            raise InputError(f"--set: found {text!r}; expected NAME=VALUE, such as l2=0.1")
    changed = read(head, {name.strip(): value for name, _, value in pairs})
    project.heads.choose(head, {**project.heads.settings(head), **changed})


def _settings(project: Project, head: str, as_json: bool) -> str:
    """The head's settings, a line each."""
    given = project.heads.settings(head)
    rows = [
        {
            "name": each.name,
            "value": given.get(each.name),
            "default": each.default,
            "expected": each.expected,
            "meaning": each.told.meaning,
        }
        for each in project.heads.tunable(head)
    ]
    if as_json:
        return json.dumps({"project": project.slug, "head": head, "settings": rows})
    lines = [
        f"{each.name} = {in_words(given.get(each.name)) or each.default_words}\n"
        f"    {each.told.title}: {each.told.meaning}\n"
        f"    Default: {each.default_words}. Expected: {each.expected}."
        for each in project.heads.tunable(head)
    ]
    return "\n".join([f"Settings of {head} (set one with --set NAME=VALUE):", *(lines or ["It has none."])])


def _result(project: Project, trained: bool) -> dict[str, Any]:
    """What is known of the newest model. Raises ConflictError while there is nothing to train on."""
    status = project.status()
    if status.model is None:
        raise ConflictError(f"project {project.slug!r} has no model. {status.waiting}")
    key, name = project.loop.kind.headline
    value, low, high, n = status.model.metrics.get(key) or (None, None, None, 0)
    numbers = (None if number is None or math.isnan(number) else number for number in (value, low, high))
    return {
        "project": project.slug,
        "trained": trained,
        "version": status.model.version,
        "head": status.model.metrics["head"],
        "n_train": status.model.n_train,
        "measure": name,
        key: {**dict(zip(("value", "low", "high"), numbers, strict=True)), "n": int(n)},
    }


def _words(result: dict[str, Any]) -> str:
    measured = list(result.values())[-1]
    what = "Trained" if result["trained"] else "Nothing new to learn:"
    about = f"{what} version {result['version']} ({result['head']}), from {result['n_train']:,} answers."
    if measured["value"] is None:
        return f"{about}\n{result['measure']}: not known yet (n = {measured['n']} random-stream answers)"
    value, low, high = (f"{measured[part]:.3f}" for part in ("value", "low", "high"))
    return (
        f"{about}\n{result['measure']} {value} ({low} to {high}, n = {measured['n']:,} random-stream answers)"
    )
