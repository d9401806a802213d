"""The tables of the Model page: per class, per version, and what the last training took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from plumbline_app.components.grid import GridColumn, chip, grid_column, interval_cell
from plumbline_backend.domain.metrics import ClassMetrics
from plumbline_backend.domain.types import Interval, LabelClass, ModelVersion
from plumbline_backend.training.recipe import in_words

CLASS_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Class", "chip"),
    grid_column("n", "number", "Random-stream items that people gave this class"),
    grid_column(
        "Recall", "interval", "Share of the class's items that the model finds, with its 95 % interval"
    ),
    grid_column("Given", "number", "Random-stream items that the model gives this class"),
    grid_column(
        "Precision",
        "interval",
        "Share of the model's answers for this class that are right, with its 95 % interval",
    ),
    grid_column("F1", "number", "Harmonic mean of precision and recall, with its 95 % interval"),
    grid_column("Trained", "number", "Answers of this class outside the random stream"),
)
RUN_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Version", "number"),
    grid_column("Trained", "number", "When, in UTC"),
    grid_column("Labels", "number", "Answers the version was trained on"),
    grid_column("Head", "text", "What was trained"),
    grid_column("Strategy", "text", "How the items were ranked with it"),
    grid_column("Accuracy then", "interval", "On the random-stream answers there were at that time"),
    grid_column("n", "number", "Random-stream answers at that time"),
    grid_column("ECE then", "number", "Calibration error at that time"),
    grid_column("Seconds", "number", "All phases together"),
)
PHASES = {
    "fit": "Fitting the head",
    "calibrate": "Calibrating and measuring",
    "score": "Scoring the pool",
    "rank": "Ranking",
}


def class_rows(
    classes: Sequence[LabelClass],
    metrics: Sequence[ClassMetrics],
    trained: Sequence[str],
    n_by_class: Mapping[str, int],
) -> list[list[Any]]:
    """A row per class, in schema order. trained: ids of the classes that the model knows."""
    rows: list[list[Any]] = []
    for label_class, metric in zip(classes, metrics, strict=True):
        labels = f"{n_by_class.get(label_class.id, 0):,}" if label_class.id in trained else "0"
        rows.append(
            [
                chip(label_class),
                f"{metric.n_true:,}",
                interval_cell(metric.recall),
                f"{metric.n_predicted:,}",
                interval_cell(metric.precision),
                _short(metric.f1),
                labels,
            ]
        )
    return rows


def run_rows(models: Sequence[ModelVersion]) -> list[list[Any]]:
    """A row per version, in the order given, with the figures measured when it was trained."""
    return [_run_row(model) for model in models]


def training_facts(model: ModelVersion, temperature_note: str) -> list[tuple[str, str]]:
    """What the training of one version took, as names and values."""
    metrics = model.metrics
    seconds: Mapping[str, float] = metrics.get("seconds", {})
    phases = [(PHASES.get(name, name), f"{taken:.3f} s") for name, taken in seconds.items()]
    temperature = metrics.get("temperature")
    return [
        ("Version", f"{model.version}, {when(model.created_at)}"),
        (
            "Rows",
            f"{model.n_train:,} labels to train, {model.n_stream:,} random-stream answers to calibrate and measure",
        ),
        ("Head", " ".join([metrics.get("head", "linear_softmax"), *_settings(metrics)])),
        *_recipe(metrics),
        *_head_facts(metrics),
        *([("Deterministic", "yes, on one thread and from nothing")] if metrics.get("deterministic") else []),
        *phases,
        ("Together", f"{sum(seconds.values()):.3f} s"),
        *([] if metrics.get("l2") is None else [("Penalty (L2)", f"{metrics['l2']:.4g}")]),
        ("Temperature", f"{temperature:.3f}" + (f" ({temperature_note})" if temperature_note else "")),
    ]


def when(moment: datetime) -> str:
    """A moment as people write it, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def stored_interval(stored: Sequence[float | int | None] | None) -> Interval:
    """An interval from a model's metrics, [value, low, high, n] with None for unknown."""
    if stored is None or stored[0] is None:
        return Interval(float("nan"), 0.0, 1.0, 0)
    value, low, high, n = (float("nan") if figure is None else float(figure) for figure in stored)
    return Interval(value, low, high, int(n))


def _short(interval: Interval) -> str | None:
    if interval.n == 0:
        return None
    return f"{100 * interval.value:.0f} % ({100 * interval.low:.0f}–{100 * interval.high:.0f})"


def _settings(metrics: Mapping[str, Any]) -> list[str]:
    """Settings of the head that the project chose."""
    return [f"{name}={value}" for name, value in metrics.get("head_settings", {}).items()]


def _head_of(metrics: Mapping[str, Any]) -> str:
    """The head, and in a few words what was done with the labels."""
    options = [value for _, value in in_words(metrics.get("recipe", {}).get("options", {}))]
    return ", ".join([str(metrics.get("head", "linear_softmax")), *options])


def _recipe(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was done with the labels, and what came of it."""
    recipe = metrics.get("recipe", {})
    facts = dict(recipe.get("facts", {}))
    n = facts.pop("n_labels", None)
    found = [("Labels weighed below half", f"{facts.pop('n_doubted', 0):,} of {n:,}")] if n else []
    words = {
        "n_soft": "Labels with shares",
        "n_groups": "Groups of the column",
        "n_pruned": "Labels left out",
        "n_just_added": "Classes just added, all taken as equally frequent",
    }
    found += [(words[name], f"{value:,}") for name, value in facts.items() if name in words]
    return [*in_words(recipe.get("options", {})), *found]


def _head_facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the head's fit went, in the head's own words."""
    facts = metrics.get("head_facts", {"n_iterations": metrics.get("n_iterations", 0)})
    words = {True: "yes", False: "no"}
    return [
        (
            name.removeprefix("n_").replace("_", " ").capitalize(),
            words[value]
            if isinstance(value, bool)
            else f"{value:,}"
            if isinstance(value, int)
            else f"{value:.4g}"
            if isinstance(value, float)
            else str(value),
        )
        for name, value in facts.items()
        if value is not None and name != "l2"
    ]


def _run_row(model: ModelVersion) -> list[Any]:
    metrics = model.metrics
    accuracy, ece = stored_interval(metrics.get("accuracy")), stored_interval(metrics.get("ece"))
    return [
        str(model.version),
        model.created_at.strftime("%m-%d %H:%M"),
        f"{model.n_train:,}",
        _head_of(metrics),
        str(metrics.get("strategy", "")),
        interval_cell(accuracy),
        f"{model.n_stream:,}",
        f"{100 * ece.value:.1f} %" if ece.n else None,
        f"{sum(metrics.get('seconds', {}).values()):.2f}",
    ]
