"""The tables of bad input at the door of outputs: what items refuse or keep, outputs refuse or keep, word for word."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from test_import_bad_input import KEPT, REFUSED

from plumbline_backend.domain.errors import ImportRefusedError, InputError
from plumbline_backend.importers.outputs import accepted, write_outputs
from plumbline_backend.importers.outputs_formats import inspect_outputs, read_outputs
from plumbline_backend.importers.outputs_scores import read_scores
from plumbline_backend.pool.pool import Pool

NUMBERS = ("a word among numbers", "infinite", "more digits than a float keeps")
"""Rows that are wrong only as numbers; an output's columns are texts, and these are kept."""
TEXT_FILES = [row for row in REFUSED if row[1].endswith((".csv", ".jsonl"))]
OTHER_FILES = [row for row in REFUSED if not row[1].endswith((".csv", ".jsonl"))]


def mapping_of(content: bytes, roles: dict[str, str]) -> dict[str, object]:
    """The last column is the response; ids are ids, labels are somebody's verdict."""
    first = content.decode("utf-8", "replace").strip().splitlines()[0:1]
    names = first[0].split(",") if first and not first[0].startswith(("{", "[")) else ["a"]
    mapping: dict[str, object] = {"response": names[-1]}
    if "id" in roles:
        mapping["id"] = "id"
    return mapping


def imported(path: Path, mapping: object) -> list[object]:
    return accepted(path.name, read_outputs(path, None, mapping), "refuse")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "roles", "message"),
    [
        pytest.param(*row[1:], id=row[0])
        for row in TEXT_FILES
        if row[0] not in (*NUMBERS, "empty id", "NUL in a label")
    ],
)
def test_what_items_refuse_outputs_refuse_with_the_same_words(tmp_path, name, content, roles, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImportRefusedError) as refused:
        imported(path, mapping_of(content, roles))
    assert str(refused.value) == message


@pytest.mark.parametrize(("name", "content"), [pytest.param(r[1], r[2], id=r[0]) for r in OTHER_FILES])
def test_other_files_are_refused_by_their_kind(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=f"^{name}: unknown kind of file '.{name[2:]}'; expected one of .csv"
    ):
        read_outputs(path, None, None)
    with pytest.raises(InputError, match="unknown kind of file"):
        inspect_outputs(path)


@pytest.mark.parametrize("row", [pytest.param(r, id=r[0]) for r in REFUSED if r[0] in NUMBERS])
def test_odd_numbers_are_texts_here_and_kept(tmp_path, row):
    path = tmp_path / row[1]
    path.write_bytes(row[2])
    last = row[2].decode().strip().splitlines()[-1].split(",")[-1]
    assert imported(path, {"response": "x"})[-1].response == last


AS_TEXT = {
    "NaN in numbers is missing": ["NaN", "", "4"],
    "last digit beside a blank": ["9007199254740993", ""],
}


@pytest.mark.parametrize("row", [pytest.param(r, id=r[0]) for r in KEPT])
def test_what_items_keep_outputs_keep(tmp_path, row):
    what, content, _, column, values = row
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    outputs = imported(path, {"response": column, "id": None if column == "id" else "id"})
    expected = AS_TEXT.get(what, [str(value) for value in values])
    assert [o.response for o in outputs] == expected
    write_outputs(path.name, outputs, tmp_path / "pool", {}, None)
    pool = Pool.open(tmp_path / "pool")
    assert pool.column_values("response", range(pool.n_items)) == expected


@pytest.mark.parametrize("size", [131_073, 9_999_999])
def test_a_very_large_response_is_kept(tmp_path, size):
    cell = "q,\n" * (size // 3)
    path = tmp_path / "a.csv"
    path.write_text(f'id,output\n1,"{cell}"\n2,x\n', encoding="utf-8", newline="")
    assert [o.response for o in imported(path, None)] == [cell, "x"]


LONG = "9" * 5_000
DEEP = "[" * 290 + "]" * 290


@pytest.mark.parametrize("number", ["9223372036854775808", LONG, "1e400", "-0", "0.10", "1.0000000000000001"])
def test_numbers_keep_their_digits(tmp_path, number):
    line = f'{{"output": {number}, "vars": {{"n": {number}}}, "list": [{number}], "id": "k"}}'
    (tmp_path / "a.jsonl").write_text(line + "\n", encoding="utf-8")
    (found,) = imported(tmp_path / "a.jsonl", None)
    assert (found.response, found.variables) == (number, {"n": number})
    (kept,) = found.metadata["list"]
    assert str(kept) == number
    outputs = json.dumps({"results": {"results": [{"id": number, "response": {"output": 1}}]}})
    (tmp_path / "p.json").write_text(outputs.replace(f'"{number}"', number), encoding="utf-8")
    (promptfoo,) = read_outputs(tmp_path / "p.json", None, None).outputs
    assert promptfoo.key == number


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"output": "x", "output": "y"}', "every member once; 'output' appears 2 times"),
        ('{"output": "x", "m": {"a": 1, "a": 2}}', "every member once; 'a' appears 2 times"),
        ('{"output": Infinity}', "a number or null; JSON has no Infinity"),
        ('{"output": "x", "m": [NaN]}', "a number or null; JSON has no NaN"),
        ('{"output": "q\\ud800"}', "text without lone surrogates, which UTF-8 has no form for"),
        ('{"output": "x", "\\udc00": 1}', "text without lone surrogates, which UTF-8 has no form for"),
        (f'{{"output": {"[" * 400}{"]" * 400}}}', "values nested at most some hundred levels deep"),
        (f'{{"output": "é", "m": {"[" * 700}{"]" * 700}}}', "values nested at most some hundred levels deep"),
    ],
)
def test_what_json_does_not_allow_is_named_in_every_format(tmp_path, line, message):
    (tmp_path / "o.jsonl").write_text(f'{{"output": "fine"}}\n{line}\n', encoding="utf-8")
    found = read_outputs(tmp_path / "o.jsonl", None, None)
    assert [(p.row, p.expected) for p in found.problems] == [(2, message)]
    assert [o.response for o in found.outputs] == ["fine"]
    sample = f'{{"id": 1, "metadata": {line}, "output": {{"completion": "x"}}}}'
    for name, text in (
        ("p.json", f'{{"results": {{"results": [{line}]}}}}'),
        ("i.json", f'{{"samples": [{sample}]}}'),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as refused:
            inspect_outputs(tmp_path / name)
        assert str(refused.value).endswith(message)
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("samples/1.json", sample)
    with pytest.raises(InputError) as refused:
        read_outputs(tmp_path / "log.eval", None, None)
    assert str(refused.value).startswith("log.eval/samples/1.json: ")
    assert str(refused.value).endswith(message)
    (tmp_path / "s.jsonl").write_text(
        f'{{"run_id": "1", "key": "k", "value": 1}}\n{line}\n', encoding="utf-8"
    )
    scores, problems = read_scores(tmp_path / "s.jsonl")
    assert (len(scores), [(p.row, p.expected) for p in problems]) == (1, [(2, message)])


def test_nested_values_below_the_limit_are_kept(tmp_path):
    (tmp_path / "o.jsonl").write_text(f'{{"output": {DEEP}, "m": "é"}}\n', encoding="utf-8")
    assert imported(tmp_path / "o.jsonl", None)[0].response == DEEP


@pytest.mark.parametrize(
    ("mapping", "column", "value"),
    [
        ({"response": "r", "id": "n"}, "id", "a\0b"),
        ({"response": "r", "grades": [{"column": "g", "grader": "e", "note": "n"}]}, "note", "a\0b"),
        (
            {"response": "r", "verdicts": [{"column": "g", "judge": "j", "explanation": "n"}]},
            "explanation",
            "a\0b",
        ),
        ({"response": "r", "verdicts": [{"column": "g", "judge": "j\0"}]}, "judge", "j\0"),
        ({"response": "r", "grades": [{"column": "g", "grader": "e\0"}]}, "grader", "e\0"),
        (
            {"response": "r", "grades": [{"column": "g", "grader": "e", "criterion": "c\0"}]},
            "criterion",
            "c\0",
        ),
    ],
)
def test_a_nul_where_the_database_keeps_a_text_is_named_and_can_be_left_out(tmp_path, mapping, column, value):
    rows = [{"r": "kept \0 here", "g": True, "n": "a\0b"}, {"r": "y", "g": None, "n": "k2"}]
    path = tmp_path / "o.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = read_outputs(path, None, mapping)
    with pytest.raises(ImportRefusedError) as refused:
        accepted("o.jsonl", found, "refuse")
    problem = refused.value.problems[0]
    assert (problem.row, problem.column, problem.value) == (1, column, value)
    assert problem.expected == "text without NUL characters"


def test_more_bad_rows_than_are_listed_are_all_counted(tmp_path):
    (tmp_path / "o.csv").write_text("output,b\n" + "x\n" * 150 + "y,z\n", encoding="utf-8")
    found = read_outputs(tmp_path / "o.csv", None, None)
    assert len(found.problems) == 150
    with pytest.raises(ImportRefusedError, match=r"and 50 more of the same kinds$"):
        accepted("o.csv", found, "refuse")
    assert [o.row for o in accepted("o.csv", found, "skip")] == [151]


def test_a_guessed_encoding_and_a_renamed_column_are_told(tmp_path):
    (tmp_path / "o.csv").write_bytes("output,output\ncaf\xe9,1\n".encode("latin-1"))
    preview = inspect_outputs(tmp_path / "o.csv")
    assert preview.rows == ({"output": "caf\xe9", "output (2)": "1"},)
    assert [note.split(";")[0] for note in preview.notes] == [
        "not UTF-8",
        "column 2 is called 'output' like an earlier one",
    ]
    assert read_outputs(tmp_path / "o.csv", None, None).notes == preview.notes
