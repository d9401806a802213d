"""The script of the scripted model: it knows the shapes that Plumbline asks for, and answers by surface rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from plumbline_backend.judges.llm.surface_rules import LIMIT, NUMBER, Seen, judge_by_surface

PREFACE = "Scripted, by surface rules: "
TAGGED = re.compile(r"<([a-z0-9-]+) id=([0-9a-f]{12})>\n(.*?)\n</\1 id=\2>", re.DOTALL)
LONGER_IS_MUCH = 2.0


@dataclass(frozen=True)
class Reply:
    """What the model says. `sure`: probability of the answer's own token, where one of `alternatives` is it."""

    text: str
    sure: float | None = None
    alternatives: tuple[str, ...] = ()


def answer_by_rules(shape: str, text: str) -> Reply:
    """The reply to a prompt of Plumbline that asks for `shape`; to any other, words that say what this is."""
    parts = sections(text)
    known: dict[str, Callable[[dict[str, str]], Reply]] = {
        "BinaryVerdict": _binary,
        "RubricScore": _rubric,
        "ChecklistAnswers": _checklist,
        "PairwiseChoice": _pairwise,
        "CriteriaProposal": _criteria,
        "AssertionDraft": _assertion,
    }
    if shape in known:
        return known[shape](parts)
    return Reply(
        "This is Plumbline's scripted model. It is no language model and knows only Plumbline's questions."
    )


def sections(text: str) -> dict[str, str]:
    """The marked texts of a prompt by their tag; of those that occur more than once, the last."""
    return {tag: body for tag, _, body in TAGGED.findall(text)}


def _seen(parts: dict[str, str], response: str, criterion: str | None = None) -> Seen:
    given = "\n".join(body for tag, body in parts.items() if tag not in ("output", "first", "second"))
    asked = (
        criterion if criterion is not None else f"{parts.get('criterion', '')}\n{parts.get('guidelines', '')}"
    )
    return judge_by_surface(asked, response, given)


def _binary(parts: dict[str, str]) -> Reply:
    seen = _seen(parts, parts.get("output", ""))
    verdict = "pass" if seen.passed else "fail"
    return Reply(_text(explanation=PREFACE + seen.why + ".", verdict=verdict), seen.sure, ("pass", "fail"))


def _rubric(parts: dict[str, str]) -> Reply:
    seen = _seen(parts, parts.get("output", ""))
    score = (5 if seen.sure > 0.8 else 4) if seen.passed else (1 if seen.sure > 0.8 else 2)
    return Reply(_text(explanation=PREFACE + seen.why + ".", score=score), seen.sure, tuple("12345"))


def _checklist(parts: dict[str, str]) -> Reply:
    answers = []
    for line in parts.get("checklist", "").splitlines():
        number, _, item = line.partition(". ")
        seen = _seen(parts, parts.get("output", ""), item)
        answers.append(
            {"number": int(number), "why": PREFACE + seen.why, "met": "yes" if seen.passed else "no"}
        )
    return Reply(_text(answers=answers))


def _pairwise(parts: dict[str, str]) -> Reply:
    first, second = parts.get("first", ""), parts.get("second", "")
    sides = [_seen(parts, first), _seen(parts, second)]
    if sides[0].passed != sides[1].passed:
        better = "first" if sides[0].passed else "second"
        return _choice(f"{better}_much", f"only the {better} passes: {sides[0].why} / {sides[1].why}")
    shorter, longer = sorted((len(first), len(second)))
    if longer > 1.1 * shorter + 20:
        better = "first" if len(first) > len(second) else "second"
        return _choice(f"{better}_slightly", f"the {better} says more, and both are alike otherwise")
    return _choice("tie", "both are alike")


def _choice(choice: str, why: str) -> Reply:
    return Reply(_text(explanation=PREFACE + why + ".", choice=choice))


def _criteria(parts: dict[str, str]) -> Reply:
    """Criteria for what the prompt's words and the notes mention."""
    prompt, notes = parts.get("prompt", ""), parts.get("notes", "")
    both = f"{prompt}\n{notes}".lower()
    found: list[dict[str, str]] = []

    def propose(name: str, text: str, why: str) -> None:
        found.append({"name": name, "text": text, "why": PREFACE + why})

    limit = LIMIT.search(prompt)
    if limit:
        propose(
            "Length",
            f"The output has {limit[1].lower()} {limit[2]} {limit[3].lower()}s.",
            "the prompt says so",
        )
    if "json" in both:
        propose("Valid JSON", "The whole output is valid JSON.", "JSON is mentioned")
    if NUMBER.search(notes) or re.search(r"invent|wrong|made up|fact|number|date|price", both):
        text = "Every number, date and name in the output is supported by what was given."
        propose("Grounded", text, "facts are mentioned")
    if re.search(r"tone|polite|rude|friendly|apolog|empath|customer", both):
        propose("Tone", "The output is polite and professional in tone.", "tone or customers are mentioned")
    if re.search(r"placeholder|\[\w+\]|template|bracket", notes.lower()):
        text = "The output leaves no placeholder or template field unfilled."
        propose("No placeholders", text, "the notes mention it")
    propose("No refusal", "The output does not refuse or decline the task.", "models often do")
    propose("Finished", "The output is complete and does not stop in the middle.", "models are often cut off")
    return Reply(_text(criteria=found[:8]))


def _assertion(parts: dict[str, str]) -> Reply:
    """Code for the criteria whose rule fits into a line or two."""
    criterion = parts.get("criterion", "")
    limit = LIMIT.search(criterion)
    text = "output"
    if limit:
        sign = {"at least": ">=", "more than": ">", "under": "<", "fewer than": "<", "less than": "<"}
        unit = limit[3].lower()
        count = {
            "word": f"len({text}.split())",
            "character": f"len({text})",
            "sentence": f"len(re.findall(r'[.!?](?:\\s|$)', {text}))",
            "line": f"len({text}.splitlines())",
            "paragraph": f"len([part for part in {text}.split('\\n\\n') if part.strip()])",
        }[unit]
        lines = [f"return {count} {sign.get(limit[1].lower(), '<=')} {limit[2]}"]
    elif "json" in criterion.lower():
        lines = ["try:", f"    json.loads({text})", "except ValueError:", "    return False", "return True"]
    elif re.search(r"refus|declin", criterion, re.IGNORECASE):
        pattern = r"i can(?:no|')t|as an ai|unable to|not able to (?:help|assist)"
        lines = [f'return re.search(r"{pattern}", {text}.lower()) is None']
    elif re.search(r"placeholder|template|unfilled|bracket", criterion, re.IGNORECASE):
        lines = [rf'return re.search(r"\[[A-Z][\w ]*\]|\{{\w+\}}|\bTODO\b", {text}) is None']
    elif re.search(r"support|ground|invent|fact|number", criterion, re.IGNORECASE):
        lines = [
            "given = ' '.join([context['prompt'], *context['vars'].values()])",
            rf'return all(number in given for number in re.findall(r"\d+(?:[.,:]\d+)*", {text}))',
        ]
    else:
        lines = [f"return {text}.strip().endswith(('.', '!', '?', '\"'))"]
    body = "\n".join(f"    {line}" for line in lines)
    code = f"import json\nimport re\n\n\ndef check(output, context):\n{body}\n"
    return Reply(_text(explanation=PREFACE + "the nearest rule that fits into code.", code=code))


def _text(**answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False)
