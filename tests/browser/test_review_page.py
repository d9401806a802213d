"""The Review page in a real browser: accept and refuse by keys, undo as one, look again, new classes, the pace."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pages import answer_digits, open_page
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """The module's server once 120 digits were answered through it.

    With this penalty the held-out labels are predicted no worse with pseudo-labels, so that the pace takes some.
    """
    server.ask("/api/v1/projects/digits/head", {"head": "linear_softmax", "settings": {"l2": 1.0}})
    answer_digits(server, 120)
    return server


def opened(new_context: Contexts, server: Server) -> Page:
    page = open_page(new_context, server, "/p/digits/review").page
    expect(page.get_by_role("group", name="Proposals")).to_be_visible()
    return page


def tiles(page: Page, name: str = "Proposals") -> list[int]:
    """Items in the group, read at once: tiles may be drawn anew meanwhile."""
    found = page.get_by_role("group", name=name).locator(".tile")
    return found.evaluate_all("tiles => tiles.map((tile) => Number(tile.dataset.item))")


def said_of(server: Server, item: int) -> list[str]:
    """States of the answers to an item that are in force."""
    rows = server.ask(f"/api/v1/projects/digits/judgements?item={item}&limit=1000")["judgements"]
    return [row["state"] for row in rows if row["in_force"]]


def test_before_a_model_the_page_says_what_to_do(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/wine/review")
    page = watched.page
    expect(page.get_by_text("No model yet")).to_be_visible()
    expect(page.get_by_text("Nothing to look at again")).to_be_visible()
    expect(page.get_by_role("button", name="Suggest classes")).to_be_disabled()
    expect(page.get_by_text("unknown: no proposal has been checked yet")).to_be_visible()
    assert watched.wrong == []


def test_accept_all_but_one_by_keys_and_undo_it_as_one(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught)
    shown = tiles(page)
    assert len(shown) > 5
    first = page.get_by_role("group", name="Proposals").locator(".tile").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator(".tile.marked")).to_have_attribute("data-item", str(shown[1]))
    page.keyboard.press("a")
    accepted = page.get_by_text(re.compile(rf"^{len(shown) - 1} accepted as '.*', 1 refused\.$"))
    expect(accepted).to_be_visible()
    proposals = page.get_by_role("group", name="Proposals")
    for item in shown:
        expect(proposals.locator(f".tile[data-item='{item}']")).to_have_count(0)
    assert [said_of(taught, item) for item in shown[:3]] == [["answered"], ["skipped"], ["answered"]]
    page.keyboard.press("z")
    expect(page.get_by_text(f"({len(shown)} judgements revoked)")).to_be_visible()
    expect(proposals.locator(".tile").first).to_be_visible()
    assert [said_of(taught, item) for item in shown] == [[] for _ in shown]


def test_a_refused_proposal_waits_for_its_class(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught)
    item = tiles(page)[0]
    page.get_by_role("group", name="Proposals").locator(".tile").first.click()
    page.get_by_role("button", name="Accept all shown").click()
    expect(page.get_by_text("1 refused.")).to_be_visible()
    page.reload()
    again = page.get_by_role("group", name="Labels to look at again").locator(f".tile[data-item='{item}']")
    expect(again).to_be_visible()
    again.focus()
    page.keyboard.press("7")
    expect(page.get_by_text(re.compile("is '7' now"))).to_be_visible()
    expect(again).to_have_class(re.compile("done"))
    assert next(h for h in taught.history("digits", "reader") if h["item"] == item)["class_id"]


def test_enter_opens_the_item(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught)
    page.get_by_role("group", name="Proposals").locator(".tile").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("of 1,797")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("of 1,797")).to_have_count(0)


def test_unclear_items_are_clustered_and_named(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught)
    page.get_by_role("button", name="Suggest classes").click()
    expect(page.get_by_text(re.compile(r"Mean silhouette by number of clusters"))).to_be_visible()
    name = page.get_by_label("Name of the class").first
    name.fill("7")
    name.press("Enter")
    page.get_by_role("button", name=re.compile("Make a class of these")).first.click()
    expect(page.get_by_text("is taken by '7'")).to_be_visible()
    name.fill("smudge")
    name.press("Enter")
    page.get_by_role("button", name=re.compile("Make a class of these")).first.click()
    expect(page.get_by_text(re.compile("Class 'smudge' made of"))).to_be_visible()
    assert "smudge" in taught.names("digits").values()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(re.compile("Taken back: class 'smudge'"))).to_be_visible()


def test_the_pace_is_switched_on_and_taken_back(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught)
    page.get_by_role("button", name="Learn from proposals").click()
    expect(page.get_by_text("On: the model learns from its surest proposals too")).to_be_visible()
    answer_digits(taught, 50)  # one ask in ten is a blind check, at a place in each ten that is drawn
    page.reload()
    taken_or_why_not = re.compile(
        r"[1-9][\d,]* of the pace|Pseudo-labels wait: of your own labels, held out in turn"
    )
    expect(page.get_by_text(taken_or_why_not).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"n = \d+ blind checks"))).to_be_visible()
    page.get_by_role("button", name="Stop, and take all back").click()
    expect(page.get_by_text(re.compile(r"^0 of the pace"))).to_be_visible()
    expect(page.get_by_text("Off: the model learns from people only")).to_be_visible()
