"""Pictures of every page for README and docs, and in every size and theme for whoever changes a page.

    python docs/screenshots.py            # 1440 x 900, light, into docs/images
    python docs/screenshots.py --all DIR  # two sizes, both themes, empty and full, into DIR

Starts a real server over a workspace of its own and answers digits as a person would.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "browser"))

from pages import answer_digits

from conftest import Server, person_context
from plumbline_backend.simulation.setup import Setup
from plumbline_backend.simulation.task import OWN_DATA, start_simulation
from plumbline_backend.workspace import open_workspace

IMAGES = Path(__file__).parent / "images"
SIZES = {"wide": (1440, 900), "narrow": (1024, 768)}
SETTLE_MS = 2500
"""For charts that draw themselves after their data has come."""
STEP = 30
"""Digits answered between two versions of the model."""
READER = "Ada"
SIMULATED = ("random", "margin", "typical_then_margin")

PAGES: Mapping[str, str] = {
    "projects": "/",
    "import": "/import",
    "data": "/p/digits/data",
    "label": "/p/digits/label",
    "review": "/p/digits/review",
    "map": "/p/digits/map",
    "health": "/p/digits/health",
    "model": "/p/digits/model",
    "simulate": "/p/wine/simulate",
    "export": "/p/digits/export",
    "grade": "/p/replies-to-customers/grade",
    "judges": "/p/replies-to-customers/judges",
    "alignment": "/p/replies-to-customers/alignment",
}
EMPTY: Mapping[str, str] = {
    "data_empty": "/p/wine/data",
    "label_table": "/p/wine/label",
    "model_empty": "/p/wine/model",
    "export_empty": "/p/wine/export",
}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", type=Path, metavar="DIR", help="every size and theme, into this folder")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="pages to take, by name")
    parser.add_argument("--answers", type=int, default=300, help="digits to answer first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = _server(Path(folder))
        try:
            for answered in range(0, options.answers, STEP):
                answer_digits(server, min(STEP, options.answers - answered), READER)
            _take(server, options.all, options.only)
        finally:
            server.stop()


def _server(folder: Path) -> Server:
    with open_workspace(folder / "workspace") as workspace:
        for name in ("wine", "digits"):
            workspace.create_demo(name)
        workspace.create_grading_demo()
        setup = Setup(OWN_DATA, budget=60, seeds=5)
        tried = start_simulation(workspace.jobs, workspace.project("wine"), setup, SIMULATED)
        workspace.jobs.wait(tried.id)
    server = Server(folder / "workspace")
    server.start()
    return server


def _take(server: Server, everything: Path | None, only: list[str] | None) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium())
        for size, dark, target in _looks(everything):
            width, height = SIZES[size]
            viewport = {"width": width, "height": height}
            context = person_context(browser.new_context, server, READER, dark=dark, viewport=viewport)
            for name, path in (PAGES | (EMPTY if everything else {})).items():
                if not only or name in only:
                    _picture(context, server.url + path, target.with_name(target.name.format(name=name)))
            context.close()
        browser.close()


def _looks(everything: Path | None) -> Iterator[tuple[str, bool, Path]]:
    if everything is None:
        yield "wide", False, IMAGES / "{name}.png"
        return
    everything.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for dark in (False, True):
            yield size, dark, everything / f"{{name}}_{size}_{'dark' if dark else 'light'}.png"


def _picture(context: BrowserContext, url: str, path: Path) -> None:
    page: Page = context.new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.body.innerText.includes('is being computed')", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=path)
    page.close()


def _chromium() -> str | None:
    import shutil

    return shutil.which("chromium")


if __name__ == "__main__":
    main()
