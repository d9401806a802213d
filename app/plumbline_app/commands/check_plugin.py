"""`plumbline check-plugin`: hold a user's strategy to the suite that ours are held to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plumbline_backend.domain.errors import InputError, PlumblineError


def check_plugin(
    file: Annotated[Path, typer.Argument(help="One Python file with one strategy class")],
    time_limit: Annotated[float, typer.Option(help="Seconds for all checks together")] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output")
    ] = False,
) -> None:
    """Run every check of the strategies' contract on a plug-in, in a process of its own.

    Exit status 0: all hold, 1: some do not, 2: the file is not a plug-in.
    """
    from plumbline_backend.plugins import check_plugin as run

    if time_limit <= 0:
        raise InputError(f"--time-limit: found {time_limit:g}; expected seconds above zero")
    found = run(file, time_limit)
    if as_json:
        print(json.dumps([{"check": name, "problem": problem} for name, problem in found], indent=1))
    else:
        for name, problem in found:
            print(f"{'fails' if problem else 'ok   '}  {name}" + (f"\n       {problem}" if problem else ""))
    failed = sum(bool(problem) for _, problem in found)
    if failed:
        raise PlumblineError(f"{file.name}: {failed} of {len(found)} checks fail")
