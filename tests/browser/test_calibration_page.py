"""The Calibration page: what to do with too little, a run from start to figures, and a file from outside."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import open_page
from playwright.sync_api import BrowserContext, Page, expect
from scipy.special import softmax
from sklearn.datasets import load_digits

from conftest import Server
from plumbline_backend.domain.answer_forms import write_signed
from plumbline_backend.workspace import Workspace, open_workspace

Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def answered(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workspace whose digits have 100 random-stream answers and a head trained on about 130 others."""
    import shutil

    folder = tmp_path_factory.mktemp("answered") / "workspace"
    shutil.copytree(prepared, folder)
    truth = load_digits().target
    with open_workspace(folder, settings={"stream_share": 0.5}) as workspace:
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
        several(workspace)
    return folder


def several(workspace: Workspace) -> None:
    """A project whose items carry classes "high" and "wide" as their numbers say, with 80 stream answers and a head."""
    x = np.random.default_rng(1).normal(size=(200, 2)).round(3)
    path = workspace.folder.parent / "several.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [[f"k{i}", *x[i], ("north", "south")[i % 2]] for i in range(len(x))]
        csv.writer(file).writerows([["key", "a", "b", "site"], *rows])
    columns = [
        replace(c, role="metadata") if c.name == "site" else c for c in workspace.inspect(path).columns
    ]
    project = workspace.import_items(path, "several", columns, kind="multi_label")
    for name in ("high", "wide"):
        project.add_class(name, by="test")
    ids, judge = [c.id for c in project.question().active], project.person("teacher")
    stream = project.stream_order[:80].tolist()
    others = np.setdiff1d(np.arange(len(x)), project.stream_order)[:60].tolist()
    for item, stratum in [*((i, "stream") for i in stream), *((i, "random") for i in others)]:
        said = write_signed({ids[0]: bool(x[item, 0] > 0), ids[1]: bool(x[item, 1] > 0)})
        project.record(item=item, judge=judge, client_uuid=f"s{item}", answer=said, stratum=stratum)
    while (job := project.fit()) is not None:
        project.wait(job)


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


def theirs(path: Path, seed: int, n: int) -> Path:
    """A file of logits for the digits that are about twice too sure, with the camera that took each item."""
    draw = np.random.default_rng(seed)
    true = draw.normal(scale=1.5, size=(n, 10))
    targets = (softmax(true, axis=1).cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)
    camera = np.where(np.arange(n) < n // 4, "old", "new")
    classes = np.array([str(k) for k in range(10)])
    np.savez(path, logits=2 * true, labels=targets, classes=classes, camera=camera)
    return path


def measured(page: Page) -> None:
    """Press Measure and wait until the new figures are there."""
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_text("Measuring", exact=True)).to_be_visible()
    expect(page.get_by_text("Measuring", exact=True)).to_have_count(0)


def test_predictions_from_outside(new_context: Contexts, server: Server, tmp_path: Path) -> None:
    """A file is refused, another is measured, compared with the head, and is what calibrators are fitted on."""
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], size=100)
    np.savez(tmp_path / "broken.npz", probs=probs * 0.9, labels=np.zeros(100, dtype=int))
    watched = open_page(new_context, server, "/p/digits/calibration")
    page = watched.page
    expect(page.get_by_role("button", name="Measure")).to_be_enabled()
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.npz")
    expect(page.get_by_text("expected none negative or NaN and a sum of 1")).to_be_visible()
    page.locator("input[type=file]").set_input_files(theirs(tmp_path / "theirs.npz", 0, 200))
    expect(page.get_by_text("theirs can be measured")).to_be_visible()
    page.get_by_label("Judges to compare").click()
    page.get_by_role("menuitem", name="theirs (n = 200)").click()
    page.mouse.click(1000, 130)  # beside the list, which stays open for more
    measured(page)
    figures = page.get_by_role("region", name="All figures")
    for heading in ("Head, version", "theirs, as given"):
        expect(figures.locator("thead")).to_contain_text(heading)
    expect(page.locator("section.tile", has_text="Smooth ECE")).to_have_count(2)
    expect(page.locator("section.tile", has_text="Accuracy").nth(1)).to_contain_text("n = 100")
    expect(page.get_by_role("region", name="Figures per class")).to_have_count(2)
    a_chosen_slice(page)
    page.get_by_label("Parted").click()
    page.get_by_role("menuitem", name="fit on theirs (n = 200)").click()
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_text("whose items theirs is shown on too")).to_be_visible()
    page.locator(".MuiChip-root", has_text="theirs").locator("svg").click()
    measured(page)
    expect(page.get_by_text("Calibrators fitted on the set theirs (n = 200)")).to_be_visible()
    expect(page.get_by_text("measured on the other n = 100")).to_be_visible()
    assert watched.wrong == []


def a_chosen_slice(page: Page) -> None:
    """The camera that took a quarter of theirs: about 25 of the 100 shown items, too few for a judgement."""
    page.get_by_label("Items by").last.click()
    page.get_by_role("menuitem", name="camera").click()
    page.get_by_label("Items where it").last.click()
    page.get_by_role("menuitem", name="is old (n = ").click()
    chosen = page.get_by_role("region", name="Figures of the chosen slice")
    expect(chosen.locator("tbody tr")).to_have_count(19)
    expect(chosen).to_contain_text("null")
    expect(page.get_by_text("camera is old: n = ")).to_be_visible()


def test_several_classes_an_item(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/several/calibration")
    page = watched.page
    expect(page.get_by_role("button", name="Measure")).to_be_enabled()
    measured(page)
    smooth = page.locator("section.tile", has_text="Smooth ECE")
    expect(smooth).to_contain_text("n = 80")  # 40 items of two classes
    expect(page.get_by_text("Every item and each of its classes counts as one")).to_be_visible()
    classes = page.get_by_role("region", name="Figures per class")
    expect(classes.locator("tbody tr")).to_have_count(2)
    expect(classes).to_contain_text("wide")
    expect(page.get_by_text("Items of no class")).to_have_count(0)
    expect(page.get_by_role("button", name="Use it from now on")).to_have_count(0)
    assert watched.wrong == []
