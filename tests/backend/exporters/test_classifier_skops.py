"""estimator.skops loads where Plumbline cannot be imported, and equals Plumbline's probabilities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from exporting_pools import NUMBERS, Fitted, columns_of, fit

from plumbline_backend.exporters.classifier.export import export_classifier
from plumbline_backend.pool.transforms.image import image_tensor

SCRIPT = """
import importlib.util, json, sys
import numpy as np, pandas as pd, skops.io
assert importlib.util.find_spec("plumbline_backend") is None
folder, data, out = sys.argv[1:]
trusted = json.load(open(folder + "/manifest.json"))["estimator_trusted_types"]
estimator = skops.io.load(folder + "/estimator.skops", trusted=trusted)
rows = json.load(open(data))
array = np.array(rows, dtype=object)
frame = pd.DataFrame(rows)
np.savez(out, array=estimator.predict_proba(array), frame=estimator.predict_proba(frame),
         predicted=estimator.predict(array).astype(str), classes=estimator.classes_)
"""


def run_elsewhere(folder: Path, rows: list[list[object]]) -> dict[str, np.ndarray]:
    """Load and use the estimator in a Python that sees the installed packages but not this repository."""
    (folder.parent / "rows.json").write_text(json.dumps(rows))
    command = [sys.executable, "-S", "-W", "error", "-c", SCRIPT, str(folder), str(folder.parent / "rows.json"),
               str(folder.parent / "proba.npz")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment)
    assert done.returncode == 0, done.stderr
    with np.load(folder.parent / "proba.npz") as found:
        return dict(found)


def assert_same(found: dict[str, np.ndarray], fitted: Fitted, columns: dict[str, pa.Array]) -> None:
    expected = fitted.proba(columns)
    ids = np.array([each.id for each in fitted.bundle.classes])
    np.testing.assert_allclose(found["array"], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["frame"], expected, rtol=0, atol=1e-5)
    assert found["classes"].tolist() == ids.tolist()
    assert found["predicted"].tolist() == ids[expected.argmax(axis=1)].tolist()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_everything_at_once(tmp_path: Path, n_classes: int) -> None:
    """Missing numbers, unseen and missing categories, hashed ones, text beyond ASCII, a vector, pictures."""
    parts = [NUMBERS, ("numeric", ["vector"]), ("category", ["colour"]), ("category", ["place"]), ("text", ["text"]),
             ("image", ["grey"])]  # fmt: skip
    fitted = fit(parts, columns_of(300), n_classes=n_classes)
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    shown = columns_of(100, seed=4)
    shown["colour"] = pa.array(["unseen", None, *shown["colour"].to_pylist()[2:]])
    shown["text"] = pa.array(["ПРИВЕТ Hello CAFÉ café", None, *shown["text"].to_pylist()[2:]])
    rows: list[list[object]] = [[] for _ in range(100)]
    manifest = json.loads((folder / "manifest.json").read_text())
    for each in manifest["estimator_columns"]:
        for row, cell in zip(rows, shown[each["column"]].to_pylist(), strict=True):
            if each["column"] == "grey":
                row += image_tensor(cell, 16, 1).reshape(-1).tolist()
            elif each["column"] == "vector":
                row += cell
            else:
                text = each["column"] in ("colour", "place", "text")
                row.append((cell or "") if text else cell)
    assert manifest["estimator_trusted_types"] == ["operator.methodcaller"]
    assert_same(run_elsewhere(folder, rows), fitted, shown)


def test_nothing_to_trust_unless_words_have_letters_beyond_ascii(tmp_path: Path) -> None:
    """Then the file loads with skops's defaults; capitals of A to Z are lowered all the same."""
    texts = ["red star — bright", "Blue STAR don’t", "中文 red", "galaxy blue", "red galaxy"] * 20
    fitted = fit([("numeric", ["height"]), ("text", ["text"])], {**columns_of(100), "text": pa.array(texts)})
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    assert json.loads((folder / "manifest.json").read_text())["estimator_trusted_types"] == []
    shown = ["RED star", "don’t 中文 — BLUE", "ÉTOILE étoile red", "İ ſ", ""]
    columns = {"height": pa.array([1.0, None, 3e300, -2.0, 5.0]), "text": pa.array(shown)}
    rows: list[list[object]] = [[h, t] for h, t in zip([1.0, None, 3e38, -2.0, 5.0], shown, strict=True)]
    assert_same(run_elsewhere(folder, rows), fitted, columns)


@pytest.mark.parametrize(
    "part", [NUMBERS, ("category", ["colour"]), ("category", ["place"]), ("image", ["photo"])]
)
def test_other_columns_need_no_trust(tmp_path: Path, part: tuple[str, list[str]]) -> None:
    fitted = fit([part], columns_of(120))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    assert json.loads((folder / "manifest.json").read_text())["estimator_trusted_types"] == []
