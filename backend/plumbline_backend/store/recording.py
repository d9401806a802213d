"""What happens inside the transaction that adds to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, tuple_

from plumbline_backend.domain.answer_forms import AnswerForm, form_of
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError, did_you_mean, shorten
from plumbline_backend.domain.types import Judgement, NewJudgement
from plumbline_backend.store import rows
from plumbline_backend.store.bulk import insert_judgements
from plumbline_backend.store.columns import now
from plumbline_backend.store.current import is_live, restore_current, set_current
from plumbline_backend.store.overlap import keep_overlap
from plumbline_backend.store.questions import version_of
from plumbline_backend.store.tables import current_judgements, judgements, judges, leases, projects, questions


class Schema:
    """Which classes a question version has. Versions never change, so they are read once."""

    def __init__(self) -> None:
        self._class_ids: dict[tuple[int, int], tuple[AnswerForm, frozenset[str]]] = {}

    def require(self, connection: Connection, new: NewJudgement) -> None:
        """Raises InputError when the answer names something that is not a class of the question version."""
        key = (new.question_id, new.question_version)
        if key not in self._class_ids:
            version = version_of(connection, *key)
            known = frozenset(label_class.id for label_class in version.classes)
            self._class_ids[key] = form_of(version.kind), known
        form, known = self._class_ids[key]
        for class_id in () if new.answer is None else form.class_ids(new.answer):
            if class_id not in known:
                raise InputError(
                    f"answer {shorten(class_id)!r} is not a class id of question {new.question_id} version "
                    f"{new.question_version}; {did_you_mean(class_id, known)}"
                )

    def forget(self) -> None:
        """Drop what was read."""
        self._class_ids.clear()


def record_one(
    connection: Connection, schema: Schema, new: NewJudgement, overlap: int | None = None
) -> Judgement:
    """Adds one judgement, unless its client_uuid is there already. overlap: as `Ledger.record`."""
    known = find_uuid(connection, new.question_id, new.client_uuid)
    if overlap is not None and known is None:
        keep_overlap(connection, new, overlap)
    n_items = lock_judge(connection, new.judge_id, new.question_id)
    existing = known or find_uuid(connection, new.question_id, new.client_uuid)
    if existing is not None:
        return same_or_refuse(existing, new)
    require_item(new, n_items)
    schema.require(connection, new)
    values = _values(new) | {"supersedes": _current_id(connection, new), "created_at": now()}
    row = connection.execute(insert(judgements).values(**values).returning(*rows.JUDGEMENT)).one()
    set_current(connection, new.question_id, [row.id])
    connection.execute(
        delete(leases).where(
            leases.c.question_id == new.question_id,
            leases.c.item == new.item,
            leases.c.judge_id == new.judge_id,
        )
    )
    return rows.judgement(row)


def record_batch(connection: Connection, schema: Schema, new: Sequence[NewJudgement], batch: str) -> int:
    """Adds the judgements whose client_uuids are not there yet; returns how many that were."""
    subjects = sorted({(entry.judge_id, entry.question_id) for entry in new})
    n_items = {subject: lock_judge(connection, *subject) for subject in subjects}
    added = 0
    for wave in _waves(new):
        known = _known_uuids(connection, wave)
        fresh = []
        for entry in wave:
            existing = known.get((entry.question_id, entry.client_uuid))
            if existing is not None:
                same_or_refuse(existing, entry)
                continue
            require_item(entry, n_items[entry.judge_id, entry.question_id])
            schema.require(connection, entry)
            fresh.append(entry)
        if fresh:
            _add_wave(connection, fresh, batch)
        added += len(fresh)
    return added


def revoke(
    connection: Connection, question_id: int, judge_id: int, client_uuid: str, judgement_id: int | None
) -> Judgement | None:
    """Adds a row that revokes a judgement of this judge: the named one, else the newest live one."""
    lock_judge(connection, judge_id, question_id)
    existing = find_uuid(connection, question_id, client_uuid)
    if existing is not None:
        return _revoked_before(connection, existing, judge_id, judgement_id)
    if judgement_id is None:
        target = _newest_live(connection, question_id, judge_id)
    else:
        target = _named(connection, question_id, judge_id, judgement_id)
    if target is None:
        return None
    connection.execute(
        insert(judgements).values(
            question_id=question_id,
            question_version=target.question_version,
            item=target.item,
            judge_id=judge_id,
            client_uuid=client_uuid,
            state=target.state,
            note="",
            stratum=target.stratum,
            created_at=now(),
            revokes=target.id,
        )
    )
    restore_current(connection, question_id, target.item, judge_id)
    return rows.judgement(target)


def lock_judge(connection: Connection, judge_id: int, question_id: int) -> int:
    """Makes the judge's writes take turns (Postgres; SQLite has one writer). Returns the project's n_items.

    Raises NotFoundError when judge or question do not exist, InputError when they are of two projects.
    """
    statement = (
        select(projects.c.n_items, judges.c.project_id, questions.c.project_id)
        .select_from(judges.join(projects, projects.c.id == judges.c.project_id))
        .outerjoin(questions, questions.c.id == question_id)
        .where(judges.c.id == judge_id)
        .with_for_update(key_share=True, of=judges)
    )
    found = connection.execute(statement).first()
    if found is None:
        raise NotFoundError(f"judge {judge_id} does not exist")
    n_items, project_of_judge, project_of_question = found
    if project_of_question is None:
        raise NotFoundError(f"question {question_id} does not exist")
    if project_of_judge != project_of_question:
        raise InputError(f"judge {judge_id} and question {question_id} belong to different projects")
    return int(n_items)


def find_uuid(connection: Connection, question_id: int, client_uuid: str) -> Row[Any] | None:
    """The ledger row that was recorded for a client's UUID."""
    return connection.execute(
        select(*rows.JUDGEMENT).where(
            judgements.c.question_id == question_id, judgements.c.client_uuid == client_uuid
        )
    ).first()


def require_item(new: NewJudgement, n_items: int) -> None:
    """Raises InputError for an item that the pool does not have."""
    if new.item >= n_items:
        raise InputError(f"item {new.item} does not exist; the project has {n_items} items, counted from 0")


def same_or_refuse(existing: Row[Any], new: NewJudgement) -> Judgement:
    """What was recorded before. Raises ConflictError when the UUID was used for something else."""
    before = (existing.item, existing.judge_id, existing.state, existing.answer, existing.revokes)
    if before != (new.item, new.judge_id, new.state, new.answer, None):
        raise ConflictError(
            f"client_uuid {shorten(new.client_uuid)!r} was used before for item {existing.item}; "
            "expected a new one for every judgement"
        )
    return rows.judgement(existing)


def _values(new: NewJudgement) -> dict[str, Any]:
    return {
        "question_id": new.question_id,
        "question_version": new.question_version,
        "item": int(new.item),
        "judge_id": new.judge_id,
        "client_uuid": new.client_uuid,
        "state": new.state,
        "answer": new.answer,
        "proba": None if new.proba is None else [float(value) for value in new.proba],
        "note": new.note,
        "seconds": None if new.seconds is None else float(new.seconds),
        "query_id": new.query_id,
        "stratum": new.stratum,
    }


def _current_id(connection: Connection, new: NewJudgement) -> int | None:
    here = current_judgements.c
    found = connection.execute(
        select(here.judgement_id).where(
            here.question_id == new.question_id, here.item == new.item, here.judge_id == new.judge_id
        )
    ).scalar()
    return None if found is None else int(found)


def _waves(new: Sequence[NewJudgement]) -> Iterator[list[NewJudgement]]:
    """Runs in which no item is judged twice by one judge and no UUID comes twice, in the given order."""
    wave: list[NewJudgement] = []
    seen: set[object] = set()
    for entry in new:
        keys = {(entry.question_id, entry.item, entry.judge_id), (entry.question_id, entry.client_uuid)}
        if seen & keys:
            yield wave
            wave, seen = [], set()
        wave.append(entry)
        seen |= keys
    if wave:
        yield wave


def _known_uuids(connection: Connection, wave: Sequence[NewJudgement]) -> dict[tuple[int, str], Row[Any]]:
    found: dict[tuple[int, str], Row[Any]] = {}
    for question_id in {entry.question_id for entry in wave}:
        uuids = [entry.client_uuid for entry in wave if entry.question_id == question_id]
        statement = select(*rows.JUDGEMENT).where(
            judgements.c.question_id == question_id, judgements.c.client_uuid.in_(uuids)
        )
        found |= {(question_id, row.client_uuid): row for row in connection.execute(statement)}
    return found


def _add_wave(connection: Connection, fresh: Sequence[NewJudgement], batch: str) -> None:
    here = current_judgements.c
    for question_id in sorted({entry.question_id for entry in fresh}):
        ours = [entry for entry in fresh if entry.question_id == question_id]
        statement = select(here.item, here.judge_id, here.judgement_id).where(
            here.question_id == question_id, here.item.in_([entry.item for entry in ours])
        )
        before = {(item, judge_id): id_ for item, judge_id, id_ in connection.execute(statement)}
        values = [
            _values(entry) | {"batch": batch, "supersedes": before.get((entry.item, entry.judge_id))}
            for entry in ours
        ]
        set_current(connection, question_id, insert_judgements(connection, values))


def _newest_live(connection: Connection, question_id: int, judge_id: int) -> Row[Any] | None:
    return connection.execute(
        select(*rows.JUDGEMENT)
        .where(
            judgements.c.judge_id == judge_id, judgements.c.question_id == question_id, is_live(judgements)
        )
        .order_by(judgements.c.id.desc())
        .limit(1)
    ).first()


def _named(connection: Connection, question_id: int, judge_id: int, judgement_id: int) -> Row[Any]:
    row = connection.execute(
        select(*rows.JUDGEMENT)
        .add_columns(is_live(judgements).label("live"))
        .where(
            judgements.c.id == judgement_id,
            tuple_(judgements.c.question_id, judgements.c.judge_id) == tuple_(question_id, judge_id),
        )
    ).first()
    if row is None:
        raise NotFoundError(f"judge {judge_id} has no judgement {judgement_id} on question {question_id}")
    if row.revokes is not None:
        raise ConflictError(f"judgement {judgement_id} is an undo; an undo cannot be undone, answer again")
    if not row.live:
        raise ConflictError(f"judgement {judgement_id} was undone already")
    return row


def _revoked_before(
    connection: Connection, existing: Row[Any], judge_id: int, judgement_id: int | None
) -> Judgement:
    """The answer to a repeated undo. Raises ConflictError when the UUID was used for something else."""
    same = existing.judge_id == judge_id and existing.revokes is not None
    if not same or judgement_id not in (None, existing.revokes):
        raise ConflictError(
            f"client_uuid {shorten(existing.client_uuid)!r} was used before; expected a new one for every undo"
        )
    revoked = connection.execute(select(*rows.JUDGEMENT).where(judgements.c.id == existing.revokes)).one()
    return rows.judgement(revoked)
