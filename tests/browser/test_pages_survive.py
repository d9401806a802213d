"""What a page shows is in its address: it survives a refresh, a server that dies, and another tab beside it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import answer_digits, open_page
from playwright.sync_api import BrowserContext, Page, expect

from conftest import OpenLabelling, Server, person_context

pytestmark = pytest.mark.slow
Contexts = Callable[..., BrowserContext]
NOTE = "a 7, or a 1 with a foot"


class Tabs:
    """Every page of the loop, some twice, each looking at something of its own. `check` holds them to it."""

    def __init__(
        self, context: BrowserContext, server: Server, labelling: OpenLabelling, folder: Path
    ) -> None:
        self.context, self.server, self.folder = context, server, folder
        self.label = labelling(context=context, at=server, person="me").wait()
        self.other_label = labelling(context=context, at=server, person="me").wait()
        self.found = self.open("/p/digits/data")
        self.answered = self.open("/p/digits/data?state=answered")
        self.early = self.open("/p/digits/model?version=1")
        self.newest = self.open("/p/digits/model")
        self.export = self.open("/p/digits/export")
        self.upload, self.path = self.open("/import"), self.open("/import")

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(self.server.url + path)
        return page

    @property
    def all(self) -> tuple[Page, ...]:
        pages = (self.found, self.answered, self.early, self.newest, self.export, self.upload, self.path)
        return (self.label.page, self.other_label.page, *pages)

    def arrange(self) -> None:
        """Go somewhere on each page, as a person does."""
        self.label.press("n")
        self.label.page.keyboard.type(NOTE)
        self.items = self.label.item, self.other_label.item
        search = self.found.get_by_label("Search keys and text")
        search.fill("digit-1")
        search.press("Enter")
        self.found.get_by_role("button", name="Next").click()
        self.found.get_by_role("region", name="Items").get_by_text("digit-1055").click()
        self.export.get_by_label("JSON Lines").check()
        self.export.get_by_role("button", name="Export the labels").click()
        expect(self.export.get_by_text("Ready")).to_be_visible()
        self.upload.locator("input[type=file]").set_input_files(things(self.folder / "sent.csv"))
        self.upload.get_by_label("Role of column size").select_option("metadata")
        self.upload.get_by_label("Skip these rows and import the rest").check()
        self.upload.get_by_label("Project name").fill("Things & more")
        self.upload.get_by_label("Project name").press("Tab")
        self.path.get_by_label("Path of a file or a folder of images").fill(
            str(things(self.folder / "there.csv"))
        )
        self.path.get_by_role("button", name="Look at it").click()
        expect(self.path.get_by_text("there.csv: csv")).to_be_visible()

    def check(self) -> None:
        """Each page shows what it showed, and not what its neighbour shows."""
        assert (self.label.wait().item, self.other_label.wait().item) == self.items
        assert self.label.page.get_by_label("Note").input_value() == NOTE
        assert self.other_label.page.get_by_label("Note").input_value() == ""
        expect(self.found.get_by_text("51 to 100 of 797 that match")).to_be_visible()
        expect(self.found.get_by_alt_text("image of digit-1055", exact=True)).to_be_visible()
        expect(self.answered.get_by_text("of 30 that match")).to_be_visible()
        expect(self.early.get_by_text("Version 1, trained on")).to_be_visible()
        expect(self.newest.get_by_text("the newest, trained on")).to_be_visible()
        expect(self.export.get_by_label("JSON Lines")).to_be_checked()
        listed = self.export.get_by_role("region", name="Earlier exports").get_by_role("link")
        expect(listed).to_have_count(1)
        expect(self.upload.get_by_text("sent.csv: csv")).to_be_visible()
        expect(self.upload.get_by_label("Role of column size")).to_have_value("metadata")
        expect(self.upload.get_by_label("Skip these rows and import the rest")).to_be_checked()
        expect(self.upload.get_by_label("Project name")).to_have_value("Things & more")
        expect(self.path.get_by_text("there.csv: csv")).to_be_visible()
        expect(self.path.get_by_label("Role of column size")).to_have_value("numeric")


def things(path: Path, n: int = 30) -> Path:
    """A small file of sizes and words."""
    rows = [f"k{i},{i * i % 7}.5,words about thing {i},{'big' if i % 2 else 'small'}" for i in range(n)]
    path.write_text("\n".join(["key,size,words,kind", *rows]) + "\n", encoding="utf-8")
    return path


def restarted(server: Server, pages: tuple[Page, ...], how: signal.Signals) -> None:
    """Kill the server, start it again, and wait until every page has noticed and loaded itself anew."""
    before = pages[0].evaluate("document.body.dataset.instance")
    server.stop(how)
    server.start()
    for page in pages:
        page.wait_for_function(
            "old => document.body?.dataset.instance && document.body.dataset.instance !== old",
            arg=before,
        )


def test_every_page_keeps_its_place_through_refresh_restart_and_other_tabs(
    new_context: Contexts, own_server: Server, labelling: OpenLabelling, tmp_path: Path
) -> None:
    for n in (20, 10):
        answer_digits(own_server, n)
    tabs = Tabs(person_context(new_context, own_server, "me"), own_server, labelling, tmp_path)
    tabs.arrange()
    tabs.check()
    for page in tabs.all:
        page.reload()
    tabs.check()
    restarted(own_server, tabs.all, signal.SIGKILL)
    tabs.check()
    tabs.upload.get_by_role("button", name="Import", exact=True).click()
    expect(tabs.upload.get_by_text("Things & more is ready")).to_be_visible()
    tabs.label.press("7")
    tabs.label.settle()
    assert tabs.label.history()[0]["note"] == NOTE
    features = tabs.open("/p/things-more/data").get_by_role("region", name="Feature transforms")
    expect(features.get_by_text("words", exact=True)).to_be_visible()
    expect(features.get_by_text("size", exact=True)).to_have_count(0)
    restarted(own_server, tabs.all, signal.SIGTERM)
    expect(tabs.upload.get_by_text("Things & more is ready")).to_be_visible()
    expect(tabs.path.get_by_label("Role of column size")).to_have_value("numeric")
    assert tabs.label.page.get_by_label("Note").input_value() == "", "the note went with its answer"


def test_an_import_that_dies_with_the_server_is_told_and_begun_again(
    new_context: Contexts, own_server: Server, tmp_path: Path
) -> None:
    page = open_page(new_context, own_server, "/import").page
    page.locator("input[type=file]").set_input_files(things(tmp_path / "long.csv", 150_000))
    page.get_by_label("Role of column size").select_option("metadata")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
    restarted(own_server, (page,), signal.SIGKILL)
    expect(page.get_by_text("Nothing was imported")).to_be_visible()
    page.get_by_role("button", name="Look at the file again").click()
    expect(page.get_by_label("Role of column size")).to_have_value("metadata")
    assert own_server.ask("/readyz")["projects"] == 6


def test_a_page_that_fell_out_of_step_is_loaded_anew_but_never_in_a_loop(
    new_context: Contexts, server: Server
) -> None:
    watched = open_page(new_context, server, "/p/digits/data?q=digit-10")
    page = watched.page
    field = page.get_by_label("Search keys and text")
    expect(field).to_have_value("digit-10")
    late = """reference => {
      window.old = true;
      setTimeout(() => { throw new Error(`reference ${reference} isn't known`); });
    }"""
    page.evaluate(late, "p1602")
    page.wait_for_function("!window.old")
    expect(field).to_have_value("digit-10")
    assert watched.wrong == []
    page.evaluate(late, "p1603")
    page.wait_for_timeout(500)
    assert watched.wrong == ["reference p1603 isn't known"], "twice in a row is an error, and stays one"
    assert page.evaluate("window.old")
