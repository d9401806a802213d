"""Choosing and comparing heads on the Model page, with a real server that trains them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pages import answer_digits, open_page, wait_for_model
from playwright.sync_api import BrowserContext, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]
COMPARED_WITHIN_MS = 240_000


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """The module's server once 60 digits were answered through it."""
    answer_digits(server, 60)
    return server


def test_another_head_is_explained_trained_and_named_in_the_versions(
    new_context: Contexts, taught: Server
) -> None:
    watched = open_page(new_context, taught, "/p/digits/model")
    page = watched.page
    choice = page.get_by_label("Head", exact=True)
    expect(choice).to_be_visible()
    expect(page.get_by_text("Weighs every feature for every class, to the exact optimum")).to_be_visible()
    expect(page.get_by_role("button", name="Train this head")).to_be_disabled()
    choice.click()
    page.get_by_role("menuitem", name="lda", exact=True).click()
    expect(page.get_by_text("One Gaussian per class with a common covariance")).to_be_visible()
    expect(page.get_by_text("A training takes less than a second")).to_be_visible()
    page.get_by_role("button", name="Train this head").click()
    wait_for_model(taught, "digits", "teacher")
    page.reload()
    runs = page.get_by_role("region", name="Versions")
    expect(runs.locator("tbody tr").first).to_contain_text("lda")
    expect(page.get_by_text("Shrinkage")).to_be_visible()
    assert watched.wrong == []


def test_a_setting_is_explained_checked_while_it_is_typed_and_trained(
    new_context: Contexts, taught: Server
) -> None:
    watched = open_page(new_context, taught, "/p/digits/model")
    page = watched.page
    page.get_by_label("Head", exact=True).click()
    page.get_by_role("menuitem", name="cosine", exact=True).click()
    page.get_by_role("button", name="Settings of this head").click()
    scale = page.get_by_label("Scale", exact=True)
    expect(scale).to_have_attribute("placeholder", "by the number of classes (0)")
    train = page.get_by_role("button", name="Train this head")
    scale.press_sequentially("wide")
    expect(page.get_by_text("This is no value here; expected a number from 0 to 10000.")).to_be_visible()
    expect(train).to_be_disabled()
    scale.fill("")
    scale.press_sequentially("12")
    expect(page.get_by_text("What the cosines are multiplied with")).to_be_visible()
    train.click()
    expect(page.get_by_text("cosine scale=12")).to_be_visible()
    expect(page.get_by_label("Scale", exact=True)).to_have_value("12")
    assert watched.wrong == []


@pytest.mark.slow
def test_heads_are_compared_and_one_is_recommended_in_a_sentence(
    new_context: Contexts, taught: Server
) -> None:
    watched = open_page(new_context, taught, "/p/digits/model")
    page = watched.page
    page.get_by_role("button", name="Compare heads").click()
    expect(page.get_by_text("Comparing")).to_be_visible()
    table = page.get_by_role("region", name="Heads compared")
    expect(table).to_be_visible(timeout=COMPARED_WITHIN_MS)
    expect(page.get_by_text("held-out labels")).to_be_visible()
    assert table.locator("tbody tr").count() > 10
    page.reload()
    expect(page.get_by_role("region", name="Heads compared")).to_be_visible()
    assert watched.wrong == []
