"""What a project serves with travels: predictions, predict.py, ONNX Runtime and scikit-learn say the same."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io

from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.registry import CALIBRATORS
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
