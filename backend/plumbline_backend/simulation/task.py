"""The Simulate page's work: several strategies on one data set, in a worker process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import Work
from plumbline_backend.plugins import plugin_names
from plumbline_backend.ranking import plugins_beside
from plumbline_backend.registry import STRATEGIES
from plumbline_backend.simulation.baselines import BASELINES
from plumbline_backend.simulation.data import DEMOS, Dataset, from_pool, load_dataset
from plumbline_backend.simulation.many import run_seeds
from plumbline_backend.simulation.setup import MOST_STRATEGIES, Setup
from plumbline_backend.simulation.summary import median_curve, result_of

if TYPE_CHECKING:
    from plumbline_backend.jobs.runner import Jobs
    from plumbline_backend.project import Project

KIND = "simulate"
OWN_DATA = "project"
"""Simulate on the project's own known answers."""


def start_simulation(jobs: Jobs, project: Project, setup: Setup, strategies: Sequence[str]) -> Job:
    """Start it in the background; the job's result is {"rows": one mapping per strategy}. One that was stopped goes on.

    setup.data: a demo's name, or "project" for the project's own label column. Raises InputError on a wrong option, a
    project without known answers, or none or more than six strategies. Strategies go by name: a plug-in counts only
    where it lies in the workspace's folder of plug-ins.
    """
    if not 1 <= len(strategies) <= MOST_STRATEGIES:
        raise InputError(f"strategies: found {len(strategies)}; expected 1 to {MOST_STRATEGIES}")
    known = offered_strategies(project)
    for strategy in strategies:
        if strategy not in known:
            raise InputError(f"strategy {strategy!r} does not exist; {did_you_mean(strategy, known)}")
        replace(setup, strategy=known[strategy]).check()
    if setup.data not in (OWN_DATA, *DEMOS):
        raise InputError(f"data: found {setup.data!r}; expected one of {', '.join((OWN_DATA, *DEMOS))}")
    column = known_answers(project)
    if setup.data == OWN_DATA and column is None:
        raise InputError(f"project {project.slug!r} has no column of known answers to simulate with")
    spec = {
        "setup": asdict(setup),
        "strategies": {name: known[name] for name in strategies},
        "pool": str(project.folders.pool),
        "column": column,
        "kept": str(kept_beside(project.folders.models)),
    }
    return jobs.start(
        KIND, project.row.id, Work(KIND, spec), on_result=lambda *_: None, lane=f"{KIND}-{project.row.id}"
    )


def kept_beside(models: Path) -> Path:
    """Where finished seeds of a project's simulation lie until it ends: one that was stopped goes on where it was."""
    return models.parent.parent / "simulations" / f"{models.name}.jsonl"


def offered_strategies(project: Project) -> dict[str, str]:
    """Names of ours, of the workspace's plug-ins and of installed baselines, to what a setup calls them."""
    folder = plugins_beside(project.folders.models)
    plugins = {name: str(folder / f"{name}.py") for name in plugin_names(folder)}
    baselines = BASELINES if find_spec("skactiveml") is not None else ()
    return {name: name for name in STRATEGIES.names()} | plugins | {name: name for name in baselines}


def known_answers(project: Project) -> str | None:
    """The column that holds the answers, if the data came with one."""
    return next((c.name for c in project.pool.columns_of("label")), None)


def run_simulation(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's part: one strategy after the other, its seeds beside each other."""
    setup = Setup(**spec["setup"])
    data, kept = _data(setup, spec), Path(spec["kept"])
    rows = []
    for i, (strategy, called) in enumerate(spec["strategies"].items()):
        n = len(spec["strategies"])

        def say(done: float, message: str, i: int = i, strategy: str = strategy, n: int = n) -> None:
            report((i + done) / n, f"{strategy.replace('_', ' ')}: {message}")

        chosen = replace(setup, strategy=called)
        curves = run_seeds(chosen, data, os.cpu_count() or 1, say, kept)
        result = result_of(chosen, curves)
        rows.append(
            {
                "strategy": strategy,
                "labels_needed": result["labels_needed"],
                "full_accuracy_interval": result["full_accuracy_interval"],
                "n_test": curves[0].n_test,
                "curve": median_curve(curves),
                "pseudo_labels": result.get("pseudo_labels"),
            }
        )
    kept.unlink(missing_ok=True)  # all of it is in the result
    return {"rows": rows, "setup": asdict(setup)}


def _data(setup: Setup, spec: Mapping[str, Any]) -> Dataset:
    if setup.data == OWN_DATA:
        return from_pool(Path(spec["pool"]), spec["column"])
    return load_dataset(setup.data, setup.label)
