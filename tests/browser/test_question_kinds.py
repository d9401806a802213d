"""Each kind of question answered on the Label page by keys, and what the other pages make of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pages import open_page, wait_for_model
from playwright.sync_api import BrowserContext, expect

from conftest import OpenLabelling, Server
from plumbline_backend.workspace import open_workspace

N = 60
KINDS = {
    "multi_label": ("red", "green", "blue"),
    "rating": (),
    "hierarchical": ("animal", "plant", "dog", "cat"),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of each kind over the same items."""
    folder = tmp_path_factory.mktemp("kinds")
    x = np.random.default_rng(0).normal(size=(N, 3)).round(3)
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [[f"k{i}", f"words about item {i}", *x[i]] for i in range(N)]
        csv.writer(file).writerows([["key", "text", "a", "b", "c"], *rows])
    with open_workspace(folder / "workspace") as workspace:
        for kind, classes in KINDS.items():
            project = workspace.import_items(folder / "items.csv", kind.replace("_", " "), kind=kind)
            for name in classes:
                project.add_class(name, by="test")
            if kind == "hierarchical":
                ids = {c.name: c.id for c in project.question().active}
                for name in ("dog", "cat"):
                    project.edit_class(ids[name], by="test", parent=ids["animal"])
    return folder / "workspace"


def test_several_classes_are_marked_by_keys_and_recorded_by_enter(
    labelling: OpenLabelling, server: Server, new_context: Callable[..., BrowserContext]
) -> None:
    label = labelling(slug="multi-label").wait()
    first = label.item
    label.press("1", "3", "3")  # red yes; blue yes, then no
    expect(label.page.locator(".several .summary")).to_have_text("1 yes, 1 no")
    label.press("Enter")  # the rest is no
    expect(label.stage).not_to_have_attribute("data-item", str(first))
    label.press(",", "2", "Enter")  # the rest stays open
    label.press("Enter")
    expect(label.page.locator(".message")).to_contain_text("Nothing is marked yet")
    label.settle()
    assert [row["class_id"] for row in label.history()] == ["+c2", "+c1 -c2 -c3"]
    label.stamps.nth(1).click()  # looked at again, its marks are there
    expect(label.page.get_by_role("button", name="red: yes")).to_be_visible()
    label.press("2", "2", "Enter")  # green was no: not said, then yes
    label.settle()
    assert label.history()[0]["class_id"] == "+c1 +c2 -c3"
    label.press(",")  # no to the rest again
    for keys in ("1", "2", "3", "12", "13", "1", "2", "3"):
        label.press(*keys, "Enter")
    label.settle()
    wait_for_model(server, "multi-label", label.person)
    model = open_page(new_context, server, "/p/multi-label/model")
    expect(model.page.get_by_text("Micro F1", exact=True).first).to_be_visible()
    model.page.get_by_role("link", name="Calibration").click()
    expect(model.page.get_by_text("Nothing to measure yet")).to_be_visible()
    assert model.wrong == []


def test_levels_are_answered_by_their_number_and_measured_by_distance(
    labelling: OpenLabelling, server: Server, new_context: Callable[..., BrowserContext]
) -> None:
    label = labelling(slug="rating").wait()
    label.press("4", "2", "1", "5", "3", "3", "2", "4", "1", "5", "2", "4")
    label.settle()
    names = server.names("rating")
    assert [names[row["class_id"]] for row in label.history()][-4:] == ["5", "1", "2", "4"]
    wait_for_model(server, "rating", label.person)
    model = open_page(new_context, server, "/p/rating/model")
    expect(model.page.get_by_text("Mean distance", exact=True).first).to_be_visible()
    expect(model.page.get_by_text("Quadratic kappa", exact=True).first).to_be_visible()
    assert model.wrong == []


def test_a_tree_is_walked_by_keys_and_answered_at_any_depth(
    labelling: OpenLabelling, server: Server, new_context: Callable[..., BrowserContext]
) -> None:
    label = labelling(slug="hierarchical").wait()
    first = label.item
    label.press("1")  # opens "animal"
    assert label.item == first
    expect(label.page.locator(".answer-name")).to_have_text(["dog", "cat"])
    label.press("Backspace")
    expect(label.page.locator(".answer-name")).to_have_text(["animal …", "plant"])
    label.press("1", "Enter")  # just "animal"
    label.press("1", "2")  # animal, cat
    label.press("2")  # plant, a leaf
    label.settle()
    names = server.names("hierarchical")
    assert [names[row["class_id"]] for row in label.history()] == ["plant", "cat", "animal"]
    label.stamps.nth(2).click()  # a coarse answer is made finer later
    expect(label.page.locator(".take")).to_contain_text("animal")
    label.press("1")
    label.settle()
    assert names[label.history()[0]["class_id"]] == "dog"
    for keys in ("2", "12", "11", "2", "1E", "2", "12", "2"):
        label.press(*("Enter" if key == "E" else key for key in keys))
    label.settle()
    wait_for_model(server, "hierarchical", label.person)
    model = open_page(new_context, server, "/p/hierarchical/model")
    expect(model.page.get_by_text("At depth 1", exact=True).first).to_be_visible()
    expect(model.page.get_by_role("link", name="Calibration")).to_have_count(0)
    model.page.goto(f"{server.url}/p/hierarchical/calibration")
    expect(model.page.get_by_text("have no page 'Calibration'")).to_be_visible()
    assert model.wrong == []
