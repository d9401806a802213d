"""The Map page in a real browser: drawn by WebGL, recoloured without new points, selected, labelled, undone."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from pages import Watched, answer_digits, open_page
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]
COLOURED = """() => {
  const deep = (root, selector) => {
    const found = root.querySelector(selector);
    if (found) return found;
    for (const node of root.querySelectorAll("*")) {
      const inner = node.shadowRoot && deep(node.shadowRoot, selector);
      if (inner) return inner;
    }
    return null;
  };
  const canvas = deep(document, ".stage canvas");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const pen = copy.getContext("2d");
  pen.drawImage(canvas, 0, 0);
  const { data } = pen.getImageData(0, 0, copy.width, copy.height);
  const seen = {};
  for (let i = 0; i < data.length; i += 4) {
    const hex = "#" + [0, 1, 2].map((k) => data[i + k].toString(16).padStart(2, "0")).join("");
    seen[hex] = (seen[hex] || 0) + 1;
  }
  return seen;
}"""
"""Pixels of the map's own canvas, by colour."""


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """The module's server once 60 digits were answered through it."""
    answer_digits(server, 60)
    return server


def opened(new_context: Contexts, server: Server, path: str = "/p/digits/map", **options: bool) -> Watched:
    watched = open_page(new_context, server, path, **options)
    wait_painted(watched.page, "")
    return watched


def wait_painted(page: Page, what: str) -> None:
    expect(page.locator(".stage")).to_have_attribute("data-painted", re.compile(what or "."))


def drag(page: Page, x0: float, y0: float, x1: float, y1: float) -> None:
    """From one place of the stage to another, in shares of its size."""
    box = page.locator(".stage").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ((x0, y0), (x1, y1))]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=6)
    page.mouse.up()


def choose(page: Page, present: str, words: str) -> None:
    """In the choice that shows `present`."""
    page.get_by_role("combobox").filter(has_text=re.compile(f"^{present}$")).click()
    page.get_by_role("menuitem", name=words, exact=True).click()


def test_points_are_drawn_in_the_colours_of_their_classes(new_context: Contexts, taught: Server) -> None:
    watched = opened(new_context, taught)
    seen = watched.page.evaluate(COLOURED)
    assert seen["#9a978f"] > 1_000  # not answered
    classes = taught.opened("digits", "checker")["question"]["classes"]
    assert sum(each["color"] in seen for each in classes) >= 8
    expect(watched.page.get_by_role("button", name="not answered 1,737")).to_be_visible()
    assert watched.wrong == []


def test_a_new_colour_fetches_no_points(new_context: Contexts, taught: Server) -> None:
    watched = opened(new_context, taught)
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    choose(watched.page, "Label", "Confidence")
    wait_painted(watched.page, ":confidence:")
    maps = [url for url in asked if "/map/" in url]
    assert any("/map/colours?by=confidence" in url for url in maps)
    assert not any("/map/points" in url for url in maps)
    assert watched.page.evaluate(COLOURED).get("#fde725", 0) > 10
    expect(watched.page).to_have_url(re.compile("by=confidence"))
    assert watched.wrong == []


def test_a_box_selects_lists_labels_and_is_undone(new_context: Contexts, taught: Server) -> None:
    watched = opened(new_context, taught)
    page = watched.page
    page.get_by_role("button", name="Box").click()
    drag(page, 0.45, 0.3, 0.55, 0.5)
    said = page.get_by_text(re.compile(r"Selected: [\d,]+ items"))
    expect(said).to_be_visible()
    n = int(re.search(r"([\d,]+) items", said.inner_text())[1].replace(",", ""))
    assert 10 < n < 1_000
    assert page.get_by_role("group", name="Selected items").locator(".tile").count() == min(n, 48)
    choose(page, "0", "3")
    before = taught.opened("digits", "checker")["status"]["n_answered"]
    page.get_by_role("button", name="Label all selected").click()
    expect(page.get_by_text(re.compile(r"items labelled '3'\."))).to_be_visible()
    during = taught.opened("digits", "checker")["status"]
    assert during["n_answered"] > before
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(re.compile(r"Taken back"))).to_be_visible()
    assert taught.opened("digits", "checker")["status"]["n_answered"] == before
    assert watched.wrong == []


def test_a_lasso_selects_by_its_line(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught).page
    page.locator(".stage").focus()
    page.keyboard.press("l")
    box = page.locator(".stage").bounding_box()
    assert box is not None
    turn = np.linspace(0, 2 * np.pi, 24)
    places = [
        (
            box["x"] + box["width"] * (0.5 + 0.08 * np.cos(t)),
            box["y"] + box["height"] * (0.5 + 0.2 * np.sin(t)),
        )
        for t in turn
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"Selected: [\d,]+ items"))).to_be_visible()


def test_the_keyboard_alone_selects_what_is_in_view(new_context: Contexts, taught: Server) -> None:
    page = opened(new_context, taught).page
    page.locator(".stage").focus()
    page.keyboard.press("s")
    expect(page.get_by_text(re.compile(r"Selected: 1,79\d items, 48 shown"))).to_be_visible()


def test_a_click_opens_the_item_and_finds_more_like_it(new_context: Contexts, taught: Server) -> None:
    watched = opened(new_context, taught)
    page = watched.page
    points = np.frombuffer(
        page.request.get(f"{taught.url}/api/projects/digits/map/points").body(), dtype="<f4"
    ).reshape(-1, 2)
    assert points.shape == (1_797, 2)
    box = page.locator(".stage").bounding_box()
    assert box is not None
    item = int(points[:, 1].argmax())  # the highest point: nothing hides it
    x, y = (float(value) for value in points[item])
    wide = box["width"] / box["height"]
    half = 0.52
    page.mouse.click(
        box["x"] + box["width"] * (0.5 + (x - 0.5) / (2 * half * wide)),
        box["y"] + box["height"] * (0.5 - (y - 0.5) / (2 * half)),
    )
    expect(page.get_by_role("heading", name=f"digit-{item:04d}")).to_be_visible()
    page.get_by_role("button", name="More like this").click()
    expect(page.get_by_text(f"Nearest to digit-{item:04d}: 40 items.")).to_be_visible()
    shown = page.get_by_role("group", name="Selected items").locator(".tile")
    assert shown.count() == 40
    assert str(item) not in [each.get_attribute("data-item") for each in shown.all()]
    assert watched.wrong == []


def test_umap_is_made_in_the_background(new_context: Contexts, taught: Server) -> None:
    watched = opened(new_context, taught, "/p/wine/map", dark=True)
    page = watched.page
    page.get_by_role("button", name="Make a UMAP map").click()
    expect(page.get_by_role("progressbar", name="Making the UMAP map")).to_be_visible()
    wait_painted(page, "^umap:")
    expect(page).to_have_url(re.compile("layout=umap"))
    page.reload()
    wait_painted(page, "^umap:")
    assert watched.wrong == []


def test_without_webgl_the_server_draws(new_context: Contexts, taught: Server) -> None:
    watched = open_page(new_context, taught, "/p/digits/data")
    page = watched.page
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind === 'webgl2' ? null : get.call(this, kind, ...more); };"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{taught.url}/p/digits/map")
    wait_painted(page, "pca")
    assert any("/map/picture?" in url for url in asked)
    assert not any("/map/points" in url for url in asked)
    page.get_by_role("button", name="Box").click()
    drag(page, 0.4, 0.2, 0.6, 0.6)
    expect(page.get_by_text(re.compile(r"Selected: [\d,]+ items"))).to_be_visible()
    assert watched.wrong == []


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("points?layout=tsne", 422, "layout: 'tsne' does not exist"),
        ("points?layout=umap", 404, "was not made yet"),
        ("colours?by=mood", 422, "colour: 'mood' does not exist"),
        ("picture?view=0&view=1&view=1&view=0&width=5&height=5", 422, "x0 < x1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(
    new_context: Contexts, taught: Server, path: str, status: int, words: str
) -> None:
    page = new_context().new_page()
    answer = page.request.get(f"{taught.url}/api/projects/digits/map/{path}")
    assert answer.status == status
    assert words in answer.json()["error"]
