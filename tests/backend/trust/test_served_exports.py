"""What a project serves with travels: predictions, predict.py, ONNX Runtime and scikit-learn say the same."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import skops.io

from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.features import load_features
from plumbline_backend.project import Project
from plumbline_backend.registry import CALIBRATORS
from plumbline_backend.trust.scope import SERVED
from plumbline_backend.trust.serving import serving_calibrator
from plumbline_backend.workspace import open_workspace

COLUMNS = ("a", "b", "c", "d")
N, N_CLASSES, N_STREAM = 800, 3, 240


@pytest.fixture(scope="module")
def items() -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping clouds in four columns."""
    draw = np.random.default_rng(0)
    y = draw.integers(N_CLASSES, size=N)
    return (draw.normal(size=(N, 4)) + 1.2 * np.eye(N_CLASSES, 4)[y]).round(3), y


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, items: tuple[np.ndarray, np.ndarray]
) -> Iterator[Project]:
    """240 random-stream answers, enough for every calibrator, and a head of about 90 others."""
    folder = tmp_path_factory.mktemp("served")
    x, y = items
    with (folder / "clouds.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["key", *COLUMNS], *([f"k{i}", *row] for i, row in enumerate(x))])
    with open_workspace(
        folder / "workspace", settings={"stream_share": 0.3}, executor=InlineExecutor()
    ) as workspace:
        made = workspace.import_items(folder / "clouds.csv", "clouds")
        ids = [made.add_class(f"cloud {k}", by="test").active[-1].id for k in range(N_CLASSES)]
        judge = made.person("teacher")
        others = np.setdiff1d(np.arange(130), made.stream_order).tolist()
        asked = [
            *((i, "stream") for i in made.stream_order[:N_STREAM].tolist()),
            *((i, "random") for i in others),
        ]
        for item, stratum in asked:
            made.record(item=item, judge=judge, client_uuid=f"a{item}", answer=ids[y[item]], stratum=stratum)
        job = made.fit()
        assert job is not None
        made.wait(job)
        yield made


def script_of(folder: Path) -> Any:
    """The exported predict.py as a module."""
    spec = importlib.util.spec_from_file_location("exported_predict", folder / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CALIBRATORS.names())
def test_the_chosen_calibrator_is_in_predictions_and_in_every_file(
    project: Project, items: tuple[np.ndarray, np.ndarray], tmp_path: Path, name: str
) -> None:
    x, _ = items
    model = project.models()[-1]
    head = load_head(project.folders.models / model.folder)
    project.desk.trust.use_calibrator(name)
    try:
        calibrator = serving_calibrator(project, model, head)
        assert calibrator.name == name
        assert serving_calibrator(project, model, head) is calibrator or name == "temperature"
        served = project.predict(range(N))
        assert served is not None
        logits = head.logits(project.pool.features.gather(np.arange(N)))
        np.testing.assert_allclose(served.proba, calibrator.proba(logits), atol=1e-9)
        if name != "temperature":
            assert calibrator.fitted_
        raw_proba = CALIBRATORS.get(name)().proba(logits)
        assert np.abs(served.proba - raw_proba).max() > 0.01
        folder = project.export_classifier(tmp_path / name)
    finally:
        project.desk.trust.use_calibrator("temperature")
    found = script_of(folder).Classifier(folder).predict({c: x[:, j] for j, c in enumerate(COLUMNS)})
    np.testing.assert_allclose(found.proba, served.proba, rtol=0, atol=1e-5)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [each["column"] for each in manifest["estimator_columns"]] == list(COLUMNS)
    estimator = skops.io.load(folder / "estimator.skops", trusted=manifest["estimator_trusted_types"])
    np.testing.assert_allclose(estimator.predict_proba(x.astype(object)), served.proba, rtol=0, atol=1e-5)
    card = (folder / "model_card.md").read_text().lower()
    assert (
        "temperature" in card
        if name == "temperature"
        else f"{name.replace('_', ' ')} scaling, fitted" in card
    )


@pytest.fixture
def model_and_strangers(
    project: Project, items: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """All items' numbers with 60 far ones behind them, and their features by the pool's own transform."""
    strangers = np.random.default_rng(1).normal(scale=6, size=(60, 4)).round(3)
    x = np.concatenate([items[0], strangers])
    (part,) = load_features(project.pool).parts
    features = part.transform.apply([pa.array(x[:, j]) for j in range(4)])
    return x, np.asarray(features)


@pytest.mark.parametrize("name", SERVED)
def test_none_of_these_is_in_predictions_and_in_every_file(
    project: Project, model_and_strangers: tuple[np.ndarray, np.ndarray], tmp_path: Path, name: str
) -> None:
    """Also under a calibrator: the score is of the raw logits. The item that sets the threshold is kept."""
    x, features = model_and_strangers
    scope, model = project.desk.trust.scope, project.models()[-1]
    head = load_head(project.folders.models / model.folder)
    scope.choose(name, 0.9)
    project.desk.trust.use_calibrator("vector")
    try:
        served = scope.serving(model, head)
        assert served is not None
        expected = served.none_of_these(features, head.logits(features))
        score = served.score.score(features, head.logits(features))
        predicted = project.predict(range(N))
        assert predicted is not None
        assert predicted.none_of_these is not None
        assert predicted.none_of_these.tolist() == expected[:N].tolist()
        assert 0.05 < predicted.none_of_these.mean() < 0.2
        folder = project.export_classifier(tmp_path / name)
    finally:
        scope.choose("")
        project.desk.trust.use_calibrator("temperature")
    script = script_of(folder)
    found = script.Classifier(folder).predict({c: x[:, j] for j, c in enumerate(COLUMNS)})
    assert found.none_of_these.tolist() == expected.tolist()
    np.testing.assert_allclose(found.out_of_scope_score, score, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.proba[:N], predicted.proba, rtol=0, atol=1e-5)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["none_of_these"]["n"] == N_STREAM
    refusing = skops.io.load(folder / "none_of_these.skops", trusted=manifest["estimator_trusted_types"])
    assert refusing.predict(x.astype(object)).tolist() == expected.tolist()
    card = (folder / "model_card.md").read_text()
    assert f"whose {name.replace('_', ' ')} (" in card
    assert "n = 240 random-stream items" in card
    assert ("hold the features of the labelled items" in card) == (name == "knn")


def test_predict_py_writes_none_of_these(
    project: Project, model_and_strangers: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    x, _ = model_and_strangers
    project.desk.trust.scope.choose("mahalanobis", 0.9)
    try:
        folder = project.export_classifier(tmp_path / "model")
    finally:
        project.desk.trust.scope.choose("")
    script = script_of(folder)
    np.savez(tmp_path / "in.npz", **{c: x[-60:, j] for j, c in enumerate(COLUMNS)})
    with (tmp_path / "out.csv").open("w+", newline="") as out:
        assert script.write_predictions(script.Classifier(folder), tmp_path / "in.npz", out, [], False) == 60
        out.seek(0)
        rows = list(csv.DictReader(out))
    refused = [row for row in rows if row["none_of_these"] == "true"]
    assert len(refused) > 40
    assert {(row["class_id"], row["class"]) for row in refused} == {("", "none of these")}
    assert {row["class"] for row in rows} - {"none of these"} <= {f"cloud {k}" for k in range(N_CLASSES)}
    empty = script.Classifier(folder).predict({c: [] for c in COLUMNS})
    assert empty.none_of_these.shape == (0,)


def test_a_rule_that_can_promise_nothing_refuses_nothing_and_the_card_says_so(
    project: Project, tmp_path: Path
) -> None:
    project.desk.trust.scope.choose("energy", 0.999)
    try:
        folder = project.export_classifier(tmp_path / "model")
    finally:
        project.desk.trust.scope.choose("")
    card = (folder / "model_card.md").read_text()
    assert "n = 240 held-out items are too few to promise that 99.9% are kept" in card
    assert json.loads((folder / "manifest.json").read_text())["none_of_these"] is None
    assert not (folder / "none_of_these.skops").exists()
