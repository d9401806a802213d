"""Helpers for the Data, Model and Export pages: opening them, and answering digits through the server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page
from sklearn.datasets import load_digits

from conftest import Server, person_context

TRAINED_WITHIN_S = 60


class Watched:
    """A page that notes what went wrong in it: errors of scripts, and requests to other hosts."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.wrong = page, []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._check(request.url, server))

    def _check(self, url: str, server: Server) -> None:
        if not url.startswith((server.url, "blob:", "data:", server.url.replace("http", "ws"))):
            self.wrong.append(f"request to {url}")


def open_page(
    new_context: Callable[..., BrowserContext], server: Server, path: str, **options: Any
) -> Watched:
    """A page of the server for a person of its own."""
    watched = Watched(person_context(new_context, server, "reader", **options).new_page(), server)
    watched.page.goto(server.url + path)
    return watched


def answer_digits(server: Server, n: int, person: str = "teacher") -> None:
    """Answer `n` digits as asked and rightly, and wait until a model knows all of them."""
    truth = load_digits().target
    ids = {name: class_id for class_id, name in server.names("digits").items()}
    done, operations = 0, []
    while done < n:
        asked = _sync(server, person, operations, min(10, n - done))["asks"]
        operations = [
            {
                "kind": "record",
                "uuid": uuid.uuid4().hex,
                "item": ask["item"],
                "class_id": ids[str(truth[ask["item"]])],
                "query_id": ask["query_id"],
                "stratum": ask["stratum"],
            }
            for ask in asked[: n - done]
        ]
        done += len(operations)
    _sync(server, person, operations, 0)
    wait_for_model(server, "digits", person)


def _sync(server: Server, person: str, operations: list[dict[str, Any]], want: int) -> dict[str, Any]:
    body = {"holder": person, "operations": operations, "want": want}
    return server.ask("/api/projects/digits/label/sync", body, person)


def wait_for_model(server: Server, slug: str, person: str) -> None:
    """Until a model has learned from every answer so far."""
    until = time.monotonic() + TRAINED_WITHIN_S
    while time.monotonic() < until:
        status = server.opened(slug, person)["status"]
        if status["model"] is not None and status["n_behind"] == 0 and status["training"] is None:
            return
        time.sleep(0.2)
    raise TimeoutError(f"no model knows every answer after {TRAINED_WITHIN_S} s")
