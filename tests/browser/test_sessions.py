"""Sessions end with their tabs: what a closed tab held on the server is given back."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import BrowserContext

from conftest import free_port, person_context
from plumbline_app.main import create_app
from plumbline_app.pages.page import Page
from plumbline_backend.workspace import Workspace, open_workspace

pytestmark = (
    pytest.mark.filterwarnings(  # Panel 1.9 and bokeh-fastapi 0.1.8 build requests the way Tornado 6.7 drops
        "ignore:.*HTTPServerRequest:DeprecationWarning"
    )
)
N_TABS = 20
UNUSED_MS = 5_000


class Hosted:
    """The application in a thread of this process, so that its sessions can be counted."""

    def __init__(self, workspace: Workspace) -> None:
        self.app = create_app(workspace)
        self.pages = self.app.state.pages
        self.pages._unused_session_lifetime_milliseconds = UNUSED_MS
        self.pages._cleanup_timeout = UNUSED_MS / 1000
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        config = uvicorn.Config(self.app, port=self.port, log_level="warning", timeout_graceful_shutdown=2)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.05)

    def sessions(self) -> list[Any]:
        return [s for context in self.pages._applications.values() for s in context._sessions.values()]


@pytest.fixture
def hosted(prepared: Path, tmp_path: Path) -> Iterator[Hosted]:
    shutil.copytree(prepared, tmp_path / "workspace")
    with open_workspace(tmp_path / "workspace") as workspace:
        hosted = Hosted(workspace)
        yield hosted
        hosted.server.should_exit = True
        hosted.thread.join(15)


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.1)
    return condition()


@pytest.mark.parametrize("path", ["/", "/p/digits/label", "/p/digits/data"])
def test_twenty_of_twenty_sessions_end_with_their_tabs(
    hosted: Hosted, new_context: Callable[..., BrowserContext], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Page] = []
    monkeypatch.setattr(Page, "close", lambda self: closed.append(weakref.ref(self)))  # type: ignore[arg-type]
    context = person_context(new_context, hosted, "me")  # type: ignore[arg-type]
    documents = []
    for _ in range(N_TABS):
        page = context.new_page()
        page.goto(hosted.url + path, wait_until="domcontentloaded")
        assert until(lambda: bool(hosted.sessions()) and hosted.sessions()[-1].connection_count == 1)
        documents += [weakref.ref(session.document) for session in hosted.sessions()]
        page.close()
    assert until(lambda: not hosted.sessions()), f"{len(hosted.sessions())} sessions are left"
    assert len(closed) >= N_TABS  # more where a slow machine let a session end before its tab had connected
    gc.collect()
    alive = {id(ref()) for ref in documents if ref() is not None}
    assert len(alive) <= 2, f"{len(alive)} of {N_TABS} documents are still in memory"
