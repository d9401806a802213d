"""Figures of docs/heads.md are those of the result files, and reach what was aimed at or say by how much not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "heads.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def minilm() -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / "heads_clinc150_minilm.json").read_text())


def table(title: str) -> dict[str, list[str]]:
    """First cell to the others of the first table below a heading."""
    part = DOCS.split(f"## {title}", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("|")
    ]
    return {re.sub("`", "", row[0]): row[1:] for row in rows[2:]}


def said(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def test_accuracy_per_head_is_as_measured(minilm: Any) -> None:
    for head, cells in table("Measured on 150 classes").items():
        measured = minilm["accuracy"][head.replace(", l2 = 1", " l2=1")]
        for column, cell in zip(("1", "5", "20", "all"), cells, strict=False):
            if cell != "–":
                assert abs(float(cell) - measured[column]["mean"]) < 0.0006, (head, column)


def test_new_classes_are_as_measured(minilm: Any) -> None:
    shown = table("A class that has just been added")
    assert len(shown) == 7
    for head, cells in shown.items():
        measured = minilm["new_classes"][head]
        for cell, part in zip(cells, ("all", "base", "new"), strict=True):
            assert abs(float(cell) - measured[part]) < 0.0006, (head, part)


def test_the_default_head_reaches_what_was_aimed_at_with_all_labels(minilm: Any) -> None:
    assert minilm["accuracy"]["linear_softmax"]["all"]["mean"] >= 0.955


def test_five_labels_of_new_classes(minilm: Any) -> None:
    """Aimed at: all .896, old .918, new .852. TEEN comes to .893, .913 and .852: what an added class is trained by now,
    the linear head with all classes as if equally frequent, is above all three."""
    aim = {"all": 0.896, "base": 0.918, "new": 0.852}
    teen, adjusted = minilm["new_classes"]["teen"], minilm["new_classes"]["linear_softmax adjusted"]
    assert [said(teen[part]) for part in aim] == [".893", ".913", ".852"]
    assert all(adjusted[part] >= aimed for part, aimed in aim.items())
    assert adjusted["draws"] == 5
