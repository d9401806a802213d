"""Judges and outputs as promptfoo's configuration: assertions as python, LLM graders as llm-rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from plumbline_backend.domain.grades import Criterion, GradingJudge, Output

SHIM = """
_answer = check(output, {
    "prompt": str(context.get("prompt") or ""),
    "vars": context.get("vars") or {},
    "reference": "",
    "system": "",
})
return True if _answer is None else _answer
"""
"""promptfoo runs the value as the body of get_assert(output, context)."""


def promptfoo_config(
    project: str,
    outputs: Sequence[Output],
    judges: Sequence[tuple[GradingJudge, Criterion]],
) -> dict[str, Any]:
    """The configuration as plain values. The outputs come from the `echo` provider, so that nothing is asked anew.

    Variables keep their names; the output stands in `plumbline_output`. Heads and imported judges cannot travel.
    """
    assertions = [made for judge, criterion in judges if (made := _assertion(judge, criterion)) is not None]
    return {
        "description": f"Exported from Plumbline: {project}",
        "prompts": ["{{plumbline_output}}"],
        "providers": ["echo"],
        "defaultTest": {"assert": assertions},
        "tests": [
            {
                "description": output.key,
                "vars": {**output.variables, "plumbline_output": output.response},
                **({"metadata": {"system": output.system}} if output.system else {}),
            }
            for output in outputs
        ],
    }


def promptfoo_yaml(config: Mapping[str, Any]) -> str:
    """The configuration as YAML, code and other texts over several lines as blocks."""
    return str(yaml.dump(dict(config), Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=1_000))


class _Blocks(yaml.SafeDumper):
    """Writes texts over several lines as literal blocks, and nothing as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)


def _assertion(judge: GradingJudge, criterion: Criterion) -> dict[str, Any] | None:
    """One entry of `assert`; None for a kind that promptfoo cannot run."""
    if judge.kind == "assertion":
        return {
            "type": "python",
            "metric": judge.name,
            "value": judge.spec["code"].strip() + "\n" + SHIM.strip() + "\n",
        }
    if judge.kind == "llm":
        return {
            "type": "llm-rubric",
            "metric": judge.name,
            "value": f"{criterion.text} {criterion.guidelines}".strip(),
        }
    return None
