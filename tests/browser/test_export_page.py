"""Taking labels and classifier home: files that are really there, whole, and safe to open."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import answer_digits, open_page
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server

Contexts = Callable[..., BrowserContext]
N_ANSWERS = 60


@pytest.fixture(scope="module")
def taught(server: Server) -> Server:
    """The module's server once some digits were answered, one of them with a note that looks like a formula."""
    answer_digits(server, N_ANSWERS)
    note = {"kind": "record", "uuid": "formula", "item": 0, "state": "unsure", "note": "=1+1"}
    server.ask("/api/projects/digits/label/sync", {"holder": "x", "operations": [note], "want": 0}, "other")
    return server


def download(page: Page) -> Path:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    return download.value.path()


def test_labels_as_csv_are_safe_for_spreadsheets(new_context: Contexts, taught: Server) -> None:
    watched = open_page(new_context, taught, "/p/digits/export")
    page = watched.page
    expect(page.get_by_text(f"{N_ANSWERS} of 1,797 items")).to_be_visible()
    page.get_by_role("button", name="Export the labels").click()
    expect(page.get_by_text("Ready")).to_be_visible()
    text = download(page).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    assert len(rows) == N_ANSWERS + 1
    assert {row["state"] for row in rows} == {"answered", "unsure"}
    assert [row["note"] for row in rows if row["state"] == "unsure"] == ["'=1+1"]
    assert watched.wrong == []


@pytest.mark.parametrize(("choice", "suffix"), [("Parquet", ".parquet"), ("JSON Lines", ".jsonl")])
def test_other_formats(new_context: Contexts, taught: Server, choice: str, suffix: str) -> None:
    page = open_page(new_context, taught, "/p/digits/export").page
    expect(page.get_by_text(f"{N_ANSWERS} of 1,797 items")).to_be_visible()
    page.get_by_label(choice).check()
    expect(page.get_by_label("Safe for spreadsheets")).to_be_hidden()
    page.get_by_role("button", name="Export the labels").click()
    expect(page.get_by_text("Ready")).to_be_visible()
    expect(page.locator(".notice", has_text=suffix)).to_be_visible()
    assert download(page).stat().st_size > 0


def test_the_classifier_is_a_zip_with_everything_and_is_listed(new_context: Contexts, taught: Server) -> None:
    watched = open_page(new_context, taught, "/p/digits/export")
    page = watched.page
    expect(page.get_by_text("random-stream answers").first).to_be_visible()
    page.get_by_role("button", name="Export the classifier").click()
    expect(page.get_by_text("Ready")).to_be_visible()
    with zipfile.ZipFile(download(page)) as packed:
        assert packed.testzip() is None
        names = {Path(name).name for name in packed.namelist()}
    promised = page.get_by_role("region", name="Files of the classifier").locator("tbody tr td:first-child")
    assert set(promised.all_inner_texts()) <= names
    page.reload()
    listed = page.get_by_role("region", name="Earlier exports").get_by_role("link")
    expect(listed.first).to_contain_text("classifier")
    assert watched.wrong == []


def test_without_a_model_only_labels_can_be_exported(new_context: Contexts, server: Server) -> None:
    page = open_page(new_context, server, "/p/wine/export").page
    expect(page.get_by_text("No model to export yet")).to_be_visible()
    expect(page.get_by_role("button", name="Export the classifier")).to_be_disabled()
    expect(page.get_by_text("Nothing exported yet")).to_be_visible()
    expect(page.get_by_role("button", name="Export the labels")).to_be_enabled()
