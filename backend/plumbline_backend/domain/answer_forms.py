"""How an answer is written in the ledger, and how it is read: one class, or several with a sign each.

`"c3"` is one class. `"+c1 -c4"` says yes to c1, no to c4 and nothing of the others. Both name classes by id and are
read through `Question.resolve`, so that no rename or merge touches the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from plumbline_backend.domain import schema
from plumbline_backend.domain.class_tree import tree_of
from plumbline_backend.domain.errors import InputError, shorten
from plumbline_backend.domain.types import Question

MAX_ANSWER = 2_000
"""Characters of an answer: about 350 classes said. An index of the ledger's current view holds the answer, and an
index of Postgres takes rows of at most 2,704 bytes."""


class AnswerForm(Protocol):
    """How answers of a question kind are written."""

    def class_ids(self, answer: str) -> tuple[str, ...]:
        """Every class that the answer names. Raises InputError when it cannot be read."""
        ...

    def checked(self, question: Question, answer: str) -> str:
        """The answer as it is written down. Raises InputError unless it can be given to the question today."""
        ...

    def today(self, question: Question, answer: str) -> str:
        """The answer in today's classes, merges followed. Raises KeyError for a class that never was."""
        ...

    def yes(self, question: Question, answer: str) -> tuple[str, ...]:
        """The classes that an item with this answer carries."""
        ...

    def vote(self, question: Question, answers: Sequence[str]) -> str:
        """What several people say together; answers in today's classes, the newest first, at least one."""
        ...

    def disagree(self, question: Question, answers: Sequence[str]) -> bool:
        """Whether two of the answers contradict each other."""
        ...


class OneClass:
    """An answer is a class id."""

    def class_ids(self, answer: str) -> tuple[str, ...]:
        """The one."""
        return (answer,)

    def checked(self, question: Question, answer: str) -> str:
        """Raises InputError for a class that is unknown or merged away."""
        return schema.answerable(question, answer).id

    def today(self, question: Question, answer: str) -> str:
        """The class that it stands for."""
        return question.resolve(answer)

    def yes(self, _question: Question, answer: str) -> tuple[str, ...]:
        """The one."""
        return (answer,)

    def vote(self, _question: Question, answers: Sequence[str]) -> str:
        """The class that most people gave; among equals the one given last."""
        votes = Counter(answers)
        most = max(votes.values())
        return next(answer for answer in answers if votes[answer] == most)

    def disagree(self, _question: Question, answers: Sequence[str]) -> bool:
        """Whether they are not all one."""
        return len(set(answers)) > 1


class SignedClasses:
    """An answer is "+id" for each class the item carries and "-id" for each it does not; the others are not said."""

    def class_ids(self, answer: str) -> tuple[str, ...]:
        """Those with a sign."""
        return tuple(parse_signed(answer))

    def checked(self, question: Question, answer: str) -> str:
        """Raises InputError for unknown or merged classes, a class with both signs, or when nothing is said."""
        said = parse_signed(answer)
        for class_id in said:
            schema.answerable(question, class_id)
        order = [c.id for c in question.active if c.id in said]
        written = write_signed({class_id: said[class_id] for class_id in order})
        if len(written) > MAX_ANSWER:
            raise InputError(
                f"answer: says {len(said)} classes in {len(written):,} characters; expected at most {MAX_ANSWER:,}: "
                "say fewer, for instance only the classes that the item carries"
            )
        return written

    def today(self, question: Question, answer: str) -> str:
        """Where a class was merged into another, yes to either is yes to the one that is left."""
        said = parse_signed(answer)
        now: dict[str, bool] = {}
        for class_id, sign in said.items():
            resolved = question.resolve(class_id)
            now[resolved] = now.get(resolved, False) or sign
        return answer if now == said else write_signed(now)

    def yes(self, _question: Question, answer: str) -> tuple[str, ...]:
        """Those with a plus."""
        return tuple(class_id for class_id, sign in parse_signed(answer).items() if sign)

    def vote(self, _question: Question, answers: Sequence[str]) -> str:
        """For each class what most of those say who say anything of it; among equals what was said last."""
        if len(answers) == 1:
            return answers[0]
        said: dict[str, list[bool]] = {}
        for answer in answers:
            for class_id, sign in parse_signed(answer).items():
                said.setdefault(class_id, []).append(sign)
        return write_signed(
            {
                c: s.count(True) > s.count(False) or (2 * s.count(True) == len(s) and s[0])
                for c, s in said.items()
            }
        )

    def disagree(self, _question: Question, answers: Sequence[str]) -> bool:
        """Whether one says yes and another no of the same class."""
        signs: dict[str, bool] = {}
        return any(
            signs.setdefault(class_id, sign) != sign
            for answer in answers
            for class_id, sign in parse_signed(answer).items()
        )


class TreeClasses(OneClass):
    """An answer is a class id of a tree, a leaf or a branch; it implies every class above it."""

    def yes(self, question: Question, answer: str) -> tuple[str, ...]:
        """The class and all above it."""
        return tree_of(question).path(answer)

    def vote(self, question: Question, answers: Sequence[str]) -> str:
        """From the root down, at each step where most go of those who go on; among equals where the newest goes."""
        paths = [tree_of(question).path(answer) for answer in answers]
        depth = 0
        while further := [path for path in paths if len(path) > depth]:
            step = OneClass().vote(question, [path[depth] for path in further])
            paths = [path for path in further if path[depth] == step]
            depth += 1
        return max(paths, key=len)[-1]

    def disagree(self, question: Question, answers: Sequence[str]) -> bool:
        """Whether two lie in different branches; a coarse answer does not contradict a finer one below it."""
        paths = sorted({tree_of(question).path(answer) for answer in answers}, key=len)
        return any(path != longest[: len(path)] for longest in paths[-1:] for path in paths)


@lru_cache(maxsize=65_536)
def _parsed(answer: str) -> tuple[tuple[str, bool], ...]:
    said: dict[str, bool] = {}
    for token in answer.split():
        sign, class_id = token[0], token[1:]
        if sign not in "+-" or not class_id:
            raise InputError(
                f"answer: found {shorten(token)!r}; expected classes by id, each with a + (the item carries it) or "
                "a - (it does not), such as '+c1 -c4'"
            )
        if said.setdefault(class_id, sign == "+") != (sign == "+"):
            raise InputError(f"answer: says both yes and no to class {class_id!r}; expected one of them")
    if not said:
        raise InputError(
            "answer: says nothing of any class; expected at least one with + or -, such as '+c1'"
        )
    return tuple(said.items())


def parse_signed(answer: str) -> dict[str, bool]:
    """{class id: whether the item carries it}, in the order written. Raises InputError when it cannot be read."""
    return dict(_parsed(answer))


def write_signed(said: Mapping[str, bool]) -> str:
    """The answer that says this; the reverse of `parse_signed`."""
    return " ".join(f"{'+' if sign else '-'}{class_id}" for class_id, sign in said.items())


ONE_CLASS = OneClass()
FORMS: Mapping[str, AnswerForm] = {"multi_label": SignedClasses(), "hierarchical": TreeClasses()}
"""Forms by question kind; a kind that is not here is answered by one class."""


def form_of(kind: str) -> AnswerForm:
    """How answers of this question kind are written."""
    return FORMS.get(kind, ONE_CLASS)
