"""The figures of one judge: bad input, weak input, multi-label, nulls, reference values on real networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain.calibration_summary import MEANINGS, Summary, summarise, summarise_labels
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.reliability import ece

NETWORKS = Path(__file__).parents[4] / "shared" / "data" / "network_probs"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def made(n: int = 600, k: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Perfectly calibrated probabilities."""
    draw = np.random.default_rng(seed)
    proba = draw.dirichlet(np.ones(k), size=n)
    return proba, (proba.cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)


def check_figures(found: Summary) -> None:
    assert list(found.figures) == list(MEANINGS)
    for name, figure in found.figures.items():
        assert figure.low <= figure.value <= figure.high, name
        assert figure.n >= 1
    f = {name: figure.value for name, figure in found.figures.items()}
    parts = (
        f["reliability"] - f["resolution"] + f["uncertainty"] + f["within_variance"] - f["within_covariance"]
    )
    assert parts == pytest.approx(f["top_brier"], abs=1e-6)
    assert found.reliability.ece == pytest.approx(f["ece"])


def test_calibrated_probabilities_show_their_null() -> None:
    found = summarise(*made(4000), rng())
    check_figures(found)
    for name in ("ece", "smooth_ece", "ece_sweep", "corp_miscalibration", "reliability"):
        assert found.figures[name].low == 0, name
        assert found.figures[name].value < 2.5 * found.figures[name].null, name
    for name in ("accuracy", "nll", "brier", "aurc"):
        figure = found.figures[name]
        assert figure.low <= figure.null <= figure.high, name
    assert found.notes == ()


def test_a_real_error_is_told_from_noise() -> None:
    proba, targets = made(4000)
    sharp = proba**4 / (proba**4).sum(axis=1, keepdims=True)
    found = summarise(sharp, targets, rng())
    for name in ("ece", "smooth_ece", "debiased_squared_error", "classwise_ece", "corp_miscalibration"):
        assert found.figures[name].low > found.figures[name].null, name


@pytest.mark.parametrize(
    ("proba", "targets", "note"),
    [
        ([[0.7, 0.3]] * 10, [0, 1] * 5, "n = 10 is too small to judge calibration; expected at least 30"),
        ([[0.7, 0.3], [0.6, 0.4]] * 20, [0] * 40, "only one class occurs among the answers"),
        ([[0.7, 0.3]] * 40, [0, 1] * 20, "every confidence is 0.7: there is one bin"),
        ([[0.7, 0.3], [0.4, 0.6]] * 20, [0, 1] * 20, "every answer is right"),
        ([[0.7, 0.3], [0.4, 0.6]] * 20, [1, 0] * 20, "every answer is wrong"),
        ([[1.0, 0.0]] * 40, [0] * 40, "every confidence is 1"),
    ],
)
def test_weak_input_is_measured_and_the_weakness_told(proba: list, targets: list, note: str) -> None:
    found = summarise(np.array(proba), np.array(targets), rng())
    check_figures(found)
    assert any(note in each for each in found.notes)
    assert all(np.isfinite(figure[:4]).all() for figure in found.figures.values())


def test_a_single_item_has_figures_with_wide_intervals() -> None:
    found = summarise(np.array([[0.8, 0.2]]), np.array([0]), rng())
    assert found.figures["accuracy"].low < 0.3
    assert "n = 1 is too small" in found.notes[0]


@pytest.mark.parametrize(
    ("proba", "targets", "message"),
    [
        ([[0.5, 0.4]], [0], "sum 0.9; expected none negative or NaN and a sum of 1"),
        ([[-0.1, 1.1]], [0], "expected none negative or NaN and a sum of 1; these look like logits"),
        ([[2.3, -1.0]], [0], "these look like logits: give them as logits"),
        ([[np.nan, 0.5]], [0], "probabilities of row 0"),
        ([[0.5, 0.5]], [7], "target of row 0 is 7; expected a class from 0 to 1"),
        (np.empty((0, 2)), np.empty(0, dtype=int), "found 0 rows; expected at least one"),
    ],
)
def test_refusals(proba: object, targets: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        summarise(np.array(proba), np.array(targets), rng())


def test_multi_label_pools_items_and_labels() -> None:
    draw = np.random.default_rng(3)
    proba = draw.uniform(size=(500, 3))
    targets = (draw.random((500, 3)) < proba).astype(int)
    found = summarise_labels(proba, targets, rng())
    check_figures(found)
    assert found.kind == "labels"
    assert found.reliability.count.sum() == 1500
    assert found.figures["ece"].value == pytest.approx(ece(proba.ravel(), targets.ravel() > 0))
    assert (found.figures["nll"].n, len(found.per_class)) == (500, 3)
    assert found.figures["ece"].low == 0
    with pytest.raises(InputError, match=r"targets of row 0 are \[2 0 0\]; expected 0 or 1"):
        summarise_labels(proba[:1], np.array([[2, 0, 0]]), rng())
    with pytest.raises(InputError, match="probabilities of row 0 are"):
        summarise_labels(proba[:1] + 1, targets[:1], rng())


@pytest.mark.parametrize(
    ("name", "before", "after", "temperature"),
    [
        ("wideresnet-16-4-cifar-10", 0.05085, 0.0075, 2.07),
        ("densenet-bc-100-cifar-100", 0.1399, 0.0130, 2.12),
    ],
)
def test_reference_figures_on_real_networks(
    name: str, before: float, after: float, temperature: float
) -> None:
    path = NETWORKS / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in shared/data/network_probs")
    data = np.load(path)
    logits = np.log(np.maximum(data["predictions"].astype(np.float64), np.finfo(np.float64).tiny))
    order = np.random.default_rng(0).permutation(len(logits))
    fit, shown = order[:5000], order[5000:]
    targets = data["ground_truth"]
    fitted = Temperature().fit(logits[fit], targets[fit])
    assert fitted.temperature_ == pytest.approx(temperature, abs=0.005)
    found = [
        summarise(proba, targets[shown], rng())
        for proba in (data["predictions"][shown].astype(np.float64), fitted.proba(logits[shown]))
    ]
    assert [f.figures["ece"].value for f in found] == pytest.approx([before, after], abs=5.1e-5)
    check_figures(found[1])


def test_smooth_ece_is_right_at_confidence_one() -> None:
    """A quarter of the WideResNet's confidences are exactly 1; a kernel that loses half of that mass says 0.0757."""
    path = NETWORKS / "wideresnet-16-4-cifar-10.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in shared/data/network_probs")
    data = np.load(path)
    found = summarise(data["predictions"].astype(np.float64), data["ground_truth"], rng())
    assert found.figures["smooth_ece"].value == pytest.approx(0.0537, abs=5e-5)
