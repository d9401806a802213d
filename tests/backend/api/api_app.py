"""The API without pages, and the file that the tests import."""

from __future__ import annotations

import csv
from pathlib import Path

from fastapi import FastAPI, Request

from plumbline_backend.api.access import TokenAccess
from plumbline_backend.api.errors import install_error_answers
from plumbline_backend.api.routes import create_router
from plumbline_backend.api.v1 import create_api
from plumbline_backend.workspace import Workspace

N_ITEMS = 60


def person_of(request: Request) -> str:
    """As the pages: a header names the person."""
    return request.headers.get("x-plumbline-person", "me")


def make_app(workspace: Workspace) -> FastAPI:
    """The API without pages."""
    app = FastAPI()
    install_error_answers(app)
    app.include_router(create_router(workspace))
    app.include_router(create_api(workspace, TokenAccess(workspace.store.tokens, person_of)))
    return app


def things_file(folder: Path) -> Path:
    """Sixty rows of two kinds with a text, a number and the answer beside them."""
    path = folder / "things.csv"
    rows = [
        [f"k{i}", f"word{i % 7} of row {i}", "" if i == 3 else i % 2 + i / 1000, "odd" if i % 2 else "even"]
        for i in range(N_ITEMS)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["key", "text", "size", "label"], *rows])
    return path
