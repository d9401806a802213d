"""NPZ archives: real files, refusals with their exact message, and never a pickle."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from plumbline_backend.domain.errors import ImportRefusedError

FINITE = "expected finite numbers that fit 32-bit floats"

REFUSED = {
    "infinite": (
        {"X": np.array([[1.0, 2.0], [np.inf, 3.0]])},
        f"a.npz, row 2, column 'X': found 'inf at place 1 of 2'; {FINITE}",
    ),
    "beyond float32": (
        {"X": np.array([[1.0, 1e300]])},
        f"a.npz, row 1, column 'X': found '1e+300 at place 2 of 2'; {FINITE}",
    ),
    "float16 infinity": (
        {"X": np.array([[1.0], [np.inf]], np.float16)},
        f"a.npz, row 2, column 'X': found 'inf at place 1 of 1'; {FINITE}",
    ),
    "labels of another length": (
        {"X": np.zeros((3, 2)), "y": np.zeros(2)},
        "a.npz, column 'y': found 'shape (2,)'; expected 3 labels, one per row of 'X'",
    ),
    "pickled objects": (
        {"X": np.array([{"a": 1}], dtype=object)},
        "a.npz, column 'X'; expected numbers or fixed-width text; "
        "arrays of Python objects need pickle, which can run code",
    ),
    "no rows": (
        {"X": np.zeros((0, 3))},
        "a.npz, column 'X': found 'shape (0, 3)'; expected at least one row",
    ),
    "complex": (
        {"X": np.zeros((3, 2), complex)},
        "a.npz, column 'X'; expected real numbers or text, not complex128",
    ),
    "a scalar": ({"s": np.float64(3)}, "a.npz, column 's': found 'shape ()'; expected at least one row"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_exact_message(import_file, case):
    arrays, message = REFUSED[case]
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.npz", lambda path: np.savez(path, **arrays))
    assert str(refused.value) == message


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<f2", "<i4", "|u1"])
def test_features_and_labels(import_file, order, kind):
    X = np.asarray(np.arange(12).reshape(4, 3), dtype=kind, order=order)
    y = np.array(["cat", "dog", "cat", "cat"])
    found = import_file("a.npz", lambda path: np.savez_compressed(path, X=X, y=y))
    assert found.roles == {"X": "features", "y": "label"}
    assert np.array_equal(found.pool.matrix("X").gather(range(4)), X.astype(np.float32))
    assert found.values("y") == y.tolist()


def test_numbers_in_y_are_labels_as_written(import_file):
    found = import_file("a.npz", lambda path: np.savez(path, X=np.zeros((4, 2)), y=np.array([3, 1, 1, 3])))
    assert found.values("y") == ["3", "1", "1", "3"]


def test_missing_numbers_are_counted_aloud(import_file):
    found = import_file("a.npz", lambda path: np.savez(path, X=np.array([[1, np.nan], [2, 3]])))
    assert found.summary.notes == (
        "column 'X': 1 missing numbers (empty or NaN); they are filled with the median in the features",
    )


def test_arrays_without_a_value_per_item_are_told(import_file):
    arrays = {"X": np.zeros((3, 2, 2)), "names": np.array(["a", "b"])}
    found = import_file("a.npz", lambda path: np.savez(path, **arrays))
    assert found.summary.notes == (
        "array 'names' of shape (2,) has no value per item; it is not imported",
        "array 'X' of shape (3, 2, 2) is flattened to one vector per item",
    )
    assert found.pool.matrix("X").shape == (3, 4)


def test_a_cut_array_is_refused(import_file):
    def cut(path):
        whole = path.with_name("whole.npz")
        np.savez(whole, X=np.zeros((100, 10)))
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as out:
            out.writestr("X.npy", source.read("X.npy")[:500])
        whole.unlink()

    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.npz", cut)
    assert str(refused.value) == "a.npz, column 'X'; expected an array of (100, 10); its bytes end early"


def test_bad_rows_are_named_and_the_rest_is_imported_on_request(import_file, tmp_path):
    """Rows 2 and 4 of five hold an infinity; missing numbers are no mistake."""
    X = np.array([[1, 2], [np.inf, 2], [3, 4], [5, -np.inf], [np.nan, 6]], np.float32)
    got = import_file("a.npz", lambda path: np.savez(path, X=X, y=np.arange(5)), on_problem="skip")
    assert (got.summary.n_items, got.summary.n_skipped) == (3, 2)
    assert [problem.row for problem in got.summary.problems] == [2, 4]
    assert got.values("y") == ["0", "2", "4"]
    assert "inf at place 1 of 2" in (tmp_path / "pool" / "skipped.csv").read_text(encoding="utf-8")
