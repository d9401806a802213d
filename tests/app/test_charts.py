"""What the figures draw is what the metrics say: values, texts, sizes, and harmless names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from bokeh.models import Axis, HoverTool, Title

from plumbline_app.components.charts import blend, percent, percent_interval, plain, readable_on
from plumbline_app.components.charts_confusion import confusion_matrix
from plumbline_app.components.charts_learning import learning_curve
from plumbline_app.components.charts_reliability import reliability_diagram
from plumbline_app.theme import DARK, LIGHT, Tokens
from plumbline_backend.domain.reliability import ece, reliability
from plumbline_backend.domain.types import Interval

THEMES = pytest.mark.parametrize("t", [LIGHT, DARK], ids=["light", "dark"])


@dataclass(frozen=True)
class Point:
    version: int
    n_train: int
    accuracy: Interval


def texts(plot: Any) -> list[str]:
    return [title.text for title in plot.select(Title)]


def is_complete(plot: Any) -> bool:
    """Title, n, both axis labels and hover are there."""
    words = texts(plot)
    labels = [axis.axis_label for axis in plot.select(Axis)]
    return (
        len(words) >= 2 and any("n = " in w for w in words) and bool(plot.select(HoverTool)) and any(labels)
    )


def columns_of(plot: Any, name: str) -> list[Any]:
    return [r.data_source.data[name] for r in plot.renderers if name in r.data_source.data]


@THEMES
def test_learning_curve_draws_points_intervals_and_reference(t: Tokens) -> None:
    points = [Point(2, 40, Interval(0.9, 0.8, 0.95, 50)), Point(1, 20, Interval(0.7, 0.56, 0.81, 50))]
    reference = [Point(0, 10, Interval(0.6, 0.4, 0.7, 30))]
    plot = learning_curve(points, reference, 50, t)
    assert is_complete(plot)
    assert [0.7, 0.9] in columns_of(plot, "value")  # in order of labels, not as given
    assert [0.6] in columns_of(plot, "value")
    assert ["56.0 to 81.0 %", "80.0 to 95.0 %"] in columns_of(plot, "interval")
    assert (plot.y_range.start, plot.x_range.start) == (pytest.approx(0.3), 0)
    assert plot.x_range.end == pytest.approx(41.6)
    assert {item.label.value for item in plot.legend[0].items} == {"this project", "random sampling"}


def test_learning_curve_of_one_version_and_of_unknown_accuracy() -> None:
    one = learning_curve([Point(1, 5, Interval(float("nan"), 0.0, 1.0, 0))], [], 0, LIGHT)
    assert ["–"] in columns_of(one, "shown")
    assert one.y_range.start == 0


def test_versions_with_the_same_labels_show_the_newest() -> None:
    points = [Point(4, 20, Interval(0.8, 0.7, 0.9, 10)), Point(3, 20, Interval(0.1, 0.0, 0.3, 10))]
    assert ["version 4"] in columns_of(learning_curve(points, [], 10, LIGHT), "what")


@THEMES
@pytest.mark.parametrize("k", [1, 2, 10, 26, 50])
def test_confusion_matrix_holds_every_count(t: Tokens, k: int) -> None:
    counts = np.arange(k * k).reshape(k, k)
    plot = confusion_matrix(counts, [f"class {i}" for i in range(k)], t)
    assert is_complete(plot)
    data = plot.renderers[0].data_source.data
    assert [int(c.replace(",", "")) for c in data["count"]] == counts.ravel().tolist()
    assert data["said"][-1] == data["predicted"][-1] == f"class {k - 1}"
    assert plot.height >= 300
    assert len(plot.xaxis.major_label_overrides) == k


def test_confusion_matrix_shares_are_of_the_row() -> None:
    # Row 0: 3 of 4 and 1 of 4; row 1 is empty and must not divide by zero.
    plot = confusion_matrix(np.array([[3, 1], [0, 0]]), ["a", "b"], LIGHT)
    data = plot.renderers[0].data_source.data
    assert data["share"] == ["75 %", "25 %", "0 %", "0 %"]
    assert data["text"] == ["3", "1", "", ""]
    assert plot.yaxis.major_label_overrides == {0: "a  (n = 4)", 1: "b  (n = 0)"}


def test_class_names_are_never_typeset() -> None:
    plot = confusion_matrix(np.eye(2, dtype=int), [r"$$\frac{1}{2}$$", "line\nbreak"], LIGHT)
    names = plot.xaxis.major_label_overrides
    assert "$$" not in names[0]
    assert names[1] == "line break"
    assert r"\[" not in plain(r"\[x\] \(y\)")


@THEMES
def test_reliability_diagram_draws_the_metric_itself(t: Tokens) -> None:
    rng = np.random.default_rng(0)
    confidence = np.r_[rng.uniform(0.3, 1, 150), np.ones(50)]
    correct = rng.random(200) < confidence
    bins = reliability(confidence, correct, rng)
    diagram, histogram = reliability_diagram(bins, t).children
    assert is_complete(diagram)
    data = diagram.renderers[-1].data_source.data
    drawn = np.average(np.abs(data["accuracy"] - data["confidence"]), weights=data["count"])
    assert drawn == pytest.approx(ece(confidence, correct), abs=1e-12)
    assert histogram.renderers[0].data_source.data["count"].sum() == 200
    assert histogram.x_range is diagram.x_range


def test_a_bin_of_one_confidence_still_has_a_bar() -> None:
    rng = np.random.default_rng(0)
    bins = reliability(np.ones(12), np.ones(12, dtype=bool), rng)
    histogram = reliability_diagram(bins, LIGHT).children[1]
    data = histogram.renderers[0].data_source.data
    assert data["right"][0] > data["left"][0]


def test_colours_blend_and_stay_readable() -> None:
    assert blend("#000000", "#ffffff", 0.5) == "#808080"
    assert readable_on("#101010", "#000000", "#ffffff") == "#ffffff"
    assert readable_on("#f0f0f0", "#000000", "#ffffff") == "#000000"


def test_unknown_shares_are_a_dash() -> None:
    unknown = Interval(float("nan"), 0.0, 1.0, 0)
    assert (percent(unknown.value), percent_interval(unknown)) == ("–", "–")
    assert percent_interval(Interval(0.5, 0.25, 0.75, 8)) == "25.0 to 75.0 %"
