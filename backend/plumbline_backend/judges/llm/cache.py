"""Readable answers of models, by the content of the question: asked again, they cost nothing.

One small file per answer, so that a run which was cancelled or lost goes on where it stood. No key, address or
prompt is in them: the name of the file is the hash of everything that was asked.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

logger = logging.getLogger(__name__)


def content_key(question: Mapping[str, Any]) -> str:
    """The SHA-256 of a JSON-like question, the same for the same content in any order of its names."""
    canonical = json.dumps(question, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class AnswerCache:
    """Answers in a folder. Several threads and processes may use it at once: files appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer, or None when there is none or its file was damaged (which is logged)."""
        path = self._path(key)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            logger.warning("answer %s of the cache is damaged; it will be asked again", path.name)
            return None
        return found if isinstance(found, dict) else None

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer; it is whole on disk when this returns."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}.part")
        unfinished.write_text(json.dumps(answer, ensure_ascii=True), encoding="utf-8")
        os.replace(unfinished, path)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
