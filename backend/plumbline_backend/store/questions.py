"""Questions and their versions. An edit adds a version; none is ever changed or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, insert, select, update

from plumbline_backend.domain.errors import ConflictError, NotFoundError
from plumbline_backend.domain.types import LabelClass, Question, QuestionChange, QuestionKind
from plumbline_backend.store.checks import refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.rows import label_classes
from plumbline_backend.store.tables import projects, question_versions, questions

MAX_TEXT = 10_000
MAX_GUIDELINES = 1_000_000
MAX_CLASS_TEXT = 10_000
MAX_CLASS_NAME = 500
KINDS: tuple[str, ...] = get_args(QuestionKind)


class Questions:
    """Questions of a project, each with its newest version unless another is named."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        project_id: int,
        text: str,
        kind: QuestionKind,
        guidelines: str,
        classes: Sequence[LabelClass],
        by: str,
    ) -> Question:
        """A new question at version 1. Raises InputError, NotFoundError for the project."""
        draft = Question(0, project_id, 1, kind, text, guidelines, tuple(classes))
        refuse(_problems(draft, "created", by))

        def apply(connection: Connection) -> Question:
            if connection.execute(select(projects.c.id).where(projects.c.id == project_id)).first() is None:
                raise NotFoundError(f"project {project_id} does not exist")
            values = {"project_id": project_id, "kind": kind, "version": 1, "asks": 0}
            question_id = connection.execute(
                insert(questions).values(**values).returning(questions.c.id)
            ).scalar_one()
            question = replace(draft, id=question_id)
            _add_version(connection, question, "created", by)
            return question

        return self._database.write(apply)

    def get(self, question_id: int) -> Question:
        """The newest version. Raises NotFoundError."""
        return self._database.once(("question", question_id), lambda c: newest_version(c, question_id))

    def for_project(self, project_id: int) -> list[Question]:
        """The project's questions, oldest first."""
        statement = _newest().where(questions.c.project_id == project_id).order_by(questions.c.id)
        with self._database.read() as connection:
            return [_question(row) for row in connection.execute(statement)]

    def at_version(self, question_id: int, version: int) -> Question:
        """The question as it was. Raises NotFoundError."""
        with self._database.read() as connection:
            return version_of(connection, question_id, version)

    def save(self, question: Question, change: str, by: str) -> Question:
        """Adds `question` as the version after `question.version` and returns it.

        change: what was done, in words, for the history. Raises ConflictError when somebody saved another
        version meanwhile, or when a class is missing (a class is merged, never removed: judgements name it).
        """
        refuse(_problems(question, change, by))

        def apply(connection: Connection) -> Question:
            raised = connection.execute(
                update(questions)
                .where(questions.c.id == question.id, questions.c.version == question.version)
                .values(version=question.version + 1)
            ).rowcount
            if not raised:
                present = newest_version(connection, question.id)
                raise ConflictError(
                    f"the question was changed meanwhile: it is at version {present.version}, the edit was "
                    f"made on version {question.version}; reload and edit again"
                )
            _require_all_classes(version_of(connection, question.id, question.version), question)
            saved = replace(question, version=question.version + 1)
            _add_version(connection, saved, change, by)
            return saved

        return self._database.write(apply)

    def history(self, question_id: int) -> list[QuestionChange]:
        """Every version's change, newest first. Raises NotFoundError."""
        columns = question_versions.c
        statement = (
            select(columns.version, columns.change, columns.by, columns.at)
            .where(columns.question_id == question_id)
            .order_by(columns.version.desc())
        )
        with self._database.read() as connection:
            changes = [QuestionChange(*row) for row in connection.execute(statement)]
        if not changes:
            raise NotFoundError(f"question {question_id} does not exist")
        return changes


def newest_version(connection: Connection, question_id: int) -> Question:
    """The question as it is. Raises NotFoundError."""
    row = connection.execute(_newest().where(questions.c.id == question_id)).first()
    if row is None:
        raise NotFoundError(f"question {question_id} does not exist")
    return _question(row)


def version_of(connection: Connection, question_id: int, version: int) -> Question:
    """The question as it was at a version. Raises NotFoundError."""
    statement = _versions(question_versions.c.question_id == questions.c.id)
    row = connection.execute(
        statement.where(questions.c.id == question_id, question_versions.c.version == version)
    ).first()
    if row is None:
        raise NotFoundError(f"question {question_id} has no version {version}")
    return _question(row)


def _newest() -> Select[Any]:
    return _versions(
        and_(
            question_versions.c.question_id == questions.c.id,
            question_versions.c.version == questions.c.version,
        )
    )


def _versions(condition: ColumnElement[bool]) -> Select[Any]:
    shown = question_versions.c
    return select(
        questions.c.id,
        questions.c.project_id,
        questions.c.kind,
        shown.version,
        shown.text,
        shown.guidelines,
        shown.classes,
    ).select_from(questions.join(question_versions, condition))


def _question(row: Row[Any]) -> Question:
    return Question(
        id=row.id,
        project_id=row.project_id,
        version=row.version,
        kind=row.kind,
        text=row.text,
        guidelines=row.guidelines,
        classes=label_classes(row.classes),
    )


def _add_version(connection: Connection, question: Question, change: str, by: str) -> None:
    connection.execute(
        insert(question_versions).values(
            question_id=question.id,
            version=question.version,
            text=question.text,
            guidelines=question.guidelines,
            classes=[asdict(label_class) for label_class in question.classes],
            change=change,
            by=by,
            at=now(),
        )
    )


def _require_all_classes(before: Question, after: Question) -> None:
    kept = {label_class.id for label_class in after.classes}
    lost = [label_class.name for label_class in before.classes if label_class.id not in kept]
    if lost:
        raise ConflictError(
            f"the edit drops the classes {', '.join(lost)}; merge a class instead of removing it"
        )


def _problems(question: Question, change: str, by: str) -> Iterable[str | None]:
    if question.kind not in KINDS:
        yield f"kind is {question.kind!r}; expected one of {', '.join(KINDS)}"
    yield text_problem("text", question.text, limit=MAX_TEXT, required=True)
    yield text_problem("guidelines", question.guidelines, limit=MAX_GUIDELINES)
    yield text_problem("change", change, limit=MAX_TEXT, required=True)
    yield text_problem("by", by, limit=MAX_CLASS_NAME, required=True)
    for number, label_class in enumerate(question.classes, 1):
        yield from _class_problems(f"class {number}", label_class)
    for class_id, count in Counter(c.id for c in question.classes).items():
        yield None if count == 1 else f"class id {class_id!r} is used {count} times; expected once"
    yield from _merge_problems(question.classes)


def _class_problems(where: str, label_class: LabelClass) -> Iterable[str | None]:
    yield text_problem(f"{where} id", label_class.id, limit=MAX_CLASS_NAME, required=True)
    yield text_problem(f"{where} name", label_class.name, limit=MAX_CLASS_NAME, required=True)
    yield text_problem(f"{where} color", label_class.color, limit=100)
    yield text_problem(f"{where} description", label_class.description, limit=MAX_CLASS_TEXT)
    if label_class.key is not None:
        yield text_problem(f"{where} key", label_class.key, limit=20)


def _merge_problems(classes: Sequence[LabelClass]) -> Iterable[str]:
    """Every merge must end, within as many steps as there are classes, at a class that is not merged."""
    target = {c.id: c.merged_into for c in classes}
    for start in classes:
        at: str | None = start.id
        for _ in range(len(target)):
            following = target.get(at) if at is not None else None
            if following is None:
                break
            at = following
        if at not in target:
            yield f"class {start.id!r} is merged into {at!r}, which does not exist"
        elif target[at] is not None:
            yield f"class {start.id!r} is merged in a circle; expected an end at a class that is not merged"
