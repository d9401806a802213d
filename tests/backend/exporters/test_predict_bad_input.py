"""Input that predict.py refuses, with the exact message; run in this process for speed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from exporting_pools import columns_of, fit

from plumbline_backend.exporters.classifier import predict
from plumbline_backend.exporters.classifier.export import export_classifier


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> predict.Classifier:
    """Reads height (number), colour (category) and vector (5 numbers)."""
    parts = [("numeric", ["height"]), ("category", ["colour"]), ("numeric", ["vector"])]
    fitted = fit(parts, columns_of(100))
    return predict.Classifier(export_classifier(fitted.bundle, tmp_path_factory.mktemp("exports") / "model"))


HEAD = "height,colour,vector\n"
GOOD = '1.5,red,"[1,2,3,4,5]"\n'
BAD_FILES = [
    ("a.csv", b"", "{path}: is empty; expected a line of column names, then rows"),
    ("a.csv", b"height,colour\n1,red\n", "{path}: has no column 'vector'; Found: 'height', 'colour'"),
    ("a.csv", b"heigth,colour,vector\n1,red,[]\n",
     "{path}: has no column 'height'; did you mean 'heigth'? Found: 'heigth', 'colour', 'vector'"),
    ("a.csv", b"height,height,colour,vector\n", "{path}: column 'height' appears twice; expected each name once"),
    ("a.csv", (HEAD + GOOD + "1,red\n").encode(), "{path}, row 2: has 2 cells; expected 3, one per column"),
    ("a.csv", (HEAD + GOOD + 'tall,red,"[1,2,3,4,5]"\n').encode(),
     "{path}, row 2, column 'height': found 'tall'; expected a number, or nothing where it is missing"),
    ("a.csv", (HEAD + '1_000,red,"[1,2,3,4,5]"\n').encode(),
     "{path}, row 1, column 'height': found '1_000'; expected a number, or nothing where it is missing"),
    ("a.csv", (HEAD + '-inf,red,"[1,2,3,4,5]"\n').encode(),
     "{path}, row 1, column 'height': found '-inf'; expected a finite number, or nothing where it is missing"),
    ("a.csv", (HEAD + '1,red,"[1,2,3,4]"\n').encode(),
     "{path}, row 1, column 'vector': found [1, 2, 3, 4]; expected 5 numbers, as [1.5, 2, ...]"),
    ("a.csv", (HEAD + "1,red,none\n").encode(),
     "{path}, row 1, column 'vector': found 'none'; expected 5 numbers, as [1.5, 2, ...]"),
    ("a.csv", (HEAD + '1,red,"[1,2,3,4,1e39]"\n').encode(),
     "{path}, row 1, column 'vector': found 1e+39; expected finite numbers that fit 32-bit floats"),
    ("a.csv", HEAD.encode() + b'1,\xe9,"[1,2,3,4,5]"\n',
     "{path}, after row 0: is not UTF-8 ('utf-8' codec can't decode byte 0xe9 in position 23: "
     "invalid continuation byte); save it as UTF-8"),
    ("a.csv", (HEAD + '1,"red" x,[]\n').encode(),
     "{path}, line 2: ',' expected after '\"'; expected well-formed CSV"),
    ("a.jsonl", b'{"height": 1, "colour": "red", "vector": [1,2,3,4,5]}\n[1]\n',
     "{path}, row 2: found [1]; expected an object with the columns"),
    ("a.jsonl", b'{"height": 1, "vector": []}\n',
     "{path}, row 1: has no column 'colour'; Found: 'height', 'vector'"),
    ("a.jsonl", b'{"height": 1, "colour": 1.5, "vector": [1,2,3,4,5]}\n',
     "{path}, row 1, column 'colour': found 1.5; expected text; "
     "put numbers in quotes, written as in the training data"),
    ("a.jsonl", b'{"height": {}, "colour": "red", "vector": [1,2,3,4,5]}\n',
     "{path}, row 1, column 'height': found {{}}; expected a number, or nothing where it is missing"),
    ("a.jsonl", b'{"height": 1, "colour": ["red"], "vector": [1,2,3,4,5]}\n',
     "{path}, row 1, column 'colour': found ['red']; expected text"),
    ("a.jsonl", b'{"height": 1, "colour": "\\ud800", "vector": [1,2,3,4,5]}\n',
     "{path}, row 1, column 'colour': found '\\ud800'; expected text that UTF-8 can carry "
     "(this holds half a surrogate pair)"),
    ("a.jsonl", b'{"height": 1e400, "colour": "red", "vector": [1,2,3,4,5]}\n',
     "{path}, row 1, column 'height': found inf; expected a finite number, or nothing where it is missing"),
    ("a.jsonl", b"{nope}\n",
     "{path}, row 1: is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
     "expected one object a line"),
    ("a.xlsx", b"PK", "{path}: cannot tell its format; expected one of .csv, .tsv, .jsonl, .npz, .npy"),
    ("a.npy", b"not an array", "{path}: is not an array file "),
    ("a.npz", b"not an archive", "{path}: is not an array file "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES)
def test_refusals_name_file_row_and_column(
    tmp_path: Path, classifier: predict.Classifier, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(predict.InputError) as caught, (tmp_path / "out").open("w") as out:
        predict.write_predictions(classifier, path, out, [], raw=False)
    expected = message.format(path=path)
    assert str(caught.value)[: len(expected)] == expected
    assert message.endswith(" ") or str(caught.value) == expected


def test_a_file_that_is_not_there(tmp_path: Path, classifier: predict.Classifier) -> None:
    with pytest.raises(predict.InputError, match=r"none\.csv: there is no such file"):
        list(predict.batches(tmp_path / "none.csv", classifier))


def test_arrays_that_do_not_fit(tmp_path: Path, classifier: predict.Classifier) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 7)))
    with pytest.raises(
        predict.InputError, match=r"an array of float64 \(4, 7\); expected numbers of shape \(n, 3\)"
    ):
        list(predict.batches(tmp_path / "a.npy", classifier))
    np.savez(tmp_path / "b.npz", height=np.zeros(3), colour=np.array(["red"] * 2), vector=np.zeros((3, 5)))
    with pytest.raises(
        predict.InputError, match=r"arrays of different lengths .*; expected one value per row"
    ):
        list(predict.batches(tmp_path / "b.npz", classifier))
    np.savez(tmp_path / "c.npz", height=np.zeros(3), vector=np.zeros((3, 5)))
    with pytest.raises(predict.InputError, match="has no column 'colour'"):
        list(predict.batches(tmp_path / "c.npz", classifier))
    np.save(tmp_path / "d.npy", np.array([{"pickled": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(predict.InputError, match="is not an array file"):
        list(predict.batches(tmp_path / "d.npy", classifier))


def test_odd_but_good_csv(tmp_path: Path, classifier: predict.Classifier) -> None:
    """Byte-order mark, CRLF, a blank line, columns in another order, an extra one, a 10 MB cell."""
    text = (
        "\ufeffextra,vector,colour,height\r\n"
        + "x" * 10_000_000
        + ',"[1,2,3,4,5]",red, 1.5 \r\n\r\n=1+1,"[1,2,3,4,null]",,\r\n'
    )
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    with (tmp_path / "out.csv").open("w", encoding="utf-8", newline="") as out:
        assert (
            predict.write_predictions(classifier, tmp_path / "a.csv", out, ["colour", "height"], raw=False)
            == 2
        )
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["colour"], row["height"]) for row in rows] == [
        ("1", "red", " 1.5 "),
        ("2", "", ""),
    ]
    whole = classifier.predict(
        {"height": [1.5, None], "colour": ["red", None], "vector": [[1, 2, 3, 4, 5], [1, 2, 3, 4, None]]}
    )
    assert [row["class_id"] for row in rows] == whole.class_id.tolist()


def test_what_a_spreadsheet_could_run_is_guarded_unless_asked_otherwise(
    tmp_path: Path, classifier: predict.Classifier
) -> None:
    (tmp_path / "a.csv").write_text("note," + HEAD + "=1+1," + GOOD)
    for raw, note in ((False, "'=1+1"), (True, "=1+1")):
        with (tmp_path / "out.csv").open("w", encoding="utf-8", newline="") as out:
            predict.write_predictions(classifier, tmp_path / "a.csv", out, ["note"], raw=raw)
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
            assert next(csv.DictReader(file))["note"] == note


def test_no_rows_is_no_error(tmp_path: Path, classifier: predict.Classifier) -> None:
    (tmp_path / "a.csv").write_text(HEAD)
    with (tmp_path / "out.csv").open("w") as out:
        assert predict.write_predictions(classifier, tmp_path / "a.csv", out, [], raw=False) == 0
    empty = classifier.predict({"height": [], "colour": [], "vector": []})
    assert empty.proba.shape == (0, 3)


def test_one_long_text_does_not_make_all_of_a_batch_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 10 characters a run: 4 + 4 fit, 3 x 4 do not, 50 runs alone, and the rest starts anew."""
    monkeypatch.setattr(predict, "CHARACTERS_PER_RUN", 10)
    texts = np.array(["aaaa", "bbbb", "cccc", "d" * 50, "e", "f", ""], dtype=object).reshape(-1, 1)
    short = np.array([""] * 7, dtype=object).reshape(-1, 1)
    found = [(rows.start, rows.stop) for rows in predict._portions([short, texts])]
    assert found == [(0, 2), (2, 3), (3, 4), (4, 7)]


def test_portions_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = columns_of(60)
    fitted = fit([("text", ["text"]), ("numeric", ["height"])], columns)
    classifier = predict.Classifier(export_classifier(fitted.bundle, tmp_path / "model"))
    values = {name: columns[name].to_pylist() for name in ("text", "height")}
    whole = classifier.predict(values)
    monkeypatch.setattr(predict, "CHARACTERS_PER_RUN", 200)
    parts = classifier.predict(values)
    np.testing.assert_allclose(parts.proba, whole.proba, rtol=0, atol=1e-6)
    assert parts.class_id.tolist() == whole.class_id.tolist()
