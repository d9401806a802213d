"""A document that names a test as its proof, or a file in a link or picture, names one that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def defined_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def missing(text: str) -> list[str]:
    """Names of tests in the text that no file holds."""
    return [
        f"{file}::{name}"
        for file, name in NAMED.findall(text)
        if not (ROOT / file).exists() or name not in defined_in(ROOT / file)
    ]


FILE_ALONE = re.compile(r"`((?:[\w/]+/)?test_\w+\.py)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ELSEWHERE = ("http://", "https://", "mailto:")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def absent_files(text: str) -> list[str]:
    """Test files that the text names, whole or by the last of their name, and that are not there."""
    there = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    named = FILE_ALONE.findall(text)
    return [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)]


def broken_links(document: Path, text: str) -> list[str]:
    """Relative links and pictures that lead nowhere: to no file, or to no heading of it."""
    broken = []
    for target in LINK.findall(text):
        path, _, heading = target.partition("#")
        if target.startswith(ELSEWHERE):
            continue
        there = document.parent / path if path else document
        if not there.exists() or (heading and heading not in anchors(there.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


def anchors(text: str) -> set[str]:
    """The names by which links reach a document's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_and_picture_leads_somewhere(document: Path) -> None:
    assert broken_links(document, document.read_text(encoding="utf-8")) == []


def test_a_link_to_nothing_is_found() -> None:
    text = (
        "[a](none.md) ![b](images/none.png) [c](review.md#the-pace) [d](review.md#nothing) [e](https://x.y)"
    )
    assert broken_links(ROOT / "docs" / "x.md", text) == ["none.md", "images/none.png", "review.md#nothing"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_file_that_is_named_exists(document: Path) -> None:
    assert absent_files(document.read_text(encoding="utf-8")) == []


def test_the_promises_name_tests_and_a_file_that_is_not_there_is_found() -> None:
    assert len(FILE_ALONE.findall((ROOT / "docs" / "promises.md").read_text())) >= 15
    assert absent_files("`test_of_nothing.py` `tests/test_named_tests.py` `x/test_named_tests.py`") == [
        "test_of_nothing.py",
        "x/test_named_tests.py",
    ]


@pytest.mark.parametrize("name", ["security.md", "teams.md"])
def test_every_test_that_is_named_exists(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    assert NAMED.search(text)
    assert missing(text) == []


def test_the_check_finds_one_that_does_not() -> None:
    assert missing("`tests/test_named_tests.py::test_of_nothing` and `tests/none.py::test_x`") == [
        "tests/test_named_tests.py::test_of_nothing",
        "tests/none.py::test_x",
    ]


def test_every_peer_of_the_comparison_is_answered() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    rows = [
        line for line in text.partition("## What happened to the peers")[2].splitlines() if line[:2] == "| "
    ]
    peers = ("Label Studio", "doccano", "CVAT", "Argilla", "MLflow", "Bokeh", "Ray")
    assert {peer for peer in peers if any(row.startswith(f"| {peer}") for row in rows)} == set(peers)
    assert all(NAMED.search(row) for row in rows if not row.startswith(("| product", "| ---")))
