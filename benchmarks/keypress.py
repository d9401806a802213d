"""Key press to next item painted, in headless Chromium over a real server, while training runs.

    python benchmarks/keypress.py [--items 1000 200000] [--presses 100]

A press counts from the keydown event to the first animation frame after the item on the screen has changed: what a
person waits. Between presses the typist pauses (default 250 ms, four answers a second: faster than people label), and
the model is retrained all the while. The time until the server has acknowledged an answer is measured beside it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from common import environment, write
from plumbline_backend.workspace import open_workspace

N_FEATURES = 16
CLASSES = ("left", "middle", "right")
WARM_PRESSES = 24
"""Answers before the measured ones: enough of each class for a first model, so that training runs from then on."""
MEASURE = """
({ pause, key }) => new Promise((resolve) => {
  const stage = window.plStage;
  const before = stage.dataset.item;
  const start = performance.now();
  const watch = new MutationObserver(() => {
    if (stage.dataset.item === before) return;
    watch.disconnect();
    requestAnimationFrame(() => {
      const painted = performance.now() - start;
      const training = window.plTraining() ? 1 : 0;
      setTimeout(() => resolve([painted, training]), pause);
    });
  });
  watch.observe(stage, { attributes: true, attributeFilter: ["data-item"] });
  document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
})
"""
FIND = """
() => {
  const deep = (root, selector) => {
    const found = root.querySelector(selector);
    if (found) return found;
    for (const node of root.querySelectorAll("*")) {
      const inner = node.shadowRoot && deep(node.shadowRoot, selector);
      if (inner) return inner;
    }
    return null;
  };
  window.plStage = deep(document, ".stage[data-item]");
  const training = deep(document, ".training");
  window.plTraining = () => training.textContent !== "";
  return window.plStage !== null;
}
"""


def main() -> None:
    """Measure every pool size and write the figures."""
    options = _options()
    results = [measure(n, options.presses, options.pause_ms) for n in options.items]
    report = {
        "benchmark": "keypress",
        **environment(["panel", "bokeh", "playwright", "uvicorn"]),
        "load_average": round(os.getloadavg()[0], 1),
        "presses": options.presses,
        "pause_ms": options.pause_ms,
        "results": results,
    }
    write("keypress", report)


def measure(n_items: int, presses: int, pause_ms: int) -> dict[str, Any]:
    """Median and 95th percentile in ms of one pool size: next item painted, and answer acknowledged."""
    folder = Path(tempfile.mkdtemp(prefix="plumbline-keypress-"))
    server = None
    try:
        _make_pool(folder, n_items)
        server, url = _serve(folder / "workspace")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            acknowledged: list[float] = []
            page.on("requestfinished", lambda request: _note_time(request, acknowledged))
            painted, training = _label(page, url, presses, pause_ms)
            browser.close()
        return {
            "n_items": n_items,
            "n_features": N_FEATURES,
            "painted_ms": _summary(painted),
            "acknowledged_ms": _summary(acknowledged),
            "share_while_training": round(float(np.mean(training)), 2),
        }
    finally:
        if server is not None:
            server.terminate()
            server.wait(30)
        shutil.rmtree(folder)


def _label(page: Page, url: str, presses: int, pause_ms: int) -> tuple[list[float], list[int]]:
    page.goto(f"{url}/p/pool/label")
    page.locator(".stage[data-item]:not([data-item=''])").wait_for(timeout=120_000)
    page.wait_for_timeout(500)
    if not page.evaluate(FIND):
        raise RuntimeError("the Label page shows no item")
    for press in range(WARM_PRESSES):
        page.evaluate(MEASURE, {"pause": pause_ms, "key": str(1 + press % len(CLASSES))})
    found = [
        page.evaluate(MEASURE, {"pause": pause_ms, "key": str(1 + press % len(CLASSES))})
        for press in range(presses)
    ]
    return [painted for painted, _ in found], [training for _, training in found]


def _note_time(request: Any, times: list[float]) -> None:
    if request.url.endswith("/label/sync") and '"record"' in (request.post_data or ""):
        times.append(request.timing["responseEnd"])


def _make_pool(folder: Path, n_items: int) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, len(CLASSES), n_items)
    features = rng.normal(size=(n_items, N_FEATURES)) + targets[:, None] * np.linspace(0, 1, N_FEATURES)
    path = folder / "pool.csv"
    header = ",".join(["key", *(f"x{i}" for i in range(N_FEATURES))])
    rows = np.column_stack([np.arange(n_items), features.round(4)])
    np.savetxt(path, rows, fmt=["item-%d", *["%.4f"] * N_FEATURES], delimiter=",", header=header, comments="")
    with open_workspace(folder / "workspace") as workspace:
        project = workspace.import_items(path, "pool")
        for name in CLASSES:
            project.add_class(name, by="benchmark")


def _serve(workspace: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from plumbline_app.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--workspace", str(workspace), "--port", str(port)]
    )
    url = f"http://localhost:{port}"
    while True:
        if server.poll() is not None:
            raise RuntimeError("the server ended at once")
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):
                return server, url
        except OSError:
            time.sleep(0.2)


def _summary(times_ms: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(times_ms), 1),
        "p95": round(float(np.percentile(times_ms, 95)), 1),
        "max": round(max(times_ms), 1),
        "n": len(times_ms),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 200_000], help="pool sizes")
    parser.add_argument("--presses", type=int, default=100)
    parser.add_argument("--pause-ms", type=int, default=250, help="between presses")
    return parser.parse_args()


if __name__ == "__main__":
    main()
