"""The Simulate page's work: several strategies on one data set, in a worker process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import Work
from plumbline_backend.simulation.data import Dataset, from_pool, load_dataset
from plumbline_backend.simulation.many import run_seeds
from plumbline_backend.simulation.setup import Setup
from plumbline_backend.simulation.summary import median_curve, result_of

if TYPE_CHECKING:
    from plumbline_backend.jobs.runner import Jobs
    from plumbline_backend.project import Project

KIND = "simulate"
MOST_STRATEGIES = 6
OWN_DATA = "project"
"""Simulate on the project's own known answers."""


def start_simulation(jobs: Jobs, project: Project, setup: Setup, strategies: Sequence[str]) -> Job:
    """Start it in the background; the job's result is {"rows": one mapping per strategy}.

    setup.data: a demo's name, or "project" for the project's own label column. Raises InputError on a wrong option, a
    project without known answers, or none or more than six strategies.
    """
    if not 1 <= len(strategies) <= MOST_STRATEGIES:
        raise InputError(f"strategies: found {len(strategies)}; expected 1 to {MOST_STRATEGIES}")
    for strategy in strategies:
        replace(setup, strategy=strategy).check()
    column = known_answers(project)
    if setup.data == OWN_DATA and column is None:
        raise InputError(f"project {project.slug!r} has no column of known answers to simulate with")
    spec = {
        "setup": asdict(setup),
        "strategies": list(strategies),
        "pool": str(project.folders.pool),
        "column": column,
    }
    return jobs.start(
        KIND, project.row.id, Work(KIND, spec), on_result=lambda *_: None, lane=f"{KIND}-{project.row.id}"
    )


def known_answers(project: Project) -> str | None:
    """The column that holds the answers, if the data came with one."""
    return next((c.name for c in project.pool.columns_of("label")), None)


def run_simulation(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's part: one strategy after the other, its seeds beside each other."""
    setup = Setup(**spec["setup"])
    data = _data(setup, spec)
    rows = []
    for i, strategy in enumerate(spec["strategies"]):
        n = len(spec["strategies"])

        def say(done: float, message: str, i: int = i, strategy: str = strategy, n: int = n) -> None:
            report((i + done) / n, f"{strategy.replace('_', ' ')}: {message}")

        chosen = replace(setup, strategy=strategy)
        curves = run_seeds(chosen, data, os.cpu_count() or 1, say)
        result = result_of(chosen, curves)
        rows.append(
            {
                "strategy": strategy,
                "labels_needed": result["labels_needed"],
                "full_accuracy_interval": result["full_accuracy_interval"],
                "n_test": curves[0].n_test,
                "curve": median_curve(curves),
            }
        )
    return {"rows": rows, "setup": asdict(setup)}


def _data(setup: Setup, spec: Mapping[str, Any]) -> Dataset:
    if setup.data == OWN_DATA:
        return from_pool(Path(spec["pool"]), spec["column"])
    return load_dataset(setup.data, setup.label)
