"""The process of a plug-in: reads a request, runs the user's file, writes an answer. Started by `plugins`."""

from __future__ import annotations

import json
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.domain.asking import PoolView
from plumbline_backend.domain.errors import InputError
from plumbline_backend.plugins import describe, load_class, rows_of
from plumbline_backend.strategies.base import checked
from plumbline_backend.strategies.contract import Check, checks


def main() -> None:
    """Arguments: describe or pick, the plug-in, the request's file, the answer's file."""
    what, plugin, asked, answered = sys.argv[1], *map(Path, sys.argv[2:5])
    if what == "check":
        _check(plugin, answered)
        return
    try:
        answer = describe(plugin) if what == "describe" else _pick(plugin, pickle.loads(asked.read_bytes()))
    except InputError as error:
        answer = {"error": str(error)}
    except Exception as error:  # the boundary of the process: the user's own mistakes travel back in words
        answer = {
            "error": f"plug-in {plugin.name} raised {type(error).__name__}{_where(error, plugin)}: {error}"
        }
    half_written = answered.with_suffix(".half.npz")
    arrays = {name: np.asarray(value) for name, value in answer.items()}
    np.savez(half_written, **arrays)  # type: ignore[arg-type]
    half_written.rename(answered)


def _pick(plugin: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The plug-in's ranking, checked before anything else looks at it."""
    given = request["view"]
    if "features" in given:
        given = {**given, "features": rows_of(given["features"])}
    view = PoolView(**given)
    found = load_class(plugin)().pick(view, request["n"], np.random.default_rng(request["seed"]))
    ranking = checked(plugin.stem, found, view.candidates, request["n"])
    return {"items": ranking.items, "utility": ranking.utility, "why": ranking.why}


def _check(plugin: Path, answered: Path) -> None:
    """Each check, with a line before it and one after it, so that the one that hangs is known."""
    strategy = load_class(plugin)
    with answered.open("a", encoding="utf-8", buffering=1) as out:
        for check in checks():
            out.write(json.dumps({"check": check.name}) + "\n")
            out.write(json.dumps({"check": check.name, "problem": _problem(check, strategy, plugin)}) + "\n")


def _problem(check: Check, strategy: type[Any], plugin: Path) -> str:
    try:
        check.run(strategy())
    except InputError as error:
        return str(error)
    except Exception as error:  # the user's own mistakes, in words
        return f"raised {type(error).__name__}{_where(error, plugin)}: {error}"
    return ""


def _where(error: Exception, plugin: Path) -> str:
    """ " in line 12", when the error passed through the user's file."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(plugin)
    ]
    return f" in line {lines[-1]}" if lines else ""


if __name__ == "__main__":
    main()
