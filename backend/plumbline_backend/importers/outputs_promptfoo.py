"""promptfoo's JSON results: one output per test and provider, one imported judge per kind of assertion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem
from plumbline_backend.importers.outputs import FoundOutput, FoundVerdict, OutputsFile, sorted_out
from plumbline_backend.importers.outputs_json import load_json, score_of, text_of, texts_of

WHOLE = "promptfoo"
"""The judge that stands for a test's overall success."""


def read(path: Path, mapping: Mapping[str, Any] | None) -> OutputsFile:
    """`results.results[]`. A mapping is not needed. Raises InputError when the document has another shape."""
    del mapping
    document = load_json(path)
    results = document.get("results") if isinstance(document, dict) else None
    rows = results.get("results") if isinstance(results, dict) else results
    if not isinstance(rows, list):
        raise InputError(f"{path.name}: found no list results.results; expected promptfoo's JSON output")
    outputs, problems = sorted_out(_output(path.name, n, each) for n, each in enumerate(rows, 1))
    return OutputsFile("promptfoo", outputs, problems, template=_template(results))


def _output(file: str, number: int, row: Any) -> FoundOutput | Problem:
    if not isinstance(row, Mapping):
        return Problem(file, "an object", number, value=text_of(row)[:80])
    response = row.get("response")
    answer = response.get("output") if isinstance(response, Mapping) else response
    if answer is None:
        return Problem(file, "response.output", number, value=text_of(row.get("error"))[:200] or "nothing")
    prompt, provider = row.get("prompt"), row.get("provider")
    label = text_of(prompt.get("label")) if isinstance(prompt, Mapping) else ""
    return FoundOutput(
        row=number,
        response=text_of(answer),
        key=text_of(row.get("id")) or str(number),
        prompt=text_of(prompt.get("raw") if isinstance(prompt, Mapping) else prompt),
        variables=texts_of(row.get("vars")),
        system=text_of(
            provider.get("label") or provider.get("id") if isinstance(provider, Mapping) else provider
        ),
        metadata={"prompt_label": label} if label else {},
        verdicts=tuple(_verdicts(row)),
    )


def _verdicts(row: Mapping[str, Any]) -> list[FoundVerdict]:
    """The whole result, and each assertion by its metric or by its type and value; the first of a name counts."""
    grading = row.get("gradingResult")
    grading = grading if isinstance(grading, Mapping) else {}
    found: dict[str, FoundVerdict] = {}
    success = row.get("success", grading.get("pass"))
    if isinstance(success, bool):
        found[WHOLE] = _verdict(WHOLE, success, row.get("score"), grading.get("reason"))
    components = grading.get("componentResults")
    for component in components if isinstance(components, list) else []:
        if not isinstance(component, Mapping) or not isinstance(component.get("pass"), bool):
            continue
        assertion = component.get("assertion")
        name = _name(assertion if isinstance(assertion, Mapping) else {})
        if name not in found:
            found[name] = _verdict(name, component["pass"], component.get("score"), component.get("reason"))
    return list(found.values())


def _verdict(name: str, passed: bool, score: Any, reason: Any) -> FoundVerdict:
    return FoundVerdict(name, "pass" if passed else "fail", score_of(score), text_of(reason))


def _name(assertion: Mapping[str, Any]) -> str:
    metric = text_of(assertion.get("metric"))
    if metric:
        return metric
    kind, value = (
        text_of(assertion.get("type")) or "assertion",
        " ".join(text_of(assertion.get("value")).split()),
    )
    return f"{kind}: {value[:100]}" if value else kind


def _template(results: Any) -> str:
    """The prompt with its variables, when the file has one prompt only."""
    prompts = results.get("prompts") if isinstance(results, Mapping) else None
    raws = {text_of(p.get("raw")) for p in prompts or [] if isinstance(p, Mapping)}
    return raws.pop() if len(raws) == 1 else ""
