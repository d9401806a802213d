"""A document that names a test as its proof names one that exists."""

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
