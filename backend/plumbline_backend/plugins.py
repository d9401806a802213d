"""Strategies of the user's own: one Python file each in the workspace's `plugins` folder.

A plug-in runs in a process of its own with a time limit, so that one that hangs or ends the process harms nothing.
It is the user's code and runs with the user's rights: the limit guards against mistakes, not against malice.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from plumbline_backend.domain.asking import NEEDS, ArrayRows, FeatureRows, Need, PoolView, Ranking
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.ports import Strategy
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.registry import STRATEGIES

TIME_LIMIT_S = 60.0
"""A plug-in that has not answered by then is stopped."""
DESCRIBE_LIMIT_S = 60.0
"""For reading the file and saying its name; starting Python and numpy takes a second or two of it."""
MAX_EXPLANATION = 200


class Described(NamedTuple):
    """What a plug-in says of itself."""

    name: str
    explanation: str
    needs: frozenset[Need]


class PluginStrategy:
    """A plug-in as a strategy: the same contract, kept at a distance."""

    def __init__(self, path: Path, time_limit_s: float = TIME_LIMIT_S) -> None:
        self.path = path
        self.time_limit_s = time_limit_s
        if not path.is_file():
            raise InputError(f"plug-in {path} does not exist; expected a Python file")
        described = _described(path, path.stat().st_mtime_ns)
        self.name: str = described.name
        self.explanation: str = described.explanation
        self.needs: frozenset[Need] = described.needs

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """What the file's `pick` answers. Raises InputError when it raises, hangs or ends its process."""
        request = {"view": _portable(view, self.needs), "n": n, "seed": int(rng.integers(2**31))}
        answer = _run(self.path, "pick", request, self.time_limit_s)
        return Ranking(answer["items"], answer["utility"], str(answer["why"]))


def plugin_names(folder: Path) -> tuple[str, ...]:
    """The names of the plug-ins in a folder: their files' names, sorted; none when the folder is not there."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.name.startswith(("_", "."))))


def choices(folder: Path) -> list[tuple[str, str]]:
    """(name, explanation) of every strategy that can be chosen; a plug-in that cannot be used says why not."""
    ours = [(name, str(STRATEGIES.get(name).explanation)) for name in STRATEGIES.names()]
    return ours + [(name, _explained(folder / f"{name}.py")) for name in plugin_names(folder)]


def _explained(path: Path) -> str:
    try:
        return PluginStrategy(path).explanation
    except InputError as error:
        return f"This plug-in cannot be used: {error}"


@lru_cache(maxsize=64)
def _described(path: Path, changed_ns: int) -> Described:  # noqa: ARG001 - a changed file is described anew
    found = _run(path, "describe", {}, DESCRIBE_LIMIT_S)
    return Described(str(found["name"]), str(found["explanation"]), frozenset(found["needs"].tolist()))


def find_strategy(name: str, folder: Path | None) -> Strategy:
    """The strategy of this name, ours or a plug-in. Raises InputError with the nearest valid name."""
    if name in STRATEGIES.names():
        found: Strategy = STRATEGIES.get(name)()
        return found
    own = () if folder is None else plugin_names(folder)
    if folder is None or name not in own:
        raise InputError(
            f"strategy {name!r} does not exist; {did_you_mean(name, [*STRATEGIES.names(), *own])}"
        )
    return PluginStrategy(folder / f"{name}.py")


def load_class(path: Path) -> type[Any]:
    """The one strategy class that a file defines. Runs the file: call it in the plug-in's own process only."""
    spec = importlib.util.spec_from_file_location(f"plumbline_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file; expected one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and callable(getattr(value, "pick", None))
    ]
    if len(found) != 1:
        names = ", ".join(each.__name__ for each in found) or "none"
        raise InputError(
            f"{path.name} defines {len(found)} classes with a method `pick` ({names}); expected one"
        )
    return found[0]


def describe(path: Path) -> dict[str, Any]:
    """Name, explanation and needs of the file's class. Raises InputError listing everything that is wrong."""
    strategy = load_class(path)
    wrong = []
    name, needs = getattr(strategy, "name", None), getattr(strategy, "needs", None)
    explanation = getattr(strategy, "explanation", None)
    if name != path.stem:
        wrong.append(f"name: found {name!r}; expected {path.stem!r}, the file's name")
    if name in STRATEGIES.names():
        wrong.append(f"name: {name!r} is one of Plumbline's own; expected another file name")
    if not isinstance(explanation, str) or not 1 <= len(explanation) <= MAX_EXPLANATION:
        wrong.append(
            f"explanation: found {explanation!r}; expected a sentence of at most {MAX_EXPLANATION} characters"
        )
    if not isinstance(needs, (set, frozenset)) or not set(needs) <= set(NEEDS):
        wrong.append(f"needs: found {needs!r}; expected a frozenset of any of {', '.join(NEEDS)}")
    if wrong:
        raise InputError(f"{path.name}: " + "; ".join(wrong))
    return {"name": name, "explanation": explanation, "needs": sorted(needs or ())}


def check_plugin(path: Path, time_limit_s: float = TIME_LIMIT_S) -> list[tuple[str, str]]:
    """(promise, what is wrong or "") for every check of the contract, run in the plug-in's process.

    A check that hangs or ends the process is the last one: its problem says so. Raises InputError when the file is
    no plug-in.
    """
    PluginStrategy(path)
    with TemporaryDirectory(prefix="plumbline-plugin-") as name:
        said = Path(name) / "checks.jsonl"
        said.touch()
        stopped = _host("check", path, said, said, time_limit_s)
        rows = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    found = {str(row["check"]): row.get("problem") for row in rows}
    if stopped:
        last = next((check for check, problem in found.items() if problem is None), "ends by itself")
        found[last] = stopped
    return [(check, str(problem)) for check, problem in found.items()]


def _portable(view: PoolView, needs: frozenset[Need]) -> dict[str, Any]:
    """What the view holds of the plug-in's needs, as values that can travel to its process."""
    out: dict[str, Any] = {"candidates": view.candidates}
    if "proba" in needs:
        out["scores"], out["proba"] = view.scores, view.proba
    if view.features is not None and needs & {"features", "proba", "committee"}:
        out["features"] = _place_of(view.features)
    if "labels" in needs:
        out["labelled"] = view.labelled
    if "committee" in needs:
        out["committee"] = list(view.the_committee())
    if "descriptions" in needs:
        out["descriptions"] = view.descriptions
    return out


def _place_of(features: FeatureRows) -> tuple[str, Any]:
    """Features as they travel: a pool's by their folder, so that a million rows are mapped and not copied."""
    if isinstance(features, FeatureMatrix):
        return "folder", str(features.folder)
    return "array", features.gather(np.arange(features.shape[0]))


def rows_of(place: tuple[str, Any]) -> FeatureRows:
    """The features again, in the plug-in's process."""
    kind, value = place
    return FeatureMatrix(Path(value)) if kind == "folder" else ArrayRows(value)


def _host(what: str, path: Path, asked: Path, answered: Path, time_limit_s: float) -> str:
    """Run the plug-in's process to its end; in words why it did not end well, or nothing."""
    command = [
        sys.executable,
        "-m",
        "plumbline_backend.plugin_host",
        what,
        *map(str, (path, asked, answered)),
    ]
    host = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # its own process group, so that its children die with it
    )
    try:
        _, stderr = host.communicate(timeout=time_limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(host.pid, signal.SIGKILL)
        host.communicate()
        return f"plug-in {path.name} did not answer within {time_limit_s:g} s and was stopped"
    if host.returncode == 0:
        return ""
    last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit status {host.returncode}"]
    return f"plug-in {path.name} ended its process: {last[0]}"


def _run(path: Path, what: str, request: dict[str, Any], time_limit_s: float) -> dict[str, Any]:
    """Have the plug-in's process do one thing. Raises InputError with the reason when it does not."""
    if not path.is_file():
        raise InputError(f"plug-in {path} does not exist; expected a Python file")
    with TemporaryDirectory(prefix="plumbline-plugin-") as name:
        asked, answered = Path(name) / "request.pickle", Path(name) / "answer.npz"
        asked.write_bytes(pickle.dumps(request))
        stopped = _host(what, path, asked, answered, time_limit_s)
        if stopped or not answered.is_file():
            raise InputError(stopped or f"plug-in {path.name} ended its process without an answer")
        with np.load(answered, allow_pickle=False) as archive:
            answer: dict[str, Any] = {key: archive[key] for key in archive.files}
    if "error" in answer:
        raise InputError(str(answer["error"]))
    return answer
