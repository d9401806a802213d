"""What every head in the registry keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import skops.io
from sklearn.pipeline import Pipeline

from plumbline_backend.domain.errors import InputError
from plumbline_backend.exporters.classifier.graph import GraphWriter
from plumbline_backend.exporters.classifier.onnx_program import write_program
from plumbline_backend.exporters.classifier.sklearn_program import classifier_steps
from plumbline_backend.heads.ensembles import TRUSTED
from plumbline_backend.heads.making import load_head, make_head
from plumbline_backend.heads.program import arrays, last
from plumbline_backend.registry import HEADS

QUICK = {
    "random_forest": {"n_trees": 15},
    "gradient_boosting": {"n_rounds": 8, "learning_rate": 0.3},
    **{each: {"max_epochs": 25} for each in ("mlp", "simplex_etf", "equiangular_basis", "semantic")},
}
COUNTS_ONLY = frozenset({"multinomial_nb"})
"""Heads for columns that are not negative; they learn the others less well."""


def made(name: str, n_classes: int = 3, unlabelled: np.ndarray | None = None) -> Any:
    near = labelled(200, seed=9)[0] if unlabelled is None else unlabelled
    known = {"class_texts": [f"class number {i}" for i in range(n_classes)], "unlabelled": near}
    return make_head(name, known, QUICK.get(name))


@pytest.fixture(params=HEADS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def head(name: str) -> Any:
    return made(name)


def labelled(n: int = 120, d: int = 5, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts-like columns around class means; positive, so that every head can learn them."""
    draw = np.random.default_rng(seed)
    y = np.r_[np.arange(k), draw.integers(k, size=n - k)]
    return (draw.normal(size=(n, d)) + 5 * np.eye(k, d)[y] + 4).astype(np.float32), y


def test_it_is_called_what_the_registry_calls_it(head: Any) -> None:
    assert HEADS.get(head.name) is type(head)


def test_it_explains_itself_in_a_sentence_or_two(head: Any) -> None:
    assert 40 < len(head.explanation) < 200
    assert head.explanation.endswith(".")
    assert head.explanation[0].isupper()


def test_fit_returns_the_head_and_learns(head: Any) -> None:
    x, y = labelled()
    assert head.fit(x, y, 3) is head
    new_x, new_y = labelled(seed=1)
    assert (head.proba(new_x).argmax(axis=1) == new_y).mean() > 0.9
    assert head.width_ == 5
    assert isinstance(head.facts(), dict)


def test_proba_are_probabilities(head: Any) -> None:
    x, y = labelled()
    proba = head.fit(x, y, 3).proba(x)
    assert proba.shape == (120, 3)
    assert proba.dtype == np.float64
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_proba_are_the_softmax_of_logits_over_temperature(head: Any) -> None:
    x, y = labelled()
    logits = head.fit(x, y, 3).logits(x) / 2.5
    expected = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(head.proba(x, temperature=2.5), expected, atol=1e-12)


def test_scores_agree_with_proba(head: Any) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    proba, scores = head.proba(x, 1.3), head.scores(x, 1.3)
    ordered = np.sort(proba, axis=1)
    np.testing.assert_allclose(scores.top1, ordered[:, -1], atol=1e-5)
    np.testing.assert_allclose(scores.top2, ordered[:, -2], atol=1e-5)
    entropy = -(proba * np.log(np.maximum(proba, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(scores.entropy, entropy, atol=1e-4)
    np.testing.assert_array_equal(scores.argmax, proba.argmax(axis=1))


def test_the_same_items_give_the_same_head(name: str) -> None:
    x, y = labelled()
    one, two = (made(name).fit(x, y, 3).logits(x) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_arguments_are_unchanged(head: Any) -> None:
    x, y = labelled()
    weight = np.linspace(0, 1, len(y))
    kept = x.copy(), y.copy(), weight.copy()
    head.fit(x, y, 3, sample_weight=weight)
    head.scores(x)
    for now, before in zip((x, y, weight), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_read_only_and_strided_features_serve(name: str) -> None:
    x, y = labelled()
    wide = np.repeat(x, 2, axis=1)
    wide.flags.writeable = False
    other = made(name).fit(x, y, 3)
    head = made(name).fit(wide[:, ::2], y, 3)
    np.testing.assert_allclose(head.logits(wide[:, ::2]), other.logits(x), atol=1e-5)
    np.testing.assert_allclose(head.scores(wide[:, ::2]).top1, other.scores(x).top1, atol=1e-5)


def test_asking_changes_nothing(head: Any) -> None:
    x, y = labelled()
    before = head.fit(x, y, 3).logits(x)
    head.scores(x, 2.0)
    head.proba(x, 0.5)
    np.testing.assert_array_equal(head.logits(x), before)


@pytest.mark.parametrize("k", [2, 3])
def test_saved_and_loaded_it_is_the_same(name: str, k: int, tmp_path: Path) -> None:
    x, y = labelled(k=k)
    head = made(name, k).fit(x, y, k)
    head.save(tmp_path)
    loaded = load_head(tmp_path)
    assert type(loaded) is type(head)
    np.testing.assert_array_equal(loaded.logits(x), head.logits(x))
    np.testing.assert_array_equal(loaded.scores(x).top1, head.scores(x).top1)
    assert loaded.facts() == head.facts()
    assert loaded.width_ == 5


@pytest.mark.parametrize("k", [2, 3])
def test_onnx_gives_the_same_probabilities(name: str, k: int) -> None:
    """Runs without Plumbline: ONNX Runtime over the head's steps, to 1e-5 of its own probabilities."""
    x, y = labelled(k=k)
    head = made(name, k).fit(x, y, k)
    shown = np.r_[labelled(seed=3, k=k)[0], np.zeros((1, 5), dtype=np.float32)]
    graph = GraphWriter()
    features = graph.cast(graph.input("x", "float32", (5,)), "float64")
    proba = graph.op("Softmax", write_program(graph, head.program(), features), axis=1)
    graph.output(proba, "proba", "float64", (k,))
    session = onnxruntime.InferenceSession(graph.model("head", "", {}).SerializeToString())
    (found,) = session.run(None, {"x": shown})
    np.testing.assert_allclose(found, head.proba(shown), rtol=0, atol=1e-5)


@pytest.mark.parametrize("k", [2, 3])
def test_scikit_learn_gives_the_same_probabilities(name: str, k: int, tmp_path: Path) -> None:
    x, y = labelled(k=k)
    head = made(name, k).fit(x, y, k)
    shown = labelled(seed=3, k=k)[0]
    steps = classifier_steps(head.program(), 5, 1.3, [f"c{i}" for i in range(k)])
    skops.io.dump(Pipeline([tuple(step) for step in steps]), tmp_path / "head.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "head.skops")
    assert set(untrusted) <= set(TRUSTED)
    loaded = skops.io.load(tmp_path / "head.skops", trusted=untrusted)
    proba = loaded.predict_proba(shown.astype(np.float64))
    np.testing.assert_allclose(proba, head.proba(shown, 1.3), atol=1e-5)


def test_what_was_learned_is_finite_and_named(head: Any) -> None:
    x, y = labelled()
    learned = arrays(head.fit(x, y, 3).program())
    assert all(np.isfinite(array).all() for array in learned.values())
    assert learned["weight"].shape[0] == learned["bias"].shape[0] == 3


def test_an_empty_pool_has_empty_scores(head: Any) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    assert head.proba(x[:0]).shape == (0, 3)
    assert len(head.scores(x[:0])) == 0


def test_a_class_without_items_keeps_a_small_probability(name: str) -> None:
    x, y = labelled()
    proba = made(name, 5).fit(x, np.where(y == 2, 3, y), 5).proba(x)
    assert np.isfinite(proba).all()
    assert (proba[:, [2, 4]] > 0).all()
    # Soft labels of ordered levels give a level next to the answer up to e^-2 / (1 + 2 e^-2) = .107 on purpose.
    given = 0.107 if getattr(HEADS.get(name), "ORDERED", False) else 0.0
    assert (proba[:, [2, 4]].mean(axis=0) < 0.05 + given).all()
    assert (proba.argmax(axis=1) == np.where(y == 2, 3, y)).mean() > 0.9


def test_a_warm_start_is_no_worse(name: str) -> None:
    x, y = labelled()
    earlier = made(name).fit(x[:60], y[:60], 3)
    warm = made(name).fit(x, y, 3, warm_start=earlier)
    new_x, new_y = labelled(seed=1)
    assert (warm.proba(new_x).argmax(axis=1) == new_y).mean() > 0.9


def test_a_weight_of_zero_leaves_an_item_out(name: str) -> None:
    x, y = labelled()
    weight = (np.arange(len(y)) < 80).astype(float)
    fewer = made(name).fit(x[:80], y[:80], 3)
    weighted = made(name).fit(x, y, 3, sample_weight=weight)
    np.testing.assert_allclose(weighted.proba(x), fewer.proba(x), atol=1e-6)


def test_soft_labels_that_are_certain_are_hard_ones(name: str) -> None:
    x, y = labelled()
    soft = made(name).fit(x, np.eye(3)[y], 3)
    np.testing.assert_allclose(soft.proba(x), made(name).fit(x, y, 3).proba(x), atol=1e-3)


def test_soft_labels_make_a_softer_head(name: str) -> None:
    """Four fifths of certainty in every label: the head may not be surer on average than with certain ones."""
    x, y = labelled()
    soft = made(name).fit(x, 0.7 * np.eye(3)[y] + 0.1, 3)
    sure = made(name).fit(x, y, 3).proba(x).max(axis=1).mean()
    assert soft.proba(x).max(axis=1).mean() <= sure + 0.02
    assert (soft.proba(x).argmax(axis=1) == y).mean() > 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, np.zeros_like(y), 3), "expected at least two different ones"),
        (lambda x, y: (x[:0], y[:0], 3), "expected at least two different ones"),
        (lambda x, y: (x[:1], y[:1], 3), "expected at least two different ones"),
        (lambda x, y: (np.where(x == x.max(), np.nan, x), y, 3), "NaN"),
        (lambda x, y: (np.where(x == x.max(), np.inf, x), y, 3), "infinite"),
        (lambda x, y: (x[:-1], y, 3), "shape"),
        (lambda x, y: (x, y, 2), "expected a class from 0 to 1"),
        (lambda x, y: (x, y - 1, 3), "expected a class from 0 to 2"),
        (lambda x, y: (x, y, 3, np.zeros(len(y))), "sample_weight is zero for all 120 items"),
        (lambda x, y: (x, y, 3, np.r_[-1.0, np.ones(len(y) - 1)]), "negative or non-finite"),
        (lambda x, y: (x, np.full((len(y), 3), 0.4), 3), r"row 0 sums to 1\.2 \(120 rows do not sum to 1\)"),
        (lambda x, y: (x, np.tile([1.5, -0.5, 0.0], (len(y), 1)), 3), r"row 0 holds -0\.5"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(head: Any, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        head.fit(*change(*labelled()))


def test_more_features_than_items_and_constant_and_double_columns(name: str) -> None:
    """Six items of forty columns: half of them constant, the rest in pairs."""
    x, y = labelled(6, 5, 2)
    wide = np.concatenate([np.full((6, 30), 2.0), x, x], axis=1).astype(np.float32)
    head = made(name, 2, wide).fit(wide, y, 2)
    proba = head.proba(wide)
    assert np.isfinite(proba).all()
    if name not in COUNTS_ONLY:
        assert (proba.argmax(axis=1) == y).mean() >= 0.5


def test_features_that_say_nothing_give_every_item_the_same(name: str) -> None:
    x = np.full((20, 3), 0.1, dtype=np.float32)
    proba = made(name, 2, x).fit(x, np.arange(20) % 2, 2).proba(x)
    assert np.isfinite(proba).all()
    assert np.ptp(proba, axis=0).max() < 1e-6


def test_one_item_per_class(name: str) -> None:
    x, y = labelled(3, 5, 3)
    head = made(name).fit(x, y, 3)
    assert np.isfinite(head.proba(x)).all()
    assert np.isfinite(last(head.program()).weight).all()


def test_another_width_or_nan_is_not_scored(head: Any) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    for ask in (head.logits, head.proba, head.scores):
        with pytest.raises(InputError, match=r"features have shape \(120, 4\); expected \(n, 5\)"):
            ask(x[:, :4])
    with pytest.raises(InputError, match="features hold NaN or infinite values"):
        head.scores(np.full((2, 5), np.nan, dtype=np.float32))


def test_an_unfitted_head_says_so(head: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="call fit first"):
        head.proba(np.zeros((1, 5)))
    with pytest.raises(InputError, match="call fit first"):
        head.save(tmp_path)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused(head: Any, temperature: float) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    for ask in (head.proba, head.scores):
        with pytest.raises(InputError, match="expected a finite number above zero"):
            ask(x, temperature)


@pytest.mark.slow
def test_ten_thousand_classes_of_one_item_each_are_learned_or_refused(name: str) -> None:
    """Heads that need an items x classes matrix or a tree per class say so; the others learn in bounded memory."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(10_000, 8)).astype(np.float32), np.arange(10_000)
    limit = getattr(HEADS.get(name), "MAX_CLASSES", None)
    head = made(name, 10_000)
    if limit is not None:
        with pytest.raises(InputError, match=f"has 10000 classes; it is made for at most {limit:,}"):
            head.fit(x, y, 10_000)
        return
    if hasattr(head, "max_iterations"):
        head.max_iterations = 3
    if hasattr(head, "max_epochs"):
        head.max_epochs, head.widths = 1, [4] * len(head.widths)
    head.fit(x, y, 10_000)
    scores = head.scores(x[:50])
    assert np.isfinite(scores.top1).all()


def test_estimates_are_positive_and_grow(name: str) -> None:
    kind = HEADS.get(name)
    small, large = kind.estimate(100, 10, 3), kind.estimate(100_000, 384, 100)
    assert 0 < small.seconds < large.seconds
    assert 0 < small.mib < large.mib
