"""Judges and outputs as promptfoo's configuration: assertions as python, LLM graders as llm-rubric.

What promptfoo cannot carry is named at the top of the file and wherever the export is told of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from plumbline_backend.domain.grades import Criterion, GradingJudge, Output
from plumbline_backend.exporters.promptfoo_graders import (
    PROMPT_VAR,
    REFERENCE_VAR,
    SYSTEM_VAR,
    Carried,
    carried,
)

SHIM = """
_vars = context.get("vars") or {}
_answer = check(output, {
    "prompt": _vars.get("plumbline_prompt", ""),
    "vars": {name: value for name, value in _vars.items() if not name.startswith("plumbline_")},
    "reference": _vars.get("plumbline_reference", ""),
    "system": _vars.get("plumbline_system", ""),
})
return True if _answer is None else _answer
"""
"""promptfoo runs the value as the body of get_assert(output, context). Its own prompt is the echoed output."""
OUTPUT_VAR = "plumbline_output"


def promptfoo_config(
    project: str,
    outputs: Sequence[Output],
    judges: Sequence[tuple[GradingJudge, Criterion]],
) -> dict[str, Any]:
    """The configuration as plain values. The outputs come from the `echo` provider, so that nothing is asked anew.

    Variables keep their names; the output stands in `plumbline_output`, beside prompt, reference and system.
    """
    tests = [_test(output) for output in outputs]
    found = [_carried(judge, criterion, _variables(tests)) for judge, criterion in judges]
    assertions = [each.entry for each in found if each.entry is not None]
    return {
        "description": f"Exported from Plumbline: {project}",
        "prompts": ["{{plumbline_output}}"],
        "providers": ["echo"],
        "defaultTest": {"assert": assertions},
        "tests": tests,
    }


def promptfoo_notes(outputs: Sequence[Output], judges: Sequence[tuple[GradingJudge, Criterion]]) -> list[str]:
    """What the configuration does not carry, a sentence for each judge that loses something."""
    variables = _variables([_test(output) for output in outputs])
    lost = [(judge, _carried(judge, criterion, variables).notes) for judge, criterion in judges]
    return [f"{judge.name}: {'; '.join(notes)}." for judge, notes in lost if notes]


def promptfoo_yaml(config: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """The configuration as YAML, code and other texts over several lines as blocks; notes as comments above."""
    text = yaml.dump(dict(config), Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=1_000)
    told = ["Not carried over from Plumbline:", *notes] if notes else []
    return "".join(f"# {' '.join(line.split())}\n" for line in told) + str(text)


def _test(output: Output) -> dict[str, Any]:
    more = {PROMPT_VAR: output.prompt, REFERENCE_VAR: output.reference, SYSTEM_VAR: output.system}
    given = {name: value for name, value in more.items() if value}
    return {
        "description": output.key,
        "vars": {**output.variables, OUTPUT_VAR: output.response, **given},
        **({"metadata": {"system": output.system}} if output.system else {}),
    }


def _variables(tests: Sequence[dict[str, Any]]) -> list[str]:
    """Names that some test has; promptfoo's templates leave the place of one that is missing empty."""
    names = dict.fromkeys(name for test in tests for name in test["vars"])
    return [name for name in names if name != OUTPUT_VAR]


class _Blocks(yaml.SafeDumper):
    """Writes texts over several lines as literal blocks, and nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)


def _carried(judge: GradingJudge, criterion: Criterion, variables: Sequence[str]) -> Carried:
    """One entry of `assert`, or none for a kind that promptfoo cannot run, and what is lost on the way."""
    if judge.kind == "assertion":
        code = judge.spec["code"].strip() + "\n" + SHIM.strip() + "\n"
        return Carried({"type": "python", "metric": judge.name, "value": code}, ())
    if judge.kind == "llm":
        return carried(judge, criterion, variables)
    what = "a trained head" if judge.kind == "head" else "verdicts that were imported"
    return Carried(None, (f"left out: promptfoo cannot run {what}",))
