"""The map in headless Chromium: first paint, selection to answer, recolour, beside a Bokeh scatter of the same points.

    python benchmarks/map.py [--items 10000 100000 1000000] [--repeats 5]

Ours is measured on a real server over a real pool, each size as the page draws it (WebGL to 100,000 points, a picture
from the server above). First paint counts from the navigation, with the points
already computed; a selection from the release of the mouse until the answer (the list of items, not only their
outline) has come from the server; a recolour until the new colours are drawn. Bokeh (WebGL back end, the page a local
file with its data inside) is measured from the navigation until it is idle, from the release of the mouse until its
own selection is known, and until it is idle again after all its colours were replaced.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource, LassoSelectTool
from bokeh.plotting import figure
from bokeh.resources import INLINE
from playwright.sync_api import Page, sync_playwright

from common import environment, write
from keypress import _serve
from plumbline_app.components.map_view import WEBGL_POINTS
from plumbline_backend.workspace import open_workspace

N_FEATURES = 16
N_CLASSES = 5
WAIT_MS = 60_000
ANSWERED = 500
STAGE = """
const deep = (root) => {
  const found = root.querySelector(".stage");
  if (found) return found;
  for (const node of root.querySelectorAll("*")) {
    const inner = node.shadowRoot && deep(node.shadowRoot);
    if (inner) return inner;
  }
  return null;
};
"""
PAINTED = (
    "() => new Promise((resolve) => {" + STAGE + "const look = () => { const stage = deep(document);"
    "if (stage && stage.dataset.painted) resolve(performance.now()); else requestAnimationFrame(look); };"
    "look(); })"
)
CHANGE = (
    "({ attribute, event }) => {"
    + STAGE
    + "const stage = deep(document); window.plTook = new Promise((resolve) => {"
    "let start = 0; addEventListener(event, () => { start = performance.now(); }, { capture: true, once: true });"
    "const watch = new MutationObserver(() => { if (!start) return; watch.disconnect();"
    "requestAnimationFrame(() => resolve(performance.now() - start)); });"
    "watch.observe(stage, { attributes: true, attributeFilter: [attribute] }); }); return true; }"
)
IDLE = """() => new Promise((resolve) => {
  const look = () => {
    const doc = window.Bokeh?.documents?.[0];
    if (doc?.is_idle) resolve(performance.now()); else requestAnimationFrame(look);
  };
  look();
})"""
BOKEH_SELECT = """() => {
  const source = Bokeh.documents[0].get_model_by_name("points");
  window.plTook = new Promise((resolve) => {
    let start = 0;
    addEventListener("pointerup", () => { start = performance.now(); }, { capture: true, once: true });
    source.selected.properties.indices.change.connect(() => start && resolve(performance.now() - start));
  });
  return true;
}"""
BOKEH_RECOLOUR = """() => new Promise((resolve) => {
  const doc = Bokeh.documents[0];
  const source = doc.get_model_by_name("points");
  const palette = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];
  const colours = Array.from(source.data.colour, (_, i) => palette[(i + Date.now()) % 5]);
  const start = performance.now();
  source.data = { ...source.data, colour: colours };
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const look = () => { if (doc.is_idle) resolve(performance.now() - start); else requestAnimationFrame(look); };
    look();
  }));
})"""


def main() -> None:
    """Measure every size and write the figures."""
    options = _options()
    loads, results = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for n in options.items:
            loads.append(round(os.getloadavg()[0], 1))
            results.append(_measure(browser, n, options))
        browser.close()
    report = {
        "benchmark": "map",
        **environment(["panel", "bokeh", "datashader", "playwright", "uvicorn"]),
        "load_average_by_size": loads,
        "repeats": options.repeats,
        "ours_drawn_by": f"WebGL to {WEBGL_POINTS:,} points, the server above",
        "results": results,
    }
    write("map", report)


def _measure(browser: Any, n: int, options: argparse.Namespace) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="plumbline-map-"))
    server = None
    try:
        points, classes, pca_s = _make_pool(folder, n)
        server, url = _serve(folder / "workspace")
        ours = _ours(browser, url, options)
        server.terminate()
        server.wait(30)
        server = None
        bokeh = (
            _bokeh(browser, folder, points, classes, options.repeats) if n <= options.bokeh_up_to else None
        )
        return {"n_items": n, "principal_components_s": round(pca_s, 2), "ours": ours, "bokeh": bokeh}
    finally:
        if server is not None:
            server.terminate()
            server.wait(30)
        shutil.rmtree(folder)


def _ours(browser: Any, url: str, options: argparse.Namespace) -> dict[str, Any]:
    first, recolour, select = [], [], []
    for _ in range(options.repeats):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/p/pool/map")
        first.append(_took(page, f"({PAINTED})()"))
        page.wait_for_timeout(1_000)
        for present, words in (("Label", "Confidence"), ("Confidence", "Label")):
            page.get_by_role("combobox").filter(has_text=present).first.click()
            page.evaluate(CHANGE, {"attribute": "data-count", "event": "click"})
            page.get_by_role("menuitem", name=words, exact=True).click()
            recolour.append(_took(page, "window.plTook"))
        page.get_by_role("button", name="Lasso").click()
        page.evaluate(CHANGE, {"attribute": "data-answered", "event": "pointerup"})
        _lasso(page, ".stage")
        select.append(_took(page, "window.plTook"))
        page.close()
    return {
        "first_paint_ms": _summary(first),
        "lasso_to_answer_ms": _summary(select),
        "recolour_ms": _summary(recolour),
    }


def _took(page: Page, promise: str) -> float:
    """Milliseconds that a promise in the page gives. Raises TimeoutError instead of waiting for ever."""
    late = f"new Promise((resolve) => setTimeout(() => resolve(-1), {WAIT_MS}))"
    found = float(page.evaluate(f"() => Promise.race([{promise}, {late}])"))
    if found < 0:
        raise TimeoutError(f"nothing after {WAIT_MS} ms: {promise[:80]}")
    return found


def _lasso(page: Page, selector: str) -> None:
    """A circle of 40 corners, 400 px wide."""
    box = page.locator(selector).first.bounding_box()
    if box is None:
        raise RuntimeError(f"{selector} is not on the page")
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    places = [
        (middle[0] + 200 * float(np.cos(t)), middle[1] + 200 * float(np.sin(t)))
        for t in np.linspace(0, 6.2, 40)
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()


def _bokeh(
    browser: Any, folder: Path, points: np.ndarray, classes: np.ndarray, repeats: int
) -> dict[str, Any]:
    palette = np.array(["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"])
    source = ColumnDataSource(
        {"x": points[:, 0], "y": points[:, 1], "colour": palette[classes].tolist()}, name="points"
    )
    plot = figure(
        width=1360, height=600, tools="lasso_select", active_drag="lasso_select", output_backend="webgl"
    )
    plot.scatter("x", "y", color="colour", size=3, source=source)
    plot.select_one(LassoSelectTool).continuous = False
    path = folder / "bokeh.html"
    path.write_text(file_html(plot, INLINE), encoding="utf-8")
    first, recolour, select = [], [], []
    for _ in range(repeats):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.goto(path.as_uri())
        first.append(_took(page, f"({IDLE})()"))
        recolour.append(_took(page, f"({BOKEH_RECOLOUR})()"))
        page.evaluate(BOKEH_SELECT)
        _lasso(page, ".bk-Figure")
        select.append(_took(page, "window.plTook"))
        page.close()
    return {
        "first_paint_ms": _summary(first),
        "lasso_to_answer_ms": _summary(select),
        "recolour_ms": _summary(recolour),
        "file_mb": round(path.stat().st_size / 1e6, 1),
    }


def _make_pool(folder: Path, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A pool of five clouds with some answers; its points, classes, and the seconds that its map took."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, N_CLASSES, n)
    centres = rng.normal(size=(N_CLASSES, N_FEATURES)) * 3
    features = (centres[classes] + rng.normal(size=(n, N_FEATURES))).astype(np.float32)
    path = folder / "pool.npz"
    np.savez(path, X=features)
    with open_workspace(folder / "workspace") as workspace:
        project = workspace.import_items(path, "pool")
        ids = [project.add_class(f"class {k}", by="benchmark").classes[-1].id for k in range(N_CLASSES)]
        me = project.person("me")
        free = np.flatnonzero(~project.loop.answers.reserve_mask)[:ANSWERED]
        for k in range(N_CLASSES):
            project.desk.batches.label(free[classes[free] == k], me, ids[k])
        while (job := project.fit()) is not None:
            project.wait(job)
        start = time.perf_counter()
        points = project.desk.map.points("pca").copy()
        took = time.perf_counter() - start
    return points, classes, took


def _summary(times_ms: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(times_ms), 1),
        "max": round(max(times_ms), 1),
        "n": len(times_ms),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bokeh-up-to", type=int, default=1_000_000, help="largest size of the baseline")
    return parser.parse_args()


if __name__ == "__main__":
    main()
