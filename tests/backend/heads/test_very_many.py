"""Heads for very many classes: what they learn, what their facts say, and that a step does not look at every class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.class_sampling import LOSSES, Sampled
from plumbline_backend.heads.very_many import SampledSoftmax, ZLoss, sharpness

K = 200


def many(n_per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Items around 200 directions in 16 columns."""
    centres = np.random.default_rng(0).normal(size=(K, 16))
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(K), n_per_class)
    return centres[y] + 0.6 * draw.normal(size=(len(y), 16)), y


@pytest.mark.parametrize(
    "head",
    [ZLoss(), *(SampledSoftmax(loss=loss, n_sampled=32) for loss in LOSSES)],
    ids=lambda head: getattr(head, "loss", head.name),
)
def test_new_items_of_many_classes_are_found(head: Any) -> None:
    x, y = many(4, 1)
    new_x, new_y = many(3, 2)
    head.fit(x, y, K)
    assert (head.logits(new_x).argmax(axis=1) == new_y).mean() > 0.85
    assert head.loss_ > 0
    assert head.sharpness_ > 0


def test_classes_without_items_stay_unlikely_and_weights_count() -> None:
    x, y = many(3, 1)
    kept = y < 150
    head = SampledSoftmax(n_sampled=32).fit(x, y, K, sample_weight=kept.astype(float))
    assert not (head.logits(x).argmax(axis=1) >= 150).any()


def test_a_step_changes_the_batch_s_classes_and_the_drawn_ones_only() -> None:
    """Three classes of the batch and at most eight drawn: at least 189 of 200 rows stay as they were."""
    start = np.random.default_rng(0).normal(size=(K, 4))
    sampled = Sampled(start, "softmax", 1, 8, 0.1)
    x, y = np.ones((3, 4)), np.array([5, 6, 7])
    sampled.step(x, y, np.ones(3), np.random.default_rng(1))
    moved = np.flatnonzero((sampled.weight != start).any(axis=1))
    assert {5, 6, 7} <= set(moved.tolist())
    assert len(moved) <= 11


def test_sharpness_is_the_factor_of_least_surprise() -> None:
    """Logits 2 f and 0 with three right of four: p = 3/4 where 2 f = log 3."""
    weight, x = np.array([[2.0], [0.0]]), np.ones((4, 1))
    y, share = np.array([0, 0, 0, 1]), np.ones(4)
    found = sharpness(weight, x, y, share, np.random.default_rng(0))
    assert found == pytest.approx(np.log(3) / 2, rel=1e-3)
    logits = found * (x @ weight.T)
    assert float(np.exp(logits[0, 0] - logsumexp(logits[0]))) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "hinge"}, "loss is 'hinge'"),
        ({"k": 0}, "k is 0, batch 128, n_sampled 1024; expected one or more"),
        ({"epochs": 0}, "epochs is 0"),
        ({"rate": float("nan")}, "rate nan; expected"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SampledSoftmax(**settings)


def test_z_loss_refuses_a_slope_of_zero() -> None:
    with pytest.raises(InputError, match="a is 0, b 6"):
        ZLoss(a=0)
