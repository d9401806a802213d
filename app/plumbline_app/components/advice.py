"""What the figures of the Model page mean and how many answers better ones need, in words."""

from __future__ import annotations

import math
from typing import NamedTuple

from plumbline_app.components.charts import percent, percent_interval
from plumbline_app.components.figures import Tile
from plumbline_backend.domain.metrics import Evaluation
from plumbline_backend.domain.types import Interval
from plumbline_backend.project_heads import OldAndNew

TEN_POINTS = 96
"""Items at which a 95 % interval is at most 10 points to either side: 1.96^2 * 0.25 / 0.1^2."""


class Advice(NamedTuple):
    """A heading and what to do."""

    title: str
    text: str


def on_stream(n: int, calibrate_from: int, stream_share: float, accuracy_half_width: float) -> Advice | None:
    """What too few random-stream answers mean, or None when there are enough.

    n: answers of the stream; accuracy_half_width: half of the interval in [0, 1], ignored when n = 0.
    """
    every = f"About one ask in {round(1 / stream_share)} is drawn uniformly at random and never trained on"
    if n == 0:
        return Advice(
            "No accuracy yet: 0 random-stream answers",
            f"{every}; only such answers measure a model without flattering it. The first {calibrate_from} also "
            f"calibrate its probabilities, which takes {_asks(calibrate_from, stream_share)}.",
        )
    if n < calibrate_from:
        missing = calibrate_from - n
        return Advice(
            f"Not calibrated yet: {n} of {calibrate_from} random-stream answers",
            f"With fewer the temperature would follow chance. {missing} more take {_asks(missing, stream_share)}. "
            f"Accuracy is known to ± {100 * accuracy_half_width:.0f} points so far.",
        )
    if accuracy_half_width > 0.1 and n < TEN_POINTS:
        missing = TEN_POINTS - n
        return Advice(
            f"A rough figure: {n} random-stream answers",
            f"Accuracy is known to ± {100 * accuracy_half_width:.1f} points. {TEN_POINTS} answers bring that under 10 "
            f"points whatever the accuracy is; {missing} more take {_asks(missing, stream_share)}.",
        )
    return None


def headline(evaluation: Evaluation, calibrated: bool, n_untrained: int = 0) -> list[Tile]:
    """The figures that stand on top: accuracy, calibration error with its null, log loss, Brier score.

    n_untrained: answers that name a class the model gives probability 0, for which log loss is infinite.
    """
    n = evaluation.n
    if n == 0:
        unknown = "measured on n = 0 answers"
        return [
            Tile(label, "–", unknown, tone="quiet")
            for label in ("Accuracy", "Calibration error (ECE)", "Log loss")
        ]
    accuracy, ece = evaluation.accuracy, evaluation.ece
    return [
        Tile(
            "Accuracy",
            percent(accuracy.value),
            f"{percent_interval(accuracy)} (95 %)",
            f"n = {n:,} random-stream answers, none trained on",
        ),
        Tile(
            "Calibration error (ECE)",
            percent(ece.value),
            f"{percent_interval(ece)} (95 %)",
            f"n = {n:,}; perfect calibration gives {percent(evaluation.ece_null)} here by chance"
            + ("" if calibrated else "; no temperature fitted yet"),
        ),
        _log_loss(evaluation, n_untrained),
    ]


def _log_loss(evaluation: Evaluation, n_untrained: int) -> Tile:
    nll, brier = evaluation.nll, evaluation.brier
    remark = f"n = {evaluation.n:,}; Brier score {brier.value:.3f} ({brier.low:.3f} to {brier.high:.3f})"
    if n_untrained:
        return Tile(
            "Log loss", "infinite", f"{n_untrained:,} answers name a class not trained yet", remark, "quiet"
        )
    return Tile("Log loss", f"{nll.value:.3f}", f"{nll.low:.3f} to {nll.high:.3f} nats (95 %)", remark)


def calibration_sentence(evaluation: Evaluation) -> str:
    """Whether the measured calibration error says anything against the probabilities."""
    if evaluation.n == 0 or math.isnan(evaluation.ece_null):
        return ""
    measured, null = evaluation.ece.value, evaluation.ece_null
    if measured <= null:
        return (
            f"The measured error, {percent(measured)}, is no larger than the {percent(null)} that perfectly calibrated "
            f"probabilities would show with n = {evaluation.n:,}."
        )
    return (
        f"The measured error is {percent(measured)}; perfectly calibrated probabilities would show {percent(null)} "
        f"with n = {evaluation.n:,}. Look for points outside the grey bars."
    )


def _asks(answers: int, stream_share: float) -> str:
    return f"about {math.ceil(answers / stream_share):,} asks"


def old_and_new_words(grown: OldAndNew) -> tuple[str, str, bool]:
    """(title, text, whether old classes lost) after classes were added, all on today's random-stream answers."""
    before, after = grown.before, grown.after

    def said(interval: Interval) -> str:
        if not interval.n:
            return "not known yet (n = 0)"
        return f"{percent(interval.value)} ({percent_interval(interval)}, n = {interval.n:,})"

    added = len(set(grown.later.metrics["classes"]) - set(grown.earlier.metrics["classes"]))
    fell = before.n > 0 and after.value < before.value
    text = (
        f"Since version {grown.earlier.version}, {added} {'class was' if added == 1 else 'classes were'} added. "
        f"Accuracy on the old classes: {said(before)} before, {said(after)} now. On the new ones: {said(grown.new)}."
    )
    if grown.later.metrics.get("recipe", {}).get("facts", {}).get("n_just_added"):
        text += " While a class is new, all count as equally frequent in the training, so that it is found."
    if fell:
        text += (
            " The old classes lost: compare heads below, and look at what the new classes are confused with."
        )
    return "Old and new classes", text, fell
