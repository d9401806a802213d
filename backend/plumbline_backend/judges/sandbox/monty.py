"""The fallback: Monty, an interpreter of Python's core in Rust that has no files, no network and no processes.

It lacks yield, del, classes' finer points and most modules; what it cannot run is an error of the row that says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pydantic_monty

from plumbline_backend.judges.sandbox.client import Limits, Outcome, Row

MAX_NOTE = 1_000
MAX_LOST = 3


def run_in_monty(
    code: str, rows: Sequence[Row], limits: Limits, on_outcome: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """As `run_code`. A row that goes over its time or memory gets a fresh interpreter for the next."""
    given = pydantic_monty.ResourceLimits(
        max_feed_duration_secs=limits.row_s,
        max_memory=limits.memory_bytes,
        max_total_sleep_secs=limits.row_s,
    )
    outcomes: list[Outcome] = []
    lost = 0
    with pydantic_monty.Monty(request_timeout=limits.row_s + 5) as pool:
        while len(outcomes) < len(rows):
            if lost >= MAX_LOST:
                note = f"not run: the code was stopped on {MAX_LOST} rows before"
                _tell([Outcome(row, "error", note, 0.0) for row in range(len(outcomes), len(rows))],
                      outcomes, on_outcome)  # fmt: skip
                break
            with pool.checkout(limits=given) as session:
                lost += _session(session, code, rows, outcomes, on_outcome)
    return outcomes


def _session(
    session: Any,
    code: str,
    rows: Sequence[Row],
    outcomes: list[Outcome],
    on_outcome: Callable[[Outcome], None] | None,
) -> int:
    """Rows until the end or until one is lost; returns how many were lost (0 or 1)."""
    wrong, gone = _call(session, code, {})
    for row in range(len(outcomes), len(rows)):
        began = time.perf_counter()
        if isinstance(wrong, _Failure):
            answer: Any = _Failure(f"the code does not run: {wrong.note}", False)
        else:
            inputs = {"output": rows[row].output, "context": dict(rows[row].context)}
            answer, gone = _call(session, "check(output, context)", inputs)
        _tell([_outcome(row, answer, time.perf_counter() - began)], outcomes, on_outcome)
        if gone:
            return 1
    return 0


class _Failure:
    """What an interpreter says instead of an answer."""

    def __init__(self, note: str, asserted: bool) -> None:
        self.note = note[:MAX_NOTE]
        self.asserted = asserted


def _call(session: Any, code: str, inputs: Mapping[str, Any]) -> tuple[Any, bool]:
    """The value, or a failure, and whether the session can go on no longer."""
    try:
        return session.feed_run(code, inputs=dict(inputs)), False
    except pydantic_monty.MontyCrashedError as error:
        return _Failure(f"stopped: {error}", False), True
    except pydantic_monty.MontyError as error:
        words = str(error)
        over = words.startswith(("TimeoutError", "MemoryError"))
        return _Failure(words, words.startswith("AssertionError")), over


def _outcome(row: int, answer: Any, seconds: float) -> Outcome:
    if isinstance(answer, _Failure):
        return Outcome(row, "fail" if answer.asserted else "error", answer.note, seconds)
    if answer is None:
        return Outcome(row, "abstain", "", seconds)
    if isinstance(answer, bool):
        return Outcome(row, "pass" if answer else "fail", "", seconds)
    note = f"check returned a {type(answer).__name__}; expected True, False or None"
    return Outcome(row, "error", note, seconds)


def _tell(
    new: Sequence[Outcome], outcomes: list[Outcome], on_outcome: Callable[[Outcome], None] | None
) -> None:
    for outcome in new:
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
