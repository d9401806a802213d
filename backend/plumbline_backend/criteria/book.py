"""The criteria of a grading project: versioned questions; what is not wording lies in the project's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline_backend.criteria.settings import ProjectSettings
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.grades import CRITERION_KINDS, FAIL, PASS, RATINGS, Criterion, CriterionKind
from plumbline_backend.domain.schema import PALETTE
from plumbline_backend.domain.types import LabelClass, Question, QuestionChange
from plumbline_backend.store import Store

MAX_NAME = 120
OVERALL_NAME = "Overall"
OVERALL_TEXT = "Is this output good enough to be used?"
KEEP: Any = object()
"""The default of an argument that may also be set to None."""


class CriteriaBook:
    """Adding, editing, merging and dropping criteria, at any moment of grading."""

    def __init__(self, store: Store, project_id: int, settings: ProjectSettings) -> None:
        self._store = store
        self._project_id = project_id
        self._settings = settings

    def overall(self) -> Criterion:
        """The question that every output is asked: good or bad."""
        return self._criterion(self._store.questions.get(self.overall_id))

    @property
    def overall_id(self) -> int:
        """The overall question's id."""
        return int(self._settings.read()["overall"])

    def all(self, include_inactive: bool = False) -> list[Criterion]:
        """The criteria without the overall question, oldest first."""
        found = [self._criterion(q) for q in self._store.questions.for_project(self._project_id)]
        return [c for c in found if not c.overall and (include_inactive or c.status == "active")]

    def get(self, criterion_id: int) -> Criterion:
        """A criterion, or the overall question. Raises NotFoundError for one that is not of this project."""
        for question in self._store.questions.for_project(self._project_id):
            if question.id == criterion_id:
                return self._criterion(question)
        raise NotFoundError(f"criterion {criterion_id} does not exist in this project")

    def named(self, name: str) -> Criterion:
        """The active criterion of this name. Raises NotFoundError with the nearest."""
        active = {c.name: c for c in self.all()}
        if name not in active:
            raise NotFoundError(f"criterion {name!r} does not exist; {did_you_mean(name, active)}")
        return active[name]

    def history(self, criterion_id: int) -> list[QuestionChange]:
        """Every edit of a criterion's wording, newest first."""
        return self._store.questions.history(self.get(criterion_id).id)

    def at_version(self, criterion_id: int, version: int) -> Question:
        """The wording as it was. Raises NotFoundError."""
        return self._store.questions.at_version(self.get(criterion_id).id, version)

    def add(
        self,
        name: str,
        text: str,
        *,
        by: str,
        guidelines: str = "",
        kind: CriterionKind = "pass_fail",
        pass_from: int = 4,
        ffr_limit: float | None = None,
        source: str = "person",
    ) -> Criterion:
        """A new criterion at version 1. Raises InputError naming all that is wrong, ConflictError on a taken name."""
        clean = self._checked_name(name, own_id=None)
        _check(kind, pass_from, ffr_limit)
        question = self._store.questions.create(
            self._project_id, text.strip(), kind, guidelines, classes_of(kind), by
        )
        self._write(
            question.id, name=clean, pass_from=pass_from, ffr_limit=ffr_limit, source=source, valid_from=1
        )
        return self._criterion(question)

    def edit(
        self,
        criterion_id: int,
        *,
        by: str,
        name: str | None = None,
        text: str | None = None,
        guidelines: str | None = None,
        pass_from: int | None = None,
        ffr_limit: float | None = KEEP,
        same_meaning: bool = False,
    ) -> Criterion:
        """Change what is given. New wording makes a new version and older grades stale, unless `same_meaning`.

        Raises InputError, NotFoundError, ConflictError when the criterion is not active or the name is taken.
        """
        old = self._active(criterion_id)
        _check(
            old.kind,
            old.pass_from if pass_from is None else pass_from,
            old.ffr_limit if ffr_limit is KEEP else ffr_limit,
        )
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = self._checked_name(name, own_id=old.id)
        if pass_from is not None:
            changes["pass_from"] = pass_from
        if ffr_limit is not KEEP:
            changes["ffr_limit"] = ffr_limit
        version = self._reword(old, text, guidelines, by)
        if version != old.version and not same_meaning:
            changes["valid_from"] = version
        if changes:
            self._write(old.id, **changes)
        return self.get(old.id)

    def merge(self, source_id: int, target_id: int) -> Criterion:
        """Retire `source` in favour of `target`; its grades stay in the ledger and are not carried over."""
        if source_id == target_id:
            raise ConflictError("a criterion cannot be merged into itself; expected another one")
        source, target = self._active(source_id), self._active(target_id)
        if source.overall or target.overall:
            raise ConflictError("the overall question cannot be merged; expected two criteria")
        self._write(source.id, status="merged", merged_into=target.id)
        return self.get(target.id)

    def drop(self, criterion_id: int) -> Criterion:
        """Retire a criterion; `restore` brings it back with its grades. Raises ConflictError for the overall one."""
        if self._active(criterion_id).overall:
            raise ConflictError("the overall question cannot be dropped; expected a criterion")
        self._write(criterion_id, status="dropped")
        return self.get(criterion_id)

    def restore(self, criterion_id: int) -> Criterion:
        """Bring back a criterion that was dropped or merged. Raises ConflictError when its name was taken since."""
        old = self.get(criterion_id)
        self._checked_name(old.name, own_id=old.id)
        self._write(criterion_id, status="active", merged_into=None)
        return self.get(criterion_id)

    def select(self, criterion_id: int, judge_id: int | None, in_sight: int = 0) -> Criterion:
        """Remember the judge that a person chose for the criterion; None: the best one is chosen.

        in_sight: how many outputs were graded, and so could be looked at for the choice.
        """
        self._write(self._active(criterion_id).id, selected=judge_id, in_sight=in_sight)
        return self.get(criterion_id)

    def chosen_among(self, criterion_id: int, in_sight: int) -> None:
        """Remember that a person took a judge out or back while so many outputs were graded."""
        self._write(criterion_id, in_sight=in_sight)

    def _reword(self, old: Criterion, text: str | None, guidelines: str | None, by: str) -> int:
        question = self._store.questions.get(old.id)
        wanted = Question(
            question.id,
            question.project_id,
            question.version,
            question.kind,
            question.text if text is None else text.strip(),
            question.guidelines if guidelines is None else guidelines,
            question.classes,
        )
        if wanted == question:
            return question.version
        parts = [part for part in ("text", "guidelines") if getattr(wanted, part) != getattr(question, part)]
        return self._store.questions.save(wanted, f"changed the {' and the '.join(parts)}", by).version

    def _active(self, criterion_id: int) -> Criterion:
        found = self.get(criterion_id)
        if found.status != "active":
            raise ConflictError(f"criterion {found.name!r} is {found.status}; restore it first")
        return found

    def _criterion(self, question: Question) -> Criterion:
        settings = self._settings.read()
        kept: Mapping[str, Any] = settings["criteria"].get(str(question.id), {})
        overall = question.id == settings["overall"]
        return Criterion(
            id=question.id,
            name=kept.get("name", OVERALL_NAME if overall else question.text[:MAX_NAME]),
            text=question.text,
            guidelines=question.guidelines,
            kind="rating" if question.kind == "rating" else "pass_fail",
            version=question.version,
            valid_from=kept.get("valid_from", 1),
            status=kept.get("status", "active"),
            merged_into=kept.get("merged_into"),
            ffr_limit=kept.get("ffr_limit"),
            pass_from=kept.get("pass_from", 4),
            selected=kept.get("selected"),
            in_sight=kept.get("in_sight", 0),
            source=kept.get("source", "person"),
            overall=overall,
        )

    def _write(self, criterion_id: int, **changes: Any) -> None:
        def change(settings: dict[str, Any]) -> None:
            kept = dict(settings["criteria"].get(str(criterion_id), {}))
            settings["criteria"] = {**settings["criteria"], str(criterion_id): {**kept, **changes}}

        self._settings.change(change)

    def _checked_name(self, name: str, own_id: int | None) -> str:
        clean = " ".join(name.split())
        if not clean or len(clean) > MAX_NAME or not clean.isprintable():
            raise InputError(f"criterion name: found {name!r}; expected 1 to {MAX_NAME} printable characters")
        for other in self.all():
            if other.id != own_id and other.name.casefold() == clean.casefold():
                raise ConflictError(f"criterion name: {clean!r} is taken; expected a name of its own")
        return clean


def classes_of(kind: CriterionKind) -> tuple[LabelClass, ...]:
    """The answers that a criterion of this kind can get; a judge of ratings may also just pass or fail."""
    verdicts = (
        LabelClass(PASS, "good", PALETTE[2], key="g"),
        LabelClass(FAIL, "bad", PALETTE[1], key="b"),
    )
    if kind == "pass_fail":
        return verdicts
    ratings = (LabelClass(r, r, PALETTE[i + 2], key=r) for i, r in enumerate(RATINGS))
    return (*ratings, *verdicts)


def _check(kind: str, pass_from: int, ffr_limit: float | None) -> None:
    wrong = []
    if kind not in CRITERION_KINDS:
        wrong.append(f"kind: found {kind!r}; {did_you_mean(kind, CRITERION_KINDS)}")
    if not 2 <= pass_from <= len(RATINGS):
        wrong.append(f"pass_from: found {pass_from}; expected a rating from 2 to {len(RATINGS)}")
    if ffr_limit is not None and not 0 <= ffr_limit <= 1:
        wrong.append(f"ffr_limit: found {ffr_limit}; expected a rate from 0 to 1, or none")
    if wrong:
        raise InputError("\n".join(wrong))
