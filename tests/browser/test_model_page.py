"""The Model page: nothing without its n, what to do when there is too little, and figures that are the metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pages import answer_digits, open_page
from playwright.sync_api import BrowserContext, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """The module's server once 120 digits were answered through it."""
    answer_digits(server, 120)
    return server


def test_without_a_model_the_page_says_what_to_do(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/wine/model")
    page = watched.page
    expect(page.get_by_text("No model yet")).to_be_visible()
    expect(
        page.get_by_text("the first model is trained as soon as two classes have an answer")
    ).to_be_visible()
    expect(page.get_by_role("button", name="Train now")).to_be_disabled()
    page.get_by_role("link", name="Go to labelling").click()
    expect(page).to_have_url(f"{server.url}/p/wine/label")
    assert watched.wrong == []


def test_the_headline_is_the_measured_figure_with_n_and_interval(
    new_context: Contexts, taught: Server
) -> None:
    watched = open_page(new_context, taught, "/p/digits/model")
    page = watched.page
    body = {"holder": "checker", "operations": [], "want": 0}
    value, low, high, n = taught.ask("/api/projects/digits/label/sync", body)["status"]["accuracy"]
    tile = page.locator("section.tile", has_text="Accuracy")
    expect(tile.locator("b")).to_have_text(f"{100 * value:.1f} %")
    expect(tile).to_contain_text(f"{100 * low:.1f} to {100 * high:.1f} % (95 %)")
    expect(tile).to_contain_text(f"n = {n} random-stream answers")
    expect(page.locator("section.tile", has_text="Calibration error")).to_contain_text("by chance")
    assert n < 20
    expect(page.get_by_text(f"Not calibrated yet: {n} of 20 random-stream answers")).to_be_visible()
    assert watched.wrong == []


def test_charts_and_tables_are_drawn_without_errors(new_context: Contexts, taught: Server) -> None:
    watched = open_page(new_context, taught, "/p/digits/model", dark=True)
    page = watched.page
    expect(page.get_by_text("Random sampling: throw-away heads")).to_be_visible()
    expect(page.locator("canvas").first).to_be_attached()
    assert (
        page.locator(".bk-Figure").count() == 4
    )  # learning curve, reliability with its histogram, confusion
    classes = page.get_by_role("region", name="Figures per class")
    expect(classes.locator("tbody tr")).to_have_count(10)
    expect(page.get_by_text("Fitting the head")).to_be_visible()
    assert watched.wrong == []


def test_an_earlier_version_has_its_address(new_context: Contexts, taught: Server) -> None:
    page = open_page(new_context, taught, "/p/digits/model").page
    runs = page.get_by_role("region", name="Versions")
    expect(runs).to_be_visible()
    runs.locator("tbody tr").last.click()
    expect(page.get_by_text("Version 1, trained on")).to_be_visible()
    assert "version=1" in page.url
    page.reload()
    expect(page.get_by_text("Version 1, trained on")).to_be_visible()
    page.get_by_role("button", name="Show the newest").click()
    expect(page.get_by_text("the newest, trained on")).to_be_visible()
    page.goto(f"{taught.url}/p/digits/model?version=9999")
    expect(page.get_by_text("version 9999 does not exist")).to_be_visible()


def test_train_now_says_when_there_is_nothing_to_learn(new_context: Contexts, taught: Server) -> None:
    page = open_page(new_context, taught, "/p/digits/model").page
    expect(page.get_by_text("the newest, trained on")).to_be_visible()
    page.get_by_role("button", name="Train now").click()
    expect(page.get_by_text("Nothing to train")).to_be_visible()


def test_a_newer_model_is_announced_and_shown_when_asked(new_context: Contexts, taught: Server) -> None:
    page = open_page(new_context, taught, "/p/digits/model").page
    expect(page.get_by_text("the newest, trained on")).to_be_visible()
    answer_digits(taught, 3)
    expect(page.get_by_text("the newest is version")).to_be_visible()
    page.get_by_role("button", name="Show the newest").click()
    expect(page.get_by_text("the newest, trained on")).to_be_visible()
