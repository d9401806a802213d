"""Heads with another objective than likelihood: a metric, and agreement between the groups of a column."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.goals import METRICS, DomainAligned, MetricLoss, _metric
from plumbline_backend.heads.linear_softmax import LinearSoftmax


def test_smooth_metrics_of_sure_answers_are_the_metrics_themselves() -> None:
    """True 1 1 1 0 0, answered 1 1 0 0 1 (1 the second class): TP 2, FN 1, FP 1, TN 1 for it.

    F1: 4/6 of the second class, 2/4 of the first, mean 7/12. Recalls 2/3 and 1/2, mean 7/12; the geometric mean of both
    is the root of 1/3 for either class. Accuracy 3/5.
    """
    y = torch.eye(2, dtype=torch.float64)[[1, 1, 1, 0, 0]]
    answers = torch.eye(2, dtype=torch.float64)[[1, 1, 0, 0, 1]]
    weight = torch.full((5,), 0.2, dtype=torch.float64)
    found = {name: float(_metric(name, answers, y, weight)) for name in METRICS}
    assert found["f1"] == pytest.approx(7 / 12, abs=1e-6)
    assert found["balanced_accuracy"] == pytest.approx(7 / 12, abs=1e-6)
    assert found["g_mean"] == pytest.approx((1 / 3) ** 0.5, abs=1e-6)
    assert found["accuracy"] == pytest.approx(3 / 5, abs=1e-6)


def rare(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One item in twelve is of the second class, a step away from the first."""
    draw = np.random.default_rng(seed)
    y = (np.arange(n) % 12 == 0).astype(np.int64)
    return draw.normal(size=(n, 3)) + 1.5 * y[:, None] * [1, 1, 0], y


def f1(y: np.ndarray, said: np.ndarray) -> float:
    parts = []
    for k in (0, 1):
        right = ((y == k) & (said == k)).sum()
        parts.append(2 * right / ((y == k).sum() + (said == k).sum()))
    return float(np.mean(parts))


def test_a_metric_as_the_loss_raises_it_on_new_items() -> None:
    x, y = rare(480, 0)
    new_x, new_y = rare(4800, 1)
    tuned, plain = MetricLoss().fit(x, y, 2), LinearSoftmax(l2=1.0).fit(x, y, 2)
    assert tuned.metric_after_ > tuned.metric_before_
    said = [head.logits(new_x).argmax(axis=1) for head in (tuned, plain)]
    assert f1(new_y, said[0]) > f1(new_y, said[1])


def sites(n: int, seed: int, shown: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The class is in column 0 everywhere; column 1 agrees with it by each site's own share of items."""
    draw = np.random.default_rng(seed)
    y, site = draw.integers(2, size=n), np.arange(n) % len(shown)
    agrees = draw.random(n) < np.array(shown)[site]
    clue = np.where(agrees, y, 1 - y)
    x = np.stack([2 * y - 1 + 1.2 * draw.normal(size=n), 2 * clue - 1 + 0.3 * draw.normal(size=n)], axis=1)
    return x, y, site


def test_aligned_groups_lean_on_what_holds_in_all_of_them() -> None:
    """Column 1 is right for 99 % and 80 % of two sites, and wrong for 90 % of a site that is not seen."""
    x, y, site = sites(800, 0, (0.99, 0.8))
    other_x, other_y, _ = sites(2000, 1, (0.1,))
    plain = DomainAligned().fit(x, y, 2)
    aligned = DomainAligned(domains=site, gradient_weight=1000.0, hessian_weight=1000.0).fit(x, y, 2)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    linear = LinearSoftmax(l2=1.0).fit(standard, y, 2)
    np.testing.assert_allclose(plain.logits(x), linear.logits(standard), atol=1e-6)

    def right(head: DomainAligned) -> float:
        return float((head.logits(other_x).argmax(axis=1) == other_y).mean())

    assert right(aligned) > right(plain) + 0.3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MetricLoss(metric="f2"), "metric is 'f2'"),
        (lambda: MetricLoss(sharpness=0), "sharpness is 0; expected a finite number above zero"),
        (lambda: MetricLoss(l2=-1), "l2 is -1"),
        (lambda: DomainAligned(gradient_weight=-1), "gradient_weight is -1"),
        (lambda: DomainAligned(domains=[0, 1]).fit(*rare(24, 0), 2), "domains"),
    ],
)
def test_what_cannot_be_is_refused(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()  # type: ignore[operator]
