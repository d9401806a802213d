"""Running code of people and models where it can do no harm.

`run_code` uses the fork server where the probe shows that it holds (Linux with Landlock and seccomp), else Monty, a
Python interpreter without any access, else it refuses. The process that serves the pages never runs such code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.judges.sandbox.client import ForkServer, Limits, Outcome, Row
from plumbline_backend.judges.sandbox.probe import Wall, probe, probe_at_start

__all__ = ["ForkServer", "Limits", "Outcome", "Row", "Wall", "probe", "probe_at_start", "run_code"]


def run_code(
    code: str,
    rows: Sequence[Row],
    limits: Limits = Limits(),
    on_outcome: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """What `check(output, context)` of the code says of every row, in order.

    Code that does not compile, raises, loops, runs out of memory or returns something else than True, False or None is
    an error of its row. Raises ConflictError where nothing on this system can confine code.
    """
    wall = probe()
    if wall.kind == "fork server":
        with ForkServer() as server:
            return server.run(code, rows, limits, on_outcome)
    if wall.kind == "monty":
        from plumbline_backend.judges.sandbox.monty import run_in_monty  # only where it is needed

        return run_in_monty(code, rows, limits, on_outcome)
    raise ConflictError(f"code cannot be run safely on this system: {wall.reason}")
