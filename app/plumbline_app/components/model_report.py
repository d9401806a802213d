"""A model's figures, charts and tables, once it has been measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components.advice import calibration_sentence, headline, old_and_new_words, on_stream
from plumbline_app.components.charts_confusion import SHARES_UP_TO, confusion_matrix
from plumbline_app.components.charts_learning import learning_curve, show_reference
from plumbline_app.components.charts_reliability import reliability_diagram
from plumbline_app.components.figures import facts, html_pane, tiles
from plumbline_app.components.grid import Grid
from plumbline_app.components.layout import card, side_by_side, stack
from plumbline_app.components.model_tables import (
    CLASS_COLUMNS,
    RUN_COLUMNS,
    class_rows,
    run_rows,
    training_facts,
)
from plumbline_app.components.words import notice, sentence
from plumbline_app.theme import Tokens
from plumbline_backend.domain.types import ModelVersion
from plumbline_backend.project_heads import OldAndNew
from plumbline_backend.report import LearningCurve, ModelReport
from plumbline_backend.standing import LoopStatus

MAX_RUNS = 200
WHAT_REFERENCE_IS = (
    "Random sampling: throw-away heads trained on some of the random-stream items and tested on the others."
)


class ReportView(Viewer):
    """One model version. `add_reference` completes the learning curve, whose reference takes longer."""

    def __init__(
        self,
        report: ModelReport,
        curve: LearningCurve,
        status: LoopStatus,
        models: Sequence[ModelVersion],
        calibrate_from: int,
        t: Tokens,
        on_version: Callable[[ModelVersion], None],
        grown: OldAndNew | None = None,
    ) -> None:
        super().__init__()
        self.report, self._status, self._calibrate_from, self._t = report, status, calibrate_from, t
        self._newest_first = list(models)[::-1][:MAX_RUNS]
        self._on_version = on_version
        self._grown = grown
        self._curve = learning_curve(curve.points, curve.reference, curve.n_stream, t)
        self._curve_note = sentence(f"The random-sampling reference {curve.reference_note}.")

    def __panel__(self) -> Viewable:
        return stack(
            html_pane(tiles(self._headline())),
            *self._warnings(),
            side_by_side(self._curve_card(), self._reliability_card()),
            *self._class_cards(),
            side_by_side(self._training_card(), self._runs_card(), narrow_px=380),
        )

    def add_reference(self, curve: LearningCurve) -> None:
        """Draw the random-sampling reference into the learning curve, or say why there is none."""
        # A figure's models may be changed under the document's lock only, which this thread does not hold.
        pn.state.execute(partial(show_reference, self._curve, curve.reference), schedule=True)
        missing = f"The random-sampling reference {curve.reference_note}."
        self._curve_note.object = sentence(missing if curve.reference_note else WHAT_REFERENCE_IS).object

    def _headline(self) -> list[Any]:
        evaluation = self.report.evaluation
        return headline(evaluation, evaluation.n >= self._calibrate_from, self.report.n_untrained)

    def _warnings(self) -> list[Viewable]:
        evaluation, found = self.report.evaluation, []
        half_width = (evaluation.accuracy.high - evaluation.accuracy.low) / 2
        advice = on_stream(evaluation.n, self._calibrate_from, self._status.stream_share, half_width)
        if advice is not None:
            found.append(notice(advice.title, advice.text, tone="warn"))
        if self.report.n_untrained:
            text = (
                f"{self.report.n_untrained:,} of {evaluation.n:,} random-stream answers name a class that this version "
                "has never seen. They count as wrong."
            )
            found.append(notice("Classes without training labels", text, tone="warn"))
        if self._grown is not None:
            title, text, fell = old_and_new_words(self._grown)
            found.append(notice(title, text, tone="warn" if fell else "plain"))
        return found

    def _curve_card(self) -> Viewable:
        if self.report.evaluation.n == 0:
            return card(
                "Learning curve",
                "Accuracy as labels are added; drawn from the first random-stream answer on.",
            )
        return card("", "", _chart(self._curve), self._curve_note)

    def _reliability_card(self) -> Viewable:
        evaluation = self.report.evaluation
        if evaluation.n == 0:
            below = "Stated confidence against the share right; drawn from the first random-stream answer on."
            return card("Reliability diagram", below)
        diagram = reliability_diagram(evaluation.reliability, self._t)
        return card("", "", _chart(diagram), sentence(calibration_sentence(evaluation)))

    def _class_cards(self) -> list[Viewable]:
        report, evaluation = self.report, self.report.evaluation
        table = Grid(caption="Figures per class", rows_height=620)
        rows = class_rows(report.classes, evaluation.per_class, report.trained, self._status.n_by_class)
        table.show(CLASS_COLUMNS, rows)
        per_class = card(
            "Classes", f"On n = {evaluation.n:,} random-stream items; intervals are 95 %.", table
        )
        if evaluation.n == 0:
            return [per_class]
        names = [c.name for c in report.classes]
        matrix = card("", "", _chart(confusion_matrix(evaluation.confusion, names, self._t)))
        if len(names) > SHARES_UP_TO:
            return [matrix, per_class]
        return [side_by_side(matrix, per_class, narrow_px=560)]

    def _training_card(self) -> Viewable:
        took = facts(training_facts(self.report.model, self.report.temperature_note))
        return card("What the training took", "", html_pane(took))

    def _runs_card(self) -> Viewable:
        table = Grid(self._open, caption="Versions", rows_height=420)
        table.show(RUN_COLUMNS, run_rows(self._newest_first))
        shown = self.report.model.id
        table.selected = next((i for i, model in enumerate(self._newest_first) if model.id == shown), -1)
        below = "Press a row to see that version. The learning curve measures all of them on the same items."
        return card("Versions compared", below, table)

    def _open(self, index: int) -> None:
        self._on_version(self._newest_first[index])


def _chart(figure: Any) -> Viewable:
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0)
