"""`plumbline calibrate`: the Calibration page's figures for a file of predictions, without the pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from plumbline_backend.domain.errors import InputError


def calibrate(
    file: Annotated[
        Path,
        typer.Argument(help="NPZ with probs or logits and labels; CSV or Parquet with label and prob_CLASS"),
    ],
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here; - prints them")
    ] = None,
    html_out: Annotated[
        Path | None,
        typer.Option("--html", help="Write the report here; default: beside --json, else FILE's name here"),
    ] = None,
    split: Annotated[
        str,
        typer.Option(help="Rows to fit on: half, a share, a number of rows, random:SEED or column=NAME"),
    ] = "half",
    calibrator: Annotated[
        list[str] | None, typer.Option(help="Only this calibrator (may be given again); default: all")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds and simulations")] = 0,
) -> None:
    """Measure a judge's probabilities before and after each calibrator, and say which one to use."""
    from plumbline_backend.trust.calibration import run_calibration, split_rows
    from plumbline_backend.trust.outside import read_predictions
    from plumbline_backend.trust.page import as_html, report_of

    if seed < 0:
        raise InputError(f"--seed: found {seed}; expected a whole number from 0")
    predictions = read_predictions(file)
    fit, words = split_rows(predictions.n, split, predictions.slices)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("reading", total=1.0)
        run = run_calibration(
            predictions,
            fit,
            words,
            calibrator,
            seed,
            lambda p, m: bar.update(task, completed=p, description=m),
        )
    view = report_of(run)
    document = json.dumps(view, indent=1, allow_nan=False)
    page = html_out or _page_path(file, json_out)
    page.write_text(as_html(view), encoding="utf-8")
    if json_out is None:
        _print(view)
    elif str(json_out) == "-":
        print(document)
        return
    else:
        json_out.write_text(document + "\n", encoding="utf-8")
        print(f"Wrote {json_out}")
    print(f"Wrote {page}")


def _page_path(file: Path, json_out: Path | None) -> Path:
    if json_out is None or str(json_out) == "-":
        return Path(f"{file.stem}-calibration.html")
    return json_out.with_suffix(".html")


def _print(document: dict[str, object]) -> None:
    """The chief figures as a small table."""
    figures = {"as given": document["before"], **document["calibrators"]}  # type: ignore[dict-item]
    print(f"{document['name']}: fitted on {document['split']}, shown on n = {document['n_shown']}")
    for name, row in figures.items():
        ece, nll = row["ece"], row["nll"]  # type: ignore[index]
        print(
            f"{name:<20} ECE {ece['value']:.4f} ({ece['low']:.4f} to {ece['high']:.4f}; null {ece['null']:.4f})   "
            f"NLL {nll['value']:.4f} ({nll['low']:.4f} to {nll['high']:.4f})"
        )
    print(f"Use {document['chosen']}: {document['reason']}.")
    for note in document["notes"]:  # type: ignore[attr-defined]
        print(f"Note: {note}.")
