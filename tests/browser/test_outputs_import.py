"""Importing LLM outputs in the browser: a table with its columns, what is wrong with it, and the project to grade."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pages import open_page
from playwright.sync_api import BrowserContext, expect

from conftest import SCRIPT, Server

Contexts = Callable[..., BrowserContext]


def test_a_table_of_outputs_becomes_a_project_to_grade(
    new_context: Contexts, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "answers.jsonl"
    rows = [{"id": f"k{i}", "answer": f"{SCRIPT} {i}", "model": "m", "human": i % 2 == 0} for i in range(12)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    watched = open_page(new_context, server, "/import/outputs")
    page = watched.page
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("answers.jsonl is a table with 12 outputs.")).to_be_visible()
    expect(page.get_by_text("1 rows cannot be read.")).to_be_visible()
    expect(page.get_by_text(f"{SCRIPT} 0", exact=True)).to_be_visible()
    page.get_by_label("Project name").fill("Answers")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Answers is ready")).to_be_visible()
    expect(page.get_by_text("12 outputs, 1 rows left out.")).to_be_visible()
    link = page.get_by_role("link", name="Start grading")
    assert (link.get_attribute("href") or "").endswith("/grade")
    assert watched.wrong == []


def test_grades_and_verdicts_come_along_and_another_tools_scores_are_joined(
    new_context: Contexts, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "judged.jsonl"
    rows = [
        {"id": f"k{i}", "output": f"text {i}", "human": i % 2, "stars": i % 5 + 1, "gpt_ok": i % 3 > 0}
        | {"gpt_score": 0.25, "gpt_why": "too curt"}
        for i in range(10)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    watched = open_page(new_context, server, "/import/outputs")
    page = watched.page
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("judged.jsonl is a table with 10 outputs.")).to_be_visible()
    expect(page.get_by_label("Explanations in")).to_have_text("gpt_why")
    expect(page.get_by_label("Scores in")).to_have_text("gpt_score")
    expect(page.get_by_label("Judge", exact=True)).to_have_value("gpt")
    page.get_by_role("button", name="Add a column of grades").click()
    page.get_by_label("Grades in").nth(1).click()
    page.get_by_role("menuitem", name="stars").click()
    page.get_by_label("Graded by").nth(1).fill("Eva")
    page.get_by_label("Criterion").nth(1).fill("Warm")
    page.get_by_label("Good from (number)").nth(1).fill("four")
    page.get_by_role("button", name="Import", exact=True).click()
    refused = page.get_by_text("stars: the limit 'four' is no number; expected one such as 4, or nothing")
    expect(refused).to_be_visible()
    page.get_by_label("Good from (number)").nth(1).fill("4")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("judged is ready")).to_be_visible()

    page.goto(server.url + "/p/judged/judges")
    expect(page.get_by_role("row", name="Warm")).to_be_visible()
    page.get_by_role("region", name="Judges of").locator("tbody tr").first.click()
    page.get_by_role("button", name="Show what it said").click()
    expect(page.get_by_text("score 0.25: too curt").first).to_be_visible()
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps([{"traceId": f"k{i}", "name": "tone", "value": 1} for i in (0, 99)]))
    page.get_by_role("button", name="Bring verdicts of another tool").click()
    page.locator("input[type=file]").set_input_files(scores)
    expect(page.get_by_text("These scores cannot be read")).to_be_visible()
    expect(page.get_by_text("the id of an output of this project", exact=True)).to_be_visible()
    page.get_by_label("Leave out rows that fit no output or cannot be read").check()
    page.locator("input[type=file]").set_input_files(scores)
    expect(page.get_by_text("1 verdicts and 0 grades. 1 rows were left out.")).to_be_visible()
    expect(page.get_by_role("region", name="Judges of")).to_contain_text("tone")
    assert watched.wrong == []


def test_a_file_without_outputs_is_refused_in_words(
    new_context: Contexts, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "odd.json"
    file.write_text('{"rows": []}')
    watched = open_page(new_context, server, "/import/outputs")
    watched.page.locator("input[type=file]").set_input_files(file)
    refused = watched.page.get_by_text("a JSON file without results (promptfoo) or samples (Inspect)")
    expect(refused).to_be_visible()
    assert watched.wrong == []
