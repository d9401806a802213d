"""`judges align`: figures of a file by hand, unknown as null, and every way in which a file can be wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from plumbline_backend.domain.errors import ImportRefusedError, InputError
from plumbline_backend.judges.align_file import align, read_graded


def written(tmp_path, rows):
    path = tmp_path / "graded.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def row(grade, **verdicts):
    return {"output": "text", "grade": grade, "verdicts": verdicts}


def test_a_perfect_judge_a_useless_one_and_one_that_never_decided(tmp_path):
    rows = [row(False, perfect=False, passes=True, silent=None)] * 4
    rows += [row(True, perfect=True, passes=True, silent=None)] * 6
    found = align(read_graded(written(tmp_path, rows)))
    perfect, passes, silent = (found["judges"][name] for name in ("perfect", "passes", "silent"))
    assert perfect["coverage"] == {
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
        "n": 4,
    }  # all is graded: all is known
    assert perfect["ffr"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 6}
    assert passes["coverage"]["value"] == 0.0
    assert silent["coverage"] == {"value": None, "low": None, "high": None, "n": 0}
    assert silent["n_undecided"] == 10
    assert found["selected"]["judges"] == ["perfect"]
    assert found["selected"]["coverage"]["value"] == 1.0
    json.dumps(found, allow_nan=False)


def test_ungraded_outputs_widen_the_intervals(tmp_path):
    graded = [row(False, j=False)] * 4 + [row(True, j=True)] * 6
    found = align(read_graded(written(tmp_path, [*graded, *[row(None, j=True)] * 100])))
    coverage = found["judges"]["j"]["coverage"]
    assert coverage["low"] < 0.9
    assert found["n_graded"] == 10


def test_the_selected_set_is_a_set_where_one_judge_is_not_enough(tmp_path):
    rows = (
        [row(False, a=False, b=True)] * 5
        + [row(False, a=True, b=False)] * 5
        + [row(True, a=True, b=True)] * 10
    )
    found = align(read_graded(written(tmp_path, rows)))["selected"]
    assert found["judges"] == ["a", "b"]
    assert found["feasible"]
    assert found["method"] == "cross-validated"


def test_an_infeasible_set_says_why_and_gives_the_best_judge(tmp_path):
    rows = [row(False, a=False)] * 3 + [row(False, a=True)] * 7 + [row(True, a=True)] * 10
    found = align(read_graded(written(tmp_path, rows)))["selected"]
    assert not found["feasible"]
    assert found["reason"] == "coverage: all judges together fail 3 of 10 bad outputs; 8 are needed (5 more)"
    assert found["judges"] == ["a"]


@pytest.mark.parametrize("grade", [True, False, None])
def test_one_kind_of_grade_selects_nothing_and_shows_unknown(tmp_path, grade):
    found = align(read_graded(written(tmp_path, [row(grade, a=True)] * 5)))
    assert found["selected"]["judges"] == []
    assert found["selected"]["alignment"]["value"] is None
    assert found["judges"]["a"]["alignment"]["value"] is None


def test_one_output_and_no_judge(tmp_path):
    found = align(read_graded(written(tmp_path, [row("good")])))
    assert found["judges"] == {}
    assert found["n_good"] == 1


def test_the_figures_are_the_same_with_the_same_seed(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        row(bool(rng.random() < 0.6), a=bool(rng.random() < 0.7), b=bool(rng.random() < 0.5))
        for _ in range(40)
    ]
    graded = read_graded(written(tmp_path, rows))
    assert align(graded, seed=3) == align(graded, seed=3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "row 1.*expected one JSON object per line"),
        ("[1]", "expected an object with output, grade and verdicts"),
        ('{"output": "x", "verdicts": {}}', "expected an object with output, grade and verdicts"),
        (
            '{"grade": "maybe", "verdicts": {}}',
            "row 1, column 'grade': found 'maybe'; expected true, false or null",
        ),
        (
            '{"grade": true, "verdicts": {"a": 1}}',
            "column 'verdicts.a': found '1'; expected true, false or null",
        ),
        ('{"grade": true, "verdicts": {"a": "pass"}}', "column 'verdicts.a': found 'pass'"),
    ],
)
def test_bad_rows_are_named(tmp_path, line, message):
    with pytest.raises(ImportRefusedError, match=message):
        read_graded(written(tmp_path, [line]))


def test_bad_files_and_limits(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_graded(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="no rows"):
        read_graded(written(tmp_path, []))
    with pytest.raises(InputError, match=r"min_coverage: found 1\.5; expected a rate"):
        align(read_graded(written(tmp_path, [row(True, a=True)])), min_coverage=1.5)
