"""predict.py in an environment with nothing but onnxruntime and numpy equals Plumbline's own probabilities."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from exporting_pools import NUMBERS, Fitted, columns_of, fit

from plumbline_backend.exporters.classifier.export import export_classifier
from plumbline_backend.pool.transforms.image import image_tensor

pytestmark = pytest.mark.slow

HARD_NUMBERS = [1e300, -1e300, 1e38, 3.5e38, 1e-320, 0.0, -0.0, 123456789.125, None, 1e6, -1e-6, 2.5]
HARD_TEXT = [
    "", " ", "...", "HELLO World", "hello  hello\thello\nworld", "ÀÉÎ àéî CAFÉ café", "ПРИВЕТ Привет привет",
    "中文 star 中文", "\x00hello\x00world\x7f", "👩\u200d🚀 e\u0301tude nbsp\u00a0joined İstanbul ſ K", "x" * 100_000,
    "red-blue,star;galaxy" * 50,
]  # fmt: skip
HARD_CATEGORIES = [
    "red",
    "RED",
    " red",
    "",
    None,
    "never seen",
    "grün é",
    "grün e\u0301",
    "=1+1",
    "中" * 500,
    "\n",
    "place 7 ß",
]


def predict(python: Path, folder: Path, source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the exported script as a person would."""
    command = [python, folder / "predict.py", source, "-o", folder.parent / "out.csv", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def assert_same(
    python: Path, fitted: Fitted, folder: Path, source: Path, columns: dict[str, pa.Array]
) -> None:
    """The script's CSV holds Plumbline's classes and probabilities for the columns, to 1e-5."""
    done = predict(python, folder, source)
    assert done.returncode == 0, done.stderr
    with (folder.parent / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ids = [each.id for each in fitted.bundle.classes]
    proba = np.array([[float(row[f"p:{each}"]) for each in ids] for row in rows])
    expected = fitted.proba(columns)
    np.testing.assert_allclose(proba, expected, rtol=0, atol=1e-5)
    assert [row["class_id"] for row in rows] == [ids[k] for k in expected.argmax(axis=1)]
    assert [int(row["row"]) for row in rows] == list(range(1, len(expected) + 1))


def write_csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(
            ["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True)
        )
    return path


def write_jsonl(path: Path, columns: dict[str, list[Any]]) -> Path:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_numbers(tmp_path: Path, bare_python: Path) -> None:
    fitted = fit([NUMBERS], columns_of(300))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    n = len(HARD_NUMBERS)
    shown = {
        "height": HARD_NUMBERS,
        'gaps, or "none"': HARD_NUMBERS[::-1],
        "constant": [2.5, None, 1e300] * (n // 3),
        "count": [0, 2**53, 2**53 - 1, None] * (n // 4),
    }
    columns = {name: pa.array(cells, pa.float64()) for name, cells in shown.items()}
    assert_same(bare_python, fitted, folder, write_csv(tmp_path / "in.csv", shown), columns)
    assert_same(bare_python, fitted, folder, write_jsonl(tmp_path / "in.jsonl", shown), columns)
    matrix = np.array(
        [[np.nan if c is None else c for c in row] for row in zip(*shown.values(), strict=True)]
    )
    np.save(tmp_path / "in.npy", matrix)
    assert_same(bare_python, fitted, folder, tmp_path / "in.npy", columns)


@pytest.mark.parametrize("column", ["colour", "place"])
def test_categories(tmp_path: Path, bare_python: Path, column: str) -> None:
    """colour has 5 values (one-hot), place about 150 (hashed)."""
    fitted = fit([("category", [column])], columns_of(300), n_classes=2)
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    shown = {column: HARD_CATEGORIES, "unused": ["a"] * len(HARD_CATEGORIES)}
    columns = {column: pa.array(HARD_CATEGORIES)}
    assert_same(bare_python, fitted, folder, write_csv(tmp_path / "in.csv", shown), columns)
    assert_same(bare_python, fitted, folder, write_jsonl(tmp_path / "in.jsonl", shown), columns)


def test_text(tmp_path: Path, bare_python: Path) -> None:
    fitted = fit([("text", ["text"])], columns_of(400))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    columns = {"text": pa.array([*HARD_TEXT, None])}
    shown = {"text": [*HARD_TEXT, None]}
    assert_same(
        bare_python, fitted, folder, write_csv(tmp_path / "in.csv", {**shown, "n": [1] * 13}), columns
    )
    assert_same(bare_python, fitted, folder, write_jsonl(tmp_path / "in.jsonl", shown), columns)
    only_empty = {"text": pa.array(["", ""])}
    assert_same(
        bare_python, fitted, folder, write_jsonl(tmp_path / "empty.jsonl", {"text": ["", ""]}), only_empty
    )


@pytest.mark.parametrize(("column", "side", "channels"), [("grey", 16, 1), ("photo", 32, 3)])
def test_pictures(tmp_path: Path, bare_python: Path, column: str, side: int, channels: int) -> None:
    fitted = fit([("image", [column])], columns_of(120))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    shown = columns_of(300, seed=9)
    pixels = np.stack([image_tensor(cell.as_py(), side, channels) for cell in shown[column]])
    np.save(tmp_path / "in.npy", pixels)
    assert_same(bare_python, fitted, folder, tmp_path / "in.npy", shown)


def test_vectors(tmp_path: Path, bare_python: Path) -> None:
    fitted = fit([("numeric", ["vector"])], columns_of(200))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    values = np.random.default_rng(3).normal(size=(300, 5)).astype(np.float32) * 100
    values[7, 2] = np.nan
    np.save(tmp_path / "in.npy", values)
    columns = {"vector": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 5)}
    assert_same(bare_python, fitted, folder, tmp_path / "in.npy", columns)
    lists = [[None if np.isnan(x) else float(x) for x in row] for row in values]
    assert_same(bare_python, fitted, folder, write_jsonl(tmp_path / "in.jsonl", {"vector": lists}), columns)
    cells = [json.dumps(row) for row in lists]
    assert_same(bare_python, fitted, folder, write_csv(tmp_path / "in.csv", {"vector": cells}), columns)


def test_everything_at_once(tmp_path: Path, bare_python: Path) -> None:
    """More rows than a batch; numbers, categories, text, a vector and pictures in one .npz."""
    parts = [NUMBERS, ("numeric", ["vector"]), ("category", ["colour"]), ("category", ["place"]), ("text", ["text"]),
             ("image", ["grey"])]  # fmt: skip
    fitted = fit(parts, columns_of(300), n_classes=4)
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    shown = columns_of(600, seed=4)
    text = {
        name: np.array([c or "" for c in shown[name].to_pylist()]) for name in ("colour", "place", "text")
    }
    numbers = {name: shown[name].to_numpy(zero_copy_only=False) for name in NUMBERS[1]}
    np.savez(
        tmp_path / "in.npz",
        vector=np.asarray(shown["vector"].flatten()).reshape(-1, 5),
        grey=np.stack([image_tensor(cell.as_py(), 16, 1) for cell in shown["grey"]]),
        **text,
        **numbers,
    )
    assert_same(bare_python, fitted, folder, tmp_path / "in.npz", shown)


def test_picture_files_need_pillow_and_say_so(tmp_path: Path, bare_python: Path) -> None:
    fitted = fit([("image", ["grey"])], columns_of(50))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    source = write_csv(tmp_path / "in.csv", {"grey": ["a.png"]})
    done = predict(bare_python, folder, source)
    assert done.returncode == 2
    assert done.stderr == (
        f"{source}, row 1, column 'grey': found 'a.png'; expected uint8 pictures of shape (16, 16, 1) in .npy or "
        ".npz; to read picture files, install pillow\n"
    )


def test_a_refused_file_leaves_nothing(tmp_path: Path, bare_python: Path) -> None:
    """The second batch is bad: the rows of the first are not left behind as if they were all."""
    fitted = fit([("numeric", ["height"])], columns_of(50))
    folder = export_classifier(fitted.bundle, tmp_path / "model")
    source = write_csv(tmp_path / "in.csv", {"height": [*range(299), "tall"]})
    done = predict(bare_python, folder, source)
    assert done.returncode == 2
    expected = "a number, or nothing where it is missing"
    assert done.stderr == f"{source}, row 300, column 'height': found 'tall'; expected {expected}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "model"]
    assert not (folder / "__pycache__").exists()
