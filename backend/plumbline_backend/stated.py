"""Probabilities that a judge states with its answer: how they are checked, written into the ledger, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from plumbline_backend.domain.answer_forms import write_signed
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import JudgeKind, Question
from plumbline_backend.kinds.base import Kind

OUTSIDE_KINDS: tuple[JudgeKind, ...] = ("llm", "rule", "assertion")
"""Judges that answer from outside; answers of an imported judge would count as labels."""
SUM_TOLERANCE = 1e-3
"""As for a model's probabilities: a row further off is not probabilities. Nothing is renormalised."""


def check_kinds(judge: str, question: Kind) -> None:
    """Raises InputError for a judge that lives elsewhere, and for a kind of question whose judges are not compared."""
    if judge not in OUTSIDE_KINDS:
        raise InputError(f"judge kind: found {judge!r}; expected one of {', '.join(OUTSIDE_KINDS)}")
    if not question.also_a_choice:
        raise InputError(
            f"judge: probabilities of others are not compared for the kind {question.title!r}; expected a question "
            "with one class an item"
        )


def as_row(question: Question, proba: Mapping[str, float]) -> tuple[float, ...]:
    """One number per class in order of creation, 0 for classes that were merged away: no reordering touches it.

    proba: of every class that can be answered, by id. Raises InputError on unknown or missing classes, on what is
    no probability, and on a sum other than 1 where an item has exactly one class.
    """
    active = [c.id for c in question.active]
    wrong = [
        f"class {c!r} is not one of the question's; {did_you_mean(c, active)}"
        for c in proba
        if c not in active
    ]
    missing = [c for c in active if c not in proba]
    if missing:
        wrong.append(
            f"nothing for {', '.join(missing[:8])}; expected a probability of each of {len(active)} classes"
        )
    outside = [f"{c}: {value}" for c, value in proba.items() if not (isfinite(value) and 0 <= value <= 1)]
    if outside:
        wrong.append(f"found {', '.join(outside[:8])}; expected numbers from 0 to 1")
    total = sum(proba.values())
    if not wrong and question.kind != "multi_label" and abs(total - 1) > SUM_TOLERANCE:
        wrong.append(f"the sum is {total:.6g}; expected 1")
    if wrong:
        raise InputError("proba: " + "\n".join(wrong))
    return tuple(float(proba.get(c.id, 0.0)) for c in question.classes_by_age)


def of_row(question: Question, row: Sequence[float]) -> list[float] | None:
    """The row per active class, in display order; what a class took over by merging is added to it.

    None where the question has got more classes since: the judge could not answer what is asked today.
    """
    if len(row) != len(question.classes):
        return None
    found = dict.fromkeys((c.id for c in question.active), 0.0)
    for label_class, value in zip(question.classes_by_age, row, strict=True):
        now = question.resolve(label_class.id)
        found[now] = max(found[now], value) if question.kind == "multi_label" else found[now] + value
    return list(found.values())


def answer_of(question: Question, proba: Mapping[str, float]) -> str:
    """What these probabilities answer: the likeliest class, or of several classes yes from one half on."""
    if question.kind == "multi_label":
        return write_signed({c.id: proba[c.id] >= 0.5 for c in question.active})
    return max((c.id for c in question.active), key=lambda c: proba[c])
