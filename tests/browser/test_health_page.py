"""The Data health page in a real browser: a wrong label is found, answered by one key, and superseded."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
from pages import answer_digits, open_page
from playwright.sync_api import BrowserContext, expect
from sklearn.datasets import load_digits

from conftest import Server

Contexts = Callable[..., BrowserContext]
READER, TEACHER = "reader", "teacher"


def say(server: Server, item: int, number: int, person: str) -> None:
    """Answer one digit through the server."""
    ids = {name: class_id for class_id, name in server.names("digits").items()}
    operation = {
        "kind": "record",
        "uuid": uuid.uuid4().hex,
        "item": item,
        "class_id": ids[str(number)],
    }
    body = {"holder": person, "operations": [operation], "want": 0}
    acks = server.ask("/api/projects/digits/label/sync", body, person)["acks"]
    assert acks[0]["ok"]


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """120 digits answered rightly."""
    answer_digits(server, 120, TEACHER)
    return server


@pytest.fixture(scope="module")
def wrong(taught: Server) -> int:
    """A digit outside the random stream's asks that the reader called something else: a 0 called 4."""
    truth = load_digits().target
    with_model = [row["item"] for row in taught.history("digits", TEACHER)]
    item = next(
        i for i in range(1_700) if truth[i] == 0 and i not in with_model and i not in _reserve(taught)
    )
    say(taught, item, 4, READER)
    return item


def _reserve(server: Server) -> set[int]:
    from plumbline_backend.ingest import load_stream_order

    return set(load_stream_order(server.workspace / "pool" / "digits").tolist())


def test_before_a_check_the_page_says_what_to_do(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/wine/health", dark=True)
    page = watched.page
    expect(page.get_by_text("Nothing checked yet: press Check now.")).to_be_visible()
    expect(page.get_by_text("No item has two different answers.")).to_be_visible()
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("0 labels; the check of labels needs at least 20")).to_be_visible()
    page.get_by_role("button", name="Look at the features").click()
    compared = page.get_by_role("region", name="Columns compared")
    expect(compared.locator("tbody tr")).to_have_count(13)
    expect(page.locator("section.tile", has_text="Intrinsic dimension")).to_contain_text("n = 178")
    expect(page.get_by_text("0 labels of 0 classes; expected at least 20 labels")).to_be_visible()
    assert watched.wrong == []


def test_a_wrong_label_is_found_and_mended_by_one_key(
    new_context: Contexts, taught: Server, wrong: int
) -> None:
    watched = open_page(new_context, taught, "/p/digits/health")
    page = watched.page
    page.get_by_role("button", name="Check now").click()
    doubtful = page.get_by_role("group", name="Likely label errors").locator(f".tile[data-item='{wrong}']")
    expect(doubtful).to_be_visible()
    expect(doubtful).to_contain_text("rather 0")
    expect(page.get_by_text(re.compile(r"of 1\d\d labels are doubtful"))).to_be_visible()
    doubtful.focus()
    page.keyboard.press("0")
    expect(page.get_by_text("is '0' now")).to_be_visible()
    expect(doubtful).to_have_class(re.compile("done"))
    latest = taught.history("digits", READER)[0]
    assert (latest["item"], taught.names("digits")[latest["class_id"]]) == (wrong, "0")
    page.reload()
    changed = page.get_by_role("group", name="Changed minds").locator(f".tile[data-item='{wrong}']")
    expect(changed).to_contain_text("reader: 4, reader: 0")
    expect(doubtful).to_have_count(0)
    assert watched.wrong == []


def test_people_who_disagree_are_shown_with_their_names(new_context: Contexts, taught: Server) -> None:
    row = taught.history("digits", TEACHER)[0]
    number = int(taught.names("digits")[row["class_id"]])
    say(taught, row["item"], (number + 1) % 10, READER)
    page = open_page(new_context, taught, "/p/digits/health").page
    tile = page.get_by_role("group", name="People disagree").locator(f".tile[data-item='{row['item']}']")
    expect(tile).to_contain_text(f"teacher: {number}")
    expect(tile).to_contain_text(f"reader: {(number + 1) % 10}")
    tile.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("What was said of this item").or_(page.get_by_text("of 1,797"))).to_be_visible()


def test_class_balance_has_its_n(new_context: Contexts, taught: Server) -> None:
    page = open_page(new_context, taught, "/p/digits/health").page
    rows = page.get_by_role("region", name="Classes").locator("tbody tr")
    expect(rows).to_have_count(10)
    assert all(re.search(r"12$|13$", row.inner_text().strip()) for row in rows.all())
