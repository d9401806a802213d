"""Judges as a pytest file that needs neither Plumbline nor a network: assertions become functions, the outputs lie
beside it as JSON."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tokenize
from collections.abc import Mapping, Sequence

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.grades import Criterion, GradingJudge, Output

OUTPUTS_NAME = "outputs.json"
HEAD = '''"""Checks of LLM outputs, exported from Plumbline.

`outputs.json` beside this file holds the outputs: [{"id", "output", "prompt", "vars", "reference", "system"}, ...].
Replace it by outputs of your own to check those, or name another file in the environment variable OUTPUTS.
A check that returns None does not apply and is skipped; True passes; False, or a failed assert, fails.
"""

import hashlib
import json
import os
from pathlib import Path

import pytest

FILE = Path(os.environ.get("OUTPUTS", Path(__file__).with_name("outputs.json")))
OUTPUTS = json.loads(FILE.read_text(encoding="utf-8"))
KNOWN_FAILURES = %(known)s
"""Outputs that each check failed when this was exported, by id, with the fingerprint of what it saw. While that is the
same they are expected to fail, so that only news is red; a changed output is checked like any other."""


def fingerprint(output, context):
    """Of all that a check sees of an output."""
    seen = json.dumps([output, context], sort_keys=True)
    return hashlib.sha256(seen.encode()).hexdigest()[:16]


def run(request, name, check, row):
    """Call a check on one output and turn its answer into pytest's."""
    context = {key: row.get(key, {} if key == "vars" else "") for key in ("prompt", "vars", "reference", "system")}
    if KNOWN_FAILURES.get(name, {}).get(row["id"]) == fingerprint(row["output"], context):
        request.applymarker(pytest.mark.xfail(reason="failed when the checks were exported"))
    answer = check(row["output"], context)
    if answer is None:
        pytest.skip("does not apply")
    assert isinstance(answer, bool), f"the check returned {answer!r}; expected True, False or None"
    assert answer, row["output"][:500]


@pytest.fixture(params=OUTPUTS, ids=[row["id"] for row in OUTPUTS])
def row(request):
    """Each output in turn."""
    return request.param
'''
TEST = '''

# %(criterion)s
# %(figures)s
def make_%(name)s():
    """%(title)s"""
%(code)s
    return check


def test_%(name)s(request, row):
    run(request, %(key)r, make_%(name)s(), row)
'''


def pytest_file(
    judges: Sequence[tuple[GradingJudge, Criterion, str]], known_failures: Mapping[str, Sequence[Output]]
) -> str:
    """The file's text. judges: each with its criterion and a sentence on how well it agrees.

    known_failures: per judge's name the outputs that it fails today. Raises ConflictError without an assertion:
    LLM graders and heads cannot travel as a file of tests.
    """
    if not judges:
        raise ConflictError("there is no chosen assertion to export; add one and choose it")
    names: dict[str, int] = {}
    parts = [HEAD % {"known": _literal(known_failures)}]
    for judge, criterion, figures in judges:
        name = identifier(judge.name)
        names[name] = names.get(name, 0) + 1
        parts.append(
            TEST
            % {
                "name": name if names[name] == 1 else f"{name}_{names[name]}",
                "key": judge.name,
                "title": _quoted(judge.name),
                "criterion": _comment(f"{criterion.name}, version {criterion.version}: {criterion.text}"),
                "figures": _comment(figures),
                "code": indented(judge.spec["code"].strip()),
            }
        )
    text = "".join(parts)
    try:
        compile(text, "exported tests", "exec")
    except SyntaxError as error:
        raise ConflictError(
            f"line {error.lineno} of the exported file: {error.msg}; an assertion's code must fit inside a function"
        ) from error
    return text


def indented(code: str) -> str:
    """Code one level deeper; the inner lines of texts over several lines stay as they are."""
    inside: set[int] = set()
    starts: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(code + "\n").readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            starts.append(token.start[0])
        first = starts.pop() if kind == "FSTRING_END" else token.start[0]
        if kind in ("STRING", "FSTRING_END"):
            inside.update(range(first + 1, token.end[0] + 1))
    lines = code.splitlines()
    return "\n".join(
        line if number in inside or not line.strip() else f"    {line}"
        for number, line in enumerate(lines, 1)
    )


def identifier(name: str) -> str:
    """A name as part of a function's name."""
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", name.casefold())).strip("_")[:60] or "judge"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def fingerprint(output: Output) -> str:
    """What the exported file computes of the same output, from all that a check sees."""
    context = {
        "prompt": output.prompt,
        "vars": dict(output.variables),
        "reference": output.reference,
        "system": output.system,
    }
    seen = json.dumps([output.response, context], sort_keys=True)
    return hashlib.sha256(seen.encode()).hexdigest()[:16]


def _literal(known: Mapping[str, Sequence[Output]]) -> str:
    parts = []
    for name, outputs in known.items():
        lines = [f"        {each.key!r}: {fingerprint(each)!r},\n" for each in outputs]
        parts.append(f"    {name!r}: {{\n{''.join(lines)}    }},\n")
    return "{\n" + "".join(parts) + "}"
