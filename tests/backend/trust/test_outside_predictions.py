"""Predictions from files: every shape that is taken, and every mistake that is refused with words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError
from plumbline_backend.trust.calibration import split_rows
from plumbline_backend.trust.outside import read_predictions

PROBS = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])


def npz(folder: Path, **arrays: Any) -> Path:
    path = folder / "outside.npz"
    np.savez(path, **arrays)
    return path


def test_npz_of_probabilities(tmp_path: Path) -> None:
    path = npz(tmp_path, probs=PROBS, labels=[0, 1, 1], site=np.array(["a", "b", "a"]))
    found = read_predictions(path)
    assert (found.n, found.classes, found.name) == (3, ("0", "1"), "outside")
    np.testing.assert_allclose(softmax(found.logits, axis=1), PROBS)
    assert found.slices["site"].tolist() == ["a", "b", "a"]


def test_npz_of_logits_with_named_classes(tmp_path: Path) -> None:
    path = npz(tmp_path, logits=[[2.0, -1], [0, 3]], labels=np.array(["cat", "dog"]), classes=["cat", "dog"])
    found = read_predictions(path)
    assert found.classes == ("cat", "dog")
    assert found.targets.tolist() == [0, 1]
    np.testing.assert_allclose(found.proba, softmax(found.logits, axis=1))


def test_multi_label(tmp_path: Path) -> None:
    found = read_predictions(npz(tmp_path, probs=[[0.9, 0.8], [0.1, 0.4]], labels=[[1, 1], [0, 1]]))
    assert found.multi_label
    np.testing.assert_allclose(1 / (1 + np.exp(-found.logits)), found.proba)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_of_several_classes_an_item(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame(
        {
            "label_b": [0, 1],
            "logit_a": [2.0, -1.0],
            "label_a": [1, 1],
            "logit_b": [0.0, 3.0],
            "site": ["x", "y"],
        }
    )
    path = tmp_path / f"several.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    found = read_predictions(path)
    assert found.multi_label
    assert found.classes == ("a", "b")
    assert found.targets.tolist() == [[1, 0], [1, 1]]
    assert list(found.slices) == ["site"]
    np.testing.assert_allclose(found.proba, 1 / (1 + np.exp([[-2.0, 0], [1, -3]])))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label_a": [1, 0]}, r"found no column 'label_b'; expected one with 0 or 1 for each of 2 classes"),
        ({"label_a": [1, 0], "label_b": [2, 0]}, r"labels of row 0 are .*; expected 0 or 1 for every class"),
        (
            {"label_a": [1, 0], "label_b": [0.5, 0]},
            r"labels of row 0 are .*; expected 0 or 1 for every class",
        ),
        ({"label_a": [1, 0], "label_b": [1, 0], "label": ["a", "b"]}, "found the columns"),
    ],
)
def test_bad_labels_of_several_classes_are_refused(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    path = tmp_path / "several.csv"
    pd.DataFrame({"prob_a": [0.5, 0.2], "prob_b": [0.5, 0.9], **columns}).to_csv(path, index=False)
    with pytest.raises(InputError, match=message):
        read_predictions(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_keep_class_names_as_text(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame(
        {
            "label": ["NA", "007", "NA"],
            "prob_NA": [0.7, 0.2, 0.5],
            "prob_007": [0.3, 0.8, 0.5],
            "site": list("xyx"),
        }
    )
    path = tmp_path / f"outside.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False, encoding="utf-8-sig")
    else:
        table.to_parquet(path)
    found = read_predictions(path)
    assert found.classes == ("NA", "007")
    assert found.targets.tolist() == [0, 1, 0]
    assert list(found.slices) == ["site"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"probs": PROBS * 0.9, "labels": [0, 1, 1]}, "outside.npz: probabilities of row 0 .* with sum 0.9"),
    ({"probs": [[1.2, -0.2]], "labels": [0]}, "these look like logits: give them as logits"),
    ({"probs": [[3.0, -2.0]], "labels": [0]}, "these look like logits"),
    ({"probs": [[np.nan, 1.0]], "labels": [0]}, "expected none negative or NaN and a sum of 1"),
    ({"logits": PROBS, "labels": [0, 1, 1]}, "these look like probabilities: give them as probs"),
    ({"logits": [[np.inf, 0.0]], "labels": [0]}, "logits of row 0 .* expected finite numbers"),
    ({"probs": PROBS, "labels": [0, 1, 2]}, "target of row 2 is 2; expected a class from 0 to 1"),
    ({"probs": PROBS, "labels": [0, -1, 1]}, "target of row 1 is -1"),
    ({"probs": PROBS, "labels": [0, 1]}, "found 2 labels for 3 rows; expected as many"),
    ({"probs": PROBS, "labels": np.array(["a", "b", "c"])}, "label of row 1 is 'a'; expected a class name"),
    ({"probs": PROBS, "labels": [0, 1, 1], "classes": ["a"]}, "classes: found 1 names; expected 2"),
    ({"probs": PROBS, "logits": PROBS, "labels": [0, 1, 1]}, "expected NPZ with probs or logits"),
    ({"predictions": PROBS, "labels": [0, 1, 1]}, "found the arrays 'predictions', 'labels'; expected NPZ"),
    ({"probs": np.empty((0, 2)), "labels": np.empty(0, dtype=int)}, "found 0 rows; expected at least one"),
    ({"probs": PROBS[:, 0], "labels": [0, 1, 1]}, r"probs have shape \(3,\)"),
    ({"probs": [[0.5, 1.5]], "labels": [[0, 1]]}, "expected numbers from 0 to 1"),
    ({"probs": [[0.5, 0.5]], "labels": [[0, 2]]}, "expected 0 or 1 for every class"),
    ({"probs": [[0.5, 0.5]], "labels": [[0, 1, 1]]}, r"expected \(n, K\) for both"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD)
def test_bad_npz_is_refused_in_words(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_predictions(npz(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,prob_a,prob_b\na,0.5,x\n", "row 1, column 'prob_b': found 'x'; expected a number"),
        ("label,prob_a,prob_b\na,0.5,\n", "found ''; expected a number"),
        ("label,prob_a,prob_b\nq,0.5,0.5\n", r"label of row 1 is 'q'; expected a class name \(a, b\)"),
        ("label,prob_a\na,1.0\n", "expected a column for each of at least two classes"),
        ("truth,prob_a,prob_b\na,0.5,0.5\n", "expected NPZ with probs or logits .* or CSV"),
        ("label,prob_a,prob_b\n", "found 0 rows"),
        ("", "cannot be read as CSV"),
    ],
)
def test_bad_tables_are_refused_in_words(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "outside.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_predictions(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.npz", None, "there is no such file"),
        ("a.txt", b"x", "the ending is '.txt'"),
        ("a.npz", b"not a zip", "cannot be read as NPZ"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / name)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without pickles"):
        read_predictions(npz(tmp_path, probs=np.array([{"a": 1}], dtype=object), labels=[0]))


def test_splits() -> None:
    columns = {"part": np.array(["fit", "show", "Fit", "x"])}
    assert split_rows(4, "half", {})[0].tolist() == [True, True, False, False]
    assert split_rows(4, "0.25", {})[0].sum() == 1
    assert split_rows(4, "3", {})[1] == "the first 3 rows"
    assert split_rows(4, "column=part", columns)[0].tolist() == [True, False, True, False]
    assert split_rows(100, "random:7", {})[0].sum() == 50


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("often", "split is 'often'; expected half, a share"),
        ("-1", "split is '-1'"),
        ("nan", "split is 'nan'"),
        ("4", "gives 4 of 4 rows to fit on"),
        ("column=q", "column 'q' does not exist"),
    ],
)
def test_bad_splits(how: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_rows(4, how, {})
