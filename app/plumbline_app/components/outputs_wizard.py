"""An import of LLM outputs from choosing a file to the finished project. The address holds the step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.controls import button, text_field
from plumbline_app.components.import_review import problems_grid
from plumbline_app.components.job_row import JobRow
from plumbline_app.components.layout import card, fill, line, place, side_by_side
from plumbline_app.components.outputs_review import OutputsChoice, OutputsReview
from plumbline_app.components.upload import Upload
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import ImportRefusedError, PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.importers.outputs_formats import SUFFIXES

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace


class OutputsWizard(Viewer):
    """Choose, check, import. `poll` is to be called every `job_row.POLL_MS`, `restore` once the page is shown."""

    upload = param.String(default="", doc="Id of the uploaded file that is looked at.")
    path = param.String(default="", doc="Path on the server that is looked at.")
    job = param.Integer(default=0, doc="The import that runs or has ended; 0 before it starts.")

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._said = place()
        self._body = place()
        self._job_row = JobRow(workspace.jobs, self._ended)
        self._review: OutputsReview | None = None

    def __panel__(self) -> Viewable:
        keep_in_address(self, ["upload", "path", "job"])
        if not (self.upload or self.path or self.job):
            self._choose()
        gap = {"gap": "16px"}
        return pn.Column(
            self._said, self._job_row, self._body, sizing_mode="stretch_width", margin=0, styles=gap
        )

    def restore(self) -> None:
        """Go back to the step that the address names."""
        if self.job:
            self._refusing(self._follow)
        elif self.upload or self.path:
            self._refusing(self._inspect)

    def poll(self) -> None:
        """Bring the running import's bar up to date."""
        self._job_row.poll()

    def _choose(self) -> None:
        self.param.update(upload="", path="", job=0)
        self._job_row.follow(None)
        field = text_field("Path of a file", placeholder="/data/outputs.jsonl", sizing_mode="stretch_width")

        def look() -> None:
            typed = field.value_input or field.value
            if typed.strip():
                self._named(typed.strip())

        field.param.watch(lambda _: look(), "enter_pressed")
        here = card(
            "From this computer",
            "CSV or JSON Lines with one output per row, promptfoo's JSON results, or an Inspect log.",
            Upload(self._uploaded, accept=",".join(SUFFIXES), kinds="CSV, JSON Lines or JSON"),
        )
        there = card(
            "From the server",
            "A file that the server can read.",
            field,
            line(button("Look at it", look)),
        )
        fill(self._body, side_by_side(here, there))

    def _uploaded(self, upload_id: str, _: str) -> None:
        self.param.update(upload=upload_id, path="")
        self._refusing(self._inspect)

    def _named(self, path: str) -> None:
        self.param.update(upload="", path=path)
        self._refusing(self._inspect)

    def _inspect(self) -> None:
        file = self._file()
        preview = self._workspace.inspect_outputs(file)
        self._review = OutputsReview(file.name, preview, self._begin, self._start_over)
        fill(self._said)
        fill(self._body, self._review)

    def _file(self) -> Path:
        return self._workspace.upload_path(self.upload) if self.upload else Path(self.path)

    def _begin(self, choice: OutputsChoice) -> None:
        mapping = None if choice.mapping is None else choice.mapping.to_dict()
        on_problem: Any = "skip" if choice.skip_bad_rows else "refuse"
        job = self._workspace.start_import_outputs(self._file(), choice.name, mapping, on_problem=on_problem)
        self.job = job.id
        self._follow()

    def _follow(self) -> None:
        job = self._workspace.jobs.get(self.job)
        fill(self._said)
        fill(self._body, sentence("You may leave this page; the import goes on."))
        self._job_row.follow(job, f"Importing {job.spec.get('name', '')}")
        if job.finished_at is not None:
            self._ended(job)

    def _ended(self, job: Job) -> None:
        self._job_row.follow(None)
        result = dict(job.result or {})
        again = line(button("Import another file", self._start_over))
        if job.state == "done":
            left_out = f", {result['n_skipped']:,} rows left out" if result["n_skipped"] else ""
            alike = f", {result['n_alike']:,} repeat another" if result["n_alike"] else ""
            said = notice(
                f"{job.spec['name']} is ready",
                f"{result['n_items']:,} outputs{left_out}{alike}.",
                tone="good",
                link=(f"/p/{result['slug']}/grade", "Start grading"),
            )
            fill(self._said, said)
            fill(self._body, again)
            return
        problems = result.get("problems", [])
        fill(self._said, notice("Nothing was imported", _reason(job), tone="bad"))
        listed = [card("What is wrong", "", problems_grid(problems))] if problems else []
        fill(self._body, *listed, line(button("Look at the file again", self._review_again)), again)

    def _review_again(self) -> None:
        """The choices as they were, where this page has them still."""
        self.job = 0
        if self._review is None:
            self._refusing(self._inspect)
            return
        fill(self._said)
        fill(self._body, self._review)

    def _start_over(self) -> None:
        fill(self._said)
        self._choose()

    def _refusing(self, step: Callable[[], None]) -> None:
        """Take a step; what is refused is said, with the first step below it."""
        try:
            step()
        except ImportRefusedError as error:
            self._choose()
            fill(
                self._said,
                notice("This file cannot be read", "See below.", tone="bad"),
                problems_grid(error.problems),
            )
        except PlumblineError as error:
            self._choose()
            fill(self._said, notice("That was refused", str(error), tone="bad"))


def _reason(job: Job) -> str:
    if (job.result or {}).get("problems"):
        return (
            "The file has rows that cannot be imported as they are. Look again and choose to leave them out."
        )
    return job.message or job.state
