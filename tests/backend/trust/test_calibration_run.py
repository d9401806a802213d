"""A whole run: chosen by cross-validated NLL, measured on other items, written as JSON and as a page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError
from plumbline_backend.registry import CALIBRATORS
from plumbline_backend.trust.calibration import CalibrationRun, run_calibration, split_rows
from plumbline_backend.trust.comparison import compare
from plumbline_backend.trust.document import as_json
from plumbline_backend.trust.page import as_html, report_of
from plumbline_backend.trust.predictions import Predictions, from_logits, from_proba


def made(n: int = 1200, sharpness: float = 2.0, offset: float = 0.0, name: str = "made") -> Predictions:
    """Logits whose answers follow softmax(logits / sharpness), class 2 shifted by `offset`."""
    draw = np.random.default_rng(0)
    true = draw.normal(scale=2, size=(n, 3))
    targets = (softmax(true, axis=1).cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)
    return from_logits(name, sharpness * true + [0, 0, offset], targets)


def run(predictions: Predictions, names: list[str] | None = None) -> CalibrationRun:
    fit, words = split_rows(predictions.n, "half", {})
    return run_calibration(predictions, fit, words, names)


@pytest.fixture(scope="module")
def done() -> CalibrationRun:
    return run(made())


def test_every_calibrator_is_measured_on_items_it_has_not_seen(done: CalibrationRun) -> None:
    assert tuple(done.after) == CALIBRATORS.names()
    assert (done.fit.n, done.shown.n, done.before.n) == (600, 600, 600)
    for name, each in done.after.items():
        assert each.summary.figures["ece"].value < done.before.figures["ece"].value, name
        if not each.changes_predictions:
            assert each.changed == 0, name


def test_temperature_is_kept_where_nothing_beats_it_clearly(done: CalibrationRun) -> None:
    assert done.comparison.chosen == "temperature"
    by_name = {row.name: row for row in done.comparison.rows}
    assert by_name["none"].above_best.low > 0
    assert min(row.nll.value for row in done.comparison.rows) == min(
        row.nll.value for row in done.comparison.rows if row.above_best.value == 0
    )


def test_nothing_is_kept_where_nothing_is_wrong() -> None:
    calibrated = made(sharpness=1.0)
    found = compare(
        calibrated.logits, calibrated.targets, ["temperature", "vector"], np.random.default_rng(0)
    )
    assert found.chosen == "none"


def test_vector_is_chosen_where_a_class_is_shifted() -> None:
    shifted = made(offset=3.0)
    names = ["temperature", "vector"]
    found = compare(shifted.logits, shifted.targets, names, np.random.default_rng(0))
    assert found.chosen == "vector"
    assert found.rows[1].above_best.low > 0


def test_the_document_has_the_promised_shape(done: CalibrationRun) -> None:
    document = json.loads(json.dumps(as_json(done), allow_nan=False))
    assert (document["n_fit"], document["n_shown"]) == (600, 600)
    for figures in (document["before"], document["calibrators"]["temperature"]):
        assert set(figures["ece"]) == {"value", "low", "high", "null", "n"}
        assert figures["ece"]["low"] <= figures["ece"]["value"] <= figures["ece"]["high"]
    assert document["calibrators"]["temperature"]["parameters"]["temperature"] == pytest.approx(2, abs=0.3)
    assert document["split"] == "the first 600 rows"


def test_the_page_tells_everything_and_runs_nothing() -> None:
    page = as_html(report_of(run(made(200, name="<script>alert(1)</script>"), ["temperature"])))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for words in ("n = 100", "null", "smooth ece", "cross-validated NLL", "<svg", "Use "):
        assert words.lower() in page.lower()


def test_multi_label_runs_on_items_and_labels() -> None:
    draw = np.random.default_rng(1)
    true = draw.normal(size=(400, 3))
    targets = (draw.random((400, 3)) < 1 / (1 + np.exp(-true))).astype(int)
    found = run(from_logits("labels", 3 * true, targets), ["temperature", "isotonic"])
    assert found.before.kind == "labels"
    assert found.after["temperature"].summary.figures["ece"].value < found.before.figures["ece"].value
    assert found.after["temperature"].proba.shape == (200, 3)


@pytest.mark.parametrize("n", [2, 3, 12])
def test_very_few_items_are_measured_and_said_to_be_too_few(n: int) -> None:
    found = run(made(n), ["temperature", "isotonic", "matrix"])
    assert any("too few" in note for note in found.notes)
    assert json.dumps(as_json(found), allow_nan=False)


def sure(n: int, said: float, right: float, seed: int = 0) -> Predictions:
    """n items of three classes, each stated with the probability `said`, and right in this share."""
    draw = np.random.default_rng(seed)
    named = np.arange(n) % 3
    proba = np.full((n, 3), (1 - said) / 2)
    proba[np.arange(n), named] = said
    wrong = (named + 1) % 3
    return from_proba("judge", proba, np.where(draw.random(n) < right, named, wrong))


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (sure(20, 0.7, 0.7), "n = 10 is too small to judge calibration"),
        (sure(120, 0.7, 0.7), "every confidence is 0.7"),
        (sure(120, 0.7, 1.0), "every answer is right"),
        (sure(120, 0.7, 0.0), "every answer is wrong"),
        (sure(120, 1.0, 1.0), "every confidence is 1"),
        (sure(120, 1.0, 0.0), "every answer is wrong"),
        (
            from_proba("judge", np.random.default_rng(0).dirichlet([1, 1, 1], 80), np.zeros(80, dtype=int)),
            "only one class occurs",
        ),
    ],
)
def test_degenerate_input_is_shown_with_what_is_wrong_with_it(given: Predictions, note: str) -> None:
    """Also all of it as JSON without NaN, and as a page; accuracy and n stay what they are."""
    view = report_of(run(given, ["temperature", "isotonic", "histogram"]))
    assert any(note in each for each in view["notes"])
    assert json.dumps(view, allow_nan=False)
    assert view["before"]["accuracy"]["n"] == view["n_shown"] == given.n // 2
    shown = given.rows(np.arange(given.n // 2, given.n))
    right = (shown.proba.argmax(axis=1) == shown.targets).mean()
    assert view["before"]["accuracy"]["value"] == pytest.approx(right)
    assert view["before"]["accuracy"]["low"] <= right <= view["before"]["accuracy"]["high"]
    for state in view["states"].values():
        assert sum(state["bins"]["count"]) == view["n_shown"]
    assert note in as_html(view)


@pytest.mark.parametrize(
    ("said", "carried", "note"),
    [
        ([0.9, 0.1], [1, 0], "accuracy"),
        ([0.9, 0.1], [0, 1], "accuracy"),
        ([0.7, 0.7], [0, 0], "every answer is wrong"),
        ([0.7, 0.7], [1, 1], "every answer is right"),
        ([0.7, 0.7], [1, 0], "every confidence is 0.7"),
        ([1.0, 0.0], [1, 0], "accuracy"),
    ],
)
def test_degenerate_input_of_several_classes_is_shown(said: list, carried: list, note: str) -> None:
    """30 items alike: the accuracy is the share of the two classes that is said rightly, yes from one half on."""
    given = from_proba("judge", np.tile(said, (30, 1)), np.tile(carried, (30, 1)))
    view = report_of(run(given, ["temperature", "isotonic"]))
    assert json.dumps(view, allow_nan=False)
    right = np.mean((np.array(said) >= 0.5) == np.array(carried))
    assert view["before"]["accuracy"]["value"] == right
    assert view["before"]["accuracy"]["n"] == 15
    assert any(each.startswith("n = 15 is too small") for each in view["notes"])
    if note != "accuracy":
        assert any(note in each for each in view["notes"])


def test_a_thousand_classes_are_shown_one_by_one() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(scale=4, size=(200, 1000))
    targets = np.where(draw.random(200) < 0.5, logits.argmax(axis=1), draw.integers(1000, size=200))
    view = report_of(run(from_logits("many", logits, targets), ["temperature"]))
    assert json.dumps(view, allow_nan=False)
    assert view["n_classes"] == len(view["states"]["as given"]["classes"]) == 1000
    assert sum(n for n, *_ in view["states"]["as given"]["classes"]) == 100


def test_an_unknown_calibrator_is_refused_before_work() -> None:
    with pytest.raises(InputError, match="did you mean 'isotonic'"):
        run(made(60), ["isotonik"])
