"""Labelling as people do it: keys, mistakes, second thoughts, two tabs, and a server that dies in between."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from pages import answer_digits
from playwright.sync_api import BrowserContext, expect

from conftest import OpenLabelling, Server, person_context

FOCUSED = """
() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return `${element?.className || element?.tagName} ${element?.textContent.trim().slice(0, 20)}`;
}
"""
"""Class and words of what has the keyboard's focus, through shadow roots."""


def test_a_key_answers_and_the_next_item_is_there_at_once(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    first = label.item
    label.press("7")
    assert label.item != first
    label.settle()
    (row,) = label.history()
    assert (row["item"], row["state"]) == (first, "answered")
    assert label.server.names("digits")[row["class_id"]] == "7"


def test_every_answer_of_a_fast_typist_is_kept_once_and_in_order(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    items, keys = [], "3141592653589793238"
    for key in keys:
        expect(label.stage).not_to_have_attribute(
            "data-item", ""
        )  # faster than any person: the queue may run dry
        items.append(label.item)
        label.press(key)
    label.settle()
    rows = label.history()
    names = label.server.names("digits")
    assert [row["item"] for row in reversed(rows)] == items
    assert "".join(names[row["class_id"]] for row in reversed(rows)) == keys
    assert len(set(items)) == len(items)


def test_skip_unsure_and_flag_are_states_and_a_note_goes_with_its_answer(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    label.press("Space", "u", "f", "n")
    label.page.keyboard.type("looks like a 1 or a 7 - u z f")
    label.press("Enter", "1")
    label.settle()
    rows = label.history()
    assert [row["state"] for row in rows] == ["answered", "flagged", "unsure", "skipped"]
    assert [row["note"] for row in rows] == ["looks like a 1 or a 7 - u z f", "", "", ""]
    assert [row["class_id"] is None for row in rows] == [False, True, True, True]


def test_a_double_click_is_one_answer_and_two_clicks_are_two(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    first = label.item
    label.page.locator(".answer").first.dblclick()
    label.settle()
    assert [row["item"] for row in label.history()] == [first]
    second = label.item
    assert second != first
    for _ in range(2):
        label.page.locator(".answer").first.click()
        label.page.wait_for_timeout(400)
    label.settle()
    assert len(label.history()) == 3


def test_undo_brings_the_item_back(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    first = label.item
    label.press("1")
    second = label.item
    label.press("z")
    assert label.item == first
    expect(label.stamps).to_have_count(0)
    label.settle()
    assert label.history() == []
    label.press("2")
    assert label.item == second
    label.settle()
    assert [row["item"] for row in label.history()] == [first]


def test_an_earlier_answer_can_be_looked_at_and_changed(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    first = label.item
    label.press("1", "2", "3")
    waiting = label.item
    label.settle()
    label.stamps.nth(2).click()
    assert label.item == first
    expect(label.page.locator(".answer[aria-pressed]")).to_contain_text("1")
    label.press("Escape")
    assert label.item == waiting
    label.stamps.nth(2).click()
    label.press("8")
    assert label.item == waiting
    label.settle()
    names = label.server.names("digits")
    said = {row["item"]: names[row["class_id"]] for row in label.history()}
    assert said[first] == "8"
    assert len(said) == 3
    label.press("z")  # takes the change back, not the first answer
    label.settle()
    assert {row["item"]: names[row["class_id"]] for row in label.history()}[first] == "1"


def test_a_refresh_keeps_the_item_and_the_history(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    label.press("4", "5", "6")
    label.settle()
    item = label.item
    label.page.reload()
    label.wait()
    assert label.item == item
    expect(label.stamps).to_have_count(3)
    expect(label.stamps.first).to_contain_text("6")


def test_two_tabs_and_two_people_are_asked_different_items(labelling: OpenLabelling) -> None:
    one = labelling(person="anna").wait()
    two = labelling(person="anna", context=one.page.context).wait()
    three = labelling(person="bert").wait()
    seen = []
    for key in "12345":
        for label in (one, two, three):
            seen.append(label.item)
            label.press(key)
    for label in (one, two, three):
        label.settle()
    assert len(set(seen)) == 15
    assert len(one.history()) == 10
    assert len(three.history()) == 5


def test_script_in_the_data_is_shown_as_text(labelling: OpenLabelling) -> None:
    label = labelling("mail", person='<img src=x onerror="window.hacked=true">').wait()
    expect(label.page.locator(".text")).to_contain_text("<script>window.hacked = true</script>")
    expect(label.page.locator(".text")).to_contain_text("<b>not bold</b>")
    label.press("n")
    label.page.keyboard.type("<script>window.hacked=true</script>")
    label.press("Enter", "1", "2")
    label.settle()
    label.page.reload()
    label.wait()
    assert label.page.evaluate("window.hacked") is None
    assert label.page.locator(".text b").count() == 0


def test_nothing_moves_under_the_cursor(labelling: OpenLabelling) -> None:
    label = labelling("mail").wait()
    boxes = lambda: [b.bounding_box() for b in label.page.locator(".answer, .key-button, .stage").all()]  # noqa: E731
    before = boxes()
    label.press("1", "Space", "u")
    label.settle()
    assert boxes() == before
    label.press("h")
    assert boxes() == before


def test_keys_alone_reach_everything(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    reached = set()
    for _ in range(60):
        label.press("Tab")
        reached.add(label.page.evaluate(FOCUSED))
    words = " ".join(reached)
    for part in (
        "Skip",
        "Undo",
        "Note",
        "Edit classes",
        "Guidelines",
        "answer",
        "Data",
        "pl-person",
        "pl-icon",
    ):
        assert part in words, part
    first = label.item
    label.page.locator(".answer").nth(3).focus()
    label.press("Enter")
    assert label.item != first
    label.settle()
    assert label.server.names("digits")[label.history()[0]["class_id"]] == "3"


def test_typing_into_a_field_answers_nothing(labelling: OpenLabelling) -> None:
    label = labelling("many").wait()
    item = label.item
    label.press("/")
    label.page.keyboard.type("topic 3")
    expect(label.page.locator(".answer:visible")).to_have_count(10)
    assert label.item == item
    label.press("Enter")
    assert label.item != item
    label.settle()
    assert label.server.names("many")[label.history()[0]["class_id"]] == "topic 30"


def test_keys_held_down_or_with_control_answer_nothing_more(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    item = label.item
    label.press("Control+1", "Alt+2")
    assert label.item == item
    label.page.keyboard.down("3")
    label.page.keyboard.down("3")
    label.page.keyboard.down("3")
    label.page.keyboard.up("3")
    label.settle()
    assert len(label.history()) == 1


def test_when_nothing_is_left_the_page_says_what_to_do(own_server: Server, labelling: OpenLabelling) -> None:
    label = labelling("tiny", at=own_server).wait()
    label.press("1", "Space", "2")
    expect(label.page.get_by_text("Nothing is left to ask you")).to_be_visible()
    expect(label.page.get_by_role("link", name="Export labels and classifier")).to_be_visible()
    label.press("1", "z")
    expect(label.page.locator(".item")).to_contain_text("short text number")
    label.press("1")
    label.settle()
    assert [row["state"] for row in label.history()] == ["answered", "skipped", "answered"]


def test_a_person_chooses_columns_and_they_are_remembered(labelling: OpenLabelling) -> None:
    label = labelling("wine").wait()
    expect(label.page.locator(".scatter canvas")).to_be_visible()
    label.page.get_by_role("button", name="Columns …", exact=True).click()
    sheet = label.page.get_by_role("dialog", name="Columns")
    for box in sheet.get_by_role("checkbox").all():
        box.set_checked(False)
    sheet.get_by_label("hue").check()
    sheet.get_by_label("Across").select_option("hue")
    sheet.get_by_role("button", name="Show these").click()
    expect(label.page.locator(".cell .name")).to_have_text(["hue"])
    label.page.reload()
    label.wait()
    expect(label.page.locator(".cell .name")).to_have_text(["hue"])
    expect(label.page.locator(".scatter canvas")).to_have_attribute("data-x", "hue")
    other = labelling("wine", person="somebody else").wait()
    assert other.page.locator(".cell").count() > 1


def test_the_model_learns_and_its_opinion_is_hidden_until_asked_for(
    own_server: Server, labelling: OpenLabelling
) -> None:
    label = labelling("wine", at=own_server).wait()
    label.press(*"012012012012")
    expect(label.page.locator(".model")).to_contain_text("Version")
    assert label.page.locator(".proba").all_inner_texts() == ["", "", ""]
    label.press("m")
    expect(label.page.locator(".with-opinion .likeliest .proba")).to_contain_text("%")
    label.press("1")
    assert label.page.locator(".proba").all_inner_texts() == ["", "", ""]
    expect(label.page.locator(".accuracy")).to_contain_text("of 20")


def test_a_figure_comes_with_its_n_and_stale_scores_are_marked(
    own_server: Server, labelling: OpenLabelling
) -> None:
    own_server.stop()
    (own_server.workspace / "config.toml").write_text("calibrate_from = 5\n")
    own_server.start()
    answer_digits(own_server, 40)
    label = labelling(at=own_server).wait()
    expect(label.page.locator(".accuracy")).to_contain_text("4 of 5")
    answer_digits(own_server, 20)
    value, low, high, n = own_server.opened("digits", "checker")["status"]["accuracy"]
    assert n == 6
    percents = [f"{100 * share:.{int(not 0.005 <= share <= 0.995)}f} %" for share in (value, low, high)]
    shown = label.page.locator(".accuracy")
    expect(shown).to_contain_text(f"on {n} random items")
    expect(shown).to_contain_text(f"{percents[0]}  {percents[1]} to {percents[2]}")
    model = label.page.locator(".model")
    expect(model).to_contain_text("up to date")
    label.press("1")
    expect(model).to_contain_text("1 newer answer not in it yet")
    expect(model).to_contain_text("up to date")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_dies_loses_nothing_and_the_page_recovers(
    own_server: Server, labelling: OpenLabelling, how: signal.Signals
) -> None:
    label = labelling(at=own_server).wait()
    label.press("1", "2", "3")
    label.settle()
    served_by = label.page.evaluate("document.body.dataset.instance")
    own_server.stop(how)
    label.press("4", "5", "Space", "z", "6")
    expect(label.saved).to_contain_text("not saved yet, retrying")
    expect(label.stamps.first).to_have_class("stamp retrying answered")
    own_server.start()
    label.page.wait_for_function(
        "old => document.body && document.body.dataset.instance && document.body.dataset.instance !== old",
        arg=served_by,
    )
    label.wait()
    names = own_server.names("digits")
    rows = label.history()
    assert [names[row["class_id"]] for row in reversed(rows)] == list("123456")
    assert len({row["item"] for row in rows}) == 6


def test_what_was_not_saved_survives_a_reload(own_server: Server, labelling: OpenLabelling) -> None:
    label = labelling(at=own_server).wait()
    label.page.route("**/label/sync", lambda route: route.abort())
    label.press("1", "2")
    expect(label.saved).to_contain_text("2 not saved yet")
    label.page.unroute("**/label/sync")
    label.page.reload()
    label.wait()
    assert len(label.history()) == 2
    expect(label.stamps).to_have_count(2)


def test_dark_is_remembered(labelling: OpenLabelling, server: Server) -> None:
    label = labelling().wait()
    light = label.page.evaluate("getComputedStyle(document.body).backgroundColor")
    label.page.get_by_role("button", name="Switch between light and dark").click()
    assert label.page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    label.page.goto(f"{server.url}/")
    assert label.page.locator("html").get_attribute("data-theme") == "dark"


def test_a_person_takes_a_name(labelling: OpenLabelling) -> None:
    label = labelling().wait()
    label.page.get_by_title("Who is answering").click()
    label.page.get_by_label("Name", exact=True).fill("Zoë Ωmega")
    label.press("Enter")
    expect(label.page.locator(".pl-name")).to_have_text("Zoë Ωmega")
    label.wait()
    label.press("5")
    label.settle()
    assert len(label.server.history("digits", "Zoë Ωmega")) == 1


def test_no_request_leaves_the_host(new_context: Callable[..., BrowserContext], server: Server) -> None:
    context = person_context(new_context, server, "me")
    asked: list[str] = []
    errors: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    pages = [f"/p/wine/{name}" for name in ("data", "label", "model", "export")]
    for path in ("/", "/import", "/p/digits/label", "/p/nothing/label", *pages):
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
    assert asked
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert errors == []


def test_an_unknown_project_is_told_in_words(
    new_context: Callable[..., BrowserContext], server: Server
) -> None:
    page = person_context(new_context, server, "me").new_page()
    page.goto(f"{server.url}/p/digit/label")
    expect(page.get_by_text("There is no such project")).to_be_visible()
    expect(page.get_by_text("did you mean 'digits'")).to_be_visible()


def test_touch_answers_and_buttons_are_large_enough(labelling: OpenLabelling) -> None:
    label = labelling(has_touch=True).wait()
    label.page.set_viewport_size({"width": 1024, "height": 768})
    for button in label.page.locator(".answer, .key-button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
        assert box["y"] + box["height"] <= 768
    first = label.item
    label.page.locator(".answer").nth(2).tap()
    assert label.item != first
    label.press("Space")
    label.settle()
    assert [row["state"] for row in label.history()] == ["skipped", "answered"]
