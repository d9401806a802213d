"""What every out-of-scope score in the registry keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.program import run
from plumbline_backend.novelty.open_set import auroc
from plumbline_backend.registry import OUT_OF_SCOPE

D, K = 12, 4


@pytest.fixture(params=OUT_OF_SCOPE.names())
def score(request: pytest.FixtureRequest) -> Any:
    return OUT_OF_SCOPE.get(request.param)()


def items(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four classes along four axes, and logits of a head that knows the axes."""
    draw = np.random.default_rng(seed)
    targets = draw.integers(K, size=n)
    features = draw.normal(size=(n, D)) + 5 * np.eye(K, D)[targets]
    return features, targets, features[:, :K]


def outside(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A fifth class along another axis, which no head knows."""
    features = np.random.default_rng(9).normal(size=(n, D)) + 5 * np.eye(1, D, 7)
    return features, features[:, :K]


def test_it_is_called_what_the_registry_calls_it(score: Any) -> None:
    assert OUT_OF_SCOPE.get(score.name) is type(score)
    assert score.explanation
    assert score.needs in ("features", "logits")


def test_items_of_no_class_score_higher(score: Any) -> None:
    features, targets, _ = items()
    unseen, _, logits = items(200, seed=1)
    score.fit(features, targets, K)
    assert auroc(score.score(unseen, logits), score.score(*outside())).value > 0.9


def test_it_learns_and_scores_the_same_twice_and_changes_nothing(score: Any) -> None:
    features, targets, logits = items()
    before = features.copy(), targets.copy(), logits.copy()
    one = score.fit(features, targets, K).score(features, logits)
    two = type(score)().fit(features, targets, K).score(features, logits)
    np.testing.assert_array_equal(one, two)
    assert (one.shape, one.dtype) == ((300,), np.float64)
    for array, kept in zip((features, targets, logits), before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("classes", [1, K])
def test_its_steps_give_its_scores(score: Any, classes: int) -> None:
    features, targets, logits = items()
    score.fit(features, targets % classes, K)
    reads = features if score.needs == "features" else logits
    steps = score.program(reads.shape[1])
    if steps is None:
        assert score.name == "abet"
        return
    found = run(steps, reads)
    assert found.shape == (len(features), 1)
    np.testing.assert_allclose(found[:, 0], score.score(features, logits), rtol=1e-6, atol=1e-6)


def test_float32_an_empty_pool_and_one_item_per_class(score: Any) -> None:
    features, _, logits = items(K)
    found = score.fit(features.astype(np.float32), np.arange(K), K).score(
        features.astype(np.float32), logits.astype(np.float32)
    )
    assert np.isfinite(found).all()
    assert score.score(features[:0], logits[:0]).shape == (0,)


def test_a_single_class_and_constant_features_stay_finite(score: Any) -> None:
    features, _, logits = items(20)
    assert np.isfinite(score.fit(features, np.zeros(20, int), 1).score(features, logits)).all()
    same = np.ones((20, D))
    assert np.isfinite(score.fit(same, np.arange(20) % 2, 2).score(same, logits)).all()


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (np.full((2, 3), np.nan), [0, 1], "features of row 0 hold NaN or infinite values"),
        (np.ones((2, 3)), [0, 5], "targets go from 0 to 5; expected 0 to 3"),
        (np.ones((2, 3)), [0], r"features have shape \(2, 3\) and targets \(1,\)"),
        (np.ones((0, 3)), np.empty(0, int), "found 0 labelled items"),
    ],
)
def test_refusals(score: Any, features: np.ndarray, targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score.fit(features, np.array(targets), K)
