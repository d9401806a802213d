"""Criteria to begin with, without any LLM. Most bring a Python assertion; the others need a grader or grades.

The categories of hallucination follow the error types of TofuEval (Tang et al. 2024) and SummaC's entity and number
checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plumbline_backend.criteria.library_code import CODE
from plumbline_backend.domain.errors import InputError, did_you_mean


@dataclass(frozen=True)
class LibraryEntry:
    """A criterion of the library. `parameters`: names with their defaults, which stand in text and code.

    has_code: an assertion comes with it; else only people, LLM graders or trained heads can judge it.
    """

    key: str
    group: str
    name: str
    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    guidelines: str = ""

    @property
    def has_code(self) -> bool:
        """Whether an assertion comes with it."""
        return self.key in CODE


@dataclass(frozen=True)
class FilledEntry:
    """An entry with its parameters chosen: what the criterion says, and the assertion's code (None: without)."""

    name: str
    text: str
    guidelines: str
    code: str | None


LIBRARY: tuple[LibraryEntry, ...] = (
    LibraryEntry("max_words", "length", "At most {n} words", "The output has at most {n} words.", {"n": 120}),
    LibraryEntry("min_words", "length", "At least {n} words", "The output has at least {n} words.", {"n": 15}),
    LibraryEntry("max_sentences", "length", "At most {n} sentences", "The output has at most {n} sentences.", {"n": 8}),
    LibraryEntry("complete", "length", "Not cut off", "The output ends at the end of a sentence, not in its middle."),
    LibraryEntry("valid_json", "format", "Valid JSON", "The output is one JSON document and nothing else."),
    LibraryEntry("json_fields", "format", "JSON with its fields",
                 "The output is a JSON object with the members {fields}.", {"fields": ["answer"]}),
    LibraryEntry("plain_text", "format", "Plain text",
                 "The output is plain text: no Markdown headings, tables, bold, code, and no JSON or HTML."),
    LibraryEntry("contains", "format", "Contains {text!r}", "The output contains {text!r}.", {"text": "Kind regards"}),
    LibraryEntry("matches", "format", "Matches a pattern",
                 "Some part of the output matches the regular expression {pattern!r}.", {"pattern": r"\d"}),
    LibraryEntry("no_placeholder", "format", "No placeholder left",
                 "No placeholder such as [NAME], {{{{name}}}} or <name> is left in the output."),
    LibraryEntry("uses_variable", "format", "Uses the variable {variable!r}",
                 "The output contains the value of the prompt's variable {variable!r}.", {"variable": "customer"}),
    LibraryEntry("no_refusal", "refusal", "No refusal",
                 "The output does what was asked; it does not refuse or say that it is a language model."),
    LibraryEntry("language", "language", "In {language}", "The output is written in {language}.",
                 {"language": "English"}, "The code knows English, German, French, Spanish and Italian."),
    LibraryEntry("forbidden_words", "safety", "None of the forbidden words",
                 "None of these occurs in the output: {words}.", {"words": ["guarantee", "promise"]}),
    LibraryEntry("no_contact_details", "safety", "No contact details of its own",
                 "The output names no telephone number, e-mail or web address that is not in the prompt."),
    LibraryEntry("no_prompt_leak", "safety", "Does not repeat its instructions",
                 "The output does not quote {n} or more words in a row from the prompt's instructions.", {"n": 10}),
    LibraryEntry("no_repetition", "style", "No repetition", "No sentence of the output occurs twice."),
    LibraryEntry("polite", "style", "Polite", "The tone is friendly and respectful, also towards an angry person."),
    LibraryEntry("to_the_point", "style", "Answers the question",
                 "The output answers every question that was asked, and nothing else."),
    LibraryEntry("supported_numbers", "hallucination", "Numbers from the prompt",
                 "Every number in the output also occurs in the prompt or its variables."),
    LibraryEntry("supported_facts", "hallucination", "No invented facts",
                 "Every fact in the output is in the prompt or follows from it.",
                 guidelines="Fails for outside information, even when it happens to be true."),
    LibraryEntry("right_names", "hallucination", "Right names",
                 "People, places and things are the ones of the prompt, not mixed up with others."),
    LibraryEntry("no_contradiction", "hallucination", "No contradiction",
                 "Nothing in the output contradicts the prompt or the output itself."),
    LibraryEntry("no_overreach", "hallucination", "No unfounded promises or certainty",
                 "The output promises and claims no more than the prompt allows."),
)  # fmt: skip


def entry(key: str) -> LibraryEntry:
    """The entry called `key`. Raises InputError with the nearest."""
    by_key = {each.key: each for each in LIBRARY}
    if key not in by_key:
        raise InputError(f"library criterion: found {key!r}; {did_you_mean(key, by_key)}")
    return by_key[key]


def filled(key: str, parameters: Mapping[str, Any] | None = None) -> FilledEntry:
    """An entry with the given parameters, defaults for the others. Raises InputError for unknown or misfit ones."""
    found = entry(key)
    given = dict(parameters or {})
    unknown = sorted(set(given) - set(found.parameters))
    if unknown:
        valid = ", ".join(found.parameters) or "none"
        raise InputError(f"library criterion {key!r}: found the parameter {unknown[0]!r}; valid: {valid}")
    values = {**found.parameters, **given}
    for name, default in found.parameters.items():
        _check(key, name, values[name], default)
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in values.items()}
    code = None
    if found.has_code:
        head = "".join(f"{name.upper()} = {value!r}\n" for name, value in values.items())
        code = f"{head}{CODE[key]}".strip() + "\n"
    return FilledEntry(found.name.format(**shown), found.text.format(**shown), found.guidelines, code)


def _check(key: str, name: str, value: Any, default: Any) -> None:
    where = f"library criterion {key!r}, parameter {name}: found {value!r}"
    if isinstance(default, bool | int):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{where}; expected a whole number of at least 1")
    elif isinstance(default, list):
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(v, str) and v.strip() for v in value)
        ):
            raise InputError(f"{where}; expected a list of words")
    elif not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}; expected text")
    if key == "language" and value not in LANGUAGES:
        raise InputError(f"{where}; {did_you_mean(str(value), LANGUAGES)}")


LANGUAGES = ("English", "German", "French", "Spanish", "Italian")
