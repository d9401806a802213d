"""The Export page of a grading project: validators and grades as files that work without Plumbline."""

from __future__ import annotations

from urllib.parse import quote

from panel.viewable import Viewable

from plumbline_app.components.code import Code
from plumbline_app.components.controls import button
from plumbline_app.components.estimates import share_in_words
from plumbline_app.components.grid import COMING, Grid, grid_column
from plumbline_app.components.job_row import ENDED, POLL_MS, JobRow
from plumbline_app.components.judge_editor import KIND_WORDS
from plumbline_app.components.layout import card, fill, line, page_column, place, side_by_side
from plumbline_app.components.model_tables import when
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.export import size
from plumbline_app.pages.grading_page import GradingPage
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.exports import listed
from plumbline_backend.judges import exporting

RUN_IT = """unzip {file}
cd checks
python -m pip install pytest
python -m pytest
"""
COLUMNS = [
    grid_column("Criterion", "name"),
    grid_column("Judge", "name"),
    grid_column("Kind", "name"),
    grid_column("Alignment"),
    grid_column("In the pytest file", "name"),
]


class ValidatorsPage(GradingPage):
    """The chosen judges as a pytest file or promptfoo configuration; everything as JSON; the grades as a table."""

    section = "validators"
    heading = "Export"

    def __panel__(self) -> Viewable:
        self._job_row = JobRow(self.session.workspace.jobs, self._ended)
        self._said = place()
        self._chosen = Grid(caption="Chosen judges", empty=COMING)
        self._made = Grid(
            caption="Earlier exports", empty="Nothing exported yet. Files stay here until you delete them."
        )
        self._snippet = Code(
            text=RUN_IT.format(file=f"{self.session.slug}-pytest.zip"), label="Commands to run the checks"
        )
        self.every(POLL_MS, self._job_row.poll)
        return page_column(
            heading("Export", "Files that work without Plumbline."),
            self._said,
            self._job_row,
            card(
                "Chosen judges", "What is exported: the judge that stands for each criterion.", self._chosen
            ),
            side_by_side(self._checks(), self._tables()),
            card("Earlier exports", "Newest first.", self._made),
        )

    def load(self) -> None:
        """Read judges and earlier exports; take up an export that still runs."""
        self._show_judges()
        self._list()
        jobs = [j for j in self.session.workspace.jobs.list(self.grading.row.id) if j.kind == "export"]
        if jobs and jobs[0].state not in ENDED:
            self._follow(jobs[0])

    def _checks(self) -> Viewable:
        return card(
            "Checks for CI",
            "The assertions among the chosen judges as a pytest file with the outputs beside it. It needs only pytest.",
            line(button("Export the pytest file", lambda: self._start("pytest"), strong=True)),
            sentence("To run it, anywhere with Python:"),
            self._snippet,
            sentence("The chosen judges, LLM graders too, as a promptfoo configuration:"),
            line(button("Export for promptfoo", lambda: self._start("promptfoo"))),
        )

    def _tables(self) -> Viewable:
        return card(
            "Grades and everything",
            "A row per grade: output, criterion with its version, answer, grader, time, and the probability with which "
            "the output was drawn.",
            line(button("Export the grades", lambda: self._start("grades"), strong=True)),
            sentence("Outputs, criteria, judges, verdicts and grades in one document:"),
            line(button("Export as JSON", lambda: self._start("json"))),
        )

    def _show_judges(self) -> None:
        report = self.grading.alignment_report()
        chosen = set(report.chosen.judges)
        rows = [
            [
                part.criterion.name,
                each.judge.name,
                KIND_WORDS[each.judge.kind],
                share_in_words(each.alignment.alignment),
                "yes" if each.judge.kind == "assertion" else "no: it is no code",
            ]
            for part in (report.overall, *report.criteria)
            for each in part.judges
            if each.judge.id in chosen
        ]
        self._chosen.empty = "No judge yet: add some on the Judges page."
        self._chosen.show(COLUMNS, rows)

    def _start(self, what: str) -> None:
        try:
            self._follow(exporting.start(self.grading, what))
        except PlumblineError as error:
            fill(self._said, notice("Nothing was exported", str(error), tone="bad"))

    def _follow(self, job: Job) -> None:
        fill(self._said)
        self._job_row.follow(job, f"Exporting {job.spec.get('what', 'files')}")

    def _ended(self, job: Job) -> None:
        if job.state == "done":
            result = job.result or {}
            name, notes = result["file"], result.get("notes", [])
            self._job_row.follow(None)
            told = notice("Ready", name, tone="good", link=(self._address(name), "Download"))
            lost = [notice("Not carried over", "\n".join(notes), tone="warn")] if notes else []
            fill(self._said, told, *lost)
            if name.endswith(".zip"):
                self._snippet.text = RUN_IT.format(file=name)
        elif job.state == "failed":
            fill(self._said, notice("The export failed", job.message, tone="bad"))
        self._list()

    def _list(self) -> None:
        columns = [
            grid_column("File", "link"),
            grid_column("Size", "number"),
            grid_column("Made", "text", "in UTC"),
        ]
        rows = [
            [
                {"text": made.name, "href": self._address(made.name), "download": True},
                size(made.n_bytes),
                when(made.at),
            ]
            for made in listed(self.grading.exports_folder)
        ]
        self._made.show(columns, rows)

    def _address(self, name: str) -> str:
        return f"/api/projects/{quote(self.session.slug)}/exports/{quote(name, safe='')}"
