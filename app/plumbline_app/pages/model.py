"""The Model page: how good the model is, measured on items that it never saw, and what it took."""

from __future__ import annotations

import time

import param
from panel.viewable import Viewable

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.controls import button
from plumbline_app.components.head_card import HeadCard
from plumbline_app.components.job_row import POLL_MS, JobRow
from plumbline_app.components.kind_head import KindHeadCard
from plumbline_app.components.kind_report import KindReportView
from plumbline_app.components.layout import fill, line, page_column, place
from plumbline_app.components.model_report import ReportView
from plumbline_app.components.stopping_panel import StoppingPanel
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page, in_turn
from plumbline_app.theme import tokens
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import Job, ModelVersion
from plumbline_backend.standing import LoopStatus

LOOK_EVERY_S = 1.0
SHORT_TRAINING_S = 1.5
"""A training that nobody asked for is shown only when it takes longer, so that the page does not jump."""
BELOW = "Every figure is measured on random-stream answers, which are never trained on."


class ModelPage(Page):
    """Headline, learning curve, confusion matrix, reliability, classes, training and versions of one project.

    What a person reads does not change under their eyes: a newer version is announced, and shown when asked for.
    """

    section = "model"
    heading = "Model"

    version = param.Integer(default=0, bounds=(0, None), doc="The version that is shown; 0 means the newest.")

    def __panel__(self) -> Viewable:
        self._shown: ModelVersion | None = None
        self._next_look = float("inf")
        self._job_row = JobRow(self.session.workspace.jobs, self._training_ended)
        self._train = button("Train now", self._train_now, strong=True, disabled=True)
        self._show = button("Show the newest", self._show_newest, visible=False)
        self._standing = sentence("Measuring the model ...")
        self._notice = place()
        self._body = place()
        self._heads = place()
        self._head_card: HeadCard | KindHeadCard | None = None
        top = line(heading("Model", BELOW), self._train, **{"flex-wrap": "nowrap"})
        keep_in_address(self, ["version"])
        self.param.watch(lambda _: self._draw(), "version")
        self.every(POLL_MS, self._tick)
        shown = line(self._standing, self._show)
        return page_column(top, self._job_row, self._notice, shown, self._body, self._heads)

    def load(self) -> None:
        """Measure and draw; takes a second or two with many versions."""
        self._draw()
        self._offer_heads()
        self._next_look = time.monotonic()

    def _tick(self) -> None:
        self._job_row.poll()
        if self._head_card is not None:
            self._head_card.poll()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_EVERY_S
            self._look()

    def _offer_heads(self) -> None:
        """The choice of head, once there is something to train it on."""
        if self._head_card is None and not self.project.status().waiting:
            if self.project.kind.also_a_choice:
                self._head_card = HeadCard(self.project, self.session.workspace.jobs, self._train_now)
            else:
                self._head_card = KindHeadCard(self.project, self._train_now)
            fill(self._heads, self._head_card)

    def _look(self) -> None:
        """Say where things stand; draw only when there was nothing to see so far."""
        status = self.project.status()
        self._follow_long_training(status)
        self._say(status)
        if self._shown is None and status.model is not None:
            self._draw()
            self._offer_heads()

    def _follow_long_training(self, status: LoopStatus) -> None:
        job = status.training
        if job is None or job.started_at is None or job.id == self._job_row.job_id:
            return
        if time.time() - job.started_at.timestamp() > SHORT_TRAINING_S:
            self._job_row.follow(job, "Training")

    def _say(self, status: LoopStatus) -> None:
        self._train.disabled = bool(status.waiting)
        self._show.visible = self._shown is not None and status.model != self._shown
        if self._shown is not None:
            self._standing.object = sentence(standing(status, self._shown)).object

    def _train_now(self) -> None:
        job = self.project.fit()
        if job is not None:
            self._job_row.follow(job, "Training")
            return
        waiting = self.project.status().waiting
        known = "The newest model already knows every answer; the next answer starts another training."
        fill(self._notice, notice("Nothing to train", waiting or known))

    def _training_ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._notice, notice("The training failed", job.message, tone="bad"))
        elif job.state == "done":
            fill(self._notice)
            self._job_row.follow(None)
            self._show_newest()

    def _show_newest(self) -> None:
        if self.version:
            self.version = 0
        else:
            self._draw()

    @in_turn
    def _draw(self) -> None:
        """Measure the chosen version and put it on the page; one thread at a time."""
        status, models = self.project.status(), self.project.models()
        if not models:
            self._standing.visible = False
            fill(self._body, no_model(status, self.session.slug))
            return
        try:
            self._shown = chosen(models, self.version)
        except NotFoundError as error:
            fill(self._body, notice("There is no such version", str(error)))
            self._show.visible = True
            return
        self._standing.visible = True
        self._measure(status, models, self._shown)

    def _measure(self, status: LoopStatus, models: list[ModelVersion], shown: ModelVersion) -> None:
        kind = self.project.kind
        own = self.project.kind_report(shown.id)
        if own is not None and not kind.also_a_choice:
            fill(self._body, KindReportView(own, kind.headline, models, self._choose))
            self._say(status)
            return
        report = self.project.report(shown.id)
        if report is None:
            raise NotFoundError(f"version {shown.version} was deleted while it was being measured")
        curve = self.project.learning_curve(with_reference=False)
        t = tokens(self.session.dark)
        grown = self.project.heads.old_and_new(shown)
        view = ReportView(report, curve, status, models, self.project.calibrate_from, t, self._choose, grown)
        fill(self._body)  # Bokeh lays out a figure wrongly when it replaces another one in place
        levels = [] if own is None else [KindReportView(own, kind.headline)]
        fill(self._body, *levels, view, StoppingPanel(self.project, curve))
        self._say(status)
        view.add_reference(self.project.learning_curve())

    def _choose(self, model: ModelVersion) -> None:
        self.version = model.version


def chosen(models: list[ModelVersion], version: int) -> ModelVersion:
    """The version by its number, the newest for 0. Raises NotFoundError."""
    if version == 0:
        return models[-1]
    for model in models:
        if model.version == version:
            return model
    raise NotFoundError(f"version {version} does not exist; expected 1 to {models[-1].version}")


def standing(status: LoopStatus, shown: ModelVersion) -> str:
    """Which version is on the page, and what it does not know yet."""
    newest = status.model
    if newest is not None and newest.id != shown.id:
        return f"Version {shown.version}, trained on {shown.n_train:,} labels; the newest is version {newest.version}."
    newer = f"; {status.n_behind:,} newer answers are not in it yet" if status.n_behind else ""
    return f"Version {shown.version}, the newest, trained on {shown.n_train:,} labels{newer}."


def no_model(status: LoopStatus, slug: str) -> Viewable:
    """What to do while there is no model."""
    failed = f"\nThe last training failed: {status.failed.message}" if status.failed else ""
    training = "The first model is being trained." if status.training else ""
    return notice(
        "No model yet", (status.waiting or training) + failed, link=(f"/p/{slug}/label", "Go to labelling")
    )
