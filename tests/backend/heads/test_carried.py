"""A head that starts from an earlier one of other classes: its rows find their classes, new ones begin at nothing."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.heads.carried import ROWS, carried
from plumbline_backend.heads.lda import LDA
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.making import make_head

K = 5


def blobs(classes: range, n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = np.repeat(np.array(classes), n)
    return (draw.normal(size=(len(y), 8)) + 3 * np.eye(K, 8)[y]).astype(np.float32), y


def test_rows_go_to_their_classes_and_a_new_one_gets_zeros_and_the_mean_bias() -> None:
    """Known a, b, c with biases 1, 2, 6; today c, new, a: rows of c, zeros, a; biases 6, (6 + 1) / 2, 1."""
    head = LinearSoftmax()
    head.weight_, head.bias_ = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 6.0])
    moved = carried(head, ["a", "b", "c"], ["c", "new", "a"])
    assert moved is not None
    np.testing.assert_array_equal(moved.weight_, [[4, 5], [0, 0], [0, 1]])
    np.testing.assert_array_equal(moved.bias_, [6, 3.5, 1])
    np.testing.assert_array_equal(head.weight_, np.arange(6.0).reshape(3, 2))
    assert carried(head, ["a", "b", "c"], ["a", "b", "c"]) is head
    assert carried(head, ["a", "b", "c"], ["d", "e"]) is None
    assert carried(LDA(), ["a", "b"], ["a", "b", "c"]) is None


@pytest.mark.parametrize("name", sorted({*ROWS} - {"mlp"}))
def test_a_start_from_fewer_classes_ends_at_the_same(name: str) -> None:
    """Classes 0 to 3 first; then 4 stands before them, so that every row has another place."""
    x, y = blobs(range(4))
    more_x, more_y = blobs(range(K), seed=1)
    places = (more_y + 1) % K
    eye = np.eye(K, dtype=np.int64)
    soft = name in ("tree", "multi_label")
    targets = eye[places] if soft else places
    earlier = make_head(name, {}).fit(x, eye[y][:, :4] if soft else y, 4)
    moved = carried(earlier, list("abcd"), list("eabcd"))
    warm = make_head(name, {}).fit(more_x, targets, K, warm_start=moved)
    cold = make_head(name, {}).fit(more_x, targets, K)
    np.testing.assert_allclose(warm.proba(more_x), cold.proba(more_x), atol=2e-3)


def test_a_start_from_fewer_classes_is_quicker_where_many_stay() -> None:
    """Forty directions that overlap, one of them new with three items."""
    centres = np.random.default_rng(0).normal(size=(40, 32))
    draw = np.random.default_rng(1)
    y = np.r_[np.repeat(np.arange(39), 8), [39, 39, 39]]
    x = centres[y] + draw.normal(size=(len(y), 32))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    names = [f"c{k}" for k in range(40)]
    moved = carried(LinearSoftmax().fit(x[:-3], y[:-3], 39), names[:39], names)
    warm, cold = LinearSoftmax().fit(x, y, 40, warm_start=moved), LinearSoftmax().fit(x, y, 40)
    assert warm.n_evaluations_ < cold.n_evaluations_


def test_a_network_goes_on_and_learns_the_new_class() -> None:
    x, y = blobs(range(4))
    more_x, more_y = blobs(range(K), seed=1)
    earlier = make_head("mlp", {}, {"widths": [16], "max_epochs": 60}).fit(x, y, 4)
    moved = carried(earlier, list("abcd"), list("abcde"))
    warm = make_head("mlp", {}, {"widths": [16], "max_epochs": 60}).fit(more_x, more_y, K, warm_start=moved)
    new_x, new_y = blobs(range(K), seed=2)
    right = warm.logits(new_x).argmax(axis=1) == new_y
    assert right.mean() > 0.8
    assert right[new_y == 4].mean() > 0.8
