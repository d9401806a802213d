"""Importing LLM outputs in the browser: a table with its columns, what is wrong with it, and the project to grade."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pages import open_page
from playwright.sync_api import BrowserContext, expect

from conftest import SCRIPT, Server

Contexts = Callable[..., BrowserContext]
TIMEOUT_MS = 60_000


def test_a_table_of_outputs_becomes_a_project_to_grade(
    new_context: Contexts, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "answers.jsonl"
    rows = [{"id": f"k{i}", "answer": f"{SCRIPT} {i}", "model": "m", "human": i % 2 == 0} for i in range(12)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    watched = open_page(new_context, server, "/import/outputs")
    page = watched.page
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("answers.jsonl is a table with 12 outputs.")).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.get_by_text("1 rows cannot be read.")).to_be_visible()
    expect(page.get_by_text(f"{SCRIPT} 0", exact=True)).to_be_visible()
    page.get_by_label("Project name").fill("Answers")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Answers is ready")).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.get_by_text("12 outputs, 1 rows left out.")).to_be_visible()
    link = page.get_by_role("link", name="Start grading")
    assert (link.get_attribute("href") or "").endswith("/grade")
    assert watched.wrong == []


def test_a_file_without_outputs_is_refused_in_words(
    new_context: Contexts, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "odd.json"
    file.write_text('{"rows": []}')
    watched = open_page(new_context, server, "/import/outputs")
    watched.page.locator("input[type=file]").set_input_files(file)
    refused = watched.page.get_by_text("a JSON file without results (promptfoo) or samples (Inspect)")
    expect(refused).to_be_visible(timeout=TIMEOUT_MS)
    assert watched.wrong == []
