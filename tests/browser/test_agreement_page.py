"""The Agreement page: nothing to compare, three people compared, and a last word."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import open_page
from playwright.sync_api import BrowserContext, expect

from conftest import Server
from plumbline_backend.workspace import open_workspace

Contexts = Callable[..., BrowserContext]
SAID = {"Ada": "000111222001", "Ben": "000111222000", "Cleo": "001111220001"}


@pytest.fixture(scope="module")
def server(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a workspace in which three people answered the same twelve wines."""
    folder = tmp_path_factory.mktemp("agreed") / "workspace"
    shutil.copytree(prepared, folder)
    with open_workspace(folder) as workspace:
        project = workspace.project("wine")
        project.set_settings(overlap=3)
        ids = [c.id for c in project.question().active]
        for name, answers in SAID.items():
            judge = project.person(name)
            for item, answer in enumerate(answers):
                project.record(item=item, judge=judge, client_uuid=f"{name}{item}", answer=ids[int(answer)])
    served = Server(folder)
    served.start()
    yield served
    served.stop()


def test_without_shared_items_the_page_says_what_to_do(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/digits/agreement")
    expect(watched.page.get_by_text("Nothing to compare yet")).to_be_visible()
    assert watched.wrong == []


def test_three_people_and_a_last_word(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/wine/agreement")
    page = watched.page
    alpha = page.locator("section.tile", has_text="Krippendorff's alpha")
    expect(alpha).to_contain_text("n = 12 items")
    expect(alpha).to_contain_text("(95 %)")
    expect(page.get_by_role("region", name="People", exact=True).locator("tbody tr")).to_have_count(3)
    expect(page.get_by_role("region", name="Pairs of people").locator("tbody tr")).to_have_count(3)
    disputed = page.get_by_role("region", name="Items on which people differ")
    expect(disputed.locator("tbody tr")).to_have_count(3)
    disputed.locator("tbody tr").first.click()
    page.get_by_role("button", name="Settle it").click()
    expect(page.get_by_text("is settled")).to_be_visible()
    assert watched.wrong == []
