"""`plumbline simulate`: try a strategy on data whose answers are known, before asking people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


def simulate(
    data: Annotated[
        str, typer.Option(help="CSV, TSV, JSONL, Parquet, NPZ (X, y), or digits, breast_cancer, wine, iris")
    ],
    label: Annotated[
        str | None, typer.Option(help="Column with the answers; default: the one that looks like it")
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="Query strategy, skactiveml:NAME for a baseline, or a plug-in's file")
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
    from plumbline_backend.simulation.many import simulate as run
    from plumbline_backend.simulation.plot import write_plot
    from plumbline_backend.simulation.setup import Setup
    from plumbline_backend.simulation.summary import result_of, table_rows, write_table

    setup = Setup(data, label, strategy, pace, head, start, batch, budget, seeds, noise, first)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=1.0)

        def report(done: float, message: str) -> None:
            bar.update(task, completed=done, description=message)

        kept = None if json_out is None else json_out.with_suffix(".jsonl")
        curves = run(setup, kept, processes or None, report)
    result = result_of(setup, curves)
    print(f"{strategy} on {Path(data).stem}, pace {pace}, head {head}")
    for name, value in table_rows(result):
        print(f"  {name:<32} {value}")
    if json_out is not None:
        _write(json_out, result)
        write_table(json_out.with_suffix(".csv"), curves)
        write_plot(json_out.with_suffix(".svg"), curves, f"{strategy} on {Path(data).stem}")
        print(f"Wrote {json_out}, and the table and the curve beside it")


def _write(path: Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
