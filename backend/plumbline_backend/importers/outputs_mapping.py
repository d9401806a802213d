"""What the columns of a table of LLM outputs are: said by a person, or suggested by their names and values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plumbline_backend.domain.errors import InputError
from plumbline_backend.importers.outputs_json import passed_of

NAMES = {
    "response": ("response", "output", "completion", "answer", "generation", "text", "summary", "prediction"),
    "id": ("id", "key", "output_id", "run_id", "example_id", "uuid"),
    "prompt": ("prompt", "rendered_prompt", "question", "instruction"),
    "system": ("system", "model", "model_name", "provider", "variant"),
    "reference": ("reference", "expected", "target", "ideal", "gold"),
}
"""Column names that are taken for each part when no mapping is given, in order of preference."""
GRADE_NAMES = ("grade", "label", "human", "human_grade", "rating", "overall")
NOTE_NAMES = ("note", "notes", "remark", "comment", "critique", "feedback", "human_note")
VERDICT_NAMES = ("verdict", "passed", "pass", "success", "judge", "judgement", "judgment")
VERDICT_ENDS = ("_verdict", "_pass", "_passed", "_ok", "_success", "_judge", "_judgement", "_judgment")
SCORE_ENDS = ("_score", "_value", "_confidence")
REASON_ENDS = ("_explanation", "_reason", "_reasoning", "_why", "_rationale", "_comment", "_critique")
"""Endings of a column with what belongs to the verdicts of the same beginning, such as gpt_ok, gpt_score, gpt_why."""


@dataclass(frozen=True)
class GradeColumn:
    """A column of a person's grades; criterion None: the overall question. `note`: the column of remarks.

    pass_from: for grades that are numbers, such as ratings: good from this number on; None: they say good or bad.
    """

    column: str
    grader: str
    criterion: str | None = None
    note: str | None = None
    pass_from: float | None = None


@dataclass(frozen=True)
class VerdictColumn:
    """A column of a judge's verdicts, with its columns of scores and explanations.

    criterion, pass_from: as for grades.
    """

    column: str
    judge: str
    score: str | None = None
    explanation: str | None = None
    pass_from: float | None = None
    criterion: str | None = None


@dataclass(frozen=True)
class OutputMapping:
    """What each column is. `variables`: columns, or one column that holds an object of them. The rest is metadata."""

    response: str
    id: str | None = None
    prompt: str | None = None
    system: str | None = None
    reference: str | None = None
    variables: tuple[str, ...] = ()
    grades: tuple[GradeColumn, ...] = ()
    verdicts: tuple[VerdictColumn, ...] = ()
    template: str = ""

    @property
    def columns(self) -> set[str]:
        """Every column that the mapping names."""
        named = [self.response, self.id, self.prompt, self.system, self.reference, *self.variables]
        named += [part for g in self.grades for part in (g.column, g.note)]
        named += [part for v in self.verdicts for part in (v.column, v.score, v.explanation)]
        return {name for name in named if name is not None}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-like values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OutputMapping:
        """From what `to_dict` gave. Raises InputError naming unknown members, and what is said twice."""
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown or not values.get("response"):
            wrong = f"unknown members {', '.join(unknown)}" if unknown else "no response column"
            raise InputError(f"mapping: found {wrong}; expected {', '.join(cls.__dataclass_fields__)}")
        given = dict(values)
        given["variables"] = tuple(given.get("variables", ()))
        given["grades"] = tuple(_made(GradeColumn, g) for g in given.get("grades", ()))
        given["verdicts"] = tuple(_made(VerdictColumn, v) for v in given.get("verdicts", ()))
        found = cls(**given)
        _check_said_once(found)
        return found


def propose(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> OutputMapping | None:
    """The mapping that names and values suggest; None without a response column."""
    by_name = {_plain(column): column for column in reversed(columns)}
    picked = {part: next((by_name[n] for n in names if n in by_name), None) for part, names in NAMES.items()}
    response = picked.pop("response")
    if response is None:
        return None
    objects = [c for c in columns if _plain(c) in ("variables", "vars", "inputs")]
    variables = objects[:1] or [c for c in columns if _plain(c).startswith(("var_", "var:", "vars."))]
    grades = [c for c in columns if _plain(c) in GRADE_NAMES and _says_good_or_bad(c, rows)]
    note = next((by_name[n] for n in NOTE_NAMES if n in by_name), None) if grades else None
    said = [c for c in columns if _is_verdict(_plain(c)) and _says_good_or_bad(c, rows)]
    return OutputMapping(
        response=response,
        variables=tuple(variables),
        grades=tuple(GradeColumn(column, "the file", note=note) for column in grades[:1]),
        verdicts=tuple(verdict_column(column, columns) for column in said),
        id=picked["id"],
        prompt=picked["prompt"],
        system=picked["system"],
        reference=picked["reference"],
    )


def verdict_column(column: str, columns: Sequence[str]) -> VerdictColumn:
    """A column of verdicts with the score and the explanation that begin alike; the judge is named by the beginning."""
    plain = _plain(column)
    end = next((end for end in VERDICT_ENDS if plain.endswith(end) and plain != end), "")
    stem = plain.removesuffix(end)
    alone = stem in VERDICT_NAMES
    return VerdictColumn(
        column,
        column.strip() if alone or not end else column.strip()[: -len(end)],
        _companion(columns, stem, SCORE_ENDS, alone),
        _companion(columns, stem, REASON_ENDS, alone),
    )


def _companion(columns: Sequence[str], stem: str, ends: Sequence[str], alone: bool) -> str | None:
    """The column that is the stem with one of the endings, or for "verdict" alone the ending itself, as in "score"."""
    wanted = [f"{stem}{end}" for end in ends] + [end[1:] for end in ends if alone]
    return next((column for name in wanted for column in columns if _plain(column) == name), None)


def _is_verdict(plain: str) -> bool:
    return plain in VERDICT_NAMES or (plain.endswith(VERDICT_ENDS) and plain not in VERDICT_ENDS)


def _says_good_or_bad(column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every value there reads as good or bad, and there is one."""
    values = [row.get(column) for row in rows if row.get(column) not in (None, "")]
    return bool(values) and all(passed_of(value) is not None for value in values)


def _check_said_once(mapping: OutputMapping) -> None:
    """One column per judge, and per grader and criterion: two would say two things of one output."""
    judges = Counter(v.judge for v in mapping.verdicts)
    graders = Counter((g.grader, g.criterion) for g in mapping.grades)
    wrong = [f"judge {name!r} has {n} columns" for name, n in judges.items() if n > 1]
    wrong += [
        f"grader {grader!r} has {n} columns for {criterion or 'the overall question'}"
        for (grader, criterion), n in graders.items()
        if n > 1
    ]
    if wrong:
        raise InputError(f"mapping: {'; '.join(wrong)}; expected one column each")


def _made(kind: Any, values: Any) -> Any:
    names = set(kind.__dataclass_fields__)
    if not isinstance(values, Mapping) or not set(values) <= names:
        raise InputError(
            f"mapping: found {values!r}; expected an object with some of {', '.join(sorted(names))}"
        )
    needed = [name for name in ("column", "grader", "judge") if name in names]
    missing = [name for name in needed if not isinstance(values.get(name), str) or not values[name].strip()]
    limit = values.get("pass_from")
    if missing:
        raise InputError(
            f"mapping: found no {missing[0]} in {dict(values)!r}; expected {' and '.join(needed)}"
        )
    if limit is not None and not (isinstance(limit, int | float) and math.isfinite(limit)):
        raise InputError(f"mapping: pass_from of {values['column']!r} is {limit!r}; expected a number")
    return kind(**values)


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_")
