"""The Export page: the labels and the classifier as files that work without Plumbline."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import param
from panel.viewable import Viewable

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.charts import percent, percent_interval
from plumbline_app.components.code import Code
from plumbline_app.components.controls import button, checkbox, radio
from plumbline_app.components.figures import facts, html_pane
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.job_row import ENDED, POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, line, page_column, place, side_by_side
from plumbline_app.components.model_tables import stored_interval, when
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job, ModelVersion
from plumbline_backend.standing import LoopStatus

FORMATS = {
    "CSV: opens in spreadsheets": "csv",
    "Parquet: typed columns for pandas, Polars, DuckDB": "parquet",
    "JSON Lines: keeps every character exactly": "jsonl",
}
FILES = (
    (
        "model.onnx",
        "Preprocessing, head and temperature in one graph: raw columns in, class ids and probabilities out",
    ),
    ("predict.py", "Runs the graph on a CSV, JSON Lines or .npy file; needs only onnxruntime and numpy"),
    (
        "estimator.skops",
        "The same classifier as a scikit-learn estimator, loaded by skops without running foreign code",
    ),
    ("weights.safetensors", "The bare weights and bias"),
    ("model_card.md", "What it was trained on: data hash, label counts, metrics with intervals, limits"),
    ("manifest.json", "Columns, classes and versions for programs"),
    ("requirements.txt", "What predict.py needs"),
)
RUN_IT = """unzip {file}
cd classifier
python -m pip install -r requirements.txt{extra}
python predict.py items.csv -o predictions.csv
"""
UNITS = ("B", "KiB", "MiB", "GiB")


class ExportPage(Page):
    """Labels and classifier as downloads, and the ones made before."""

    section = "export"
    heading = "Export"

    format = param.Selector(default="csv", objects=list(FORMATS.values()))
    history = param.Selector(default="no", objects=["no", "yes"], doc="Superseded and undone answers too.")
    formulas = param.Selector(default="no", objects=["no", "yes"], doc="Cells that spreadsheets would run.")

    def __panel__(self) -> Viewable:
        keep_in_address(self, ["format", "history", "formulas"])
        self._job_row = JobRow(self.session.workspace.jobs, self._export_ended)
        self._said = place()
        self._made = Grid(
            caption="Earlier exports", empty="Nothing exported yet. Files stay here until you delete them."
        )
        self._counts = html_pane()
        self._model = place()
        self._snippet = Code(
            text=self._run_it(f"{self.session.slug}-classifier.zip"), label="Commands to run predict.py"
        )
        self._start_classifier = button(
            "Export the classifier", self._export_classifier, strong=True, disabled=True
        )
        self.every(POLL_MS, self._job_row.poll)
        return page_column(
            heading("Export", "Files that work without Plumbline."),
            self._said,
            self._job_row,
            side_by_side(self._labels_card(), self._classifier_card()),
            card("Earlier exports", "Newest first.", self._made),
        )

    def load(self) -> None:
        """Read counts, model and earlier exports; take up an export that still runs."""
        status = self.project.status()
        self._counts.object = facts(_label_facts(status))
        self._show_model(status.model)
        self._list()
        exports = [j for j in self.session.workspace.jobs.list(self.project.row.id) if j.kind == "export"]
        if exports and exports[0].state not in ENDED:
            self._follow(exports[0])
        elif exports and exports[0].state == "failed":
            self._say_failed(exports[0])

    def _labels_card(self) -> Viewable:
        self._format = radio("Format", FORMATS, self.format)
        self._history = checkbox("With history: superseded and undone answers too", self.history == "yes")
        self._safe = checkbox(
            "Safe for spreadsheets: a ' before cells that would be formulas", self.formulas == "no"
        )
        self._safe.visible = self.format == "csv"
        for widget in (self._format, self._history, self._safe):
            widget.param.watch(lambda _: self._chosen(), "value")
        return card(
            "Labels",
            "One row per answer: item key, class id and name, state, judge, time, note and how the item was drawn.",
            self._counts,
            self._format,
            self._history,
            self._safe,
            line(button("Export the labels", self._export_labels, strong=True)),
        )

    def _chosen(self) -> None:
        """Keep what is chosen in the address."""
        self._safe.visible = self._format.value == "csv"
        self.param.update(
            format=self._format.value,
            history="yes" if self._history.value else "no",
            formulas="no" if self._safe.value else "yes",
        )

    def _classifier_card(self) -> Viewable:
        contents = Grid(caption="Files of the classifier")
        contents.show([grid_column("File", "name"), grid_column("What it is")], [list(row) for row in FILES])
        return card(
            "Classifier",
            "The newest model, calibrated, as a folder in a zip file.",
            self._model,
            line(self._start_classifier),
            contents,
            sentence("To run it, anywhere with Python:"),
            self._snippet,
        )

    def _run_it(self, file: str) -> str:
        """The commands that classify a file elsewhere; picture files are read by Pillow."""
        return RUN_IT.format(file=file, extra=" pillow" if self.project.pool.columns_of("image") else "")

    def _show_model(self, model: ModelVersion | None) -> None:
        self._start_classifier.disabled = model is None
        if model is None:
            link = (f"/p/{self.session.slug}/label", "Go to labelling")
            waiting = self.project.status().waiting
            fill(self._model, notice("No model to export yet", waiting, link=link))
        else:
            fill(self._model, html_pane(facts(_model_facts(model, self.project.kind.headline))))

    def _export_labels(self) -> None:
        options: dict[str, Any] = {"format": self._format.value, "history": self._history.value}
        if self._format.value == "csv":
            options["spreadsheet_safe"] = self._safe.value
        self._start("labels", **options)

    def _export_classifier(self) -> None:
        self._start("classifier")

    def _start(self, what: Any, **options: Any) -> None:
        try:
            self._follow(self.project.start_export(what, **options))
        except PlumblineError as error:
            fill(self._said, notice("Nothing was exported", str(error), tone="bad"))

    def _follow(self, job: Job) -> None:
        fill(self._said)
        self._job_row.follow(job, f"Exporting the {job.spec.get('what', 'files')}")

    def _export_ended(self, job: Job) -> None:
        if job.state == "done":
            name = (job.result or {})["file"]
            self._job_row.follow(None)
            fill(self._said, notice("Ready", name, tone="good", link=(self._address(name), "Download")))
            if name.endswith(".zip"):
                self._snippet.text = self._run_it(name)
        elif job.state == "failed":
            self._say_failed(job)
        self._list()

    def _say_failed(self, job: Job) -> None:
        fill(self._said, notice("The last export failed", job.message, tone="bad"))

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
            for made in self.project.exports()
        ]
        self._made.show(columns, rows)

    def _address(self, name: str) -> str:
        return f"/api/projects/{quote(self.session.slug)}/exports/{quote(name, safe='')}"


def size(n_bytes: int) -> str:
    """A size in the largest unit that keeps it above 1."""
    value, unit = float(n_bytes), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {UNITS[unit]}"


def _label_facts(status: LoopStatus) -> list[tuple[str, str]]:
    states = [f"{status.n_by_state[state]:,} {state}" for state in ("skipped", "unsure", "flagged")]
    return [
        ("Answered", f"{status.n_answered:,} of {status.n_items:,} items"),
        ("Other states", ", ".join(states)),
        ("Of the random stream", f"{status.n_stream:,} answers, marked in the file"),
    ]


def _model_facts(model: ModelVersion, headline: tuple[str, str]) -> list[tuple[str, str]]:
    key, name = headline
    found, ece = stored_interval(model.metrics.get(key)), stored_interval(model.metrics.get("ece"))
    rows = [
        ("Version", f"{model.version}, trained on {model.n_train:,} labels, {when(model.created_at)}"),
        (
            name,
            f"{percent(found.value)} ({percent_interval(found)}), n = {found.n:,} random-stream answers",
        ),
    ]
    if "ece" in model.metrics:
        rows.append(("Calibration error", f"{percent(ece.value)} ({percent_interval(ece)}), n = {ece.n:,}"))
    return rows
