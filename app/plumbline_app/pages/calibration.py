"""The Calibration page: whether a judge's probabilities can be taken at their word, and what mends them."""

from __future__ import annotations

from collections.abc import Sequence

from panel.viewable import Viewable

from plumbline_app.components.calibration_view import CalibrationView
from plumbline_app.components.controls import button, choice, several
from plumbline_app.components.job_row import POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, line, page_column, place
from plumbline_app.components.scope_card import ScopeCard
from plumbline_app.components.upload import Upload
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.grading_page import SECTIONS as GRADING_SECTIONS
from plumbline_app.pages.page import Page, in_turn
from plumbline_app.session import Session
from plumbline_app.theme import tokens
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.trust.measured import MIN_ITEMS, SET, SPLITS, JudgeChoice, MeasuredJudges

BELOW = "Stated probabilities against what people said, on items that no head was trained on."
BELOW_GRADERS = (
    "The probability that a judge gives to a pass against people's grades, on outputs drawn for grading that the judge "
    "was not shown as examples. Where chosen judges steer the draws, outputs they fail are drawn as often as those "
    "they pass: figures are of the graded outputs."
)
OUTSIDE = (
    "NPZ with probs or logits and labels, or CSV or Parquet with columns label and prob_CLASS for each class."
)


class CalibrationPage(Page):
    """Judges to compare, how the items are parted, and everything measured in the newest run."""

    section = "calibration"
    heading = "Calibration"
    any_kind = True

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.grading is not None:
            self.sections = GRADING_SECTIONS  # type: ignore[misc]

    @property
    def trust(self) -> MeasuredJudges:
        """The judges of the project, whichever kind it is."""
        grading = self.session.grading
        return self.project.desk.trust if grading is None else grading.trust

    @property
    def _of_classes(self) -> bool:
        """Whether each item has one of the project's classes: what calibrators and the open-set rule are served for."""
        return self.session.grading is None and self.project.kind.also_a_choice

    def __panel__(self) -> Viewable:
        self._keys: dict[str, str] = {}
        self._judges = several("Judges to compare", [], [], width=420)
        self._split = choice("Parted", SPLITS, next(iter(SPLITS.values())), width=260)
        self._measure = button("Measure", self._start, strong=True, disabled=True)
        self._job_row = JobRow(self.session.workspace.jobs, self._ended)
        self._said, self._body = place(), place()
        self._upload = Upload(self._take, accept=".npz,.csv,.parquet", kinds="NPZ, CSV or Parquet")
        self._scope_card: ScopeCard | None = None
        self._scope = place()
        self.every(POLL_MS, self._tick)
        choose = line(self._judges, self._split, self._measure)
        outside = card("Predictions of a model outside", OUTSIDE, self._upload)
        return page_column(
            heading("Calibration", BELOW if self.session.grading is None else BELOW_GRADERS),
            choose,
            self._job_row,
            self._said,
            self._body,
            self._scope,
            outside,
        )

    def load(self) -> None:
        """List the judges and draw the newest run."""
        self._list()
        self._draw()
        if self._of_classes and self._scope_card is None and self.project.loop.newest_model() is not None:
            self._scope_card = ScopeCard(self.project, self.session.workspace.jobs)
            fill(self._scope, self._scope_card)

    def _tick(self) -> None:
        self._job_row.poll()
        if self._scope_card is not None:
            self._scope_card.poll()

    def _list(self) -> None:
        judges = self.trust.judges()
        self._keys = {f"{judge.name} (n = {judge.n:,})": judge.key for judge in judges}
        enough = [f"{judge.name} (n = {judge.n:,})" for judge in judges if judge.n >= MIN_ITEMS]
        kept = [name for name in self._judges.value if name in self._keys] or enough[:1]
        self._judges.param.update(options=list(self._keys), value=kept)
        self._measure.disabled = not enough
        self._split.param.update(options=self._ways(judges))
        if not enough:
            fill(self._said, self._too_few(max((judge.n for judge in judges), default=0)))

    def _ways(self, judges: Sequence[JudgeChoice]) -> dict[str, str]:
        """How items can be parted, and the sets that calibrators can be fitted on instead."""
        sets = [judge for judge in judges if judge.n >= MIN_ITEMS]
        return SPLITS | {f"fit on {judge.name} (n = {judge.n:,})": f"{SET}{judge.key}" for judge in sets}

    def _too_few(self, n: int) -> Viewable:
        """What to do while no judge has enough items."""
        base, need = (
            f"/p/{self.session.slug}",
            f"at least {MIN_ITEMS} are needed, half to fit on and half to show",
        )
        if self.session.grading is not None:
            text = (
                f"The largest number of graded outputs with a judge's probability is {n}; {need}. Run an LLM grader "
                "that gives log-probabilities, or a trained head, and grade more outputs as they are drawn."
            )
            return notice("Nothing to measure yet", text, link=(f"{base}/judges", "Go to the judges"))
        text = (
            f"The largest number of random-stream answers beside a judge's probabilities is {n}; {need}. Answer more "
            "items, or bring an outside model's file."
        )
        return notice("Nothing to measure yet", text, link=(f"{base}/label", "Go to labelling"))

    def _start(self) -> None:
        keys = [self._keys[name] for name in self._judges.value if name in self._keys]
        try:
            job = self.trust.start(keys, self._split.value)
        except PlumblineError as error:
            fill(self._said, notice("Not measured", str(error), tone="bad"))
            return
        fill(self._said)
        self._job_row.follow(job, "Measuring")

    def _ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._said, notice("Not measured", job.message, tone="bad"))
        elif job.state == "done":
            self._job_row.follow(None)
            self._draw()

    @in_turn
    def _draw(self) -> None:
        views = self.trust.measured()
        fill(self._body)
        if not views:
            if self._keys:
                fill(self._body, sentence("Nothing is measured yet. Choose judges and press Measure."))
            return
        fill(
            self._body,
            CalibrationView(views, tokens(self.session.dark), self._use, self._used(), self.trust),
        )

    def _used(self) -> str:
        """The calibrator that the head is served with; "" for graders and for several classes an item."""
        if not self._of_classes:
            return ""
        return str(self.project.settings().get("calibrator", "temperature"))

    def _use(self, name: str) -> None:
        self.project.desk.trust.use_calibrator(name)
        fill(
            self._said,
            notice(f"{name} is in use", "Predictions and exports go through it from now on.", tone="good"),
        )
        self._draw()

    def _take(self, upload_id: str, name: str) -> None:
        try:
            path = self.session.workspace.upload_path(upload_id)
            judge = self.trust.add_outside(path, name)
        except PlumblineError as error:
            fill(self._said, notice("Not taken", str(error), tone="bad"))
            return
        self._list()
        fill(
            self._said,
            notice(f"{judge.name} can be measured", f"n = {judge.n:,} predictions were read.", tone="good"),
        )
