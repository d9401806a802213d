"""The Simulate page in a real browser: what it offers, a run to its end, and one that is stopped."""

from __future__ import annotations

from collections.abc import Callable

from pages import open_page
from playwright.sync_api import BrowserContext, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]
DONE_WITHIN_MS = 180_000


def test_strategies_are_tried_on_known_answers(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/wine/simulate")
    page = watched.page
    expect(page.get_by_text("Nothing simulated yet")).to_be_visible()
    expect(page.get_by_text("This project's known answers")).to_be_visible()
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_text("Labels needed")).to_be_visible(timeout=DONE_WITHIN_MS)
    table = page.get_by_role("table")
    for name in ("random", "margin", "typical then margin"):
        expect(table.get_by_text(name, exact=True)).to_be_visible()
    expect(page.get_by_text("10 first labels, batches of 5, at most 100 labels")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Labels needed")).to_be_visible()
    assert watched.wrong == []


def test_a_run_can_be_stopped(new_context: Contexts, server: Server) -> None:
    page = open_page(new_context, server, "/p/digits/simulate").page
    page.get_by_role("button", name="Simulate").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("cancelled")).to_be_visible()
