"""`plumbline simulate`: try a strategy on data whose answers are known, before asking people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from plumbline_backend.simulation.one_run import SeedCurve
    from plumbline_backend.simulation.setup import Setup


def simulate(
    data: Annotated[
        str, typer.Option(help="CSV, TSV, JSONL, Parquet, NPZ (X, y), or digits, breast_cancer, wine, iris")
    ],
    label: Annotated[
        str | None, typer.Option(help="Column with the answers; default: the one that looks like it")
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="Query strategy, skactiveml:NAME for a baseline, or a plug-in's file; several with commas"
        ),
    ] = "typical_then_margin",
    pace: Annotated[str, typer.Option(help="Self-paced pseudo-labels by this policy; none: no")] = "none",
    head: Annotated[str, typer.Option(help="Classifier that learns")] = "linear_softmax",
    start: Annotated[int, typer.Option(help="Answers before the first training")] = 10,
    batch: Annotated[int, typer.Option(help="Answers between two trainings")] = 5,
    budget: Annotated[int, typer.Option(help="Answers at most")] = 500,
    seeds: Annotated[int, typer.Option(help="Repetitions, each with a split of its own")] = 10,
    noise: Annotated[float, typer.Option(help="Share of answers that are wrong")] = 0.0,
    first: Annotated[
        str, typer.Option(help="First answers: own (the strategy's, where it needs no model) or random")
    ] = "own",
    json_out: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the result here; table (.csv), curve (.svg), seeds (.jsonl) beside it"
        ),
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes; 0: one per core")] = 0,
) -> None:
    """Label data whose answers are known, many times over; say how many labels each accuracy takes.

    A stopped run with --json goes on where it was. Exit status 0: done, 1: failed, 2: refused input.
    """
    from plumbline_backend.simulation.setup import Setup, several

    setup = Setup(data, label, strategy, pace, head, start, batch, budget, seeds, noise, first)
    setups = several(setup)
    curves = _run(setups, json_out, processes)
    title = f"{', '.join(curves)} on {Path(data).stem}"
    print(f"{title}, pace {pace}, head {head}")
    result = _told(setups, curves)
    if json_out is not None:
        _write(json_out, result, curves, title)
        print(f"Wrote {json_out}, and the table and the curve beside it")


def _run(setups: Mapping[str, Setup], json_out: Path | None, processes: int) -> dict[str, list[SeedCurve]]:
    """One strategy after the other, with one bar for all."""
    from plumbline_backend.simulation.many import simulate as run

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    kept = None if json_out is None else json_out.with_suffix(".jsonl")
    curves: dict[str, list[SeedCurve]] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=float(len(setups)))
        for each in setups.values():
            each.check()
        for name, each in setups.items():

            def report(done: float, message: str, name: str = name, before: int = len(curves)) -> None:
                bar.update(task, completed=before + done, description=f"{name}: {message}")

            curves[name] = run(each, kept, processes or None, report)
    return curves


def _told(setups: Mapping[str, Setup], curves: Mapping[str, Sequence[SeedCurve]]) -> dict[str, Any]:
    """Print what was found and give the result: of the one strategy, or {"strategies": {name: result}}."""
    from plumbline_backend.simulation.summary import SHARES, compared, result_of, table_rows

    results = {name: result_of(setups[name], found) for name, found in curves.items()}
    if len(results) == 1:
        (result,) = results.values()
        for name, value in table_rows(result):
            print(f"  {name:<32} {value}")
        return result
    seeds = len(next(iter(curves.values())))
    print(f"  {f'labels, median of {seeds} seeds':<32} " + " ".join(f"{f'{p} %':>8}" for p in SHARES))
    for name, *needed in compared(curves):
        print(f"  {name:<32} " + " ".join(f"{n:>8}" for n in needed))
    return {"strategies": results}


def _write(path: Path, result: dict[str, Any], curves: Mapping[str, Sequence[SeedCurve]], title: str) -> None:
    from plumbline_backend.simulation.plot import write_plot
    from plumbline_backend.simulation.summary import write_table

    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write_table(path.with_suffix(".csv"), curves)
    write_plot(path.with_suffix(".svg"), curves, title)
