"""Classes and guidelines on the Label page: written before or between answers, never taken away by a late answer."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Route, expect

from conftest import OpenLabelling, Server


def test_classes_are_edited_and_answers_carried_along(own_server: Server, labelling: OpenLabelling) -> None:
    label = labelling("mail", at=own_server).wait()
    label.press("1", "2")
    label.page.get_by_role("button", name="Edit classes").click()
    sheet = label.page.get_by_role("dialog", name="Question and classes")
    sheet.get_by_label("Name of a new class").fill("question")
    sheet.get_by_role("button", name="Add").click()
    sheet.get_by_label("Name of praise").fill("thanks")
    label.press("Tab")
    expect(sheet.get_by_label("Name of thanks")).to_be_visible()
    sheet.get_by_label("Name of a new class").fill("complaint")
    sheet.get_by_role("button", name="Add").click()
    expect(sheet.get_by_role("alert")).to_contain_text("is taken by 'complaint'")
    sheet.get_by_label("Merge complaint into another class").select_option("question")
    sheet.get_by_role("button", name="Merge", exact=True).click()
    sheet.get_by_text("History of changes").click()
    expect(sheet.locator(".changes")).to_contain_text("merged class 'complaint' into 'question'")
    label.press("Escape")
    expect(label.page.locator(".answer")).to_have_count(2)
    expect(label.stamps.nth(0)).to_contain_text("question")
    expect(label.stamps.nth(1)).to_contain_text("thanks")


def test_order_colour_key_and_words_of_a_class_are_edited(
    own_server: Server, labelling: OpenLabelling
) -> None:
    label = labelling("mail", at=own_server).wait()
    answers = label.page.locator(".answer")
    expect(answers).to_contain_text(["praise", "complaint"])
    label.page.get_by_role("button", name="Edit classes").click()
    sheet = label.page.get_by_role("dialog", name="Question and classes")
    expect(sheet.get_by_role("button", name="Move complaint down")).to_be_disabled()
    sheet.get_by_role("button", name="Move complaint up").click()
    expect(sheet.get_by_role("button", name="Move complaint up")).to_be_disabled()
    sheet.get_by_label("Colour of complaint").fill("#0a7d3c")
    sheet.get_by_label("Key of complaint").fill("c")
    sheet.get_by_label("Description of complaint").fill("Something <b>went</b> wrong")
    label.press("Tab")
    sheet.get_by_label("Key of praise").fill("c")
    label.press("Tab")
    expect(sheet.get_by_role("alert")).to_contain_text("'c'")
    sheet.get_by_text("History of changes").click()
    expect(sheet.locator(".changes li")).to_have_count(7)  # created, two classes added, four edits
    label.press("Escape")
    expect(answers).to_contain_text(["complaint", "praise"])
    edited = own_server.opened("mail", "checker")["question"]["classes"][0]
    words = "Something <b>went</b> wrong"
    assert (edited["name"], edited["color"], edited["own_key"]) == ("complaint", "#0a7d3c", "c")
    assert edited["description"] == words
    assert answers.first.evaluate("e => getComputedStyle(e).getPropertyValue('--class').trim()") == "#0a7d3c"
    label.press("c", "h")
    expect(label.page.locator(".guideline", has_text="complaint: ")).to_contain_text(words)
    label.settle()
    assert label.history()[0]["class_id"] == edited["id"]
    label.page.reload()
    expect(label.wait().page.locator(".answer kbd").first).to_have_text("c")


def test_without_classes_the_page_asks_for_them(own_server: Server, labelling: OpenLabelling) -> None:
    label = labelling("bare", at=own_server)
    expect(label.page.get_by_text("Which answers are possible?")).to_be_visible()
    for name in ("good", "bad"):
        label.page.get_by_label("Name of a new class").fill(name)
        label.press("Enter")
        expect(label.page.get_by_label(f"Name of {name}")).to_be_visible()
    label.page.get_by_role("button", name="Start labelling").click()
    expect(label.page.locator(".item")).to_contain_text("short text number")
    label.press("1", "2", "1")
    expect(label.page.get_by_text("All done")).to_be_visible()
    label.settle()
    assert len(label.history()) == 3


def test_an_answer_that_was_overtaken_takes_no_class_away(
    own_server: Server, labelling: OpenLabelling
) -> None:
    label = labelling("bare", at=own_server)
    stale: list[Any] = []
    for name in ("good", "bad"):
        with label.page.expect_response("**/label/classes") as edited:
            label.page.get_by_label("Name of a new class").fill(name)
            label.press("Enter")
        stale.append(edited.value.json())
    label.page.get_by_role("button", name="Start labelling").click()
    expect(label.page.locator(".item")).to_contain_text("short text number")

    def late(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "question": stale[0]})

    label.page.route("**/label/sync", late)
    label.press("1")
    label.settle()
    label.press("2", "1")
    label.settle()
    names = own_server.names("bare")
    assert [names[row["class_id"]] for row in label.history()] == ["good", "bad", "good"]


def test_guidelines_and_the_list_of_keys(own_server: Server, labelling: OpenLabelling) -> None:
    label = labelling(at=own_server).wait()
    label.press("h")
    label.page.get_by_role("button", name="Edit guidelines").click()
    label.page.get_by_role("textbox", name="Guidelines").fill("A seven has a bar.")
    label.page.get_by_role("button", name="Save").click()
    expect(label.page.locator(".guideline")).to_have_text("A seven has a bar.")
    label.press("?")
    expect(label.page.get_by_role("dialog", name="Keys")).to_contain_text("undo your last answer")
    label.press("Escape", "h")
    expect(label.page.get_by_text("1,797 answered")).to_be_visible()
