"""Pace and stopping as people see them: reasons in words, figures with n, a target that can be chosen."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from pages import answer_digits, open_page
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """The module's server once 90 digits were answered through it."""
    answer_digits(server, 90)
    return server


def choose(page: Page, present: str, words: str) -> None:
    """In the choice that shows `present`."""
    page.get_by_role("combobox").filter(has_text=re.compile(f"^{present}$")).click()
    page.get_by_role("menuitem", name=words, exact=True).click()


def set_state(server: Server, **state: Any) -> None:
    """What the digits' pace is, as a round would leave it."""
    with closing(sqlite3.connect(server.workspace / "plumbline.db", timeout=30)) as database:
        (text,) = database.execute("SELECT settings FROM projects WHERE slug = 'digits'").fetchone()
        settings = json.dumps({**json.loads(text), "pace_state": state})
        database.execute("UPDATE projects SET settings = ? WHERE slug = 'digits'", (settings,))
        database.commit()


@pytest.mark.parametrize(
    ("state", "shown", "pace"),
    [
        ({"mode": "stopped", "reason": "9 are right only without them"}, "Switched off by itself", ""),
        ({"mode": "on", "reason": "Pseudo-labels wait", "held_out": [[0, 5]]}, "On: the model learns", ""),
        (
            {
                "mode": "on",
                "reason": "The pace is frozen: 80%",
                "frozen": True,
                "lam": {"c1": 0.1},
                "round": 7,
            },
            "On: the model learns",
            "round 7; a probability of 90.5 %, by class, frozen",
        ),
    ],
)
def test_the_pace_says_its_state_and_why(
    new_context: Contexts, taught: Server, state: dict[str, Any], shown: str, pace: str
) -> None:
    set_state(taught, **state)
    watched = open_page(new_context, taught, "/p/digits/review")
    page = watched.page
    expect(page.get_by_text(re.compile(shown)).first).to_be_visible()
    expect(page.get_by_text(state["reason"])).to_be_visible()
    expect(page.get_by_text(pace or "where it starts: a probability of 95 %")).to_be_visible()
    if state["mode"] == "on":
        expect(page.get_by_role("button", name="Stop, and take all back")).to_be_visible()
    expect(page.locator(".bk-Figure canvas").first).to_be_attached()  # precision over versions
    assert watched.wrong == []


def test_the_signs_for_stopping_follow_the_target(new_context: Contexts, taught: Server) -> None:
    watched = open_page(new_context, taught, "/p/digits/model")
    page = watched.page
    expect(page.get_by_text("Is it time to stop?")).to_be_visible()
    table = page.get_by_role("table").filter(has_text="Held against")
    expect(table.get_by_role("row")).not_to_have_count(0)
    expect(table).to_contain_text(re.compile(r"n = \d+"))
    before = table.inner_text()
    choose(page, r"\d\d\.\d %", "70.0 %")
    expect(table).to_contain_text("70.0 %")
    assert table.inner_text() != before
    assert watched.wrong == []
