"""The Simulate page: try strategies on known answers before people are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
from panel.viewable import Viewable

from plumbline_app.components.charts import percent
from plumbline_app.components.charts_simulation import simulation_curves
from plumbline_app.components.controls import button, choice, several
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.job_row import ENDED, POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, line, page_column, place
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page
from plumbline_app.theme import tokens
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Job
from plumbline_backend.registry import HEADS, PACES
from plumbline_backend.simulation.data import DEMOS
from plumbline_backend.simulation.setup import MOST_STRATEGIES, NO_PACE, OWN, Setup
from plumbline_backend.simulation.summary import SHARES
from plumbline_backend.simulation.task import (
    KIND,
    OWN_DATA,
    known_answers,
    offered_strategies,
    start_simulation,
)

BELOW = "Labels data whose answers are known, over and over, and counts the answers that each strategy needs."
FIRST_CHOICE = ("random", "margin", "typical_then_margin")
BUDGETS = (50, 100, 200, 400, 800, 1600)
REPEATS = (3, 5, 10, 20)
BATCHES = (1, 5, 10, 25, 50)
STARTS = (2, 5, 10, 20, 50)
FIRST = {"as the strategy says": OWN, "at random": "random"}
NOISES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
COLUMNS = (
    grid_column("Strategy", "name"),
    *(grid_column(f"For {p} %", "number", f"Median labels for {p} % of full accuracy") for p in SHARES),
    grid_column(
        "Full accuracy", "text", "Of a head that knows every answer: mean and 95 % interval over repetitions"
    ),
    grid_column("Repetitions", "number"),
)
PSEUDO = grid_column(
    "Wrong pseudo-labels", "text", "Of all that were trained on, over all rounds and repetitions"
)
EMPTY = "Nothing simulated yet. Choose strategies and press Simulate; it runs beside you and can be stopped."


class SimulatePage(Page):
    """Choices, a run with its progress, and what it found."""

    section = "simulate"
    heading = "Simulate"

    def __panel__(self) -> Viewable:
        self._job_row = JobRow(self.session.workspace.jobs, self._ended)
        self._said = place()
        self._body = place(sentence(EMPTY))
        self.every(POLL_MS, self._job_row.poll)
        return page_column(heading("Simulate", BELOW), self._choices(), self._said, self._job_row, self._body)

    def load(self) -> None:
        """Take up a simulation that still runs, or show the newest that has ended."""
        jobs = [j for j in self.session.workspace.jobs.list(self.project.row.id, 50) if j.kind == KIND]
        if jobs and jobs[0].state not in ENDED:
            self._job_row.follow(jobs[0], "Simulating")
            return
        done = next((job for job in jobs if job.state == "done" and job.result), None)
        if done is not None:
            self._show(done.result or {})

    def _choices(self) -> Viewable:
        own = {"This project's known answers": OWN_DATA} if known_answers(self.project) else {}
        demos = {f"Demo: {name.replace('_', ' ')}": name for name in DEMOS}
        wide, small = {"width": 250}, {"width": 130}
        self._data = choice("Data", {**own, **demos}, OWN_DATA if own else DEMOS[0], **wide)
        self._strategies = several(
            f"Strategies (at most {MOST_STRATEGIES})",
            list(offered_strategies(self.project)),
            FIRST_CHOICE,
            width=520,
        )
        self._head = choice("Head", _worded(HEADS.names()), HEADS.names()[0], **wide)
        self._pace = choice("Pseudo-labels", _worded((NO_PACE, *PACES.names())), NO_PACE, width=190)
        self._start_with = choice("First labels", _numbers(STARTS), 10, **small)
        self._first = choice("They are asked", FIRST, OWN, width=190)
        self._budget = choice("Labels at most", _numbers(BUDGETS), 100, **small)
        self._batch = choice("Batch", _numbers(BATCHES), 5, **small)
        self._seeds = choice("Repetitions", _numbers(REPEATS), 3, **small)
        self._noise = choice("Wrong answers", {percent(share, 0): share for share in NOISES}, 0.0, **small)
        return card(
            "",
            "",
            line(self._data, self._strategies),
            line(self._head, self._pace, self._noise),
            line(self._start_with, self._first, self._batch, self._budget, self._seeds),
            line(button("Simulate", self._start, strong=True)),
        )

    def _start(self) -> None:
        fill(self._said)
        setup = Setup(
            data=self._data.value,
            pace=self._pace.value,
            head=self._head.value,
            start=self._start_with.value,
            first=self._first.value,
            batch=self._batch.value,
            budget=self._budget.value,
            seeds=self._seeds.value,
            noise=self._noise.value,
        )
        try:
            job = start_simulation(
                self.session.workspace.jobs, self.project, setup, list(self._strategies.value)
            )
        except InputError as error:
            fill(self._said, notice("This cannot be simulated", str(error), tone="bad"))
            return
        self._job_row.follow(job, "Simulating")

    def _ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._said, notice("The simulation failed", job.message, tone="bad"))
        elif job.state == "done":
            self._job_row.follow(None)
            self._show(job.result or {})

    def _show(self, result: Mapping[str, Any]) -> None:
        rows, setup = result["rows"], result["setup"]
        table = Grid(caption="Labels needed")
        paced = setup["pace"] != NO_PACE
        table.show((*COLUMNS, PSEUDO) if paced else COLUMNS, found_rows(rows, paced))
        chart = pn.pane.Bokeh(
            simulation_curves(rows, setup["seeds"], tokens(self.session.dark)),
            sizing_mode="stretch_width",
            margin=0,
        )
        fill(self._body)
        fill(self._body, card("", "", chart), card("Labels needed", told(setup), table))


def found_rows(rows: Sequence[Mapping[str, Any]], paced: bool = False) -> list[list[Any]]:
    """A row per strategy; a dash where the median repetition did not get there within the budget.

    paced: with a last cell on the pseudo-labels.
    """
    found = []
    for row in rows:
        value, low, high, n = row["full_accuracy_interval"]
        needed = [row["labels_needed"][str(p)] for p in SHARES]
        found.append(
            [
                row["strategy"].replace("_", " "),
                *("–" if m is None else f"{m:g}" for m in needed),
                f"{percent(value)} ({percent(low)} to {percent(high)})",
                f"{n}",
                *([_pseudo(row.get("pseudo_labels"))] if paced else []),
            ]
        )
    return found


def _pseudo(found: Mapping[str, Any] | None) -> str:
    if not found or found["error"] is None:
        return "none were made"
    return f"{percent(found['error'])} of {found['n']:,}"


def told(setup: Mapping[str, Any]) -> str:
    """What was simulated, in words."""
    data = "this project's known answers" if setup["data"] == OWN_DATA else setup["data"].replace("_", " ")
    pace = "" if setup["pace"] == NO_PACE else f", pseudo-labels by {setup['pace'].replace('_', ' ')}"
    noise = f", {percent(setup['noise'], 0)} wrong answers" if setup["noise"] else ""
    return (
        f"On {data}: median labels for a share of the accuracy that all answers give; {setup['start']} first labels"
        f"{'' if setup['first'] == OWN else ' at random'}, batches of {setup['batch']}, "
        f"at most {setup['budget']:,} labels{pace}{noise}. A dash: more than that."
    )


def _worded(names: Sequence[str]) -> dict[str, str]:
    return {name.replace("_", " "): name for name in names}


def _numbers(values: Sequence[int]) -> dict[str, int]:
    return {f"{value:,}": value for value in values}
