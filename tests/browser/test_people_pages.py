"""A team in real browsers: the owner invites, a person comes in by the link, works, and is taken out."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from conftest import Server
from plumbline_backend.people.passwords import hash_password
from plumbline_backend.store import open_store

PASSWORD = "correct horse 7"


@pytest.fixture(scope="module")
def team_server(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a login, and the account "olga" that owns the workspace."""
    folder = tmp_path_factory.mktemp("team")
    shutil.copytree(prepared, folder / "workspace")
    (folder / "workspace" / "config.toml").write_text("require_login = true\n")
    with open_store(folder / "workspace" / "plumbline.db") as store:
        store.people.create("olga", hash_password(PASSWORD), is_owner=True, may_create=True)
        store.people.create("rita", hash_password(PASSWORD))
        rita = store.people.get("rita")
        store.memberships.set_role(store.projects.get("mail").id, rita.id, "reader")
    server = Server(folder / "workspace")
    server.start()
    yield server
    server.stop()


def sign_in(context: BrowserContext, server: Server, name: str, path: str = "/") -> Page:
    """A page of a person who has just signed in."""
    page = context.new_page()
    page.goto(server.url + path)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(server.url + path)
    return page


def answer(page: Page, slug: str, item: int, class_name: str) -> None:
    """Answer an item by the page's own session, as if it had been looked up."""
    body = {"holder": uuid.uuid4().hex, "operations": [], "want": 0}
    opened = post(page, f"/api/projects/{slug}/label/open", body)
    class_id = next(c["id"] for c in opened["question"]["classes"] if c["name"] == class_name)
    operation = {"kind": "record", "uuid": uuid.uuid4().hex, "item": item, "class_id": class_id}
    assert post(page, f"/api/projects/{slug}/label/sync", {**body, "operations": [operation]})["acks"][0][
        "ok"
    ]


def post(page: Page, path: str, body: object) -> dict:
    script = """async ([path, body]) => {
      const answer = await fetch(path, {method: "POST", body: JSON.stringify(body),
                                        headers: {"content-type": "application/json"}});
      return await answer.json();
    }"""
    found: dict = page.evaluate(script, [path, body])
    return found


def test_from_an_invitation_to_being_taken_out(
    new_context: Callable[..., BrowserContext], team_server: Server
) -> None:
    owner = sign_in(new_context(), team_server, "olga", "/p/mail/people")
    expect(owner.get_by_role("heading", name="People", exact=True)).to_be_visible()
    expect(owner.get_by_text("rita")).to_be_visible()
    owner.get_by_role("button", name="Make a link").click()
    link = owner.get_by_text(re.compile(r"http://localhost:\d+/invite/\S{40,}"))
    expect(link).to_be_visible()
    address = re.search(r"http://\S+/invite/[\w-]+", link.inner_text())
    assert address is not None

    guest = new_context().new_page()
    guest.goto(address.group())
    expect(guest.get_by_text("olga invites you to the project 'mail' as annotator")).to_be_visible()
    guest.get_by_label("Name that others see").fill("gustav")
    guest.get_by_label(re.compile("Password")).fill(PASSWORD)
    guest.get_by_role("button", name="Make my account").click()
    guest.wait_for_url("**/p/mail/label")
    expect(guest.locator(".stage[data-item]")).to_be_visible()
    expect(guest.locator(".pl-name")).to_have_text("gustav")
    expect(guest.get_by_role("link", name="People")).to_have_count(0)
    guest.keyboard.press("1")
    expect(guest.locator(".saved-line")).to_have_text("Everything is saved")

    owner.reload()
    row = owner.get_by_role("row", name=re.compile("^gustav annotator"))
    expect(row).to_contain_text("annotator")
    row.click()
    owner.get_by_role("button", name="Take out of the project").click()
    expect(owner.get_by_text("takes no part any more")).to_be_visible()
    guest.goto(f"{team_server.url}/p/mail/label")
    expect(guest.get_by_text("does not exist, or you take no part in it")).to_be_visible()

    owner.goto(f"{team_server.url}/p/mail/audit")
    for words in ("invited", "invitation accepted", "removed from project"):
        expect(owner.get_by_role("cell", name=words, exact=True).first).to_be_visible()


def test_a_reader_sees_and_changes_nothing(
    new_context: Callable[..., BrowserContext], team_server: Server
) -> None:
    page = sign_in(new_context(), team_server, "rita")
    expect(page.get_by_role("link", name="mail", exact=True).first).to_be_visible()
    expect(page.get_by_text("digits")).to_have_count(0)
    expect(page.get_by_text("Import a file")).to_have_count(0)
    page.goto(f"{team_server.url}/p/mail/model")
    expect(page.get_by_text("No model yet")).to_be_visible()
    page.goto(f"{team_server.url}/p/mail/label")
    expect(page.get_by_text("this needs the right to label")).to_be_visible()


def test_the_last_word_on_a_disputed_item(
    new_context: Callable[..., BrowserContext], team_server: Server
) -> None:
    owner = sign_in(new_context(), team_server, "olga")
    answer(owner, "tiny", 0, "yes")
    with open_store(team_server.workspace / "plumbline.db") as store:
        row = store.projects.get("tiny")
        (question,) = store.questions.for_project(row.id)
        judge = store.judges.ensure(row.id, "person", "somebody")
        from plumbline_backend.domain.types import NewJudgement

        other = next(c.id for c in question.classes if c.name == "no")
        store.ledger.record(NewJudgement(0, question.id, question.version, judge.id, "other", answer=other))
    owner.goto(f"{team_server.url}/p/tiny/adjudicate")
    expect(owner.get_by_text("1 disputed item.")).to_be_visible()
    expect(owner.get_by_text("somebody")).to_have_count(0)  # names are left out
    owner.get_by_role("button", name="no", exact=True).click()
    expect(owner.get_by_text("Nothing is disputed")).to_be_visible()


def test_ones_own_account(new_context: Callable[..., BrowserContext], team_server: Server) -> None:
    page = sign_in(new_context(), team_server, "rita", "/account")
    page.get_by_label("What the token is for").fill("my script")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_text(re.compile(r"plumb_[\w-]{40,}"))).to_be_visible()
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("found 5 characters; expected 10 to 200")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto(f"{team_server.url}/account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_comment_beside_the_item_waits_on_the_people_page(
    new_context: Callable[..., BrowserContext], team_server: Server
) -> None:
    page = sign_in(new_context(), team_server, "olga", "/p/many/label")
    expect(page.locator(".stage[data-item]")).to_be_visible()
    page.get_by_role("tab", name="Comments").click()
    expect(page.get_by_text("Nobody has said anything about this item.")).to_be_visible()
    page.get_by_label("Comment", exact=True).fill("<b>blurred</b> 1")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator(".comments")).to_contain_text("<b>blurred</b> 1")
    expect(page.get_by_label("Comment", exact=True)).to_have_value("")
    page.goto(f"{team_server.url}/p/many/people")
    page.get_by_role("row").filter(has_text="blurred").click()
    page.get_by_role("button", name="Settled").click()
    expect(page.get_by_text("Nobody has said anything.")).to_be_visible()
