"""Python assertions: code of a person or a model that says pass or fail of an output. It only ever runs in the sandbox.

The code defines `check(output, context)`. `output` is the response, `context` has "prompt", "vars" (the prompt's
variables), "reference" and "system". It returns True (pass), False (fail) or None (does not apply); a failed `assert`
is a fail with its words as the explanation. Anything else is an error verdict, never a pass or a fail.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import Criterion, Output, Verdict, VerdictState
from plumbline_backend.judges.kinds import JudgeRun
from plumbline_backend.judges.sandbox import Limits, Outcome, Row, run_code

MAX_CODE = 100_000
SAVE_EVERY = 500
DRAFTED_FROM = "drafted_from"
"""In a specification: the graded outputs that the model saw which wrote the code. They cannot tell how good it is."""
EXAMPLE = '''def check(output, context):
    """The reply addresses the customer by name."""
    return context["vars"].get("customer", "") in output
'''


class AssertionJudge:
    """Code that checks an output."""

    kind = "assertion"
    explanation = (
        "Python code that looks at an output and says pass or fail. Needs no LLM; runs in a sandbox."
    )

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> Mapping[str, Any]:
        """{"code", "row_s"}, and "drafted_from" where a model wrote the code: the graded outputs that it was shown.

        Raises InputError for code that does not compile or has no check(output, context).
        """
        del criterion
        unknown = sorted(set(spec) - {"code", "row_s", DRAFTED_FROM})
        if unknown:
            raise InputError(f"assertion: found {', '.join(unknown)}; expected code and row_s only")
        row_s = spec.get("row_s", Limits().row_s)
        if not isinstance(row_s, int | float) or isinstance(row_s, bool) or not 0.01 <= row_s <= 60:
            raise InputError(f"row_s: found {row_s!r}; expected seconds from 0.01 to 60")
        code = spec.get("code")
        if not isinstance(code, str) or len(code) > MAX_CODE:
            raise InputError(
                f"code: found {type(code).__name__}; expected text of at most {MAX_CODE:,} characters"
            )
        require_check(code)
        shown = spec.get(DRAFTED_FROM, [])
        if not isinstance(shown, list) or not all(isinstance(each, int) for each in shown):
            raise InputError(f"{DRAFTED_FROM}: found {shown!r:.80}; expected a list of outputs by position")
        return {"code": code, "row_s": float(row_s), **({DRAFTED_FROM: sorted(set(shown))} if shown else {})}

    def run(self, run: JudgeRun) -> Mapping[str, Any]:
        """Call the code on every output; what came before a cancel is kept."""
        waiting: list[Verdict] = []
        n_done = 0

        def take(outcome: Outcome) -> None:
            nonlocal n_done
            waiting.append(verdict_of(run.outputs[outcome.row], outcome))
            n_done += 1
            if len(waiting) >= SAVE_EVERY:
                flush()
            run.report(n_done / len(run.outputs), f"judged {n_done:,} of {len(run.outputs):,}")

        def flush() -> None:
            run.save(tuple(waiting))
            waiting.clear()

        try:
            limits = Limits(row_s=run.judge.spec["row_s"])
            run_code(run.judge.spec["code"], [row_of(output) for output in run.outputs], limits, take)
        finally:
            flush()
        return {}


def require_check(code: str) -> None:
    """Raises InputError, with the line, unless the code compiles and defines check with two arguments."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise InputError(f"code{line}: {error}; expected Python that compiles") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if not functions:
        raise InputError("code: found no function check; expected def check(output, context)")
    arguments = functions[-1].args
    n_needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    n_taken = len(arguments.posonlyargs) + len(arguments.args)
    if n_needed > 2 or (n_taken < 2 and arguments.vararg is None):
        raise InputError(f"code: check takes {n_taken} arguments; expected two, check(output, context)")


def row_of(output: Output) -> Row:
    """An output as code sees it."""
    context = {
        "prompt": output.prompt,
        "vars": dict(output.variables),
        "reference": output.reference,
        "system": output.system,
    }
    return Row(output.response, context)


def verdict_of(output: Output, outcome: Outcome) -> Verdict:
    """What the code said of an output."""
    states: dict[str, VerdictState] = {"pass": "pass", "fail": "fail", "abstain": "abstain"}
    return Verdict(
        output.position, states.get(outcome.state, "error"), note=outcome.note, seconds=outcome.seconds
    )
