"""One logistic regression per class from partial answers, and its options."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from sklearn.linear_model import LogisticRegression

from plumbline_backend.domain.errors import InputError
from plumbline_backend.exporters.classifier.graph import GraphWriter
from plumbline_backend.exporters.classifier.onnx_program import write_program
from plumbline_backend.heads.making import load_head, make_head
from plumbline_backend.heads.multi_label import MultiLabel, sigmoid


def made(n: int = 600, seed: int = 0, unsaid: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Six columns; class k is yes where column k is above its bar, noisily: the later, the rarer."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 6)).astype(np.float32)
    y = (x[:, :4] + 0.5 * draw.normal(size=(n, 4)) > np.array([0.0, 0.7, 1.3, 2.0])).astype(float)
    y[draw.random(y.shape) < unsaid] = -1
    return x, y


def test_each_class_is_scikit_learns_regression_on_the_items_that_say_it():
    x, y = made(2000, unsaid=0.4)
    head = MultiLabel(l2=1.0, tolerance=1e-9).fit(x, y, 4)
    assert head.converged_
    for k in range(3):
        said = y[:, k] >= 0
        other = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000).fit(x[said], y[said, k])
        # the anchor of half a yes and half a no moves a bias of some hundred items a little
        np.testing.assert_allclose(head.weight_[k], other.coef_[0], rtol=0.03, atol=0.02)
        np.testing.assert_allclose(head.bias_[k], other.intercept_[0], rtol=0.03)


def test_a_class_of_which_only_yes_was_said_stays_finite():
    x, y = made(50)
    y[:, 3] = 1.0
    head = MultiLabel().fit(x, y, 4)
    assert np.isfinite(head.bias_).all()
    assert (head.proba(x)[:, 3] > 0.9).all()


def test_probabilities_are_sigmoids_and_the_ranking_follows_the_closest_decision():
    x, y = made()
    head = MultiLabel().fit(x, y, 4)
    proba = head.proba(x, 1.7)
    np.testing.assert_allclose(proba, 1 / (1 + np.exp(-head.logits(x) / 1.7)), atol=1e-12)
    scores = head.scores(x, 1.7)
    # the class nearest to one half decides
    np.testing.assert_allclose(scores.top1 - scores.top2, np.abs(2 * proba - 1).min(axis=1), atol=1e-12)
    np.testing.assert_array_equal(scores.argmax, proba.argmax(axis=1))
    assert sigmoid(np.array([-800.0, 0.0, 800.0])).tolist() == [0.0, 0.5, 1.0]


def test_it_is_kept_exported_and_warm_started(tmp_path):
    x, y = made(unsaid=0.2)
    head = make_head("multi_label", {"l2": 1.0, "seed": 0, "class_texts": []}, {"balance": 0.5}).fit(x, y, 4)
    head.save(tmp_path)
    kept = load_head(tmp_path)
    np.testing.assert_array_equal(kept.logits(x), head.logits(x))
    assert kept.facts() == head.facts()
    again = MultiLabel(balance=0.5).fit(x, y, 4, warm_start=head)
    assert again.n_iterations_ <= 1
    graph = GraphWriter()
    graph.input("x", "float64", (6,))
    graph.output(write_program(graph, head.program(), "x"), "logits", "float64", (4,))
    session = onnxruntime.InferenceSession(graph.model("m", "", {}).SerializeToString())
    np.testing.assert_allclose(session.run(None, {"x": x.astype(float)})[0], head.logits(x), atol=1e-9)


def recall(head: MultiLabel, k: int) -> float:
    x, y = made(4000, seed=9)
    return float((head.proba(x)[y[:, k] == 1, k] >= 0.5).mean())


def test_balance_finds_more_of_a_rare_class():
    x, y = made(300)
    assert recall(MultiLabel(balance=1.0).fit(x, y, 4), 3) > recall(MultiLabel().fit(x, y, 4), 3) + 0.1


def test_focus_stays_a_good_classifier():
    x, y = made(300)
    new_x, new_y = made(2000, seed=5)
    plain = ((MultiLabel().fit(x, y, 4).proba(new_x) >= 0.5) == new_y).mean()
    focused = ((MultiLabel(focus=2.0).fit(x, y, 4).proba(new_x) >= 0.5) == new_y).mean()
    assert focused > plain - 0.03


def test_correction_takes_sure_classes_that_were_left_out():
    """Where only yes is said of half the items and the rest left open, sure ones are learned as yes."""
    x, y = made(400)
    y[(y == 1) & (np.random.default_rng(3).random(y.shape) < 0.3)] = -1
    head = MultiLabel(correction=1.0).fit(x, y, 4)
    assert head.n_corrected_ > 10
    assert MultiLabel().fit(x, y, 4).n_corrected_ == 0


def test_mixed_items_carry_the_classes_of_both_and_only_full_ones_are_mixed():
    x, y = made(200)
    y[:150, 0] = -1
    head = MultiLabel(mix=0.5).fit(x, y, 4)
    assert head.n_mixed_ == 25
    assert head.n_said_ == int((y >= 0).sum()) + 25 * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": np.full((5, 2), -1.0)}, "no item of positive weight says yes or no of any class"),
        ({"targets": np.full((5, 2), 2.0)}, "targets hold NaN or values above 1"),
        ({"targets": np.ones((5, 3))}, r"targets \(5, 3\); expected \(n, d\) with d >= 1 and \(n, 2\)"),
        ({"features": np.full((5, 2), np.nan)}, "features hold 10 values that are NaN or infinite"),
        ({"sample_weight": -np.ones(5)}, "sample_weight must be 5 finite numbers, zero or more"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"features": np.eye(5, 2), "targets": np.ones((5, 2)), "sample_weight": np.ones(5), **change}
    with pytest.raises(InputError, match=message):
        MultiLabel().fit(given["features"], given["targets"], 2, sample_weight=given["sample_weight"])


def test_bad_settings_are_named_together():
    with pytest.raises(InputError, match=r"l2 is -1.*correction is 2; expected 0 to 1"):
        MultiLabel(l2=-1, correction=2)
