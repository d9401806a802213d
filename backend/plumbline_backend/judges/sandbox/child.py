"""The confined child: it compiles the validator and calls it once per row.

After `give_up_everything` no file can be opened, so every module that an assertion may import is loaded before.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from plumbline_backend.judges.sandbox.confine import give_up_everything

MODULES = (
    "abc", "ast", "base64", "bisect", "calendar", "cmath", "collections", "collections.abc", "contextlib", "copy",
    "csv", "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq",
    "html", "html.parser", "io", "itertools", "json", "keyword", "math", "numbers", "operator", "random", "re",
    "statistics", "string", "textwrap", "time", "tokenize", "types", "typing", "unicodedata", "urllib.parse",
    "xml.etree.ElementTree", "zlib",
)  # fmt: skip
"""What an assertion may import."""
MAX_NOTE = 1_000
FIRST_FREE = 3


def preload() -> None:
    """Load the modules that assertions may import, and what raising and formatting errors needs."""
    for name in (*MODULES, "traceback", "linecache", "encodings.ascii", "encodings.latin_1", "_strptime"):
        import_module(name)


def judge_rows(request: Mapping[str, Any], rows: Sequence[Any], start: int, writing: int) -> NoReturn:
    """Confine, run the rows from `start` on, and end the process. Never returns."""
    try:
        os.dup2(writing, FIRST_FREE)
        os.closerange(FIRST_FREE + 1, 65_536)
        try:
            give_up_everything(request["memory_bytes"], request["cpu_s"])
        except OSError as error:
            _write({"refused": str(error)})
            os._exit(1)
        _write({"confined": True})
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Nowhere(), _Nowhere()
        check, wrong = _compiled(request["code"])
        for row in range(start, len(rows)):
            began = time.perf_counter()
            state, note = ("error", wrong) if check is None else _verdict(check, rows[row])
            _write({"row": row, "state": state, "note": note, "seconds": time.perf_counter() - began})
    finally:
        os._exit(0)


class _Nowhere(io.TextIOBase):
    """Where prints go."""

    def write(self, text: str) -> int:
        return len(text)


def _compiled(code: str) -> tuple[Callable[..., Any] | None, str]:
    """The function `check`, or in words what is wrong with the code."""
    names: dict[str, Any] = {"__name__": "validator"}
    try:
        exec(
            compile(code, "validator", "exec"), names
        )  # the sandbox's purpose: this process has nothing to lose
    except BaseException as error:  # whatever it raises is its own fault
        return None, f"the code does not run: {_said(error)}"
    check = names.get("check")
    if not callable(check):
        return None, "the code has no function check(output, context)"
    return check, ""


def _verdict(check: Callable[..., Any], row: Any) -> tuple[str, str]:
    try:
        answer = check(row["output"], row["context"])
    except AssertionError as error:
        return "fail", str(error)[:MAX_NOTE]
    except BaseException as error:  # whatever it raises is its own fault
        return "error", _said(error)
    if answer is None:
        return "abstain", ""
    if isinstance(answer, bool):
        return ("pass" if answer else "fail"), ""
    return "error", f"check returned a {type(answer).__name__}; expected True, False or None"


def _said(error: BaseException) -> str:
    """The error's kind, words and line of the code."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "validator":
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    where = "" if line is None else f" (line {line})"
    try:
        words = str(error)
    except BaseException:  # an error whose own words fail
        words = "without words"
    return f"{type(error).__name__}: {words}"[:MAX_NOTE] + where


def _write(message: Mapping[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(FIRST_FREE, data) :]
