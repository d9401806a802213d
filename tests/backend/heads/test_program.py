"""Every kind of step gives the same numbers in numpy, in ONNX Runtime and in scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import skops.io
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from plumbline_backend.exporters.classifier.graph import GraphWriter
from plumbline_backend.exporters.classifier.onnx_program import write_program
from plumbline_backend.exporters.classifier.sklearn_program import classifier_steps
from plumbline_backend.heads.program import (
    Affine,
    Clip,
    Elementwise,
    Forest,
    Neighbours,
    Program,
    Ramps,
    RowWise,
    Smallest,
    Times,
    UnitRows,
    affine,
    arrays,
    described,
    last,
    run,
    widest,
)
from plumbline_backend.heads.trees import of_boosting, of_random_forest, run_trees

TRUSTED = [
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "scipy.special._logsumexp.softmax",
    "scipy.special._logsumexp.logsumexp",
    "numpy.sort",
]
N, D, K = 60, 4, 3


def items(k: int = K) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y = np.arange(N) % k
    x = (draw.normal(size=(N, D)) + 2 * np.eye(k, D)[y]).astype(np.float32).astype(np.float64)
    return x, y


def random_affine(m: int, d: int, seed: int = 1) -> Affine:
    draw = np.random.default_rng(seed)
    return affine(draw.normal(size=(m, d)), draw.normal(size=m))


def forest(k: int = K) -> Forest:
    x, y = items(k)
    model = RandomForestClassifier(7, random_state=0).fit(x, y)
    return Forest(model, "shares", of_random_forest(model))


def boosted(k: int = K) -> Forest:
    x, y = items(k)
    model = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=3, random_state=0).fit(x, y)
    return Forest(model, "raw", of_boosting(model))


def neighbours() -> tuple[Affine, Neighbours]:
    """A column that is 0.1 away from every anchor keeps distances above zero."""
    x, y = items()
    lift = affine(np.eye(D + 1, D), np.r_[np.zeros(D), 0.1])
    return lift, Neighbours(np.c_[x[:40], np.zeros(40)], np.eye(K)[y[:40]], 5)


CURVES = Ramps(
    np.array([[2.0, 4.0], [1.0, 0.0], [2.0**53, 0.0], [0.0, 0.0]]),
    np.array([[0.0, -2.0], [0.0, 0.0], [-0.5 * 2**53, 0.0], [0.0, 0.0]]),
    np.array([[0.5, 0.25], [1.0, 0.0], [0.3, 0.0], [0.0, 0.0]]),
    np.array([0.1, 0.0, 0.2, 0.7]),
)
"""0.1 to 0.6 over [0, 0.5] and on to 0.85 at 0.75; the line itself; a step of 0.3 right above 0.5; a constant."""

# fmt: off
PROGRAMS: dict[str, Program] = {
    "one matrix": (random_affine(K, D),),
    "two classes": (random_affine(2, D),),
    "unit rows": (UnitRows(), random_affine(K, D)),
    "network": (random_affine(6, D), UnitRows(), Elementwise("relu"), random_affine(K, 6)),
    "squares": (Elementwise("squares"), random_affine(K, 2 * D)),
    "elementwise": (Elementwise("square"), affine(np.eye(D), 0.1), Elementwise("reciprocal"), Elementwise("log"),
                    random_affine(K, D)),
    "neighbours": (*neighbours(), affine(0.97 * np.eye(K), 0.01), Elementwise("log"), affine(np.eye(K))),
    "forest": (forest(), affine(0.97 * np.eye(K), 0.01), Elementwise("log"), affine(np.eye(K))),
    "forest of two": (
        forest(2),
        affine([[-0.9], [0.9]], [0.95, 0.05]),
        Elementwise("log"),
        affine(np.eye(2)),
    ),
    "rows": (RowWise("softmax"), Elementwise("log"), random_affine(K, D)),
    "log of a sum": (RowWise("logsumexp"), Elementwise("tanh"), random_affine(K, 1)),
    "smallest": (Smallest(2), Clip(-0.5, 1.5), random_affine(K, 2)),
    "ramps": (Elementwise("sigmoid"), CURVES, Elementwise("log"), affine(np.eye(K, D))),
    "a factor for all": (Times((random_affine(1, D), Elementwise("sigmoid"))), affine(np.eye(K, D))),
    "a factor for each": (Times((random_affine(D, D), RowWise("softmax"))), random_affine(K, D)),
    "boosted": (boosted(), affine(np.eye(K))),
    "boosted two": (boosted(2), affine([[0.0], [1.0]])),
}
# fmt: on


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> Program:
    return PROGRAMS[request.param]


def test_onnx_gives_the_same_logits(program: Program) -> None:
    x = np.r_[items()[0], np.zeros((1, D))]
    graph = GraphWriter()
    logits = write_program(graph, program, graph.input("x", "float64", (D,)))
    graph.output(logits, "logits", "float64", (len(last(program).bias),))
    session = onnxruntime.InferenceSession(graph.model("test", "", {}).SerializeToString())
    (found,) = session.run(None, {"x": x})
    np.testing.assert_allclose(found, run(program, x), rtol=0, atol=1e-5)


def test_scikit_learn_gives_the_same_probabilities(program: Program, tmp_path: Path) -> None:
    x = np.r_[items()[0], np.zeros((1, D))]
    k = len(last(program).bias)
    classes = [f"c{i}" for i in range(k)]
    pipeline = Pipeline([tuple(step) for step in classifier_steps(program, D, 1.7, classes)])
    skops.io.dump(pipeline, tmp_path / "head.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "head.skops")
    assert set(untrusted) <= set(TRUSTED)
    loaded = skops.io.load(tmp_path / "head.skops", trusted=untrusted)
    np.testing.assert_allclose(loaded.predict_proba(x), softmax(run(program, x) / 1.7, axis=1), atol=1e-6)
    assert loaded.classes_.tolist() == classes


@pytest.mark.parametrize("step", [forest(), forest(2), boosted(), boosted(2)])
def test_the_arrays_of_trees_say_what_scikit_learn_says(step: Forest) -> None:
    x = np.r_[items()[0], np.zeros((1, D))]
    np.testing.assert_allclose(run_trees(step.trees, x), run((step,), x), atol=1e-12)
    assert run((step,), x[:0]).shape == (0, step.trees.n_outputs)


def test_steps_by_hand() -> None:
    """(3, 4) has length 5. Squared distances 1 and 4 weigh 1 and 1/4: shares 1 / 1.25 = .8 and .2."""
    np.testing.assert_array_equal(run((UnitRows(),), np.array([[3.0, 4.0], [0, 0]])), [[0.6, 0.8], [0, 0]])
    near = Neighbours(np.array([[1.0], [-2.0], [9.0]]), np.array([[1.0, 0], [0, 1], [0, 1]]), 2)
    np.testing.assert_allclose(run((near,), np.array([[0.0]])), [[0.8, 0.2]])
    np.testing.assert_array_equal(run((Elementwise("squares"),), np.array([[3.0]])), [[3.0, 9.0]])
    x = np.array([[0.25, 0.25, 0.5, 0.9], [0.75, 2.0, np.nextafter(0.5, 1), -3]])
    np.testing.assert_allclose(run((CURVES,), x), [[0.35, 0.25, 0.2, 0.7], [0.85, 1.0, 0.5, 0.7]], rtol=1e-15)
    half = Times((affine([[0.0, 0.0]], 0.5),))
    np.testing.assert_array_equal(run((half,), np.array([[3.0, -4.0]])), [[1.5, -2.0]])
    np.testing.assert_array_equal(run((Smallest(2),), np.array([[3.0, -4.0, 1.0]])), [[-4.0, 1.0]])


def test_what_was_learned_has_names() -> None:
    program = PROGRAMS["network"]
    assert described(program) == ["affine", "unit_rows", "relu", "affine"]
    assert sorted(arrays(program)) == ["bias", "step.0.bias", "step.0.weight", "weight"]
    assert described(PROGRAMS["neighbours"])[:2] == ["affine", "neighbours"]
    assert "step.1.anchors" in arrays(PROGRAMS["neighbours"])
    assert "step.0.threshold" in arrays(PROGRAMS["forest"])
    assert widest(PROGRAMS["neighbours"], D) == 40
    assert widest(PROGRAMS["squares"], D) == 2 * D
    assert widest(PROGRAMS["ramps"], D) == 2 * D
    assert described(PROGRAMS["a factor for all"]) == ["times(affine, sigmoid)", "affine"]
    assert "step.0.0.weight" in arrays(PROGRAMS["a factor for all"])
    assert "step.1.rise" in arrays(PROGRAMS["ramps"])


def test_a_program_ends_in_logits() -> None:
    with pytest.raises(TypeError, match="ends in UnitRows; expected Affine"):
        last((UnitRows(),))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = items()
    whole = run(PROGRAMS["network"], x)
    monkeypatch.setattr("plumbline_backend.heads.program._ROWS", 7)
    np.testing.assert_allclose(run(PROGRAMS["network"], x), whole, rtol=1e-13)
    assert run(PROGRAMS["network"], x[:0]).shape == (0, K)
