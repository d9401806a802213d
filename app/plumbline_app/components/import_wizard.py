"""An import from choosing a file to the finished project. The address holds the step, so that a refresh keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.controls import button
from plumbline_app.components.import_review import ImportChoice, ImportReview, problems_grid
from plumbline_app.components.import_source import ImportSource
from plumbline_app.components.job_row import JobRow
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.words import notice, sentence
from plumbline_app.views import folders_offered
from plumbline_backend.domain.errors import ImportRefusedError, NotFoundError, PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.importers import supported_suffixes
from plumbline_backend.item_import import asked_of
from plumbline_backend.pool.demos import demo_named, demo_names

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace


class ImportWizard(Viewer):
    """Choose, check, import. `poll` is to be called every `job_row.POLL_MS`, `restore` once the page is shown."""

    upload = param.String(default="", doc="Id of the uploaded file that is looked at.")
    path = param.String(default="", doc="Path on the server that is looked at.")
    draft = param.String(default="", doc="What was corrected of the guesses about it, as JSON.")
    job = param.Integer(default=0, doc="The import that runs or has ended; 0 before it starts.")

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._said = place()
        self._body = place()
        self._job_row = JobRow(workspace.jobs, self._ended)

    def __panel__(self) -> Viewable:
        keep_in_address(self, ["upload", "path", "draft", "job"])
        if not (self.upload or self.path or self.job):
            self._choose()
        return pn.Column(
            self._said,
            self._job_row,
            self._body,
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "16px"},
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
        self.param.update(upload="", path="", draft="", job=0)
        self._job_row.follow(None)
        demos = [(name, demo_named(name).title) for name in demo_names()]
        folders = folders_offered(self._workspace)
        source = ImportSource(
            demos, supported_suffixes(), self._uploaded, self._named, self._demo, folders=folders
        )
        fill(self._body, source)

    def _start_over(self) -> None:
        fill(self._said)
        self._choose()

    def _uploaded(self, upload_id: str, _: str) -> None:
        self.param.update(upload=upload_id, path="", draft="")
        self._refusing(self._inspect)

    def _named(self, path: str) -> None:
        self.param.update(upload="", path=path, draft="")
        self._refusing(self._inspect)

    def _demo(self, name: str) -> None:
        title = demo_named(name).title
        there = self._workspace.demo(name)
        if there is not None:
            link = (f"/p/{there.slug}/label", f"Open {title}")
            fill(self._said, notice(f"{title} is there already", "Its answers are kept.", link=link))
        else:
            self._refusing(lambda: self._started(self._workspace.start_demo(name)))

    def _inspect(self) -> None:
        review = self._review()
        fill(self._said)
        fill(self._body, review)

    def _review(self) -> ImportReview:
        """The second step, with what the address says was corrected."""
        file = self._file()
        preview = self._workspace.inspect(file)
        return ImportReview(
            file.name, preview, self._import, self._start_over, self._drafted(), self._keep_draft
        )

    def _drafted(self) -> dict[str, Any]:
        try:
            draft = json.loads(self.draft or "{}")
        except ValueError:
            return {}
        return draft if isinstance(draft, dict) else {}

    def _keep_draft(self, draft: Mapping[str, Any]) -> None:
        self.draft = json.dumps(draft, ensure_ascii=False) if draft else ""

    def _file(self) -> Path:
        return self._workspace.upload_path(self.upload) if self.upload else Path(self.path)

    def _import(self, choice: ImportChoice) -> None:
        self._refusing(lambda: self._started(self._begin(choice)))

    def _begin(self, choice: ImportChoice) -> Job:
        return self._workspace.start_import(
            self._file(),
            choice.name,
            choice.columns,
            label_use=choice.label_use,  # type: ignore[arg-type]
            kind=choice.kind,
            text=choice.text,
            on_problem=choice.on_problem,  # type: ignore[arg-type]
            features=choice.features,
        )

    def _started(self, job: Job) -> None:
        self.job = job.id
        self._follow()

    def _follow(self) -> None:
        job = self._workspace.jobs.get(self.job)
        if job.kind not in ("import", "demo"):
            raise NotFoundError(f"job {self.job} is not an import")
        fill(self._said)
        leave = "You may leave this page; the import goes on, and this address shows how far it is."
        fill(self._body, sentence(leave))
        self._job_row.follow(job, f"Importing {job.spec.get('name', '')}")
        if job.finished_at is not None:
            self._ended(job)

    def _ended(self, job: Job) -> None:
        again = line(button("Import something else", self._start_over))
        if job.state == "done":
            result = job.result or {}
            self._job_row.follow(None)
            fill(self._said, _welcome(job, result))
            skipped = (
                [card("Rows left out", _skipped(result), _problem_lines(result))]
                if result.get("n_skipped")
                else []
            )
            fill(self._body, *skipped, again)
        elif job.state == "cancelled":
            fill(
                self._said,
                notice("Cancelled", "Nothing of it was kept. The file is still there to be imported."),
            )
            fill(self._body, line(*self._back_to_review(), again))
        else:
            fill(self._said, notice("Nothing was imported", _reason(job), tone="bad"))
            fill(self._body, *self._after_failure(job))

    def _after_failure(self, job: Job) -> list[Any]:
        problems = (job.result or {}).get("problems", [])
        parts: list[Any] = (
            [card("What is wrong", _how_many(job), problems_grid(problems))] if problems else []
        )
        skip = []
        asked = asked_of(job)
        if problems and asked is not None and asked["on_problem"] == "refuse" and (self.upload or self.path):
            again = partial(self._skip_and_import, asked)
            skip = [button("Skip these rows and import the rest", again, strong=True)]
        parts.append(line(*skip, *self._back_to_review(), button("Choose another file", self._start_over)))
        return parts

    def _back_to_review(self) -> list[Any]:
        return [button("Look at the file again", self._review_again)] if self.upload or self.path else []

    def _review_again(self) -> None:
        self.job = 0
        self._job_row.follow(None)
        self._refusing(self._inspect)

    def _skip_and_import(self, asked: Mapping[str, Any]) -> None:
        """Start the same import once more, as its row in the store says it was asked for."""
        given = {**asked, "on_problem": "skip"}
        self._refusing(lambda: self._started(self._workspace.start_import(self._file(), **given)))

    def _refusing(self, step: Callable[[], None]) -> None:
        """Take a step; what is refused is said, with the first step below it."""
        try:
            step()
        except ImportRefusedError as error:
            self._choose()
            more = f" and {error.n_more:,} more" if error.n_more else ""
            said = notice(
                "This file cannot be read", f"{len(error.problems):,} problems{more}; see below.", tone="bad"
            )
            fill(self._said, said, problems_grid(error.problems))
        except PlumblineError as error:
            self._choose()
            fill(self._said, notice("That was refused", str(error), tone="bad"))


def _welcome(job: Job, result: Any) -> Viewable:
    slug = job.spec["slug"]
    skipped = f", {_rows(result['n_skipped'])} left out" if result.get("n_skipped") else ""
    text = f"{result['n_items']:,} items with {result['n_features']:,} features{skipped}."
    return notice(
        f"{job.spec['name']} is ready", text, tone="good", link=(f"/p/{slug}/label", "Start labelling")
    )


def _skipped(result: Any) -> str:
    return f"{_rows(result['n_skipped'])} could not be read; the pool keeps them with their reasons in skipped.csv."


def _problem_lines(result: Any) -> Viewable:
    return sentence("\n".join(result.get("problems", [])[:20]))


def _reason(job: Job) -> str:
    return (
        "The file has rows that cannot be imported as they are."
        if (job.result or {}).get("problems")
        else job.message
    )


def _how_many(job: Job) -> str:
    result = job.result or {}
    more = (
        f" The first {len(result['problems']):,} are listed; {result['n_more']:,} more follow."
        if result.get("n_more")
        else ""
    )
    return f"{len(result['problems']) + result.get('n_more', 0):,} problems.{more}"


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"
