"""Cosine, networks, fixed targets, transductive, moments, and the heads for new classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.cosine import Cosine, scale_rule, unit_rows
from plumbline_backend.heads.few_new import NAPAVQ, TEEN, FeTrIL, calibrated, new_classes
from plumbline_backend.heads.fixed_targets import (
    SemanticTargets,
    SimplexETF,
    equiangular_basis,
    semantic_vectors,
    simplex_etf,
)
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.mlp import MLP
from plumbline_backend.heads.moment_probe import MomentProbe
from plumbline_backend.heads.transductive import Transductive


def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y


def test_the_scale_rule_reaches_its_probability() -> None:
    """An item on its class's direction, the others at -1 / (K - 1): z = s and -s / (K - 1)."""
    for k in (2, 10, 150):
        s = scale_rule(k, 0.9)
        assert 1 / (1 + (k - 1) * np.exp(-s / (k - 1) - s)) == pytest.approx(0.9)


def test_cosine_takes_no_notice_of_length_and_starts_at_the_means() -> None:
    x, y = digits()
    head = Cosine().fit(x, y, 10)
    np.testing.assert_allclose(head.proba(7 * x), head.proba(x), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(head.weight_, axis=1), 1, atol=1e-6)
    assert head.converged_
    still = Cosine(max_iterations=0).fit(x, y, 10)
    means = np.stack([unit_rows(x)[y == k].mean(axis=0) for k in range(10)])
    np.testing.assert_allclose(still.weight_, unit_rows(means), atol=1e-6)


def test_a_margin_pushes_classes_apart() -> None:
    x, y = digits()
    plain, apart = (Cosine(margin=m, scale=10).fit(x, y, 10) for m in (0.0, 0.2))
    own = [(head.logits(x) / 10)[np.arange(len(y)), y] for head in (plain, apart)]
    other = [(head.logits(x) / 10 - 2 * np.eye(10)[y]).max(axis=1) for head in (plain, apart)]
    assert (own[1] - other[1]).mean() > (own[0] - other[0]).mean()


def test_logit_adjustment_helps_the_rare_class() -> None:
    draw = np.random.default_rng(0)
    y = (np.arange(1010) >= 1000).astype(int)
    x = (draw.normal(size=(1010, 2)) + 1.5 * y[:, None]).astype(np.float32)
    test_x = np.concatenate([draw.normal(size=(500, 2)), draw.normal(size=(500, 2)) + 1.5])
    plain, adjusted = (LinearSoftmax(adjust=a).fit(x, y, 2).logits(test_x).argmax(axis=1) for a in (0.0, 1.0))
    assert plain[500:].mean() < 0.3
    assert adjusted[500:].mean() > 0.6
    assert (adjusted[:500] == 0).mean() + adjusted[500:].mean() > (plain[:500] == 0).mean() + plain[
        500:
    ].mean()


def test_an_mlp_bends_where_a_line_cannot() -> None:
    draw = np.random.default_rng(0)
    x = draw.uniform(-1, 1, (600, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    head = MLP(widths=(32, 16), max_epochs=60).fit(x, y, 2)
    assert (head.logits(x).argmax(axis=1) == y).mean() > 0.93
    assert head.n_held_out_ > 0
    assert (LinearSoftmax().fit(x, y, 2).logits(x).argmax(axis=1) == y).mean() < 0.7


def test_a_network_that_went_through_many_rounds_learns_as_a_new_one() -> None:
    """Six rounds of warm starts on growing labels: no loss of plasticity against a cold start on all."""
    x, y = digits()
    head = MLP(widths=(32,), max_epochs=15).fit(x[:100], y[:100], 10)
    for n in range(200, 701, 100):
        head = MLP(widths=(32,), max_epochs=15).fit(x[:n], y[:n], 10, warm_start=head)
    cold = MLP(widths=(32,), max_epochs=30).fit(x[:700], y[:700], 10)
    right = [(h.logits(x[1000:]).argmax(axis=1) == y[1000:]).mean() for h in (head, cold)]
    assert right[0] >= right[1] - 0.015


def test_simplex_corners_are_equally_far_apart() -> None:
    corners = simplex_etf(7, 9)
    np.testing.assert_allclose(corners @ corners.T, (7 * np.eye(7) - 1) / 6, atol=1e-12)
    with pytest.raises(InputError, match="dimensions is 5; expected at least 6 for 7 classes"):
        simplex_etf(7, 5)


def test_equiangular_vectors_lie_further_apart_than_random_ones() -> None:
    rng = np.random.default_rng(0)
    random = unit_rows(rng.normal(size=(200, 40)))
    basis = equiangular_basis(200, 40, rng)

    def widest(w: np.ndarray) -> float:
        return float(np.abs(w @ w.T - np.eye(len(w))).max())

    assert widest(basis) < 0.75 * widest(random)
    np.testing.assert_allclose(basis[:5] @ basis[:5].T, np.eye(5), atol=widest(basis) + 1e-9)
    few = equiangular_basis(5, 9, rng)
    np.testing.assert_allclose(few @ few.T, np.eye(5), atol=1e-12)


def test_names_that_sound_alike_lie_near() -> None:
    texts = ["transfer money", "transfer of money", "play music", "weather"]
    near = semantic_vectors(texts, np.random.default_rng(0))
    assert near[0] @ near[1] > 0.3 > max(near[0] @ near[2], near[0] @ near[3])
    same = semantic_vectors(["a word", "a word", "other"], np.random.default_rng(0))
    assert same[0] @ same[1] < 0.999
    with pytest.raises(InputError, match="1 class texts for 2 classes"):
        SemanticTargets(["one"]).fit(np.eye(4), np.arange(4) % 2, 2)


def test_too_many_corners_are_refused() -> None:
    with pytest.raises(InputError, match="made for at most 2,000"):
        SimplexETF().fit(np.eye(2, 3001), np.arange(2), 3000)


def test_unlabelled_items_help_when_labels_are_few() -> None:
    x, y = digits()
    rows = np.concatenate([np.flatnonzero(y == k)[:2] for k in range(10)])
    rest = np.arange(300, 1300)
    head = Transductive(x[rest]).fit(x[rows], y[rows], 10)
    plain = LinearSoftmax().fit(x[rows], y[rows], 10)
    right = [(h.logits(x[1300:]).argmax(axis=1) == y[1300:]).mean() for h in (head, plain)]
    assert right[0] > right[1] + 0.03
    with pytest.raises(InputError, match=r"unlabelled items have shape \(3, 2\); expected \(n, 64\)"):
        Transductive(np.zeros((3, 2))).fit(x[rows], y[rows], 10)


def test_moments_tell_sets_apart_that_have_the_same_mean() -> None:
    """Sets of eight vectors: class 1 varies twice as much. The mean says nothing, the second moment everything."""
    draw = np.random.default_rng(0)
    y = np.arange(200) % 2
    sets = draw.normal(size=(200, 8, 3)) * (1 + y[:, None, None])
    x = sets.reshape(200, 24).astype(np.float32)
    head = MomentProbe(vectors=8).fit(x[:100], y[:100], 2)
    assert (head.logits(x[100:]).argmax(axis=1) == y[100:]).mean() > 0.9
    shuffled = sets[100:, draw.permutation(8)].reshape(100, 24).astype(np.float32)
    np.testing.assert_allclose(head.logits(shuffled), head.logits(x[100:]), atol=1e-6)
    with pytest.raises(InputError, match="24 features are not 7 vectors"):
        MomentProbe(vectors=7).fit(x, y, 2)


def test_new_classes_are_those_with_few_labels_beside_others_with_many() -> None:
    assert new_classes(np.array([50.0, 3, 0, 11]), 10).tolist() == [False, True, False, False]
    assert not new_classes(np.array([5.0, 3]), 10).any()


def test_a_calibrated_prototype_by_hand() -> None:
    """tau so large that only the nearer old class counts: (1 - .5) (0.6, 0.8) + .5 (0, 1), over its length."""
    found = calibrated(np.array([[0.6, 0.8]]), np.eye(2), lean=0.5, tau=1000)
    np.testing.assert_allclose(found, unit_rows(np.array([[0.3, 0.9]])))
    np.testing.assert_allclose(calibrated(np.array([[0.6, 0.8]]), np.eye(2), 0.0, 16), [[0.6, 0.8]])


@pytest.mark.parametrize("kind", [TEEN, FeTrIL, NAPAVQ])
def test_a_new_class_is_found_and_old_ones_are_kept(kind: type) -> None:
    """Nine classes of forty items and one of five, in sixteen dimensions."""
    draw = np.random.default_rng(0)
    centres = 2 * draw.normal(size=(10, 16))
    y = np.r_[np.repeat(np.arange(9), 40), np.full(5, 9)]
    x = centres[y] + draw.normal(size=(365, 16))
    test_y = np.repeat(np.arange(10), 30)
    test_x = centres[test_y] + draw.normal(size=(300, 16))
    head = kind().fit(x, y, 10)
    right = head.logits(test_x).argmax(axis=1) == test_y
    assert head.n_new_classes_ == 1
    assert right[test_y == 9].mean() > 0.8
    assert right[test_y < 9].mean() > 0.9


@pytest.mark.parametrize("kind", [FeTrIL, NAPAVQ])
def test_without_a_new_class_they_are_the_linear_softmax(kind: type) -> None:
    x, y = digits()
    np.testing.assert_array_equal(
        kind().fit(x[:300], y[:300], 10).logits(x), LinearSoftmax().fit(x[:300], y[:300], 10).logits(x)
    )
