"""The assertions of the library, as text: they run in the sandbox and go into exports as they are."""

from __future__ import annotations

CODE = {
    "max_words": """
def check(output, context):
    n = len(output.split())
    assert n <= N, f"{n} words"
    return True
""",
    "min_words": """
def check(output, context):
    n = len(output.split())
    assert n >= N, f"{n} words"
    return True
""",
    "max_sentences": r"""
import re


def check(output, context):
    n = len([part for part in re.split(r"(?<=[.!?])\s+", output.strip()) if part])
    assert n <= N, f"{n} sentences"
    return True
""",
    "complete": """
def check(output, context):
    text = output.rstrip()
    lines = [line for line in text.splitlines() if line.strip()]
    signed = len(lines) > 1 and len(lines[-1].split()) <= 5
    return bool(text) and (signed or text[-1] in ".!?:)]}\\"'\u201d\u2019*`")
""",
    "valid_json": """
import json


def check(output, context):
    try:
        json.loads(output)
    except ValueError as error:
        raise AssertionError(str(error))
    return True
""",
    "json_fields": """
import json


def check(output, context):
    try:
        found = json.loads(output)
    except ValueError as error:
        raise AssertionError(str(error))
    assert isinstance(found, dict), "not an object"
    missing = [name for name in FIELDS if name not in found]
    assert not missing, "missing: " + ", ".join(missing)
    return True
""",
    "plain_text": r"""
import re

MARKS = {
    "a heading": r"(?m)^#{1,6} ",
    "a table": r"(?m)^\s*\|.*\|\s*$",
    "bold": r"\*\*\S[^*]*\*\*",
    "code": r"```",
    "HTML": r"</?[a-zA-Z][^<>]*>",
}


def check(output, context):
    assert not output.lstrip().startswith(("{", "[{")), "JSON"
    for name, pattern in MARKS.items():
        assert not re.search(pattern, output), name
    return True
""",
    "contains": """
def check(output, context):
    return TEXT in output
""",
    "matches": """
import re


def check(output, context):
    return re.search(PATTERN, output) is not None
""",
    "no_placeholder": r"""
import re


def check(output, context):
    found = re.search(r"\[[A-Z][A-Z_ ]+\]|\{\{?\s*\w+\s*\}?\}|<[a-z]+(?:[_ ][a-z]+)*>|\bLorem ipsum\b", output)
    assert not found, found.group() if found else ""
    return True
""",
    "uses_variable": """
def check(output, context):
    value = context["vars"].get(VARIABLE)
    if not value:
        return None
    return value.casefold() in output.casefold()
""",
    "no_refusal": r"""
import re

REFUSALS = (
    r"\bas an? (?:AI|artificial|language model)",
    r"\bI(?:'m| am) (?:sorry,? but I|not able to|unable to)",
    r"\bI (?:cannot|can't|won't) (?:help|assist|answer|comply|do that|provide)",
    r"\bI'm just an? (?:AI|assistant|language model)",
)


def check(output, context):
    for pattern in REFUSALS:
        found = re.search(pattern, output, re.IGNORECASE)
        assert not found, found.group() if found else ""
    return True
""",
    "language": r"""
import re

COMMON = {
    "English": "the and you your is are of to in for that with it we not have this on will be can as if please",
    "German": "der die das und ist nicht sie ihr wir mit auf ein eine zu von den dem sich auch wird haben bitte",
    "French": "le la les et est vous nous une un des du pas pour dans que qui avec sur votre notre merci au",
    "Spanish": "el la los las y es usted no una un de que en por para con su se lo como gracias del al",
    "Italian": "il la le e non un una di che in per con si lo come grazie del al sono nel alla tuo tua te se",
}


def check(output, context):
    words = re.findall(r"[^\W\d_]+", output.casefold())
    if len(words) < 4:
        return None
    scores = {name: sum(word in common.split() for word in words) for name, common in COMMON.items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] == 0:
        return None
    assert scores[LANGUAGE] == scores[best], "looks like " + best
    return True
""",
    "forbidden_words": r"""
import re


def check(output, context):
    found = [w for w in WORDS if re.search(r"(?<!\w)" + re.escape(w) + r"(?!\w)", output, re.IGNORECASE)]
    assert not found, ", ".join(found)
    return True
""",
    "no_contact_details": r"""
import re

PATTERN = r"https?://\S+|www\.\S+|[\w.+-]+@[\w-]+\.[\w.]+|(?<![\w-])\+?\d[\d /()-]{6,}\d(?![\w-])"


def check(output, context):
    given = context["prompt"] + " " + " ".join(context["vars"].values())
    found = [m.group() for m in re.finditer(PATTERN, output) if m.group() not in given]
    assert not found, ", ".join(found)
    return True
""",
    "no_prompt_leak": r"""
import re


def check(output, context):
    instructions = context["prompt"]
    for value in context["vars"].values():
        instructions = instructions.replace(value, " \u0000 ")
    asked = re.findall(r"\w+|\u0000", instructions.casefold())
    said = re.findall(r"\w+", output.casefold())
    known = {tuple(asked[i : i + N]) for i in range(len(asked) - N + 1)}
    leaks = [said[i : i + N] for i in range(len(said) - N + 1) if tuple(said[i : i + N]) in known]
    assert not leaks, " ".join(leaks[0]) if leaks else ""
    return True
""",
    "no_repetition": r"""
import re


def check(output, context):
    sentences = [s.strip().casefold() for s in re.split(r"(?<=[.!?])\s+", output) if len(s.split()) >= 3]
    twice = {s for s in sentences if sentences.count(s) > 1}
    assert not twice, sorted(twice)[0] if twice else ""
    return True
""",
    "supported_numbers": r"""
import re

NUMBER = r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])"


def plain(number):
    return number.rstrip(".,").replace(",", ".")


def check(output, context):
    given = " ".join([context["prompt"], *context["vars"].values()])
    known = {plain(n) for n in re.findall(NUMBER, given)} | {p for n in re.findall(r"\d+", given) for p in [n]}
    found = [n for n in re.findall(NUMBER, output) if plain(n) not in known]
    assert not found, ", ".join(found)
    return True
""",
}
