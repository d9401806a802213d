"""Many seeds of one setup, in processes beside each other, kept as they finish so that a stopped run goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.managers import DictProxy, SyncManager
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.simulation.data import Dataset, load_dataset
from plumbline_backend.simulation.one_run import SeedCurve, run_seed
from plumbline_backend.simulation.setup import Setup

Report = Callable[[float, str], None]
POLL_S = 0.2


def simulate(
    setup: Setup, kept: Path | None = None, processes: int | None = None, report: Report | None = None
) -> list[SeedCurve]:
    """The curve of every seed 0 .. setup.seeds - 1, in that order.

    kept and the errors: as in `run_seeds`. processes: default one per core. Raises InputError on a wrong option or
    data.
    """
    setup.check()
    setup.make_strategy()
    data = load_dataset(setup.data, setup.label)
    return run_seeds(setup, data, processes or os.cpu_count() or 1, report or _silent, kept)


def run_seeds(
    setup: Setup, data: Dataset, processes: int, report: Report, kept: Path | None = None
) -> list[SeedCurve]:
    """Every seed on data that are loaded already.

    kept: a file of finished seeds, one JSON line each; those of the same setup, data and code are not run again, and
    new ones are added as they finish. Raises JobFailedError when a seed's process was lost; finished seeds stay.
    """
    key, goal = setup.key(data), setup.budget
    done = {c.seed: c for c in _finished(kept, key, goal) if c.seed < setup.seeds}
    todo = [seed for seed in range(setup.seeds) if seed not in done]
    report(len(done) / setup.seeds, f"{len(done)} of {setup.seeds} seeds were finished before")
    for curve in _run_all(setup, data, todo, processes, report, len(done)):
        done[curve.seed] = curve
        if kept is not None:
            _keep(kept, key, curve)
    return [done[seed] for seed in range(setup.seeds)]


def _run_all(
    setup: Setup, data: Dataset, todo: list[int], processes: int, say: Report, n_done: int
) -> Iterator[SeedCurve]:
    """Curves as they finish; the share done counts labels, so that the bar moves within a seed too."""
    goal = min(setup.budget, len(data.y))
    if processes == 1 or len(todo) < 2:
        for i, seed in enumerate(todo, n_done):
            yield run_seed(data, setup, seed, _progress_of(say, i, goal, setup.seeds))
        return
    context = multiprocessing.get_context("spawn")
    with (
        SyncManager(ctx=context) as manager,
        ProcessPoolExecutor(
            min(processes, len(todo)), mp_context=context, initializer=_one_thread
        ) as workers,
    ):
        labels: DictProxy[int, int] = manager.dict()
        running: set[Future[SeedCurve]] = {workers.submit(_one, data, setup, seed, labels) for seed in todo}
        while running:
            finished, running = wait(running, timeout=POLL_S, return_when="FIRST_COMPLETED")
            share = n_done + sum(min(1.0, n / goal) for n in labels.values())
            say(share / setup.seeds, f"seed {setup.seeds - len(running)} of {setup.seeds}")
            for each in finished:
                try:
                    curve = each.result()
                except BrokenProcessPool as error:
                    raise JobFailedError(
                        "simulate: a seed's process ended by itself, as when memory runs out; start it again with "
                        "fewer --processes, finished seeds are not run anew where they were kept"
                    ) from error
                yield curve


def _one(data: Dataset, setup: Setup, seed: int, labels: Any) -> SeedCurve:
    def progress(n: int) -> None:
        labels[seed] = n

    return run_seed(data, setup, seed, progress)


def _one_thread() -> None:
    """Each process gets one core: seeds beside each other are faster than threads inside one."""
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    torch.set_num_threads(1)
    threadpool_limits(1)
    with suppress(OSError):
        os.nice(5)


def _progress_of(say: Report, i: int, goal: int, seeds: int) -> Callable[[int], None]:
    return lambda n: say((i + min(1.0, n / goal)) / seeds, f"seed {i + 1} of {seeds}: {n} labels")


def _finished(kept: Path | None, key: str, budget: int) -> Iterator[SeedCurve]:
    if kept is None or not kept.exists():
        return
    for line in kept.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # the last line of a run that was killed while it wrote; its seed runs again
        curve = SeedCurve(**row["curve"]).cut_to(budget) if row["setup"] == key else None
        if curve is not None:
            yield curve


def _keep(kept: Path, key: str, curve: SeedCurve) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"setup": key, "curve": curve.as_json()}) + "\n")
        out.flush()
        os.fsync(out.fileno())


def _silent(fraction: float, message: str) -> None:
    """The progress of someone who does not look."""
