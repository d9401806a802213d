"""The Grade, Judges and Alignment pages, used by keys and mouse in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from grading import SLUG, grade_some, has_placeholder, is_long, opened, sync, write_outputs
from playwright.sync_api import BrowserContext, Locator, Page, expect

from conftest import Server
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over four grading projects, with the scripted model as its language model."""
    folder = tmp_path_factory.mktemp("grading")
    write_outputs(folder / "outputs.jsonl")
    with open_workspace(
        folder / "workspace", executor=InlineExecutor(), settings={"llm_base_url": "scripted"}
    ) as workspace:
        project = workspace.import_outputs(folder / "outputs.jsonl", SLUG)
        project.add_criterion("Short", "The reply has at most 40 words.", by="test")
        project.add_criterion("Tone", "The reply is polite.", by="test", kind="rating")
        workspace.import_outputs(folder / "outputs.jsonl", "fresh")
        judged = workspace.import_outputs(folder / "outputs.jsonl", "judged")
        short = judged.add_criterion("Short", "No more than 40 words.", by="test")
        judge = judged.add_judge(short.id, "llm", "counts words", {"grader": "binary"})
        judged.wait(judged.run_judge(judge.id))
        stated = workspace.import_outputs(folder / "outputs.jsonl", "stated")
        for name, most, judge_name in (("Short", 40, "counts words"), ("Shorter", 10, "counts more")):
            criterion = stated.add_criterion(name, f"No more than {most} words.", by="test")
            judge = stated.add_judge(criterion.id, "llm", judge_name, {"grader": "binary"})
            stated.wait(stated.run_judge(judge.id))
    (folder / "workspace" / "config.toml").write_text('llm_base_url = "scripted"\n')
    server = Server(folder / "workspace")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def stage(page: Page) -> Locator:
    """The output on the screen."""
    return page.locator(".stage[data-output]")


def shown(page: Page) -> int:
    """Its position."""
    return int(stage(page).get_attribute("data-output") or -1)


def settled(page: Page) -> None:
    """Until the server has everything and the next output is there."""
    expect(page.locator(".saved-line")).to_have_text("Everything is saved")
    expect(page.locator(".card.grade-card:not(.sending)")).to_be_visible()


def test_an_output_is_graded_by_keys_alone(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, f"/p/{SLUG}/grade", person="keys")
    page = watched.page
    stage(page).wait_for()
    settled(page)
    first = shown(page)
    expect(page.get_by_role("region", name="What the model was asked")).to_contain_text("Where is my order")
    expect(page.locator(".why")).to_have_text("This output was drawn uniformly from all outputs.")
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("2")
    expect(page.locator('.thumb[aria-pressed="true"]')).to_have_text(["✓", "2"])
    page.keyboard.press("n")
    page.keyboard.type("says nothing new")
    page.keyboard.press("Enter")
    page.keyboard.press("b")
    expect(page.locator(f'.stage:not([data-output="{first}"])')).to_be_visible()
    settled(page)
    (seen,) = sync(server, SLUG, "keys", path="open")["history"]
    assert (seen["output"], seen["answer"], seen["note"]) == (first, "fail", "says nothing new")
    assert sorted(seen["thumbs"].values()) == ["2", "pass"]
    page.keyboard.press(" ")
    settled(page)
    page.keyboard.press("u")
    settled(page)
    states = [each["state"] for each in sync(server, SLUG, "keys", path="open")["history"]]
    assert states == ["unsure", "skipped", "answered"]
    assert watched.wrong == []


def test_undo_shows_the_output_again_and_takes_its_thumbs_back(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, f"/p/{SLUG}/grade", person="undoer")
    page = watched.page
    stage(page).wait_for()
    settled(page)
    first = shown(page)
    page.keyboard.press("1")
    page.keyboard.press("g")
    settled(page)
    expect(page.locator(".stamp")).to_have_count(1)
    page.keyboard.press("z")
    expect(page.locator(f'.stage[data-output="{first}"]')).to_be_visible()
    settled(page)
    assert sync(server, SLUG, "undoer", path="open")["history"] == []
    page.keyboard.press("b")
    settled(page)
    (seen,) = sync(server, SLUG, "undoer", path="open")["history"]
    assert (seen["output"], seen["answer"], seen["thumbs"]) == (first, "fail", {})
    assert watched.wrong == []


def test_an_earlier_grade_is_changed_by_mouse(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, f"/p/{SLUG}/grade", person="changer")
    page = watched.page
    stage(page).wait_for()
    settled(page)
    first = shown(page)
    page.locator(".verdict .pass").click()
    settled(page)
    waiting = shown(page)
    page.locator(".stamp").first.click()
    expect(page.locator(".why")).to_contain_text("An earlier output")
    expect(page.locator(".verdict .pass")).to_have_attribute("aria-pressed", "true")
    page.locator(".verdict .fail").click()
    expect(page.locator(f'.stage[data-output="{waiting}"]')).to_be_visible()
    settled(page)
    (seen,) = sync(server, SLUG, "changer", path="open")["history"]
    assert (seen["output"], seen["answer"]) == (first, "fail")
    assert watched.wrong == []


def test_a_reload_keeps_the_output_and_the_grades(new_context: Contexts, server: Server) -> None:
    page = opened(new_context, server, f"/p/{SLUG}/grade", person="reloader").page
    stage(page).wait_for()
    settled(page)
    page.keyboard.press("g")
    settled(page)
    waiting = shown(page)
    page.reload()
    expect(page.locator(f'.stage[data-output="{waiting}"]')).to_be_visible()
    expect(page.locator(".stamp")).to_have_count(1)


def test_script_in_an_output_is_text(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, f"/p/{SLUG}/grade?output=1", person="reader")
    page = watched.page
    expect(page.get_by_role("region", name="The output")).to_contain_text("<b>not bold</b>")
    assert page.evaluate("window.hacked") is None
    assert watched.wrong == []


def test_grading_starts_without_a_criterion_and_one_is_written_on_the_way(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/fresh/grade", person="starter")
    page = watched.page
    stage(page).wait_for()
    settled(page)
    expect(page.get_by_text("No criteria yet")).to_be_visible()
    page.keyboard.press("g")
    settled(page)
    page.keyboard.press("c")
    page.get_by_role("textbox", name="Name", exact=True).fill("Short")
    page.get_by_label("Statement").fill("The reply has at most 40 words.")
    page.get_by_role("button", name="Add the criterion").click()
    expect(page.locator(".thumb-name")).to_have_text(["Short"])
    page.keyboard.press("c")
    page.get_by_role("textbox", name="Name", exact=True).fill("short")
    page.get_by_label("Statement").fill("Twice.")
    page.get_by_role("button", name="Add the criterion").click()
    expect(page.get_by_role("alert")).to_contain_text("'short' is taken")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator('.thumb[aria-pressed="true"]')).to_have_text(["✓"])
    assert watched.wrong == []


def test_grading_again_is_blind(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, f"/p/{SLUG}/grade", person="twice")
    page = watched.page
    stage(page).wait_for()
    settled(page)
    first = shown(page)
    page.keyboard.press("g")
    settled(page)
    page.get_by_label("What to grade next").select_option(label="Again, blind: overall (1)")
    expect(page.locator(f'.stage[data-output="{first}"]')).to_be_visible()
    expect(page.locator('.verdict [aria-pressed="true"]')).to_have_count(0)
    page.keyboard.press("b")
    expect(page.get_by_text("Nothing is left to grade again")).to_be_visible()
    page.get_by_label("What to grade next").select_option(label="New outputs")
    expect(page.locator(".verdict .pass")).to_be_visible()
    assert watched.wrong == []


def test_verdicts_are_hidden_until_asked_for(new_context: Contexts, server: Server) -> None:
    page = opened(new_context, server, "/p/judged/grade", person="curious").page
    stage(page).wait_for()
    settled(page)
    expect(page.locator(".verdicts")).to_be_hidden()
    page.keyboard.press("m")
    expect(page.locator(".verdicts")).to_contain_text("Scripted, by surface rules")
    page.keyboard.press("m")
    expect(page.locator(".verdicts")).to_be_hidden()


def test_a_criterion_is_written_reworded_and_dropped(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/fresh/judges", person="writer")
    page = watched.page
    page.get_by_role("button", name="Write one").click()
    expect(page.get_by_role("heading", name="New criterion")).to_be_visible()
    page.get_by_role("textbox", name="Name", exact=True).fill("True")
    page.get_by_label("Statement that an output satisfies or not").fill("Nothing in the reply is invented.")
    page.get_by_role("button", name="Add the criterion").click()
    expect(page.get_by_text("Version 1. Its source: person.")).to_be_visible()
    page.get_by_label("Statement that an output satisfies or not").fill("Every number is in the message.")
    page.get_by_label("Most good outputs that its judge may fail, %").fill("ten")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("limit: found 'ten'; expected a percentage")).to_be_visible()
    page.get_by_label("Most good outputs that its judge may fail, %").fill("10")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Version 2; grades from before version 2 are stale")).to_be_visible()
    page.get_by_role("button", name="Drop", exact=True).click()
    expect(page.get_by_text("Version 2; grades")).to_be_hidden()
    expect(page.get_by_role("row", name="True")).to_have_count(0)
    page.get_by_role("button", name="Dropped and merged").click()
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_text("Version 2; grades")).to_be_visible()
    expect(page.get_by_role("row", name="True")).to_have_count(1)
    expect(page.get_by_role("button", name="Dropped and merged")).to_be_hidden()
    page.get_by_role("button", name="Drop", exact=True).click()
    expect(page.get_by_role("row", name="True")).to_have_count(0)
    assert watched.wrong == []


def test_a_model_proposes_criteria_and_drafts_an_assertion_that_runs(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/fresh/judges", person="asker")
    page = watched.page
    expect(page.get_by_text("The scripted model answers")).to_be_visible()
    page.get_by_role("button", name="Ask a model").click()
    expect(page.get_by_text("Length: The output has at most 40 words.")).to_be_visible()
    page.get_by_role("button", name="Take it").first.click()
    expect(page.get_by_text("Version 1. Its source: model.")).to_be_visible()
    page.get_by_role("button", name="Add: Python assertion").click()
    page.get_by_role("button", name="Draft it with a model").click()
    expect(page.get_by_text("Drafted by the model")).to_be_visible()
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("40 outputs, on this machine.")).to_be_visible()
    page.get_by_role("button", name="Run it").click()
    n_long = sum(1 for i in range(40) if i % 3 == 0)
    told = f"Of 40 outputs: {40 - n_long} pass, {n_long} fail."
    expect(page.get_by_text(told)).to_be_visible()
    assert watched.wrong == []


def test_an_llm_grader_says_what_it_will_cost_and_what_it_said(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, f"/p/{SLUG}/judges", person="grader")
    page = watched.page
    page.get_by_role("row", name="Short").click()
    expect(page.get_by_text("Version 1. Its source: person.")).to_be_visible()
    page.get_by_role("button", name="Add: LLM grader").click()
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("40 outputs: 40 calls; about")).to_be_visible()
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("The run: 40 calls, 0 answers from the cache")).to_be_visible()
    page.get_by_role("button", name="Show what it said").click()
    expect(page.get_by_text("Scripted, by surface rules: counted").first).to_be_visible()
    assert watched.wrong == []


def test_code_that_does_not_compile_is_refused_in_words(new_context: Contexts, server: Server) -> None:
    page = opened(new_context, server, f"/p/{SLUG}/judges", person="coder").page
    page.get_by_role("button", name="Add: Python assertion").click()
    editor = page.locator(".ace_text-input")
    editor.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("def check(output)\n")
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("code, line 1")).to_be_visible()


def test_the_alignment_page_says_what_to_do_first(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/fresh/alignment", person="early")
    page = watched.page
    expect(page.locator("section.tile").first.locator("b")).to_have_text("unknown")
    expect(page.get_by_text("NaN")).to_have_count(0)
    assert watched.wrong == []


def test_the_report_has_n_and_interval_and_the_table_finds_disagreements(
    new_context: Contexts, server: Server
) -> None:
    grade_some(server, "judged", 20, lambda text: not (is_long(text) or has_placeholder(text)))
    watched = opened(new_context, server, "/p/judged/alignment", person="aligner")
    page = watched.page
    tile = page.locator("section.tile").first
    expect(tile).to_contain_text("95 % interval")
    expect(tile).to_contain_text("n = ")
    page.get_by_role("row", name="counts words").first.click()
    expect(page.get_by_text("You say bad")).to_be_visible()
    expect(page.get_by_text("Matthews correlation")).to_be_visible()
    page.get_by_role("combobox", name="Show").click()
    page.get_by_role("menuitem", name="Disagreements").click()
    rows = page.get_by_role("region", name="Outputs by judges").locator("tbody tr")
    expect(rows.first).to_contain_text("bad")
    rows.first.click()
    page.get_by_role("link", name="Open it on the Grade page").click()
    expect(page.get_by_role("region", name="The output")).to_contain_text("[Name]")
    assert watched.wrong == []


def test_the_smallest_set_or_why_there_is_none(new_context: Contexts, server: Server) -> None:
    grade_some(server, "judged", 12, lambda text: not (is_long(text) or has_placeholder(text)))
    page = opened(new_context, server, "/p/judged/alignment", person="chooser").page
    page.get_by_label("Coverage at least, %").fill("100")
    page.get_by_role("button", name="Find it").click()
    expect(page.get_by_text("There is no such set")).to_be_visible()
    page.get_by_label("Coverage at least, %").fill("1")
    page.get_by_role("button", name="Find it").click()
    expect(page.get_by_text("These counts chose the set, so they flatter it.")).to_be_visible()
    page.get_by_role("button", name="Use this set").click()
    expect(page.get_by_text("In use instead of one judge for each criterion")).to_be_visible()
    expect(page.get_by_text("The smallest set: 1 judge. Cross-validated")).to_be_visible()
    expect(page.get_by_role("region", name="Judges", exact=True)).to_contain_text("in the set")
    page.get_by_role("button", name="Back to one judge for each criterion").click()
    expect(page.get_by_text("1 chosen judge. Measured on the grades")).to_be_visible()


def test_a_project_of_the_other_kind_is_pointed_out(new_context: Contexts, server: Server) -> None:
    page = opened(new_context, server, f"/p/{SLUG}/label", person="lost").page
    expect(page.get_by_text("it has no labels, see its grading page")).to_be_visible()
    page.goto(f"{server.url}/p/{SLUG}")
    expect(page).to_have_url(f"{server.url}/p/{SLUG}/grade")


def test_graders_can_be_measured_on_the_calibration_page(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/fresh/calibration", person="early")
    page = watched.page
    expect(page.get_by_text("Nothing to measure yet")).to_be_visible()
    expect(page.get_by_role("link", name="Go to the judges")).to_be_visible()
    assert watched.wrong == []
    grade_some(server, "stated", 36, lambda text: not is_long(text))
    watched = opened(new_context, server, "/p/stated/alignment", person="measurer")
    page = watched.page
    page.get_by_role("link", name="Calibration").click()
    expect(page.get_by_text("outputs drawn for grading")).to_be_visible()
    measure = page.get_by_role("button", name="Measure", exact=True)
    expect(measure).to_be_enabled()
    assert watched.wrong == []
