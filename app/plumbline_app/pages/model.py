"""The Model page: how good the model is, measured on items that it never saw, and what it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import panel as pn
import param
from panel.viewable import Viewable

from plumbline_app.components.advice import calibration_sentence, headline, on_stream
from plumbline_app.components.charts_confusion import SHARES_UP_TO, confusion_matrix
from plumbline_app.components.charts_learning import learning_curve
from plumbline_app.components.charts_reliability import reliability_diagram
from plumbline_app.components.controls import button
from plumbline_app.components.figures import facts, html_pane, tiles
from plumbline_app.components.grid import Grid
from plumbline_app.components.job_row import POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, line, page_column, place, side_by_side
from plumbline_app.components.model_tables import (
    CLASS_COLUMNS,
    RUN_COLUMNS,
    class_rows,
    run_rows,
    training_facts,
)
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page
from plumbline_app.theme import tokens
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import Job, ModelVersion
from plumbline_backend.project import LoopStatus
from plumbline_backend.report import LearningCurve, ModelReport

LOOK_EVERY_S = 1.0
REST_FACTOR = 10
"""The figures are drawn again at most for a tenth of the time, so that labelling in another tab stays quick."""
MAX_RUNS = 200


class ModelPage(Page):
    """Headline, learning curve, confusion matrix, reliability, classes, training and versions of one project."""

    section = "model"
    heading = "Model"

    version = param.Integer(default=0, bounds=(0, None), doc="The version that is shown; 0 means the newest.")

    def __panel__(self) -> Viewable:
        self._drawn: tuple[Any, ...] = ()
        self._next_look = 0.0
        self._job_row = JobRow(self.session.workspace.jobs, self._training_ended)
        self._train = button("Train now", self._train_now, strong=True, disabled=True)
        self._state = html_pane()
        self._notice = place()
        self._body = place(sentence("Measuring the model ..."))
        top = line(
            heading(
                "Model", "Every figure is measured on random-stream answers, which are never trained on."
            ),
            self._train,
            **{"justify-content": "space-between", "flex-wrap": "nowrap"},
        )
        if pn.state.location is not None:
            pn.state.location.sync(self, ["version"])
        self.param.watch(lambda _: self._look(force=True), "version")
        self.every(POLL_MS, self._tick)
        return page_column(top, self._job_row, self._notice, self._body)

    def load(self) -> None:
        """Measure and draw; takes a second or two with many versions."""
        self._look(force=True)

    def _tick(self) -> None:
        self._job_row.poll()
        if time.monotonic() >= self._next_look:
            self._look(force=False)

    def _train_now(self) -> None:
        job = self.project.fit()
        if job is None:
            status = self.project.status()
            reason = (
                status.waiting
                or "The newest model already knows every answer. It trains by itself after the next one."
            )
            fill(self._notice, notice("Nothing to train", reason))
        else:
            self._job_row.follow(job, "Training")

    def _training_ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._notice, notice("The training failed", job.message, tone="bad"))
        elif job.state == "done":
            self._job_row.follow(None)
        self._next_look = 0.0

    def _look(self, force: bool) -> None:
        """Draw again when a model, an answer of the stream or the schema is new."""
        self._next_look = time.monotonic() + LOOK_EVERY_S
        status = self.project.status()
        if status.training is not None and self._job_row.job_id != status.training.id:
            self._job_row.follow(status.training, "Training")
        seen = (
            status.model.id if status.model else None,
            status.n_stream,
            self.project.question().version,
            self.version,
        )
        if not force and seen == self._drawn:
            return
        start = time.monotonic()
        self._draw(status)
        self._drawn = seen
        taken = time.monotonic() - start
        self._next_look = time.monotonic() + max(LOOK_EVERY_S, REST_FACTOR * taken)

    def _draw(self, status: LoopStatus) -> None:
        self._train.disabled = bool(status.waiting)
        models = self.project.models()
        if not models:
            fill(self._body, self._empty(status))
            return
        try:
            chosen = self._chosen(models)
        except NotFoundError as error:
            newest = ("?version=0", "Show the newest")
            fill(self._body, notice("There is no such version", str(error), link=newest))
            return
        report = self.project.report(chosen.id)
        assert report is not None
        fill(self._body, *self._parts(status, models, report, self.project.learning_curve()))

    def _chosen(self, models: list[ModelVersion]) -> ModelVersion:
        if self.version == 0:
            return models[-1]
        for model in models:
            if model.version == self.version:
                return model
        raise NotFoundError(f"version {self.version} does not exist; expected 1 to {models[-1].version}")

    def _empty(self, status: LoopStatus) -> Viewable:
        link = (f"/p/{self.session.slug}/label", "Go to labelling")
        failed = f"\nThe last training failed: {status.failed.message}" if status.failed else ""
        training = "The first model is being trained." if status.training else ""
        return notice("No model yet", (status.waiting or training) + failed, link=link)

    def _parts(
        self, status: LoopStatus, models: list[ModelVersion], report: ModelReport, curve: LearningCurve
    ) -> list[Viewable]:
        evaluation = report.evaluation
        calibrate_from = self.project.calibrate_from
        half_width = (evaluation.accuracy.high - evaluation.accuracy.low) / 2
        advice = on_stream(evaluation.n, calibrate_from, status.stream_share, half_width)
        parts: list[Viewable] = [sentence(self._standing(status, models, report.model))]
        parts.append(html_pane(tiles(headline(evaluation, evaluation.n >= calibrate_from))))
        if advice is not None:
            parts.append(notice(advice.title, advice.text, tone="warn"))
        if report.n_untrained:
            parts.append(
                notice(
                    "Classes without training labels",
                    f"{report.n_untrained:,} of {evaluation.n:,} random-stream answers name a class that this version "
                    "has never seen. They count as wrong.",
                    tone="warn",
                )
            )
        parts.append(side_by_side(self._curve_card(curve), self._reliability_card(report)))
        parts += self._class_cards(status, report)
        parts.append(
            side_by_side(self._training_card(report), self._runs_card(models, report.model), narrow_px=380)
        )
        return parts

    def _standing(self, status: LoopStatus, models: list[ModelVersion], shown: ModelVersion) -> str:
        behind = status.n_behind if shown.id == models[-1].id else 0
        newer = f" {behind:,} newer answers are not in it yet." if behind else ""
        which = (
            "the newest"
            if shown.id == models[-1].id
            else f"an earlier one; the newest is {models[-1].version}"
        )
        return f"Version {shown.version}, {which}, trained on {shown.n_train:,} labels.{newer}"

    def _curve_card(self, curve: LearningCurve) -> Viewable:
        if curve.n_stream == 0:
            return card(
                "Learning curve",
                "Accuracy as labels are added; drawn from the first random-stream answer on.",
            )
        note = f"The random-sampling reference {curve.reference_note}." if curve.reference_note else (
            "Random sampling: throw-away heads trained on some of the random-stream items and tested on the others."
        )  # fmt: skip
        return card(
            "",
            "",
            self._chart(lambda: learning_curve(curve.points, curve.reference, curve.n_stream, self._t)),
            sentence(note),
        )

    def _reliability_card(self, report: ModelReport) -> Viewable:
        if report.evaluation.n == 0:
            return card(
                "Reliability diagram",
                "Stated confidence against the share right; drawn from the first random-stream answer on.",
            )
        chart = self._chart(lambda: reliability_diagram(report.evaluation.reliability, self._t))
        return card("", "", chart, sentence(calibration_sentence(report.evaluation)))

    def _class_cards(self, status: LoopStatus, report: ModelReport) -> list[Viewable]:
        table = Grid(caption="Figures per class", rows_height=620)
        rows = class_rows(report.classes, report.evaluation.per_class, report.trained, status.n_by_class)
        table.show(CLASS_COLUMNS, rows)
        per_class = card(
            "Classes", f"On n = {report.evaluation.n:,} random-stream items; intervals are 95 %.", table
        )
        if report.evaluation.n == 0:
            return [per_class]
        names = [c.name for c in report.classes]
        matrix = card(
            "", "", self._chart(lambda: confusion_matrix(report.evaluation.confusion, names, self._t))
        )
        if len(names) > SHARES_UP_TO:
            return [matrix, per_class]
        return [side_by_side(matrix, per_class, narrow_px=560)]

    def _training_card(self, report: ModelReport) -> Viewable:
        took = html_pane(facts(training_facts(report.model, report.temperature_note)))
        return card("What the training took", "", took)

    def _runs_card(self, models: list[ModelVersion], shown: ModelVersion) -> Viewable:
        newest_first = models[::-1][:MAX_RUNS]
        table = Grid(
            on_open=lambda index: self._show_version(newest_first[index]), caption="Versions", rows_height=420
        )
        table.show(RUN_COLUMNS, run_rows(newest_first))
        table.selected = next((i for i, model in enumerate(newest_first) if model.id == shown.id), -1)
        below = "Press a row to see that version. The learning curve measures all of them on the same items."
        return card("Versions compared", below, table)

    def _show_version(self, model: ModelVersion) -> None:
        self.version = model.version

    def _chart(self, draw: Callable[[], Any]) -> Viewable:
        return pn.pane.Bokeh(draw(), sizing_mode="stretch_width", margin=0)

    @property
    def _t(self) -> Any:
        return tokens(self.session.dark)
