"""The Calibration page: what to do with too little, a run from start to figures, and a file from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pages import open_page
from playwright.sync_api import BrowserContext, expect
from sklearn.datasets import load_digits

from conftest import Server
from plumbline_backend.workspace import open_workspace

Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def answered(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workspace whose digits have 100 random-stream answers and a head trained on about 130 others."""
    import shutil

    folder = tmp_path_factory.mktemp("answered") / "workspace"
    shutil.copytree(prepared, folder)
    truth = load_digits().target
    with open_workspace(folder) as workspace:
        project = workspace.project("digits")
        judge = project.person("teacher")
        ids = {c.name: c.id for c in project.question().active}
        stream = project.stream_order[:100].tolist()
        others = np.setdiff1d(np.arange(150), project.stream_order).tolist()
        for item, stratum in [*((i, "stream") for i in stream), *((i, "random") for i in others)]:
            project.record(
                item=item, judge=judge, client_uuid=f"a{item}", answer=ids[str(truth[item])], stratum=stratum
            )
        while (job := project.fit()) is not None:  # the first may have begun when a few classes were answered
            project.wait(job)
        newest = project.loop.newest_model()
        assert newest is not None
        assert len(newest.metrics["classes"]) == 10
    return folder


@pytest.fixture(scope="module")
def server(answered: Path) -> Server:
    served = Server(answered)
    served.start()
    yield served
    served.stop()


def test_with_too_little_the_page_says_what_to_do(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/wine/calibration")
    expect(watched.page.get_by_text("Nothing to measure yet")).to_be_visible()
    expect(watched.page.get_by_role("button", name="Measure")).to_be_disabled()
    assert watched.wrong == []


def test_a_run_from_start_to_figures(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/digits/calibration")
    page = watched.page
    measure = page.get_by_role("button", name="Measure")
    expect(measure).to_be_enabled()
    measure.click()
    tile = page.locator("section.tile", has_text="Smooth ECE")
    expect(tile).to_contain_text("n = 50")
    expect(tile).to_contain_text("perfect calibration would show")
    figures = page.get_by_role("region", name="All figures")
    expect(figures.locator("tbody tr")).to_have_count(19)
    expect(figures).to_contain_text("null")
    expect(page.get_by_role("region", name="Calibrators").locator("tbody tr")).to_have_count(9)
    expect(page.get_by_role("region", name="Figures per class").locator("tbody tr")).to_have_count(10)
    expect(page.get_by_role("region", name="Conformal sets").locator("tbody tr")).to_have_count(3)
    page.get_by_label("Cost of a miss").fill("4")
    page.get_by_label("Cost of a miss").press("Enter")
    expect(page.get_by_text("0.200 is the cheapest")).to_be_visible()
    page.get_by_role("button", name="Keep this threshold").click()
    expect(page.get_by_text("from 0.2 on (false alarm 1, miss 4)")).to_be_visible()
    page.get_by_role("button", name="Use it from now on").click()
    expect(page.get_by_text("is in use")).to_be_visible()
    assert watched.wrong == []


def test_items_of_no_class(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/digits/calibration")
    page = watched.page
    page.get_by_role("button", name="Compare scores").click()
    scores = page.get_by_role("region", name="Out-of-scope scores")
    expect(scores.locator("tbody tr")).to_have_count(6)
    expect(scores).to_contain_text("unknown")
    expect(scores).to_contain_text("abet (compared only)")
    expect(page.get_by_text("No class marks what is out of scope")).to_be_visible()
    page.get_by_label("Class of what is out of scope").click()
    page.get_by_role("menuitem", name="9", exact=True).click()
    page.get_by_role("button", name="Compare scores").click()
    expect(scores).to_contain_text("n = ")
    page.get_by_role("region", name="Items farthest from every class").locator("tbody tr").first.click()
    expect(page.get_by_role("button", name="Close")).to_be_visible()
    page.get_by_label("Keep of known items, %").fill("120")
    page.get_by_label("Keep of known items, %").press("Enter")
    page.get_by_role("button", name="Use this rule").click()
    expect(page.get_by_text("expected a number from 0.5 to below 1")).to_be_visible()
    page.get_by_label("Keep of known items, %").fill("90")
    page.get_by_label("Keep of known items, %").press("Enter")
    page.get_by_label("Refuse by").click()
    page.get_by_role("menuitem", name="relative mahalanobis").click()
    page.get_by_role("button", name="Use this rule").click()
    expect(
        page.get_by_text("keeping 90 % of known items; items of class 9 are no known items")
    ).to_be_visible()
    assert watched.wrong == []


def test_predictions_from_outside(new_context: Contexts, server: Server, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    probs = draw.dirichlet([1, 1, 1], size=100)
    np.savez(tmp_path / "theirs.npz", probs=probs, labels=draw.integers(3, size=100))
    np.savez(tmp_path / "broken.npz", probs=probs * 0.9, labels=draw.integers(3, size=100))
    watched = open_page(new_context, server, "/p/tiny/calibration")
    page = watched.page
    expect(page.get_by_text("Nothing to measure yet")).to_be_visible()
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.npz")
    expect(page.get_by_text("expected none negative or NaN and a sum of 1")).to_be_visible()
    page.locator("input[type=file]").set_input_files(tmp_path / "theirs.npz")
    expect(page.get_by_text("theirs can be measured")).to_be_visible()
    expect(page.get_by_role("button", name="Measure")).to_be_enabled()
    assert watched.wrong == []
