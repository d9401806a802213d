"""Tables of bad input: each is refused with the exact message, or kept exactly. Nothing is left behind."""

from __future__ import annotations

import csv

import pytest

from plumbline_backend.domain.errors import ImportRefusedError

_NOT_TEXT = "a.csv; expected a text file; its content is Parquet, whatever its name says"
_ARRAY = "a.jsonl, row 1; expected one JSON object per line; this file is a JSON array"
_NAN = "a.jsonl, row 1: found '{\"a\": NaN}'; expected a number or null; JSON has no NaN"
_NOT_NPZ = "a.npz; expected an NPZ archive as numpy.savez writes it (File is not a zip file)"

REFUSED: list[tuple[str, str, bytes, dict[str, str], str]] = [
    ("empty", "a.csv", b"", {}, "a.csv; expected a file with rows, not an empty one"),
    ("blank", "a.csv", b"\n \r\n", {}, "a.csv; expected a file with rows, not an empty one"),
    ("header only", "a.csv", b"id,x\n", {}, "a.csv; expected at least one row of data below the header"),
    ("no line end", "a.csv", b"id,x", {}, "a.csv; expected at least one row of data below the header"),
    (
        "short row",
        "a.csv",
        b"id,x\n1,2\n3\n",
        {},
        "a.csv, row 2: found '3'; expected 2 cells as in the header, not 1",
    ),
    (
        "long row after a cell of two lines",
        "a.csv",
        b'id,x\n1,"p\nq"\n3,4,5\n',
        {},
        "a.csv, row 2: found '3,4,5'; expected 2 cells as in the header, not 3",
    ),
    (
        "unclosed quote",
        "a.csv",
        b'id,x\n1,a\n2,"b\n3,c\n',
        {},
        'a.csv, row 2; expected a closing quote (") for the cell that opens here; '
        "it swallows the rest of the file",
    ),
    (
        "duplicate id",
        "a.csv",
        b"id,x\na,1\nb,2\na,3\n",
        {"id": "id"},
        "a.csv, row 3, column 'id': found 'a'; expected a unique id (row 1 has the same)",
    ),
    (
        "empty id",
        "a.csv",
        b"id,x\na,1\n,2\n",
        {"id": "id"},
        "a.csv, row 2, column 'id'; expected an id that is not empty",
    ),
    (
        "very long id",
        "a.csv",
        b"id,x\n" + b"k" * 513 + b",1\n",
        {"id": "id"},
        f"a.csv, row 1, column 'id': found '{'k' * 79}…'; expected an id of at most 512 characters, not 513",
    ),
    (
        "NUL in an id",
        "a.csv",
        b"id,x\na\0b,1\n",
        {"id": "id"},
        "a.csv, row 1, column 'id': found 'a\\x00b'; expected text without NUL characters",
    ),
    (
        "NUL in a label",
        "a.csv",
        b"id,label\na,x\0\nb,y\n",
        {"label": "label"},
        "a.csv, row 1, column 'label': found 'x\\x00'; expected text without NUL characters",
    ),
    (
        "a word among numbers",
        "a.csv",
        b"id,x\na,1\nb,two\n",
        {"x": "numeric"},
        "a.csv, row 2, column 'x': found 'two'; expected a number, or nothing where it is unknown",
    ),
    (
        "infinite",
        "a.csv",
        b"id,x\na,1\nb,-inf\n",
        {},
        "a.csv, row 2, column 'x': found '-inf'; expected a finite number, or nothing where it is unknown",
    ),
    (
        "more digits than a float keeps",
        "a.csv",
        b"id,x\na,9007199254740993\n",
        {"x": "numeric"},
        "a.csv, row 1, column 'x': found '9007199254740993'; expected a number that a 64-bit float holds "
        "exactly; as category or id every digit is kept",
    ),
    (
        "text that is not UTF-8 in a file that is",
        "a.csv",
        "id,x\na,Zoë é\nb,".encode() + b"caf\xe9\n",
        {},
        "a.csv, row 2, column 'x': found \"b'caf\\\\xe9'\"; expected text in UTF-8",
    ),
    (
        "Parquet called CSV",
        "a.csv",
        b"PAR1....",
        {},
        "a.csv; expected a text file; its content is Parquet, whatever its name says",
    ),
    (
        "binary",
        "a.csv",
        bytes(range(8)) + b"\0\0\0" * 9,
        {},
        "a.csv; expected a text file; its bytes are binary data",
    ),
    (
        "broken UTF-16",
        "a.csv",
        "\ufeffid,x\n1,2\n".encode("utf-16-le") + b"\xd8",
        {},
        "a.csv; expected text in UTF-16-LE from beginning to end; some bytes are not",
    ),
    (
        "JSON array",
        "a.jsonl",
        b'[{"a": 1}]\n',
        {},
        "a.jsonl, row 1; expected one JSON object per line; this file is a JSON array",
    ),
    (
        "not JSON",
        "a.jsonl",
        b'{"a": 1}\n{"a": }\n',
        {},
        "a.jsonl, row 2: found '{\"a\": }'; expected a JSON object (Expecting value at character 7)",
    ),
    ("not an object", "a.jsonl", b'{"a": 1}\n7\n', {}, "a.jsonl, row 2: found '7'; expected a JSON object"),
    (
        "NaN",
        "a.jsonl",
        b'{"a": NaN}\n',
        {},
        "a.jsonl, row 1: found '{\"a\": NaN}'; expected a number or null; JSON has no NaN",
    ),
    (
        "duplicate member",
        "a.jsonl",
        b'{"a": 1, "a": 2}\n',
        {},
        "a.jsonl, row 1: found '{\"a\": 1, \"a\": 2}'; expected every member once; 'a' appears 2 times",
    ),
    (
        "lone surrogate",
        "a.jsonl",
        b'{"a": "x"}\n{"a": "\\ud800"}\n',
        {},
        "a.jsonl, row 2, column 'a': found '{\"a\": \"\\\\ud800\"}'; "
        "expected text without lone surrogates, which UTF-8 has no form for",
    ),
    (
        "100,000 levels",
        "a.jsonl",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        {},
        f"a.jsonl, row 1: found '{{\"a\": {'[' * 73}…'; expected values nested at most some hundred levels deep",
    ),
    ("not Parquet", "a.parquet", b"PAR1", {}, "a.parquet; expected a whole Parquet file"),
    ("empty Parquet", "a.parquet", b"", {}, "a.parquet; expected a Parquet file, not an empty one"),
    (
        "not NPZ",
        "a.npz",
        b"abc",
        {},
        "a.npz; expected an NPZ archive as numpy.savez writes it (File is not a zip file)",
    ),
    ("not FITS", "a.fits", b"abc", {}, "a.fits; expected a whole FITS file"),
    ("empty FITS", "a.fits", b"", {}, "a.fits; expected a FITS file with a table, not an empty file"),
    ("not a zip", "a.zip", b"abc", {}, "a.zip; expected a zip of images (File is not a zip file)"),
]


@pytest.mark.parametrize(
    ("name", "content", "roles", "message"),
    [pytest.param(*row[1:], id=row[0]) for row in REFUSED],
)
def test_refused_with_the_exact_message(import_file, tmp_path, name, content, roles, message):
    with pytest.raises(ImportRefusedError) as refused:
        import_file(name, content, roles)
    assert (
        str(refused.value).startswith(message) if message.endswith("file") else str(refused.value) == message
    )
    assert [p.name for p in tmp_path.iterdir()] == [name], "a refused import leaves nothing behind"


def test_all_mistakes_are_listed_in_order_of_row(import_file):
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.csv", "id,x\n1,5\n1,6\n2\n3,x7\n4,inf\n,8\n", {"id": "id", "x": "numeric"})
    assert str(refused.value).splitlines() == [
        "a.csv, row 2, column 'id': found '1'; expected a unique id (row 1 has the same)",
        "a.csv, row 3: found '2'; expected 2 cells as in the header, not 1",
        "a.csv, row 4, column 'x': found 'x7'; expected a number, or nothing where it is unknown",
        "a.csv, row 5, column 'x': found 'inf'; expected a finite number, or nothing where it is unknown",
        "a.csv, row 6, column 'id'; expected an id that is not empty",
    ]


def test_only_the_first_hundred_problems_are_listed_and_the_rest_counted(import_file):
    lines = "".join(f"{i},word\n" for i in range(150))
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.csv", "id,x\n" + lines, {"x": "numeric"})
    assert len(refused.value.problems) == 100
    assert str(refused.value).endswith("... and 50 more of the same kinds")


def test_skip_imports_the_rest_and_loses_nothing(import_file, tmp_path):
    content = b'id,x,note\n1,5,"a, b"\n1,6,dup\n2\n3,x7,word\n4,8,ok\n'
    found = import_file("a.csv", content, {"id": "id", "x": "numeric"}, "skip")
    assert (found.summary.n_items, found.summary.n_skipped) == (2, 3)
    assert found.values("id") == ["1", "4"]
    with (tmp_path / "pool" / "skipped.csv").open(encoding="utf-8", newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: int(row["row"]))
    assert [(row["row"], row["content"]) for row in rows] == [
        ("2", '{"id": "1", "x": "6", "note": "dup"}'),
        ("3", "2"),
        ("4", '{"id": "3", "x": "x7", "note": "word"}'),
    ]
    assert rows[1]["problem"] == "a.csv, row 3: found '2'; expected 3 cells as in the header, not 1"


def test_skip_keeps_a_row_whose_earlier_namesake_was_skipped(import_file):
    found = import_file("a.csv", "id,x\na,word\na,2\n", {"id": "id", "x": "numeric"}, "skip")
    assert found.values("x") == [2]


def test_nothing_left_after_skipping_is_refused(import_file):
    with pytest.raises(ImportRefusedError, match="row 1, column 'x': found 'word'"):
        import_file("a.csv", "id,x\na,word\n", {"id": "id", "x": "numeric"}, "skip")


def test_a_late_surprise_is_named_by_its_row(import_file):
    rows = "".join(f"k{i},{i}\n" for i in range(12_000))
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.csv", f"id,x\n{rows}last,oops\n")
    assert str(refused.value) == (
        "a.csv, row 12001, column 'x': found 'oops'; expected a number, or nothing where it is unknown"
    )


def test_a_member_that_comes_late_is_named(import_file):
    rows = '{"a": 1}\n' * 10_000
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.jsonl", rows + '{"a": 1, "b": 2}\n')
    assert str(refused.value) == (
        "a.jsonl, row 10001, column 'b': found '2'; expected only members that occur in the first 10,000 rows"
    )


KEPT: list[tuple[str, bytes, dict[str, str], str, list[object]]] = [
    (
        "words for nothing",
        b"id,label\n1,NA\n2,None\n3,null\n4,nan\n5,N/A\n",
        {},
        "label",
        ["NA", "None", "null", "nan", "N/A"],
    ),
    ("leading zeros", b"id,code\n1,007\n2,010\n", {}, "code", ["007", "010"]),
    ("last digit beside a blank", b"id,n\n1,9007199254740993\n2,\n", {}, "n", ["9007199254740993", None]),
    ("script", b"id,t\n1,<script>alert(1)</script>\n", {"t": "text"}, "t", ["<script>alert(1)</script>"]),
    ("link", b"id,t\n1,[x](javascript:alert(1))\n", {"t": "text"}, "t", ["[x](javascript:alert(1))"]),
    ("SVG", b"id,t\n1,<svg onload=alert(1)>\n", {"t": "text"}, "t", ["<svg onload=alert(1)>"]),
    ("formula", b"id,t\n1,=1+1\n2,@x\n", {"t": "text"}, "t", ["=1+1", "@x"]),
    ("NUL in text", b"id,t\n1,a\0b\n", {"t": "text"}, "t", ["a\0b"]),
    ("quotes and commas", b'id,t\n1,"a ""b"", c"\n', {"t": "text"}, "t", ['a "b", c']),
    ("an odd number of inches", b'id,t\n1,5" nail\n2,"a\nb"\n', {"t": "text"}, "t", ['5" nail', "a\nb"]),
    ("line breaks", b'id,t\n1,"a\r\nb\nc"\n', {"t": "text"}, "t", ["a\r\nb\nc"]),
    ("white space", b"id,t\n1,  a \n", {"t": "text"}, "t", ["  a "]),
    ("NaN in numbers is missing", b"id,x\n1,NaN\n2,\n3,4\n", {}, "x", [None, None, 4]),
    (
        "odd ids",
        'id,x\na/b,1\n../x,2\n%00,3\n\u202eabc,4\n"q""",5\n'.encode(),
        {},
        "id",
        ["a/b", "../x", "%00", "\u202eabc", 'q"'],
    ),
    ("byte-order mark", b"\xef\xbb\xbfid,x\n7,1\n", {}, "id", ["7"]),
    ("carriage returns", b"id,x\r7,1\r8,2", {}, "id", ["7", "8"]),
    ("blank lines", b"\n\nid,x\n\n7,1\n\n8,2\n\n", {}, "id", ["7", "8"]),
    ("no last line break", b"id,x\r\n7,1\r\n8,2", {}, "x", [1, 2]),
    ("UTF-16 with a mark", "\ufeffid,t\n1,Zoë\n".encode("utf-16-le"), {}, "t", ["Zoë"]),
    ("UTF-16 without a mark", "id,t\n1,Zoë\n2,café\n".encode("utf-16-be"), {}, "t", ["Zoë", "café"]),
    ("latin-1", "id,t\n1,Zoë\n2,café\n".encode("latin-1"), {}, "t", ["Zoë", "café"]),
]


@pytest.mark.parametrize(
    ("content", "roles", "column", "values"), [pytest.param(*row[1:], id=row[0]) for row in KEPT]
)
def test_kept_exactly(import_file, content, roles, column, values):
    assert import_file("a.csv", content, roles).values(column) == values


def test_another_encoding_is_told(import_file):
    found = import_file("a.csv", "id,t\n1,Zoë\n2,café\n".encode("latin-1"))
    assert found.preview.encoding == "cp1252"
    assert found.summary.notes == (
        "not UTF-8; read as cp1252, a guess from its bytes: check the accents in the rows below, "
        "or save the file as UTF-8",
    )


def test_cyrillic_is_recognised(import_file):
    text = "Привет, мир! Сегодня хорошая погода, и мы идём гулять."
    found = import_file("b.csv", f'id,t\n1,"{text}"\n'.encode("cp1251"), {"t": "text"})
    assert found.preview.encoding == "cp1251"
    assert found.values("t") == [text]


@pytest.mark.parametrize("size", [131_073, 10_000_000])
def test_a_very_large_cell_is_kept(import_file, size):
    cell = "q,\n" * (size // 3)
    found = import_file("a.csv", f'id,t\n1,"{cell}"\n2,x\n')
    assert found.values("t") == [cell, "x"]


def test_a_row_beyond_the_limit_is_refused(import_file, monkeypatch):
    monkeypatch.setattr("plumbline_backend.importers.delimited.BLOCK_BYTES", (2**18, 2**20))
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.csv", "id,t\n1,a\n2," + "q" * 3 * 2**20 + "\n")
    assert (
        str(refused.value)
        == "a.csv, row 2; expected a row of at most 1 MiB; is a quote opened and never closed?"
    )


def test_a_long_row_after_many_short_ones_starts_over_without_repeats(import_file, monkeypatch):
    monkeypatch.setattr("plumbline_backend.importers.delimited.BLOCK_BYTES", (2**12, 2**22))
    short = "".join(f"k{i},{i}\n" + ("ragged\n" if i % 100 == 0 else "") for i in range(3_000))
    found = import_file("a.csv", f"id,t\n{short}long,{'q' * 2**20}\nlast,x\n", {"t": "text"}, "skip")
    assert found.values("id") == [*(f"k{i}" for i in range(3_000)), "long", "last"]
    assert found.summary.n_skipped == 30
    assert [problem.row for problem in found.summary.problems][:3] == [2, 103, 204]


COLUMN_NAMES = [
    "__proto__",
    'a"b',
    "c,d",
    "e.f",
    "index",
    "id",
    "constructor",
    " ",
    "<b>",
    "=x",
    "x\ny",
    "ключ",
]


def test_any_column_name_is_kept(import_file):
    header = ",".join('"' + name.replace('"', '""') + '"' for name in COLUMN_NAMES)
    found = import_file("a.csv", f"{header}\n{','.join(str(i) for i in range(len(COLUMN_NAMES)))}\n")
    assert [column.name for column in found.pool.columns] == COLUMN_NAMES
    assert found.pool.item(0).key == "5"
    assert found.pool.item(0).fields["__proto__"] == 0


def test_columns_with_the_same_name_or_none_are_told_apart(import_file):
    found = import_file("a.csv", "a,a,,a (2)\n1,2,3,4\n")
    assert found.pool.item(0).fields == {"a": 1, "a (3)": 2, "column 3": 3, "a (2)": 4}
    assert found.preview.notes == (
        "column 2 is called 'a' like an earlier one; it is called 'a (3)'",
        "column 3 has no name; it is called 'column 3'",
    )


def test_labels_that_look_alike_are_kept_apart_and_told(import_file):
    found = import_file("a.csv", "id,label\n1,Cat\n2,cat\n3,cat \n4,dog\n")
    assert found.values("label") == ["Cat", "cat", "cat ", "dog"]
    assert found.summary.notes == (
        "column 'label': the labels 'Cat', 'cat', 'cat ' differ only by case or white space; "
        "they are kept apart and can be merged later",
    )


def test_a_single_class_is_told(import_file):
    found = import_file("a.csv", "id,label\n1,cat\n2,cat\n")
    assert found.summary.notes == (
        "column 'label': every label is 'cat'; a classifier needs at least two classes",
    )
