"""The softmax head reaches the optimum: by hand, by the gradient's own test, and beside scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.linear_softmax import LinearSoftmax


def gradient(head: LinearSoftmax, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The largest entry of the mean objective's gradient, in standard deviations of the columns, in numpy."""
    weight = np.ones(len(y)) if weight is None else weight
    share = weight / weight.sum()
    residual = share[:, None] * (
        softmax(x @ head.weight_.T + head.bias_, axis=1) - np.eye(len(head.bias_))[y]
    )
    mean = share @ x
    spread = np.sqrt(share @ (x - mean) ** 2)
    by_weight = residual.T @ (x - mean) + head.l2_ / weight.sum() * head.weight_
    scaled = by_weight / np.where(spread > 0, spread, 1)
    return float(max(np.abs(scaled).max(), np.abs(residual.sum(axis=0)).max()))


def blobs(n: int, d: int, k: int, seed: int = 0, gap: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = np.r_[np.arange(k), draw.integers(k, size=n - k)]
    return draw.normal(size=(n, d)) + gap * draw.normal(size=(k, d))[y], y


def test_two_items_by_hand() -> None:
    """x = -1 is class 0, x = 1 class 1. By symmetry W = (-v, v), b = 0; the gap between the logits is 2 v x.

    2 log(1 + e^-2v) + l2 v^2 is least where l2 v = 2 sigmoid(-2v). For v = 1/2: sigmoid(-1) = 0.2689414, so
    l2 = 4 * 0.2689414 = 1.0757657.
    """
    head = LinearSoftmax(l2=1.0757657, tolerance=1e-10).fit(np.array([[-1.0], [1.0]]), np.array([0, 1]), 2)
    np.testing.assert_allclose(head.weight_, [[-0.5], [0.5]], atol=1e-7)
    np.testing.assert_allclose(head.bias_[1] - head.bias_[0], 0, atol=1e-8)


def test_features_that_say_nothing_leave_the_class_shares() -> None:
    """Three of four items are class 0 and the column is constant: probabilities 3/4 and 1/4, weight 0."""
    head = LinearSoftmax(tolerance=1e-9).fit(np.full((4, 1), 0.1), np.array([0, 0, 1, 0]), 2)
    np.testing.assert_allclose(head.proba(np.full((1, 1), 0.1)), [[0.75, 0.25]], atol=1e-8)
    np.testing.assert_array_equal(head.weight_, 0)


@pytest.mark.parametrize("l2", [1.0, 100.0])
def test_digits_reach_the_optimum_of_scikit_learn(l2: float) -> None:
    x, y = load_digits(return_X_y=True)
    x = x / 16
    theirs = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-10, max_iter=200).fit(x, y)
    ours = LinearSoftmax(l2=l2, tolerance=1e-9).fit(x, y, 10)
    assert ours.converged_
    np.testing.assert_allclose(ours.weight_, theirs.coef_ - theirs.coef_.mean(axis=0), atol=2e-5)
    np.testing.assert_allclose(ours.proba(x), theirs.predict_proba(x), atol=1e-6)


def test_nearly_separable_digits_converge() -> None:
    x, y = load_digits(return_X_y=True)
    head = LinearSoftmax(l2=0.01, tolerance=1e-7).fit(x / 16, y, 10)
    assert head.converged_
    assert gradient(head, x / 16, y) < 1.1e-7


@pytest.mark.parametrize("standardised", [True, False])
def test_breast_cancer_reaches_the_optimum_of_scikit_learn(standardised: bool) -> None:
    """Two classes: there one vector w = W_1 - W_0 is penalised, |W|^2 = |w|^2 / 2, so C = 2 / l2.

    Raw columns run from 0.001 to 2,500; the standardised problem inside makes them no harder.
    """
    x, y = load_breast_cancer(return_X_y=True)
    if standardised:
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = LogisticRegression(C=2.0, solver="newton-cholesky", tol=1e-10, max_iter=500).fit(x, y)
    ours = LinearSoftmax(l2=1.0, tolerance=1e-9).fit(x, y, 2)
    assert ours.converged_
    np.testing.assert_allclose(ours.proba(x), theirs.predict_proba(x), atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-8])
def test_the_tolerance_is_kept(dtype: type, tolerance: float) -> None:
    """Checked in float64 with numpy, whatever precision the fit worked in."""
    x, y = blobs(500, 20, 4, gap=0.5)
    x = x.astype(dtype)
    head = LinearSoftmax(tolerance=tolerance).fit(x, y, 4)
    assert head.converged_
    assert head.gradient_ <= tolerance
    assert gradient(head, x.astype(np.float64), y) <= 1.05 * tolerance + 1e-12


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(4, 60),
    d=st.integers(1, 80),
    k=st.integers(2, 4),
    l2=st.sampled_from([1e-3, 1.0, 1e3]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    weighted=st.booleans(),
)
def test_any_shape_and_unit_converges(
    seed: int, n: int, d: int, k: int, l2: float, scale: float, weighted: bool
) -> None:
    """Fewer items than features, one feature, separable or not, a constant column, columns of any unit."""
    x, y = blobs(n, d, k, seed)
    x[:, 0] *= scale
    if d > 2:
        x[:, 1] = 7.0
    weight = np.random.default_rng(seed).uniform(0.1, 3, n) if weighted else None
    head = LinearSoftmax(l2=l2, tolerance=1e-7).fit(x, y, k, sample_weight=weight)
    assert head.converged_
    assert gradient(head, x, y, weight) <= 1.1e-7 * (1 + 1e-3 * scale)


def test_separable_items_without_a_penalty_stop_at_the_tolerance() -> None:
    x, y = blobs(60, 5, 3, gap=20)
    head = LinearSoftmax(l2=0.0, tolerance=1e-4).fit(x, y, 3)
    assert head.converged_
    assert np.isfinite(head.weight_).all()
    assert (head.proba(x).argmax(axis=1) == y).all()


def test_a_far_away_column_is_no_harder() -> None:
    """Seconds since 1970 with a spread of hours: logits are sums of terms near 1e6 that cancel."""
    x, y = blobs(300, 3, 3)
    moved = x * [1, 1, 3600.0] + [0, 0, 1.7e9]
    near = LinearSoftmax(l2=1e-9, tolerance=1e-8).fit(x, y, 3)
    far = LinearSoftmax(l2=1e-9, tolerance=1e-8).fit(moved, y, 3)
    np.testing.assert_allclose(near.proba(x), far.proba(moved), atol=1e-5)
    single = LinearSoftmax(l2=1e-3).fit(moved.astype(np.float32), y, 3)
    assert single.scores(moved.astype(np.float32)).top1.dtype == np.float64
    np.testing.assert_allclose(
        single.scores(moved.astype(np.float32)).top1, single.proba(moved.astype(np.float32)).max(axis=1)
    )


def test_a_weight_is_a_number_of_copies() -> None:
    x, y = blobs(80, 6, 3)
    times = np.random.default_rng(1).integers(0, 4, size=80)
    weighted = LinearSoftmax(tolerance=1e-9).fit(x, y, 3, sample_weight=times.astype(float))
    copied = LinearSoftmax(tolerance=1e-9).fit(np.repeat(x, times, axis=0), np.repeat(y, times), 3)
    np.testing.assert_allclose(weighted.weight_, copied.weight_, atol=1e-6)
    assert weighted.objective_ == pytest.approx(copied.objective_, rel=1e-9)


def test_a_warm_start_changes_the_time_not_the_result() -> None:
    x, y = blobs(600, 30, 5, gap=0.4)
    cold = LinearSoftmax(tolerance=1e-9).fit(x, y, 5)
    earlier = LinearSoftmax(tolerance=1e-9).fit(x[:590], y[:590], 5)
    warm = LinearSoftmax(tolerance=1e-9).fit(x, y, 5, warm_start=earlier)
    np.testing.assert_allclose(warm.weight_, cold.weight_, atol=1e-6)
    assert warm.n_evaluations_ < cold.n_evaluations_
    again = LinearSoftmax(tolerance=1e-5).fit(x, y, 5, warm_start=cold)
    assert again.n_evaluations_ == 1


def test_a_warm_start_survives_new_and_missing_classes() -> None:
    x, y = blobs(200, 8, 4)
    fewer = LinearSoftmax(tolerance=1e-9).fit(x[y < 3], y[y < 3], 3)
    cold = LinearSoftmax(tolerance=1e-9).fit(x, y, 4)
    for earlier in (fewer, LinearSoftmax().fit(x, y, 6)):
        warm = LinearSoftmax(tolerance=1e-9).fit(x, y, 4, warm_start=earlier)
        np.testing.assert_allclose(warm.proba(x), cold.proba(x), atol=1e-6)


def test_a_class_without_items_gets_the_rule_of_succession() -> None:
    """Constant feature, shares 3/4 and 1/4, logsumexp L: the third class has logit L - log(4 + 3).

    Its probability is (1/7) / (1 + 1/7) = 1/8, and the others keep their proportion: 3/4 * 7/8 = 21/32.
    """
    head = LinearSoftmax(tolerance=1e-9).fit(np.zeros((4, 1)), np.array([0, 0, 2, 0]), 3)
    np.testing.assert_allclose(head.proba(np.zeros((1, 1))), [[21 / 32, 1 / 8, 7 / 32]], atol=1e-8)


def test_scores_agree_with_proba() -> None:
    x, y = blobs(300, 12, 6)
    head = LinearSoftmax().fit(x, y, 6)
    for features, tolerance in ((x, 1e-12), (x.astype(np.float32), 2e-6)):
        proba, scores = head.proba(features, 1.7), head.scores(features, 1.7)
        ordered = np.sort(proba, axis=1)
        np.testing.assert_allclose(scores.top1, ordered[:, -1], atol=tolerance)
        np.testing.assert_allclose(scores.top2, ordered[:, -2], atol=tolerance)
        np.testing.assert_allclose(scores.entropy, -(proba * np.log(proba)).sum(axis=1), atol=10 * tolerance)
        np.testing.assert_array_equal(scores.argmax, proba.argmax(axis=1))
        assert scores.top1.dtype == features.dtype


def test_it_says_when_it_did_not_converge() -> None:
    x, y = blobs(200, 20, 3)
    head = LinearSoftmax(tolerance=1e-9, max_iterations=2).fit(x, y, 3)
    assert not head.converged_
    assert head.n_iterations_ == 2
    assert head.gradient_ > 1e-9


def test_load_refuses_another_head(tmp_path: Path) -> None:
    LinearSoftmax().fit(*blobs(20, 2, 2), 2).save(tmp_path)
    (tmp_path / "head.json").write_text('{"head": "forest"}')
    with pytest.raises(InputError, match="holds a 'forest' head; expected 'linear_softmax'"):
        LinearSoftmax.load(tmp_path)


X = np.zeros((3, 2))
Y = np.array([0, 1, 1])


@pytest.mark.parametrize(
    ("x", "y", "weight", "message"),
    [
        (
            np.array([[0, 1], [np.nan, 0], [0, np.inf]]),
            Y,
            None,
            "hold 2 values .* first, nan, in row 1, column 0",
        ),
        (np.array([[0, 1], [1e200, 0], [0, 2]]), Y, None, "beyond 1e\\+150"),
        (np.array([["a", "b"]] * 3), Y, None, "features have type <U1; expected numbers"),
        (X[:2], Y, None, r"features have shape \(2, 2\) and targets \(3,\)"),
        (X[:, 0], Y, None, r"features have shape \(3,\)"),
        (X[:, :0], Y, None, r"expected \(n, d\) with d >= 1"),
        (X, np.array([1, 1, 1]), None, r"have the classes \[1\]; expected at least two"),
        (X[:0], Y[:0], None, r"have the classes \[\]; expected at least two"),
        (X, Y, np.array([0.0, 1, 1]), r"have the classes \[1\]; expected at least two"),
        (X, Y, np.zeros(3), "sample_weight is zero for all 3 items"),
        (X, np.array([0, 1, 2]), None, "target of row 2 is 2; expected a class from 0 to 1"),
        (X, np.array([0.0, 1, 1]), None, "targets have type float64; expected integer class indices"),
        (X, Y, np.array([1.0, -1, 1]), "sample_weight holds negative or non-finite values"),
        (X, Y, np.ones(2), r"sample_weight has shape \(2,\); expected \(3,\)"),
    ],
)
def test_bad_input(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LinearSoftmax().fit(x, y, 2, sample_weight=weight)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"NaN.*row 1.*; target of row 0 is 9"):
        LinearSoftmax().fit(np.array([[0.0], [np.nan]]), np.array([9, 0]), 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"l2": -1.0}, "l2 is -1.0; expected a finite number, zero or more"),
        ({"l2": float("nan")}, "l2 is nan"),
        ({"tolerance": 0.0}, "tolerance is 0.0; expected a number above zero"),
    ],
)
def test_bad_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LinearSoftmax(**settings)  # type: ignore[arg-type]


def test_a_warm_start_of_another_width_is_refused() -> None:
    earlier = LinearSoftmax().fit(*blobs(20, 3, 2), 2)
    with pytest.raises(InputError, match="warm_start has 3 features; expected 2"):
        LinearSoftmax().fit(*blobs(20, 2, 2), 2, warm_start=earlier)
