"""What the server logs: one line an event, as text or as JSON, and never a secret."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from plumbline_backend.domain.errors import InputError, did_you_mean

FORMATS = ("text", "json")
HIDDEN = "[hidden]"
SECRET_NAME = re.compile(r"(KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?)$")
SHORTEST_SECRET = 8
"""A shorter value of such a variable is more likely a word than a secret, and hiding it would garble the log."""
_PATTERNS = (
    (re.compile(r"plumb_[\w-]{8,}"), f"plumb_{HIDDEN}"),
    (re.compile(r"(?i)(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\bsk-[\w-]{8,}"), f"sk-{HIDDEN}"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"(?i)(cookie['\"]?\s*[:=]\s*)[^\s,}]+"), rf"\1{HIDDEN}"),
)


def configure_logs(kind: str = "text", secrets: Iterable[str] = ()) -> None:
    """Send every log of the process to standard error. secrets: values to hide beside those of the environment.

    Raises InputError for another format than text and json.
    """
    if kind not in FORMATS:
        raise InputError(f"log_format: found {kind!r}; {did_you_mean(kind, FORMATS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(QuietFormatter(kind, [*secret_values(os.environ.items()), *secrets]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("plumbline_backend").setLevel(logging.INFO)
    logging.getLogger("plumbline_app").setLevel(logging.INFO)


def secret_values(environment: Iterable[tuple[str, str]]) -> list[str]:
    """Values of variables whose name says that they are secret, and passwords in URLs. Longest first."""
    found = {value for name, value in environment if SECRET_NAME.search(name)}
    return sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


class QuietFormatter(logging.Formatter):
    """One line an event (a traceback is one field of it in JSON), with secrets hidden wherever they turn up."""

    def __init__(self, kind: str, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._as_json = kind == "json"
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The event as it is written."""
        if not self._as_json:
            return self.hide(super().format(record))
        event = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.hide(record.getMessage()),
        }
        event |= {
            name: record.__dict__[name]
            for name in ("method", "route", "status", "ms")
            if name in vars(record)
        }
        if record.exc_info:
            event["traceback"] = self.hide(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=True)

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for value in self._secrets:
            text = text.replace(value, HIDDEN)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text
