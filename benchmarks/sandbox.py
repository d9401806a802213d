"""What the sandbox costs: a call in a batch of 1,000 rows, a validator from cold, and the attack set's result.

Beside it the same code called directly, without any wall, and in Monty, the fallback.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from common import environment, write
from plumbline_backend.judges.sandbox import ForkServer, Limits, Row, probe, run_code
from plumbline_backend.judges.sandbox.attacks import ATTACKS
from plumbline_backend.judges.sandbox.monty import run_in_monty
from plumbline_backend.judges.sandbox.probe import attacks_that_succeed

CODE = """
import re


def check(output, context):
    return len(output.split()) <= 120 and re.search(r"[A-Z]", output) is not None
"""
ROWS = [
    Row("A reply of some words, as they are. " * (1 + i % 9), {"vars": {"i": str(i)}}) for i in range(1_000)
]
ROUNDS = 15


def main() -> None:
    names: dict[str, object] = {}
    exec(CODE, names)
    check: Callable[..., bool] = names["check"]  # type: ignore[assignment]
    with ForkServer() as server:
        batch = median_s(lambda: server.run(CODE, ROWS))
        cold = median_s(lambda: server.run(CODE, ROWS[:1]))
        slow = Limits(row_s=1.0, cpu_s=5)
        started = time.perf_counter()
        through = attacks_that_succeed(server, list(ATTACKS), slow)
        attacks_s = time.perf_counter() - started
    write(
        "sandbox",
        {
            "environment": environment(["pydantic-monty"]),
            "wall": probe()._asdict(),
            "rows": len(ROWS),
            "ms_per_call_in_batch": round(1000 * batch / len(ROWS), 4),
            "ms_per_cold_validator": round(1000 * cold, 2),
            "ms_with_a_server_of_its_own": round(1000 * median_s(lambda: run_code(CODE, ROWS[:1])), 1),
            "baseline_ms_per_call_without_wall": round(
                1000 * median_s(lambda: [check(r.output, r.context) for r in ROWS]) / len(ROWS), 4
            ),
            "monty_ms_per_call_in_batch": round(
                1000 * median_s(lambda: run_in_monty(CODE, ROWS, Limits(), None)) / len(ROWS), 4
            ),
            "attacks": len(ATTACKS),
            "attacks_that_got_through": through,
            "attacks_seconds": round(attacks_s, 1),
        },
    )


def median_s(task: Callable[[], object]) -> float:
    """Median wall-clock seconds, after one warm-up."""
    task()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        task()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
