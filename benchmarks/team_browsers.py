"""Real browsers beside the simulated people of team_load: each has the Label page open, with its websocket session."""

from __future__ import annotations

import random
import shutil
import threading
import time
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright

OPEN_WITHIN_MS = 120_000
STAGE = ".stage[data-item]:not([data-item=''])"
PRESS = """
({ key }) => new Promise((resolve) => {
  const deep = (root) => {
    const found = root.querySelector(".stage[data-item]");
    if (found) return found;
    for (const node of root.querySelectorAll("*")) {
      const inner = node.shadowRoot && deep(node.shadowRoot);
      if (inner) return inner;
    }
    return null;
  };
  const stage = deep(document), before = stage.dataset.item, begun = performance.now();
  const watch = new MutationObserver(() => {
    if (stage.dataset.item === before) return;
    watch.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - begun));
  });
  watch.observe(stage, { attributes: true, attributeFilter: ["data-item"] });
  document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
  setTimeout(() => { watch.disconnect(); resolve(null); }, 10000);
})
"""


class Browsers(threading.Thread):
    """Several people in separate contexts of one Chromium, pressing keys of classes in turn until told to stop.

    painted_s: seconds from a press to the next item on the screen. frames: websocket frames received in all.
    """

    def __init__(self, n: int, port: int, pause_s: float, until: float) -> None:
        super().__init__()
        self.n = n
        self.painted_s: list[float] = []
        self.errors: list[str] = []
        self.sockets = 0
        self.frames = 0
        self._port, self._pause_s, self._until = port, pause_s, until

    def run(self) -> None:
        """Open the pages, then press keys in turn."""
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            try:
                pages = [self._open(browser) for _ in range(self.n)]
                while time.monotonic() < self._until:
                    for page in pages:
                        self._press(page)
                        page.wait_for_timeout(1000 * self._pause_s / self.n)
            except Error as error:
                self.errors.append(str(error).splitlines()[0])
            finally:
                browser.close()

    def _open(self, browser: Browser) -> Page:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", self._watch)
        page.goto(f"http://127.0.0.1:{self._port}/p/pool/label", timeout=OPEN_WITHIN_MS)
        page.locator(STAGE).wait_for(timeout=OPEN_WITHIN_MS)
        return page

    def _watch(self, socket: Any) -> None:
        self.sockets += 1
        socket.on("framereceived", lambda _: self._count())

    def _count(self) -> None:
        self.frames += 1

    def _press(self, page: Page) -> None:
        took = page.evaluate(PRESS, {"key": str(random.randint(1, 3))})
        if took is None:
            self.errors.append("no next item within ten seconds")
        else:
            self.painted_s.append(took / 1000)
