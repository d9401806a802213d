"""The pace inside a simulation is the project's: calibrated, risen by checks, switched off by the random stream."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from plumbline_backend.pace.control import FASTER
from plumbline_backend.pace.policy import START
from plumbline_backend.simulation.pacing import LABELS_PER_STREAM, Known, PaceOfRun

N, BUDGET = 1500, 1400
CLASSES = np.arange(2)


class Scripted:
    """A head whose logits for class 1 are the first feature times `sharpness`, and the negative for class 0."""

    def __init__(self, sharpness: float) -> None:
        self.sharpness = sharpness

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        said = self.sharpness * x[:, 0].astype(np.float64)
        return np.stack([-said, said], axis=1)


def fit(*_: object) -> object:
    """Any training gives a head that is always right."""
    return Scripted(5.0).logits


def paced(answers: NDArray[np.int64], x: NDArray[np.float32], budget: int = BUDGET) -> PaceOfRun:
    return PaceOfRun("fixed", x, answers, answers, budget, np.random.default_rng(0))


@pytest.fixture
def pool() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """One feature of -1 or 1 that is the answer."""
    truth = np.random.default_rng(1).integers(2, size=N)
    return (2.0 * truth - 1).astype(np.float32)[:, None], truth


def labelled(pace: PaceOfRun, items: list[int], n: int) -> list[int]:
    """`n` more items asked: blind checks, and others in order of position."""
    checks = pace.checks(n, items)
    others = [i for i in range(N) if i not in {*items, *checks, *pace.reserve.tolist()}]
    return [*items, *others[: n - len(checks)], *checks]


def round_of(pace: PaceOfRun, items: list[int], head: Scripted, answers: NDArray[np.int64]) -> None:
    known = Known(np.array(items), answers[items], CLASSES)
    pace.training_rows(known.items, known.targets, CLASSES)
    pace.next_round(known, head, fit)  # type: ignore[arg-type]


def test_the_pace_rises_once_125_checks_were_all_right(pool: tuple[NDArray, NDArray]) -> None:
    """Ten checks in a hundred labels and eleven of the stream: 21 a round from the second on. Stream: 11, 22, 33, 44,
    55, 66; checks: 0, 10, 20, 30, 40, 50. After six rounds 116 were right, after seven 137."""
    x, truth = pool
    pace, items, lam = paced(truth, x), [], []
    for _ in range(7):
        items = labelled(pace, items, 100)
        round_of(pace, items, Scripted(5.0), truth)
        lam.append(pace.state.of("0"))
    assert lam[:6] == pytest.approx([START] * 6)
    assert lam[6] == pytest.approx(START * FASTER)
    assert pace.state.n_audited == 137
    assert "The pace rises" in pace.state.reason


def test_the_stream_switches_a_harmful_pace_off(pool: tuple[NDArray, NDArray]) -> None:
    """The head that learned from pseudo-labels is wrong where the one without is right."""
    x, truth = pool
    pace, items = paced(truth, x), labelled(paced(truth, x), [], 90)
    round_of(pace, items, Scripted(5.0), truth)
    assert pace.state.mode == "on"
    items = labelled(pace, items, 90)
    round_of(pace, items, Scripted(-5.0), truth)
    assert pace.state.mode == "stopped"
    assert "of 20 random-stream answers, 20 are right only without them" in pace.state.reason
    items = labelled(pace, items, 90)
    round_of(pace, items, Scripted(5.0), truth)
    assert pace.history[-1]["pseudo"] == 0
    assert pace.checks(100, items) == []


@pytest.mark.parametrize(("n_stream", "n_checks"), [(19, 1), (21, 0)])
def test_an_overconfident_head_is_calibrated_on_the_stream(
    pool: tuple[NDArray, NDArray], n_stream: int, n_checks: int
) -> None:
    """Its p is 1 / (1 + exp(-4)) = 0.982 everywhere, and three stream answers in ten are others.

    From 20 answers on the temperature brings p below 0.9; before, p is above 0.975, the pace halved by those answers.
    """
    x, truth = pool
    pace = paced(truth, x)
    wrong = pace.reserve[np.arange(len(pace.reserve)) % 10 < 3]
    truth[wrong] = 1 - truth[wrong]
    items = labelled(pace, [], n_stream * LABELS_PER_STREAM)
    round_of(pace, items, Scripted(2.0), truth)
    assert pace.state.mode == "on"
    assert len(pace.checks(10, items)) == n_checks


def test_stream_items_are_never_asked_nor_taught(pool: tuple[NDArray, NDArray]) -> None:
    x, truth = pool
    pace = paced(truth, x, budget=90)
    assert len(pace.reserve) == 10
    items = labelled(pace, [], 30)
    round_of(pace, items, Scripted(5.0), truth)
    rows, _, weight = pace.training_rows(np.array(items), truth[items], CLASSES)
    assert len(rows) == N - 10
    assert weight[30:].sum() == pytest.approx(60)  # twice the labels
    assert set(rows.tolist()).isdisjoint(pace.reserve.tolist())
