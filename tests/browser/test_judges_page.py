"""The Judges page in a real browser: criteria reworded and merged, every form of a judge, budget, cancel, stress."""

from __future__ import annotations

import re
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from grading import is_long, opened, pick, serving, write_outputs
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.judges.llm.scripted import ScriptedModel
from plumbline_backend.judges.llm.scripted_server import scripted_server
from plumbline_backend.workspace import open_workspace

Contexts = Callable[..., BrowserContext]
N_LONG = sum(1 for i in range(40) if i % 3 == 0)


class Model(ScriptedModel):
    """The scripted model behind HTTP, as slow as a test wants it."""

    delay_s = 0.0

    def respond(self, body: bytes) -> tuple[int, bytes]:
        time.sleep(self.delay_s)
        return super().respond(body)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[Server]:
    """Two projects of forty outputs by two systems; in "replies" sixteen are graded by their length."""
    folder = tmp_path_factory.mktemp("judges")
    prepare(folder)
    with (
        scripted_server(model) as endpoint,
        serving(
            folder / "workspace",
            llm_base_url=endpoint.url,
            llm_model="scripted",
            llm_key_env="",
            llm_price_in=1.0,
            llm_price_out=2.0,
            llm_concurrency=2,
        ) as running,
    ):
        yield running


def prepare(folder: Path) -> None:
    write_outputs(folder / "outputs.jsonl", systems="ab")
    with open_workspace(
        folder / "workspace", executor=InlineExecutor(), settings={"llm_base_url": "scripted"}
    ) as workspace:
        project = workspace.import_outputs(folder / "outputs.jsonl", "replies")
        short = project.add_criterion("Short", "The reply has at most 40 words.", by="test")
        judge = project.add_judge(short.id, "llm", "counts words", {"grader": "binary"})
        project.wait(project.run_judge(judge.id))
        for output in range(16):
            answer = "fail" if is_long(project.output(output).response) else "pass"
            project.grade(
                output=output, grader=project.grader("ada"), client_uuid=uuid.uuid4().hex, answer=answer
            )
        fresh = workspace.import_outputs(folder / "outputs.jsonl", "fresh")
        for name in ("Short", "Brief"):
            fresh.add_criterion(name, "The reply has at most 40 words.", by="test")


def open_criterion(page: Page, name: str) -> None:
    page.get_by_role("region", name="Criteria", exact=True).get_by_role("row", name=name).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_better_words_keep_the_grades_and_twins_are_merged(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/fresh/judges", person="ada")
    page = watched.page
    open_criterion(page, "Short")
    page.get_by_label("Statement that an output satisfies or not").fill("There are at most 40 words.")
    page.get_by_label("Same meaning, only better words").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Version 2. Its source: person.")).to_be_visible()  # and no grade is stale
    open_criterion(page, "Brief")
    expect(page.get_by_text("Version 1. Its source: person.")).to_be_visible()
    pick(page, "Merge into", "Short")
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_text("Version 2. Its source: person.")).to_be_visible()
    expect(page.get_by_role("row", name="Brief")).to_have_count(0)
    page.get_by_role("button", name="Dropped and merged").click()
    expect(page.get_by_text("Merged into Short.")).to_be_visible()
    assert watched.wrong == []


def test_every_way_of_asking_has_a_form_that_keeps_what_was_written(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/replies/judges", person="ada")
    page = watched.page
    open_criterion(page, "Short")

    def new(way: str, name: str) -> None:
        page.get_by_role("button", name="Add: LLM grader").click()
        expect(page.get_by_role("heading", name="New LLM grader")).to_be_visible()
        pick(page, "Way of asking", way)
        page.get_by_role("textbox", name="Name", exact=True).last.fill(name)

    def add(name: str) -> None:
        page.get_by_role("button", name="Add the judge").click()
        expect(page.get_by_role("heading", name=f"{name}, version 1")).to_be_visible()
        expect(page.get_by_text(re.compile("40 outputs: [0-9]+ calls"))).to_be_visible()

    new("Rubric, 1 to 5", "by rubric")
    pick(page, "Passes from score", "4")
    page.get_by_label("What each score means").fill("bad\npoor\nfair\ngood\nfine")
    add("by rubric")
    expect(page.get_by_label("What each score means")).to_have_value("bad\npoor\nfair\ngood\nfine")

    new("Checklist", "by points")
    page.get_by_label("Points, one per line").fill("It is polite.\nIt has at most 40 words.")
    page.get_by_label("Points that must be met, %").fill("half")
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("points: found 'half'; expected a whole number")).to_be_visible()
    page.get_by_label("Points that must be met, %").fill("50")
    add("by points")
    expect(page.get_by_label("Points that must be met, %")).to_have_value("50")

    new("Pairwise comparison", "against b")
    pick(page, "Compare with", "another system's output")
    pick(page, "System", "b")
    page.get_by_label("Length margin, characters").fill("200")
    add("against b")
    expect(page.get_by_label("Length margin, characters")).to_have_value("200")

    new("Committee", "three readers")
    page.get_by_label("Reviewers, one per line").fill("an editor\na customer\na lawyer")
    page.get_by_label("Those who differ see each other's reasons once").uncheck()
    add("three readers")
    expect(page.get_by_text("40 outputs: 120 calls; about")).to_be_visible()
    expect(page.get_by_label("Reviewers, one per line")).to_have_value("an editor\na customer\na lawyer")
    page.get_by_role("button", name="Take examples from the grades").click()
    expect(page.get_by_text("4 graded outputs are shown as examples (2 good)")).to_be_visible()
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_role("heading", name="three readers, version 2")).to_be_visible()
    assert watched.wrong == []


def test_code_that_is_typed_while_the_server_is_busy_stays_as_typed(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/replies/judges", "hurried")
    page = watched.page
    open_criterion(page, "Short")
    page.get_by_role("button", name="Add: Python assertion").click()
    page.locator(".ace_text-input").focus()
    page.keyboard.press("Control+a")
    words = "def check(output, context): return 'Your Fernweh team' in output and len(output) < 900"
    assert server.process is not None
    for start in range(0, len(words), 7):
        server.process.send_signal(signal.SIGSTOP)
        page.keyboard.type(words[start : start + 4])
        page.wait_for_timeout(60)
        server.process.send_signal(signal.SIGCONT)
        page.keyboard.type(words[start + 4 : start + 7], delay=15)
    page.wait_for_timeout(500)
    assert "".join(page.locator(".ace_line").all_inner_texts()).strip() == words
    page.get_by_role("textbox", name="Name", exact=True).nth(1).fill("Typed in a hurry")
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("40 outputs, on this machine.")).to_be_visible()
    assert "".join(page.locator(".ace_line").all_inner_texts()).strip() == words
    assert watched.wrong == []


def test_a_budget_a_bar_a_cancel_and_the_run_goes_on(
    new_context: Contexts, server: Server, model: Model
) -> None:
    watched = opened(new_context, server, "/p/fresh/judges", person="ada")
    page = watched.page
    page.get_by_role("button", name="Budget").click()
    expect(page.get_by_label("Most tokens a run may use")).to_have_value(re.compile("[0-9]+"))
    page.get_by_label("Most a run may cost, USD").fill("a lot")
    page.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_text("budget in USD: found 'a lot'")).to_be_visible()
    page.get_by_label("Most a run may cost, USD").fill("3.5")
    page.get_by_label("Most tokens a run may use").fill("")
    page.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_text("answers, within $3.50 a run.")).to_be_visible()

    open_criterion(page, "Short")
    page.get_by_role("button", name="Add: LLM grader").click()
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("40 outputs: 40 calls; about")).to_be_visible()
    model.delay_s = 0.4
    page.get_by_label("Guidelines: what decides the hard cases").fill("Not saved yet")
    page.get_by_role("button", name="Run it").click()
    bar = page.get_by_role("progressbar", name="Judging: Short: LLM grader")
    expect(bar).to_be_visible()
    expect(page.get_by_text(re.compile(r"% · [0-9]+ of 40 · \$0\.0"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text(re.compile("Cancelled"))).to_be_visible()
    expect(page.get_by_text(re.compile("Of 40 outputs: .*not run yet"))).to_be_visible()
    model.delay_s = 0.0
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text(f"Of 40 outputs: {40 - N_LONG} pass, {N_LONG} fail.")).to_be_visible()
    expect(page.get_by_label("Guidelines: what decides the hard cases")).to_have_value("Not saved yet")
    assert watched.wrong == []


def test_stress_tests_say_what_they_cost_and_what_they_found(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/replies/judges", person="ada")
    page = watched.page
    open_criterion(page, "Short")
    page.get_by_role("region", name="Judges of Short").get_by_role("row", name="counts words").click()
    page.get_by_role("button", name="Stress it").click()
    expect(
        page.get_by_text(re.compile("[0-9]+ changed outputs: [0-9]+ calls.*about .*, at most"))
    ).to_be_visible()
    page.get_by_role("button", name="Start the stress tests").click()
    rows = page.get_by_role("region", name="Stress tests", exact=True).locator("tbody tr")
    expect(rows).to_have_count(8)
    expect(rows.filter(has_text="empty output")).to_contain_text("over-stable")
    expect(rows.filter(has_text="other white space")).to_contain_text("over-sensitive")
    expect(page.get_by_text(re.compile("The run: [0-9]+ calls"))).to_be_visible()
    assert watched.wrong == []


def test_a_head_learns_from_the_grades_or_says_what_it_lacks(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/replies/judges", person="ada")
    page = watched.page
    page.get_by_role("button", name="Add: Trained head").click()
    pick(page, "Head", "nearest_mean")
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("40 outputs, on this machine.")).to_be_visible()
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text(re.compile(r"Of 40 outputs: \d+ pass, \d+ fail\."))).to_be_visible()
    page.get_by_role("button", name="Show what it said").click()
    expect(page.get_by_text(re.compile(r"p\(good\) = 0\.\d+; passes from")).first).to_be_visible()
    page.goto(f"{server.url}/p/fresh/judges")
    page.get_by_role("button", name="Add: Trained head").click()
    page.get_by_role("button", name="Add the judge").click()
    page.get_by_role("button", name="Run it").click()
    expect(
        page.get_by_role("alert").get_by_text(
            "a head learns from at least 3 good and 3 bad outputs; there are 0"
        )
    ).to_be_visible()
    assert watched.wrong == []
