"""Distributions over the classes as targets: in two parts, or by a second head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.distil import nkd_loss
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.mlp import MLP


def test_the_two_parts_by_hand() -> None:
    """Logits log(2, 1, 1): p = (.5, .25, .25). Target share .6; the others .3 and .1 of what is left: .75, .25.

    1.6 / 2 * log 2 + weight * (log 2): among themselves the others have 1 / 2 each.
    """
    logits = torch.tensor([[2.0, 1, 1]]).log()
    soft = torch.tensor([[0.6, 0.3, 0.1]])
    expected = 0.8 * np.log(2) + 1.5 * np.log(2)
    assert nkd_loss(logits, soft, 1.5).item() == pytest.approx(expected, abs=1e-6)


def test_a_certain_label_has_the_plain_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(9, 4), torch.arange(9) % 4
    found = nkd_loss(logits, torch.nn.functional.one_hot(y, 4).float(), 2.0)
    torch.testing.assert_close(found, cross_entropy(logits, y, reduction="none"))


def taught(n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few labels, and a teacher who knows the way: (x, y, mixed targets) of five classes."""
    draw = np.random.default_rng(1)
    weight = draw.normal(size=(5, 12))
    x = draw.normal(size=(n, 12)).astype(np.float32)
    logits = 1.5 * x @ weight.T
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    y = proba.argmax(axis=1)
    return x, y, 0.55 * np.eye(5)[y] + 0.45 * proba


@pytest.mark.parametrize(
    "head",
    [
        LinearSoftmax(nkd=1.0),
        LinearSoftmax(nkd=1.0, adjust=0.5),
        MLP(widths=(32,), nkd=1.0, max_epochs=60),
        MLP(widths=(32,), dual=True, max_epochs=60),
    ],
)
def test_what_a_teacher_knows_of_the_other_classes_is_learned(head: LinearSoftmax | MLP) -> None:
    x, y, soft = taught()
    test_x, test_y, _ = taught(2000)
    plain = type(head)(**({} if isinstance(head, LinearSoftmax) else {"widths": (32,), "max_epochs": 60}))
    alone = (plain.fit(x, y, 5).logits(test_x).argmax(axis=1) == test_y).mean()
    with_teacher = (head.fit(x, soft, 5).logits(test_x).argmax(axis=1) == test_y).mean()
    assert with_teacher > alone - 0.03
    assert with_teacher > 0.5


def test_two_parts_are_searched_to_the_optimum() -> None:
    """A convex loss: the gradient ends within the tolerance."""
    x, _, soft = taught(300)
    head = LinearSoftmax(nkd=1.0, tolerance=1e-6).fit(x, soft, 5)
    assert head.converged_
    assert head.gradient_ <= 1e-6


def test_hard_labels_take_no_notice() -> None:
    x, y, _ = taught()
    np.testing.assert_array_equal(
        LinearSoftmax(nkd=2.0).fit(x, y, 5).logits(x), LinearSoftmax().fit(x, y, 5).logits(x)
    )
    one, two = (
        MLP((8,), max_epochs=3, **more).fit(x, y, 5).logits(x) for more in ({}, {"dual": True, "nkd": 1.0})
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", [LinearSoftmax, MLP])
def test_two_parts_and_smoothing_exclude_each_other(kind: type) -> None:
    with pytest.raises(InputError, match=r"nkd is 1\.0; expected .*0 with label smoothing"):
        kind(nkd=1.0, label_smoothing=0.1)
    with pytest.raises(InputError, match="nkd is -1"):
        kind(nkd=-1)
