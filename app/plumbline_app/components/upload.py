"""Choosing a file: it streams to the server over HTTP, with a bar and a cancel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

UPLOAD_URL = "/api/uploads"


class Upload(JSComponent):
    """A place to drop a file. Calls `on_upload(upload_id, file_name)` once the server has all of it."""

    url = param.String(default=UPLOAD_URL, constant=True, doc="Takes the file as the raw body of a POST.")
    accept = param.String(default="", doc="Suffixes that the file dialog offers, comma-separated.")

    kinds = param.String(
        default="CSV, TSV, JSON Lines, Parquet, NPZ or FITS", doc="The same in words, for who drops a file."
    )

    _esm = Path(__file__).parent / "upload.js"

    def __init__(self, on_upload: Callable[[str, str], None], **params: Any) -> None:
        super().__init__(**{"margin": 0, "sizing_mode": "stretch_width", **params})
        self._on_upload = on_upload

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict) and isinstance(data.get("upload"), str):
            self._on_upload(data["upload"], str(data.get("name", "")))
