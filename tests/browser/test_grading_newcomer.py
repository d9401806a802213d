"""A newcomer, scripted: from the demo's outputs to a pytest file that runs without Plumbline, in one browser run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from grading import opened
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server

N_GRADED = 20
SIGNATURE = "Your Fernweh team"
SIGNED = f"def check(output, context):\nreturn {SIGNATURE!r} in output"
"""As it is typed: the editor indents the second line by itself."""


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[Server]:
    """A server over an empty workspace, with the scripted model as its language model."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "config.toml").write_text('llm_base_url = "scripted"\n')
    server = Server(tmp_path / "workspace")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_from_the_demos_outputs_to_a_pytest_file(
    new_context: Callable[..., BrowserContext], empty_server: Server, tmp_path: Path
) -> None:
    watched = opened(new_context, empty_server, "/", person="newcomer", accept_downloads=True)
    page = watched.page
    page.get_by_role("button", name="Replies to customers").click()
    page.get_by_role("link", name="Replies to customers").click()
    expect(page).to_have_url(re.compile("/grade$"))

    grade_first_look(page)
    write_criteria(page)
    run_the_judges(page)
    read_the_report(page)
    archive = export_checks(page, tmp_path)
    assert watched.wrong == []

    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "fresh")
    told = run_without_plumbline(tmp_path / "fresh" / "checks", tmp_path / "site")
    assert re.search(r"\d+ passed", told)


def grade_first_look(page: Page) -> None:
    """Grade a first look of outputs by keys, noting what is wrong."""
    for done in range(N_GRADED):
        expect(page.get_by_text(f"{done} of 126 outputs graded")).to_be_visible()
        expect(page.locator(".card.grade-card:not(.sending) .response")).to_be_visible()
        problem = fault(page.locator(".response").inner_text())
        if problem:
            page.keyboard.press("n")
            page.keyboard.type(problem)
            page.keyboard.press("Enter")
        page.keyboard.press("b" if problem else "g")
    expect(page.get_by_text(f"{N_GRADED} of 126 outputs graded")).to_be_visible()
    expect(page.get_by_text("You have seen enough for a first set of criteria")).to_be_visible()


def fault(text: str) -> str:
    """What the newcomer dislikes; empty for nothing."""
    if len(text.split()) > 120:
        return "far too long"
    if re.search(r"\[[A-Z]|\{\{", text):
        return "a placeholder is left"
    return "" if SIGNATURE in text else "not signed as it should be"


def write_criteria(page: Page) -> None:
    """One criterion from the library with its assertion, one written by hand with an assertion of one's own."""
    page.get_by_role("link", name="Judges", exact=True).click()
    page.get_by_role("button", name="From the library").click()
    expect(
        page.get_by_text("The output has at most 120 words. It brings a Python assertion.")
    ).to_be_visible()
    page.get_by_role("button", name="Take it").click()
    expect(page.get_by_text("Version 1. Its source: library")).to_be_visible()
    page.get_by_role("button", name="Write one").click()
    expect(page.get_by_role("heading", name="New criterion")).to_be_visible()
    page.get_by_role("textbox", name="Name", exact=True).fill("Signed")
    page.get_by_label("Statement that an output satisfies or not").fill(f"It is signed as {SIGNATURE!r}.")
    page.get_by_role("button", name="Add the criterion").click()
    expect(page.get_by_text("Version 1. Its source: person.")).to_be_visible()
    page.get_by_role("button", name="Add: Python assertion").click()
    page.locator(".ace_text-input").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(SIGNED)
    page.get_by_role("button", name="Add the judge").click()
    expect(page.get_by_text("126 outputs, on this machine.")).to_be_visible()


def run_the_judges(page: Page) -> None:
    """Run both; every verdict is counted."""
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text(re.compile(r"Of 126 outputs: \d+ pass, \d+ fail\."))).to_be_visible()
    page.get_by_role("row", name="At most 120 words").click()
    expect(page.get_by_text("Version 1. Its source: library")).to_be_visible()
    page.get_by_role("region", name="Judges of").locator("tbody tr").first.click()
    expect(page.get_by_text("126 outputs, on this machine.")).to_be_visible()
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text(re.compile(r"Of 126 outputs: \d+ pass, \d+ fail\."))).to_be_visible()


def read_the_report(page: Page) -> None:
    """Coverage and alignment with their intervals, and both judges in the table."""
    page.get_by_role("link", name="Alignment", exact=True).click()
    expect(page.locator("section.tile").first).to_contain_text("95 % interval")
    expect(page.locator("section.tile").nth(2)).to_contain_text(f"n = {N_GRADED}")
    expect(page.get_by_text("2 chosen judges together")).to_be_visible()
    expect(page.get_by_text("NaN")).to_have_count(0)


def export_checks(page: Page, folder: Path) -> Path:
    """The pytest file as a download."""
    page.get_by_role("link", name="Export", exact=True).click()
    page.get_by_role("button", name="Export the pytest file").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    archive = folder / "checks.zip"
    download.value.save_as(archive)
    return archive


def run_without_plumbline(folder: Path, site: Path) -> str:
    """Run pytest where nothing but pytest can be imported; returns what it prints. Fails unless it is green."""
    site.mkdir()
    for name in ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        folders = spec.submodule_search_locations
        source = Path(next(iter(folders)) if folders else spec.origin)
        (site / source.name).symlink_to(source)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
    alone = [sys.executable, "-S", "-c", "import plumbline_backend"]
    assert subprocess.run(alone, env=environment, capture_output=True, check=False).returncode == 1
    run = subprocess.run(
        [sys.executable, "-S", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
