"""Run as a process by the fault tests: the API over a workspace, to be killed at the worst moment.

Arguments: workspace, port, database URL (or ""), and optionally a way to be wrong, as a control: "lies" acknowledges a
judgement before it is on disk; "slow" takes a second to write one, so that a request can be caught in the middle;
"hasty" ends on SIGTERM at once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from plumbline_backend.api.access import TokenAccess
from plumbline_backend.api.errors import install_error_answers
from plumbline_backend.api.routes import create_router
from plumbline_backend.api.v1 import create_api
from plumbline_backend.domain.types import Judgement, NewJudgement
from plumbline_backend.graceful import close_on_sigterm
from plumbline_backend.store.ledger import Ledger
from plumbline_backend.workspace import open_workspace

GRACE_S = 5


def lie() -> None:
    """Acknowledge first and write half a second later, as a write-back cache would."""
    record = Ledger.record

    def record_later(self: Ledger, new: NewJudgement, *more: Any) -> Judgement:
        timer = threading.Timer(0.5, record, (self, new, *more))
        timer.daemon = True
        timer.start()
        return Judgement(**vars(new), id=1)

    Ledger.record = record_later  # type: ignore[method-assign]


def slow_down() -> None:
    """A second for each judgement."""
    record = Ledger.record

    def record_slowly(self: Ledger, new: NewJudgement, *more: Any) -> Judgement:
        time.sleep(1.0)
        return record(self, new, *more)

    Ledger.record = record_slowly  # type: ignore[method-assign]


def main() -> None:
    """Serve until killed."""
    folder, port, url, *ways = sys.argv[1:]
    close_on_sigterm()
    if "lies" in ways:
        lie()
    if "slow" in ways:
        slow_down()
    with open_workspace(Path(folder), database_url=url or None, settings={"job_lease_s": 2.0}) as workspace:
        app = FastAPI()
        install_error_answers(app)
        app.include_router(create_router(workspace))
        app.include_router(create_api(workspace, TokenAccess(workspace.store.tokens, _person)))
        server = uvicorn.Server(
            uvicorn.Config(
                app, port=int(port), log_level="warning", ws="none", timeout_graceful_shutdown=GRACE_S
            )
        )
        if "hasty" in ways:
            server.handle_exit = lambda *_: os._exit(0)  # type: ignore[method-assign]
        server.run()


def _person(request: Any) -> str:
    return str(request.headers.get("x-plumbline-person", "me"))


if __name__ == "__main__":
    main()
