"""What the scripted model can see of a text: length, form, words. One rule per kind of criterion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,:]\d+)*")
QUOTED = re.compile(r"[\"“'‘`]([^\"”'’`]{2,60})[\"”'’`]")
LIMIT = re.compile(
    r"\b(at most|no more than|not more than|under|fewer than|less than|within|up to|maximum of|at least|more than)"
    r"\s+(\d+)\s+(word|character|sentence|line|paragraph)s?",
    re.IGNORECASE,
)
REFUSAL = re.compile(
    r"\b(i (?:can(?:no|')t|am unable to|won't)|as an ai|i'm sorry, but|not able to (?:help|assist))",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(r"\[[A-Z][\w ]{1,30}\]|\{\{?\w+\}?\}|\bTODO\b|lorem ipsum|\bXX+\b")
GREETING = re.compile(r"\A\W*(hello|hi|hey|dear|good (?:morning|afternoon|evening))\b", re.IGNORECASE)
FAREWELL = re.compile(
    r"\b(regards|sincerely|best wishes|cheers|yours|thank you|thanks)\b[^\n]{0,40}\n?.{0,80}\Z", re.IGNORECASE
)
WARMTH = re.compile(
    r"\b(sorry|apolog\w+|thank\w*|appreciate|glad|happy to|understand|please|welcome)\b", re.IGNORECASE
)
HARSH = re.compile(r"\b(stupid|ridiculous|obviously|your fault|calm down|[A-Z]{6,} [A-Z]{4,})\b")
NEGATIVE = re.compile(r"\b(not|never|no|avoid|without|free of|don't|doesn't)\b", re.IGNORECASE)


class Seen(NamedTuple):
    """What a rule says of a text, and how sure a real model might be of it."""

    passed: bool
    why: str
    sure: float = 0.92


Rule = Callable[[str, str, str], Seen | None]
"""(criterion, response, everything else that was given) to what is seen; None: the rule is about something else."""


def judge_by_surface(criterion: str, response: str, given: str) -> Seen:
    """The first rule that knows the criterion; else whether the text looks finished at all."""
    for rule in RULES:
        seen = rule(criterion, response, given)
        if seen is not None:
            return seen
    return _finished(response)


def _length(criterion: str, response: str, given: str) -> Seen | None:
    del given
    found = LIMIT.search(criterion)
    if found is None:
        return None
    bound, limit, unit = found[1].lower(), int(found[2]), found[3].lower()
    count = {
        "word": len(response.split()),
        "character": len(response),
        "sentence": len(re.findall(r"[.!?](?:\s|\Z)", response)),
        "line": len(response.splitlines()),
        "paragraph": len([part for part in re.split(r"\n\s*\n", response) if part.strip()]),
    }[unit]
    enough = {"at least": count >= limit, "more than": count > limit, "fewer than": count < limit}
    passed = enough.get(bound, count < limit if bound in ("under", "less than") else count <= limit)
    return Seen(passed, f"counted {count} {unit}s where {bound} {limit} are asked for")


def _json_form(criterion: str, response: str, given: str) -> Seen | None:
    del given
    if "json" not in criterion.lower():
        return None
    try:
        json.loads(response)
    except ValueError:
        return Seen(False, "the text is not valid JSON")
    return Seen(True, "the text is valid JSON")


def _phrases(criterion: str, response: str, given: str) -> Seen | None:
    del given
    phrases = QUOTED.findall(criterion)
    if not phrases:
        return None
    there = [phrase for phrase in phrases if phrase.lower() in response.lower()]
    if NEGATIVE.search(criterion.split(phrases[0])[0]):
        return Seen(not there, f"contains {there[0]!r}" if there else f"contains none of {phrases}")
    return Seen(bool(there), f"contains {there[0]!r}" if there else f"contains none of {phrases}")


def _refuses(criterion: str, response: str, given: str) -> Seen | None:
    del given
    if not re.search(r"refus|declin", criterion, re.IGNORECASE):
        return None
    found = REFUSAL.search(response)
    return Seen(found is None, f"says {found[0]!r}" if found else "does not refuse")


def _placeholders(criterion: str, response: str, given: str) -> Seen | None:
    del given
    if not re.search(r"placeholder|template|unfilled|bracket", criterion, re.IGNORECASE):
        return None
    found = PLACEHOLDER.search(response)
    return Seen(found is None, f"leaves {found[0]!r} unfilled" if found else "leaves nothing unfilled")


def _grounded(criterion: str, response: str, given: str) -> Seen | None:
    words = (
        r"invent|hallucinat|made[- ]up|fabricat|ground|support|faithful|fact|accura|correct|source|consisten"
    )
    if not re.search(words, criterion, re.IGNORECASE):
        return None
    unknown = [number for number in NUMBER.findall(response) if number not in given]
    if unknown:
        return Seen(False, f"gives the number {unknown[0]}, which is nowhere in what was given", 0.85)
    return Seen(True, "every number in it is also in what was given", 0.75)


def _greets(criterion: str, response: str, given: str) -> Seen | None:
    del given
    if re.search(r"greet|salutation|addresses the", criterion, re.IGNORECASE):
        return Seen(bool(GREETING.search(response)), "looked for a greeting at the start")
    if re.search(r"sign[- ]?off|closing|farewell|signature", criterion, re.IGNORECASE):
        return Seen(bool(FAREWELL.search(response)), "looked for a farewell at the end")
    return None


def _tone(criterion: str, response: str, given: str) -> Seen | None:
    del given
    if not re.search(
        r"polite|tone|friendly|empath|courte|respect|warm|professional", criterion, re.IGNORECASE
    ):
        return None
    harsh = HARSH.search(response)
    if harsh:
        return Seen(False, f"says {harsh[0]!r}", 0.85)
    return Seen(bool(WARMTH.search(response)), "looked for thanks, an apology or an offer of help", 0.75)


def _list_form(criterion: str, response: str, given: str) -> Seen | None:
    del given
    if not re.search(r"\b(bullet|bulleted|list|markdown|heading)", criterion, re.IGNORECASE):
        return None
    marked = bool(re.search(r"^\s*(?:[-*•#]|\d+[.)])\s", response, re.MULTILINE))
    unwanted = bool(NEGATIVE.search(criterion))
    return Seen(
        marked != unwanted, "found list or heading marks" if marked else "found no list or heading marks"
    )


def _finished(response: str) -> Seen:
    text = response.strip()
    sentences = [part.strip().lower() for part in re.split(r"[.!?\n]+", text) if part.strip()]
    if not text:
        return Seen(False, "the text is empty", 0.7)
    if not re.search(r"[.!?:;)\]}\"”*]\Z", text):
        return Seen(False, "the text stops in the middle of a sentence", 0.7)
    if len(sentences) != len(set(sentences)):
        return Seen(False, "the text repeats a sentence", 0.7)
    return Seen(True, "the text is finished and repeats nothing; no rule knows this criterion", 0.7)


RULES: tuple[Rule, ...] = (
    _length,
    _json_form,
    _refuses,
    _placeholders,
    _phrases,
    _grounded,
    _greets,
    _tone,
    _list_form,
)
