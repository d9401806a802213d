"""A grading project for the browser tests: small outputs with faults that a rule can see, and a scripted model."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pages import Watched
from playwright.sync_api import BrowserContext, Page

from conftest import Server, person_context

PROMPT = "Answer the customer's {message} for {shop} in at most 40 words. Invent nothing."
N_OUTPUTS = 40
SLUG = "replies"


def is_long(text: str) -> bool:
    """The first fault."""
    return len(text.split()) > 40


def has_placeholder(text: str) -> bool:
    """The second fault."""
    return "[Name]" in text


def opened(
    new_context: Callable[..., BrowserContext], server: Server, path: str, person: str, **options: Any
) -> Watched:
    """A page of the server for this person."""
    watched = Watched(person_context(new_context, server, person, **options).new_page(), server)
    watched.page.goto(server.url + path)
    return watched


def write_outputs(path: Path, systems: str = "") -> None:
    """Forty replies, every third too long, every fifth with a placeholder, one with script in it; by these systems in
    turn, a letter each."""
    rows = []
    for i in range(N_OUTPUTS):
        text = f"Dear customer, order {1000 + i} is on its way to you."
        text += " We are sorry that you have to wait for it." * (5 if i % 3 == 0 else 1)
        text += " Yours, [Name]" if i % 5 == 0 else " Yours, Lamp & Light."
        if i == 1:
            text += ' <img src=x onerror="window.hacked=true"><b>not bold</b>'
        variables = {"message": f"Where is my order {1000 + i}?", "shop": "Lamp & Light"}
        row = {"id": f"r{i}", "prompt": PROMPT, "variables": variables, "response": text}
        rows.append(row | ({"model": systems[i % len(systems)]} if systems else {}))
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


@contextmanager
def serving(workspace: Path, **settings: Any) -> Iterator[Server]:
    """A running server over this workspace with these settings."""
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    (workspace / "config.toml").write_text("".join(lines))
    server = Server(workspace)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def pick(page: Page, label: str, option: str) -> None:
    """Choose in a list as a person does."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("menuitem", name=option).or_(page.get_by_role("option", name=option)).first.click()


def sync(
    server: Server, slug: str, person: str, *operations: dict[str, Any], path: str = "sync"
) -> dict[str, Any]:
    """One request of the Grade page."""
    return server.ask(f"/api/projects/{slug}/grade/{path}", {"operations": list(operations)}, person)


def grade_some(
    server: Server, slug: str, n: int, is_good: Callable[[str], bool], person: str = "grader"
) -> None:
    """Grade the next `n` outputs as they are drawn."""
    state = sync(server, slug, person, path="open")
    for _ in range(n):
        ask = state["ask"]
        operation = {
            "kind": "grade",
            "uuid": uuid.uuid4().hex,
            "output": ask["output"],
            "query_id": ask["query_id"],
            "answer": "pass" if is_good(ask["response"]["text"]) else "fail",
        }
        state = sync(server, slug, person, operation)
        assert state["acks"][0]["ok"], state["acks"]
