"""The Alignment page in a real browser: systems compared, judges swapped, grades still needed, every filter."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import pytest
from grading import has_placeholder, is_long, opened, pick, serving, write_outputs
from playwright.sync_api import BrowserContext, Locator, Page, expect

from conftest import Server
from plumbline_backend.grading import GradingProject
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

Contexts = Callable[..., BrowserContext]
N_GRADED = 20
SHORT = "def check(output, context):\n    return len(output.split()) <= 40\n"
LENIENT = "def check(output, context):\n    return len(output.split()) <= 400\n"
FILLED = "def check(output, context):\n    return '[Name]' not in output\n"
BREAKS = "def check(output, context):\n    if '<img' in output:\n        raise ValueError('markup')\n    return True\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two systems, two criteria with two judges each, 20 grades as drawn; and a project whose graders quarrel."""
    folder = tmp_path_factory.mktemp("alignment")
    write_outputs(folder / "outputs.jsonl", systems="ab")
    with open_workspace(folder / "workspace", executor=InlineExecutor()) as workspace:
        project = workspace.import_outputs(folder / "outputs.jsonl", "compared")
        judges = {
            "Short": {"counts words": SHORT, "lenient": LENIENT},
            "Filled in": {"no gap": FILLED, "breaks": BREAKS},
        }
        for name, codes in judges.items():
            criterion = project.add_criterion(name, f"The reply is {name.lower()}.", by="test")
            for judge, code in codes.items():
                added = project.add_judge(criterion.id, "assertion", judge, {"code": code})
                project.wait(project.run_judge(added.id))
        grade_as_drawn(project)
        quarrel = workspace.import_outputs(folder / "outputs.jsonl", "quarrel")
        judge = quarrel.add_judge(None, "assertion", "any", {"code": SHORT})
        quarrel.wait(quarrel.run_judge(judge.id))
        for output in range(12):
            for person, answer in (
                ("ada", "pass" if output % 2 else "fail"),
                ("bob", "fail" if output % 2 else "pass"),
            ):
                quarrel.grade(
                    output=output, grader=quarrel.grader(person), client_uuid=uuid.uuid4().hex, answer=answer
                )
    with serving(folder / "workspace") as running:
        yield running


def grade_as_drawn(project: GradingProject) -> None:
    """What is too long or has a gap is bad."""
    ada = project.grader("ada")
    for _ in range(N_GRADED):
        ask = project.next_output(ada)
        assert ask is not None
        text = project.output(ask.output).response
        answer = "fail" if is_long(text) or has_placeholder(text) else "pass"
        project.grade(
            output=ask.output, grader=ada, client_uuid=uuid.uuid4().hex, answer=answer, query_id=ask.query_id
        )


def table(page: Page, name: str) -> Locator:
    """The rows of a table."""
    return page.get_by_role("region", name=name, exact=True).locator("tbody tr")


def test_systems_stand_side_by_side_with_intervals_and_one_order(
    new_context: Contexts, server: Server
) -> None:
    """Of a's 20 outputs those with i % 3 == 0 are long: 0, 6, .. 36 are 7; of b's 3, 9, .. 39 are 7."""
    watched = opened(new_context, server, "/p/compared/alignment", person="ada")
    page = watched.page
    systems = table(page, "Systems")
    expect(systems).to_have_count(2)
    expect(systems.nth(0)).to_contain_text("1 (between 1 and 2)")
    expect(systems.nth(0)).to_contain_text("20")
    rates = table(page, "Pass rates by criterion")
    expect(rates.filter(has_text="Short")).to_have_count(2)
    for row in rates.filter(has_text="Short").all():
        expect(row).to_contain_text("65 %")  # 13 of 20
    expect(page.get_by_text("Places: Kemeny, over 2 criteria with a judge.")).to_be_visible()
    assert watched.wrong == []


def test_the_open_judge_has_its_confusion_matrix_and_coefficients(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/compared/alignment", person="ada")
    page = watched.page
    table(page, "Judges").filter(has_text="counts words").click()
    matrix = table(page, "Confusion matrix of counts words")
    expect(matrix.nth(0)).to_have_text(re.compile(r"You say bad[1-9]\d*"))
    expect(matrix.nth(1)).to_have_text(re.compile(r"You say good0([1-9]\d*)\1$"))  # what it fails is bad
    for name in (
        "Good outputs passed (TPR)",
        "Bad outputs failed (TNR)",
        "Matthews correlation",
        "Cohen's kappa",
    ):
        expect(page.get_by_text(name)).to_be_visible()
    coefficient = re.compile(rf"^\d\.\d\d \(\d\.\d\d to \d\.\d\d\), n = {N_GRADED}$")
    expect(page.get_by_text(coefficient)).to_have_count(2)
    assert watched.wrong == []


def test_another_judge_is_put_in_and_figures_and_grades_needed_follow(
    new_context: Contexts, server: Server
) -> None:
    watched = opened(new_context, server, "/p/compared/alignment", person="ada")
    page = watched.page
    row = table(page, "Judges").filter(has_text="counts words")
    expect(row).to_contain_text("best")
    coverage = page.locator("section.tile").first.locator("b")
    before = coverage.inner_text()
    table(page, "Judges").filter(has_text="lenient").click()
    page.get_by_role("button", name="Use this one for the criterion").click()
    expect(table(page, "Judges").filter(has_text="lenient")).to_contain_text("by hand")
    expect(coverage).not_to_have_text(before)  # nothing too long is failed any more
    page.get_by_text("About 4 more grades until").wait_for()
    pick(page, "Interval wanted", "±5 points")
    expect(page).to_have_url(f"{server.url}/p/compared/alignment?width=10")
    page.get_by_text("About 14 more grades until").wait_for()
    page.reload()
    page.get_by_text("About 14 more grades until").wait_for()
    table(page, "Judges").filter(has_text="lenient").click()
    page.get_by_role("button", name="Let the best be chosen").click()
    expect(table(page, "Judges").filter(has_text="counts words")).to_contain_text("best")
    expect(coverage).to_have_text(before)
    page.get_by_text("It is wider than that only by the doubt about the choice").wait_for()
    pick(page, "Interval wanted", "±10 points")
    page.get_by_text("as narrow as that already").wait_for()
    assert watched.wrong == []


def test_every_filter_lists_what_it_says(new_context: Contexts, server: Server) -> None:
    """14 are long, 8 have a gap, 3 both: the lenient judges differ from the others on 19; one output breaks a judge."""
    watched = opened(new_context, server, "/p/compared/alignment", person="ada")
    page = watched.page
    listed = page.get_by_text(" outputs.", exact=False)
    for option, n in [
        ("Judges that differ among themselves", 19),
        ("Errors", 1),
        ("Graded", N_GRADED),
        ("Not graded", 40 - N_GRADED),
        ("Disagreements", 0),
        ("All outputs", 40),
    ]:
        pick(page, "Show", option)
        expect(listed.filter(has_text=f"{n} outputs.").first).to_be_visible()
        expect(table(page, "Outputs by judges")).to_have_count(n)
    pick(page, "Show", "Disagreements")
    expect(page.get_by_text("No output is like that.")).to_be_visible()
    pick(page, "Show", "Errors")
    table(page, "Outputs by judges").first.click()
    expect(page.get_by_text("Filled in, breaks: error. ValueError: markup")).to_be_visible()
    assert watched.wrong == []


def test_grades_that_nobody_agrees_on_are_not_alignable(new_context: Contexts, server: Server) -> None:
    watched = opened(new_context, server, "/p/quarrel/alignment", person="ada")
    page = watched.page
    table(page, "Judges").filter(has_text="any").click()
    expect(page.get_by_text("not alignable: graders do not agree with each other")).to_be_visible()
    expect(page.get_by_text("NaN")).to_have_count(0)
    assert watched.wrong == []
