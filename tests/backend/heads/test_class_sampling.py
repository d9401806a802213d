"""Steps over a few of many classes: losses by hand, slopes by differences, the full softmax as a limit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from plumbline_backend.heads.class_sampling import LOSSES, Sampled, loss_and_slopes, near_batches

LOGITS = np.log(np.array([[1.0, 2.0, 4.0, 8.0]]))  # odds 1 : 2 : 4 : 8
RIGHT = np.array([1])


@pytest.mark.parametrize(
    ("name", "k", "expected"),
    [
        ("softmax", 1, np.log(15 / 2)),  # all odds over the right one's
        ("decoupled", 1, np.log(13 / 2)),  # 1 + 4 + 8, without the right one's 2
        ("soft_top_k", 1, np.log(15 / 2)),  # the first place: nothing is left out
        ("soft_top_k", 2, np.log(7 / 2)),  # without the largest other, 8
        ("soft_top_k", 3, np.log(3 / 2)),  # without 8 and 4
    ],
)
def test_losses_by_hand(name: str, k: int, expected: float) -> None:
    losses, _ = loss_and_slopes(name, LOGITS, RIGHT, k)
    assert losses[0] == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_slopes_are_those_of_the_loss(name: str, k: int) -> None:
    draw = np.random.default_rng(0)
    logits, place = draw.normal(size=(6, 5)), draw.integers(5, size=6)
    _, slopes = loss_and_slopes(name, logits, place, k)
    step = 1e-6
    for column in range(5):
        moved = [logits.copy(), logits.copy()]
        moved[0][:, column] -= step
        moved[1][:, column] += step
        low, high = (loss_and_slopes(name, each, place, k)[0] for each in moved)
        np.testing.assert_allclose(slopes[:, column], (high - low) / (2 * step), atol=1e-6)


def test_an_item_that_is_safe_stops_pulling_when_decoupled() -> None:
    """Its right class outweighs all others together: 16 against 1 + 2 + 4."""
    losses, slopes = loss_and_slopes("decoupled", np.log(np.array([[1.0, 2.0, 4.0, 16.0]])), np.array([3]))
    assert losses[0] == 0
    assert not slopes.any()


def test_all_classes_sampled_are_the_full_softmax() -> None:
    """The first step of Adagrad is the gradient over its root mean square by class."""
    draw = np.random.default_rng(0)
    start, x, y = draw.normal(size=(5, 4)), draw.normal(size=(3, 4)), np.array([0, 2, 4])
    weight = torch.from_numpy(start.copy()).requires_grad_()
    loss = cross_entropy(torch.from_numpy(x) @ weight.T, torch.from_numpy(y))
    (gradient,) = torch.autograd.grad(loss, weight)
    ours = Sampled(start, "softmax", 1, 1000, 0.3)
    assert ours.step(x, y, np.ones(3), draw) == pytest.approx(float(loss.detach()))
    g = gradient.numpy()
    expected = start - 0.3 * g / np.sqrt((g**2).mean(axis=1) + 1e-8)[:, None]
    np.testing.assert_allclose(ours.weight, expected, atol=1e-10)


def test_the_sum_over_drawn_classes_estimates_the_sum_over_all() -> None:
    """400 equal classes, 50 drawn: whatever is drawn, the loss is log 400."""
    ours = Sampled(np.zeros((400, 3)), "softmax", 1, 50, 0.1)
    loss = ours.step(np.ones((2, 3)), np.array([0, 1]), np.ones(2), np.random.default_rng(1))
    assert loss == pytest.approx(np.log(400))


def test_weights_multiply_what_an_item_pulls() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 3)), np.array([0, 1])
    weighed, alone = (Sampled(np.zeros((4, 3)), "softmax", 1, 10, 0.1) for _ in range(2))
    weighed.step(x, y, np.array([0.0, 2.0]), draw)
    alone.step(x[1:], y[1:], np.ones(1), draw)
    np.testing.assert_allclose(weighed.weight, alone.weight, atol=1e-9)


def test_batches_hold_every_item_once_and_like_classes_together() -> None:
    draw = np.random.default_rng(0)
    centres = np.repeat(np.eye(4), 5, axis=0) * 10 + draw.normal(size=(20, 4))  # four groups of five classes
    y = draw.integers(20, size=203)
    batches = list(near_batches(centres, y, 10, np.random.default_rng(2)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(203))
    assert sorted(map(len, batches)) == [3] + [10] * 20
    groups = np.mean([len(set((y[batch] // 5).tolist())) for batch in batches])
    assert groups < 2.5, "a batch drawn at random meets 3.8 of the four groups"
