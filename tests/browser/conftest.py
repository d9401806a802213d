"""A real server process over a real workspace, and a real Chromium that looks at it."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from plumbline_app.session import MAX_PERSON_LENGTH, PERSON_COOKIE, THEME_COOKIE, person_cookie
from plumbline_backend.workspace import open_workspace

START_TIMEOUT_S = 180
PATIENCE_MS = 120_000
"""What a busy machine may take with two browsers and two servers; a test that passes waits for none of it."""
TEST_TIMEOUT_S = 900
expect.set_options(timeout=PATIENCE_MS)
SCRIPT = '<script>window.hacked = true</script><img src=x onerror="window.hacked=true"><b>not bold</b>'
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium: install the chromium package"))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-dev-shm-usage"]}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}


@pytest.fixture
def new_context(new_context: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    """As pytest-playwright's, with this suite's patience for clicks and fills too."""

    def make(**options: Any) -> BrowserContext:
        context = new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        return context

    return make


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """`plumbline serve` as a process of its own, which can be stopped, killed and started again."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = workspace.parent / f"{workspace.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        code = "from plumbline_app.cli import main; main()"
        arguments = ["serve", "--workspace", str(self.workspace), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended at once:\n{self.log.read_text()}")
            try:
                self.ask("/healthz")
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"the server does not answer after {START_TIMEOUT_S} s:\n{self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(120)
            self.process = None

    def ask(self, path: str, body: dict[str, Any] | None = None, person: str = "me") -> Any:
        """The JSON that the server answers; a body makes it a POST."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", "x-plumbline-person": person_cookie(person)},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def opened(self, slug: str, person: str) -> dict[str, Any]:
        """What a new page of this person would show, without promising it any items."""
        return self.ask(f"/api/projects/{slug}/label/open", {"holder": "checker", "want": 0}, person)

    def history(self, slug: str, person: str) -> list[dict[str, Any]]:
        """The person's answers in force, newest first."""
        return self.opened(slug, person)["history"]

    def names(self, slug: str) -> dict[str, str]:
        """Class names by id."""
        return {each["id"]: each["name"] for each in self.opened(slug, "checker")["question"]["classes"]}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with demo digits and wine, messages with script in them, a tiny pool, and one without classes."""
    folder = tmp_path_factory.mktemp("prepared")
    with open_workspace(folder / "workspace") as workspace:
        workspace.create_demo("digits")
        workspace.create_demo("wine")
        messages = [[f"m{i}", f"{SCRIPT} message {i}\nsecond line", "mail"] for i in range(40)]
        _import(workspace, folder, "mail", ["key", "text", "source"], messages, ("praise", "complaint"))
        tiny = [[f"t{i}", f"short text number {i} about nothing much", "x"] for i in range(3)]
        _import(workspace, folder, "tiny", ["key", "text", "source"], tiny, ("yes", "no"))
        _import(workspace, folder, "bare", ["key", "text", "source"], tiny, ())
        _import(
            workspace,
            folder,
            "many",
            ["key", "text", "source"],
            messages,
            [f"topic {i:02}" for i in range(40)],
        )
    return folder / "workspace"


def _import(
    workspace: Any, folder: Path, name: str, header: list[str], rows: list[Any], classes: Any
) -> None:
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    project = workspace.import_items(path, name)
    for each in classes:
        project.add_class(each, by="test")


@pytest.fixture(scope="module")
def server(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a module's tests; each test is another person."""
    yield from _served(prepared, tmp_path_factory.mktemp("served"))


@pytest.fixture
def own_server(prepared: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, to be killed and started again."""
    yield from _served(prepared, tmp_path)


def _served(prepared: Path, folder: Path) -> Iterator[Server]:
    shutil.copytree(prepared, folder / "workspace")
    server = Server(folder / "workspace")
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Labelling:
    """A Label page as a person uses it."""

    def __init__(self, page: Page, server: Server, slug: str, person: str) -> None:
        self.page, self.server, self.slug, self.person = page, server, slug, person

    def wait(self) -> Labelling:
        """Until an item is on the screen and its ten successors are there."""
        self.stage.wait_for()
        expect(self.saved).to_have_text("Everything is saved")
        return self

    @property
    def stage(self) -> Locator:
        return self.page.locator(".stage[data-item]")

    @property
    def saved(self) -> Locator:
        return self.page.locator(".saved-line")

    @property
    def item(self) -> int:
        """Position of the item on the screen."""
        return int(self.stage.get_attribute("data-item") or -1)

    @property
    def stamps(self) -> Locator:
        return self.page.locator(".stamp")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def settle(self) -> None:
        """Until the server has everything."""
        expect(self.saved).to_have_text("Everything is saved")

    def history(self) -> list[dict[str, Any]]:
        """The person's answers in force, as the server tells them, newest first."""
        return self.server.history(self.slug, self.person)


OpenLabelling = Callable[..., Labelling]


@pytest.fixture
def labelling(
    new_context: Callable[..., BrowserContext], server: Server, request: pytest.FixtureRequest
) -> OpenLabelling:
    """Open a Label page as a person of the test's own; with `context`, as another tab of the same browser."""

    def open_page(
        slug: str = "digits",
        person: str = request.node.originalname[:MAX_PERSON_LENGTH],
        context: BrowserContext | None = None,
        at: Server = server,
        **options: Any,
    ) -> Labelling:
        context = context or person_context(new_context, at, person, **options)
        page = context.new_page()
        page.goto(f"{at.url}/p/{slug}/label")
        return Labelling(page, at, slug, person)

    return open_page


def person_context(
    new_context: Callable[..., BrowserContext],
    server: Server,
    person: str,
    dark: bool = False,
    **options: Any,
) -> BrowserContext:
    """A browser of one person, that notices errors of scripts and requests to other hosts."""
    context = new_context(**options)
    context.add_cookies(
        [
            {"name": PERSON_COOKIE, "value": person_cookie(person), "url": server.url},
            {"name": THEME_COOKIE, "value": "dark" if dark else "light", "url": server.url},
        ]
    )
    return context
