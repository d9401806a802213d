"""The whole way: a file is imported, a head is trained, and predict.py reads the same file again."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest
from exporting_pools import WORDS, make_bundle

from plumbline_backend.exporters.classifier.bundle import TransformState
from plumbline_backend.exporters.classifier.export import export_classifier
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.importers import inspect_file
from plumbline_backend.pool.build import build_pool, with_roles
from plumbline_backend.pool.demos import build_demo
from plumbline_backend.pool.features import fit_features, load_features
from plumbline_backend.pool.pool import Pool
from plumbline_backend.pool.transforms.image import image_tensor

pytestmark = pytest.mark.slow


def export_of(pool: Pool, targets: np.ndarray, folder: Path) -> tuple[np.ndarray, Path]:
    """A trained head's own probabilities for the whole pool, and its export."""
    features = pool.features.gather(np.arange(pool.n_items))
    head = LinearSoftmax().fit(features[::2], targets[::2], 3)
    states = tuple(
        TransformState(each.part.transform, each.part.columns, *each.transform.to_state())
        for each in load_features(pool).parts
    )
    bundle = make_bundle(states, head.weight_, head.bias_)
    return head.proba(features, bundle.temperature), export_classifier(bundle, folder)


def predicted(python: Path, folder: Path, source: Path) -> np.ndarray:
    out = folder.parent / "out.csv"
    command = [python, folder / "predict.py", source, "-o", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    with out.open(encoding="utf-8", newline="") as file:
        return np.array([[float(row[f"p:c{k}"]) for k in range(3)] for row in csv.DictReader(file)])


def test_the_csv_that_was_imported(tmp_path: Path, bare_python: Path) -> None:
    """700 rows with gaps, numbers written in odd ways, many and few categories, and text in several scripts."""
    rng = np.random.default_rng(2)
    numbers = ["1.5", " 2 ", "", "-3e2", "+.5", "nan", "1e300", "7.", "-0"]
    path = tmp_path / "mixed.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "size, in m", "time", "kind", "__proto__", "words"])
        for i in range(700):
            text = " ".join(rng.choice(WORDS, rng.integers(0, 15))) + rng.choice([" ", "!\n", ' "x"', ", y"])
            kind = rng.choice(["Ia", "II", "NA", "", "007", "=x"])
            place = f"Orte {rng.integers(100)} ü"
            writer.writerow([f"i{i}", rng.choice(numbers), 1.7e9 + i, kind, place, text])
    roles = {
        "id": "id",
        "size, in m": "numeric",
        "time": "numeric",
        "kind": "category",
        "__proto__": "category",
    }
    columns = with_roles(inspect_file(path).columns, {**roles, "words": "text"})
    build_pool(path, tmp_path / "pool", columns)
    pool = Pool.open(tmp_path / "pool")
    fit_features(pool)
    expected, folder = export_of(pool, rng.integers(0, 3, 700), tmp_path / "model")
    np.testing.assert_allclose(predicted(bare_python, folder, path), expected, rtol=0, atol=1e-5)


def test_the_digits(tmp_path: Path, bare_python: Path) -> None:
    build_demo("digits", tmp_path / "pool")
    pool = Pool.open(tmp_path / "pool")
    (part,) = load_features(pool).parts
    state, _ = part.transform.to_state()
    images = pool.column_values(part.part.columns[0], np.arange(pool.n_items))
    pixels = np.stack([image_tensor(image, state["side"], state["channels"]) for image in images])
    np.save(tmp_path / "in.npy", pixels)
    targets = pixels.sum(axis=(1, 2, 3), dtype=np.int64) // 7 % 3
    expected, folder = export_of(pool, targets, tmp_path / "model")
    np.testing.assert_allclose(
        predicted(bare_python, folder, tmp_path / "in.npy"), expected, rtol=0, atol=1e-5
    )
