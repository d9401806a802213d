"""The Export page of a grading project, and the Judges page, where no language model is set up."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from grading import is_long, opened, serving, write_outputs
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

Contexts = Callable[..., BrowserContext]
SHORT = "def check(output, context):\n    return len(output.split()) <= 40\n"
N_GRADED = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Twelve of forty outputs graded as drawn, one assertion, an LLM grader that cannot run here."""
    folder = tmp_path_factory.mktemp("export")
    write_outputs(folder / "outputs.jsonl")
    with open_workspace(folder / "workspace", executor=InlineExecutor()) as workspace:
        project = workspace.import_outputs(folder / "outputs.jsonl", "replies")
        short = project.add_criterion("Short", "The reply has at most 40 words.", by="test")
        judge = project.add_judge(short.id, "assertion", "counts words", {"code": SHORT})
        project.wait(project.run_judge(judge.id))
        kind = project.add_criterion("Kind", "The tone is kind.", by="test")
        project.add_judge(kind.id, "llm", "warmth", {"grader": "binary"})
        ada = project.grader("ada")
        for _ in range(N_GRADED):
            ask = project.next_output(ada)
            assert ask is not None
            answer = "fail" if is_long(project.output(ask.output).response) else "pass"
            project.grade(
                output=ask.output,
                grader=ada,
                client_uuid=uuid.uuid4().hex,
                answer=answer,
                query_id=ask.query_id,
            )
    with serving(folder / "workspace") as running:
        yield running


def exported(page: Page, words: str, name: str) -> str:
    """Export by the button and read what the link brings."""
    page.get_by_role("button", name=words).click()
    expect(page.get_by_text(re.compile(name)).first).to_be_visible()
    link = page.get_by_role("link", name=re.compile(f"replies-{name}")).first
    expect(link).to_be_visible()
    with page.expect_download() as started:
        link.click()
    return Path(started.value.path()).read_text(encoding="utf-8")


def test_promptfoo_json_and_grades_are_downloaded(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/replies/validators", person="ada", accept_downloads=True)
    page = watched.page
    chosen = page.get_by_role("region", name="Chosen judges").locator("tbody tr")
    expect(chosen.filter(has_text="counts words")).to_contain_text("yes")
    expect(chosen.filter(has_text="warmth")).to_contain_text("no: it is no code")

    config = yaml.safe_load(exported(page, "Export for promptfoo", "promptfoo-.*yaml"))
    assert [each["type"] for each in config["defaultTest"]["assert"]] == ["python", "llm-rubric"]
    assert len(config["tests"]) == 40

    found = json.loads(exported(page, "Export as JSON", "json-.*json"))
    assert [each["name"] for each in found["criteria"]] == ["Overall", "Short", "Kind"]
    assert len(found["outputs"]) == 40
    names = {str(each["id"]): each["name"] for each in found["judges"]}
    verdicts = {names[judge]: said for judge, said in found["outputs"][0]["verdicts"].items()}
    assert verdicts == {"counts words": "fail", "warmth": None}

    rows = list(csv.DictReader(io.StringIO(exported(page, "Export the grades", "grades-.*csv"))))
    assert len(rows) == N_GRADED
    assert {row["grader"] for row in rows} == {"ada"}
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    earlier = page.get_by_role("region", name="Earlier exports").locator("tbody tr")
    expect(earlier).to_have_count(3)
    assert watched.wrong == []


def test_without_a_language_model_everything_else_works_and_the_rest_says_so(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/replies/judges", person="ada")
    page = watched.page
    expect(
        page.get_by_text("No language model is set up; expected the settings llm_base_url")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Budget")).to_be_hidden()
    page.get_by_role("button", name="Add: LLM grader").click()
    expect(page.get_by_text("An LLM grader needs a model")).to_be_visible()
    page.get_by_role("button", name="Ask a model").click()
    expect(page.get_by_text("It cannot run")).to_be_visible()
    expect(page.get_by_role("note").get_by_text("no language model is set up; expected")).to_be_visible()
    page.get_by_role("region", name="Criteria", exact=True).get_by_role("row", name="Short").click()
    page.get_by_role("region", name="Judges of Short").get_by_role("row", name="counts words").click()
    page.get_by_label("All outputs again").check()
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("Of 40 outputs: 26 pass, 14 fail.")).to_be_visible()
    assert watched.wrong == []
