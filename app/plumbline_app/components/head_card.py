"""The choice of head on the Model page: what each does, what it would take, and how they compare on these labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice
from plumbline_app.components.grid import Grid, GridColumn, grid_column, interval_cell
from plumbline_app.components.head_settings import HeadSettingsForm
from plumbline_app.components.job_row import JobRow
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.recipe_form import RecipeForm
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Job
from plumbline_backend.model_selection import Comparison
from plumbline_backend.project import Project
from plumbline_backend.project_heads import KIND, HeadOption

LONG_S = 120.0
"""Heads whose comparison would take longer are left out of it."""
ALWAYS: tuple[GridColumn, ...] = (
    grid_column("Head", "text"),
    grid_column("Accuracy", "interval", "On held-out training labels, with its 95 % interval"),
    grid_column("n", "number", "Held-out labels"),
    grid_column(
        "Per class", "interval", "Share found, averaged over the classes: every class counts the same"
    ),
    grid_column("Log-loss", "number", "Surprise at the held-out labels, not calibrated; lower is better"),
    grid_column("Seconds", "number", "Five trainings together"),
)
GROWN: tuple[GridColumn, ...] = (
    grid_column("Old classes", "interval", "On classes with many labels"),
    grid_column("New classes", "interval", "On classes with few labels, while others have many"),
)
NOTE = grid_column("Note", "text", "Why a head was left out")


class HeadCard(Viewer):
    """Choose the project's head, or compare all of them. Call `poll` as often as a job's row is read."""

    def __init__(self, project: Project, jobs: Any, on_chosen: Callable[[], None]) -> None:
        super().__init__()
        self._project = project
        self._on_chosen = on_chosen
        self._job_row = JobRow(jobs, self._compared)
        self._options = {option.name: option for option in project.heads.options()}
        words = {name.replace("_", " "): name for name in self._options}
        self._select = choice("Head", words, project.heads.chosen, width=240)
        self._use = button("Train this head", self._choose, strong=True)
        self._try = button("Compare heads", self._compare)
        self._try_recipes = button("Compare options", self._compare_recipes)
        self._about = sentence("")
        versions = [model.version for model in project.models()]
        self._form = RecipeForm(
            project.heads.recipe, project.heads.domain_columns(), versions, self._describe
        )
        self._found = place()
        self._settings = HeadSettingsForm(self._describe)
        self._select.param.watch(lambda _: self._other_head(), "value")
        self._show_settings()
        self._describe()
        running = next((job for job in project.jobs(KIND) if job.state in ("queued", "running")), None)
        if running is not None:
            self._job_row.follow(running, "Comparing heads")
        self._show(project.heads.comparison())

    def __panel__(self) -> Viewable:
        below = (
            "What is trained on your labels, and what is done with them. Changing it starts a training; a comparison "
            "asks every head, or this head with each option, about labels that it was not trained on, and never looks "
            "at the random stream."
        )
        top = line(self._select, self._use, self._try, self._try_recipes)
        return card("Head", below, top, self._about, self._settings, self._form, self._job_row, self._found)

    def poll(self) -> None:
        """Follow the comparison that runs, if any."""
        self._job_row.poll()

    def _other_head(self) -> None:
        self._show_settings()
        self._describe()

    def _show_settings(self) -> None:
        heads, name = self._project.heads, self._select.value
        self._settings.show(heads.tunable(name), heads.settings(name))

    def _describe(self) -> None:
        heads, option = self._project.heads, self._options[self._select.value]
        same = option.name == heads.chosen and self._form.recipe == heads.recipe
        same = same and self._settings.values == heads.settings(option.name)
        cannot = "" if option.refused else heads.cannot(option.name, self._form.recipe)
        self._use.disabled = bool(option.refused or cannot or self._settings.problems) or same
        self._try_recipes.disabled = not heads.variants()
        words = about(option) + (f" As asked below it cannot be trained: {cannot}." if cannot else "")
        self._about.object = sentence(words).object

    def _choose(self) -> None:
        try:
            self._project.heads.choose(self._select.value, self._settings.values, self._form.recipe.changed())
        except InputError as error:
            fill(self._found, notice("This head cannot be trained here", str(error), tone="bad"))
            return
        self._describe()
        self._on_chosen()

    def _compare(self) -> None:
        names = quick_enough(list(self._options.values()))
        seconds = self._project.heads.seconds(names)
        self._job_row.follow(
            self._project.heads.compare(names), f"Comparing {len(names)} heads, {about_time(seconds)}"
        )

    def _compare_recipes(self) -> None:
        n = 1 + len(self._project.heads.variants())
        seconds = n * self._project.heads.seconds([self._project.heads.chosen])
        self._job_row.follow(
            self._project.heads.compare_recipes(), f"Comparing {n} ways to train, {about_time(seconds)}"
        )

    def _compared(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._found, notice("The comparison failed", job.message, tone="bad"))
        elif job.state == "done":
            self._job_row.follow(None)
            self._show(self._project.heads.comparison())

    def _show(self, comparison: Comparison | None) -> None:
        if comparison is None:
            return
        table = Grid(caption="Heads compared", rows_height=420)
        table.show(*comparison_table(comparison))
        table.selected = next(
            (i for i, r in enumerate(_ordered(comparison)) if r.name == comparison.best), -1
        )
        fill(self._found, sentence(comparison.why.replace("_", " ")), table)


def about(option: HeadOption) -> str:
    """What the head does, and what a training would take."""
    if option.refused:
        return f"{option.explanation} It {option.refused}."
    memory = max(1, round(option.cost.mib))
    takes = f"A training takes {about_time(option.cost.seconds)} and about {memory:,} MiB"
    if option.free_mib is not None and option.cost.mib > option.free_mib:
        takes += f", of which only {option.free_mib:,.0f} MiB are free"
    return f"{option.explanation} {takes}."


def about_time(seconds: float) -> str:
    """An estimate as people say it."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} minutes"


def quick_enough(options: Sequence[HeadOption]) -> list[str]:
    """Heads that can be trained here and whose five trainings take no longer than LONG_S."""
    return [o.name for o in options if not o.refused and 5 * o.cost.seconds <= LONG_S]


def comparison_table(comparison: Comparison) -> tuple[list[GridColumn], list[list[Any]]]:
    """Columns and a row per head, the most accurate first; columns in which nothing is known are left away."""
    grown = any(result.new.n for result in comparison.results)
    noted = any(result.refused for result in comparison.results)
    columns = [*ALWAYS, *(GROWN if grown else ()), *([NOTE] if noted else ())]
    rows = []
    for result in _ordered(comparison):
        row: list[Any] = [
            result.name.replace("_", " "),
            interval_cell(result.accuracy),
            f"{result.accuracy.n:,}" if result.accuracy.n else None,
            interval_cell(result.balanced),
            None if math.isnan(result.surprise) else f"{result.surprise:.2f}",
            None if result.refused else f"{result.seconds:.1f}",
        ]
        row += [interval_cell(result.old), interval_cell(result.new)] if grown else []
        rows.append(row + ([result.refused] if noted else []))
    return columns, rows


def _ordered(comparison: Comparison) -> list[Any]:
    return sorted(
        comparison.results,
        key=lambda r: -1 if math.isnan(r.accuracy.value) else r.accuracy.value,
        reverse=True,
    )
