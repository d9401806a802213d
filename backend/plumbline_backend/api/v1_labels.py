"""Labelling by script: next items, judgements, the question."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from plumbline_backend.api.access import Access, Caller, needs
from plumbline_backend.api.bodies import (
    Ack,
    Acks,
    After,
    AskOut,
    JudgementIn,
    JudgementOut,
    JudgementsIn,
    JudgementsPage,
    JudgeNameIn,
    Limit,
    NextIn,
    NextOut,
    ReleaseIn,
    Slug,
    StatedIn,
    StatedManyIn,
    UndoIn,
    UndoOut,
)
from plumbline_backend.api.plain import plain
from plumbline_backend.api.strict import StrictRoute
from plumbline_backend.api.v1_data import in_pool, item_out
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Judge, Judgement
from plumbline_backend.project import Project
from plumbline_backend.stated import OUTSIDE_KINDS
from plumbline_backend.workspace import Workspace


def label_routes(workspace: Workspace, access: Access) -> APIRouter:
    """Routes of one labelling project."""
    router = APIRouter(prefix="/projects/{slug}", route_class=StrictRoute)
    read, label = needs(access, "read"), needs(access, "label")

    @router.get("/question", tags=["labels"])
    def question(slug: Slug, _: Caller = read) -> dict[str, Any]:
        """What is asked, with its classes by id."""
        shown: dict[str, Any] = plain(workspace.project(slug).question())
        return shown

    @router.get("/status", tags=["labels"])
    def status(slug: Slug, _: Caller = read) -> dict[str, Any]:
        """Where the labelling stands."""
        found: dict[str, Any] = plain(workspace.project(slug).status())
        for internal in ("model", "training", "failed"):
            about = found.pop(internal)
            found[internal] = None if about is None else about["id"]
        return found

    @router.post("/next", tags=["labels"])
    def next_items(slug: Slug, body: NextIn, caller: Caller = label) -> NextOut:
        """The items to answer next, leased to the holder so that nobody else is asked them now."""
        project = workspace.project(slug)
        asks = project.next_items(project.person(caller.person), body.holder, body.n)
        items = project.pool.items([ask.item for ask in asks])
        return NextOut(
            asks=[
                AskOut(
                    item=item_out(project.pool, item),
                    query_id=ask.query_id,
                    stratum=ask.shown_stratum,
                    reason=ask.reason,
                )
                for ask, item in zip(asks, items, strict=True)
            ]
        )

    @router.post("/release", tags=["labels"], status_code=204)
    def release(slug: Slug, body: ReleaseIn, _: Caller = label) -> None:
        """Give leased items back."""
        workspace.project(slug).release(body.holder, body.items)

    _judgement_routes(router, workspace, read, label)
    _judge_routes(router, workspace, read, needs(access, "edit"))
    return router


def _judgement_routes(router: APIRouter, workspace: Workspace, read: Any, label: Any) -> None:
    @router.post("/judgements", tags=["labels"])
    def record(slug: Slug, body: JudgementsIn, caller: Caller = label) -> Acks:
        """Record answers in the caller's name. What is acknowledged with `ok` is on disk."""
        project = workspace.project(slug)
        judge = project.person(caller.person)
        return Acks(acks=[_record(project, judge, each) for each in body.judgements])

    @router.post("/undo", tags=["labels"])
    def undo(slug: Slug, body: UndoIn, caller: Caller = label) -> UndoOut:
        """Take back an answer of the caller's."""
        project = workspace.project(slug)
        undone = project.undo(project.person(caller.person), body.uuid, body.judgement_id)
        return UndoOut(judgement_id=None if undone is None else undone.id)

    @router.get("/judgements", tags=["labels"])
    def judgements(
        slug: Slug, limit: Limit = 100, after: After = -1, item: int | None = None, _: Caller = read
    ) -> JudgementsPage:
        """The ledger, oldest first, with what was superseded or revoked. item: of this item only."""
        project = workspace.project(slug)
        only = None if item is None else in_pool(project.pool, item)
        rows, in_force = workspace.store.ledger.page(project.question().id, after, limit + 1, item=only)
        page = rows[:limit]
        return JudgementsPage(
            judgements=[_judgement(row, row.id in in_force) for row in page],
            next=page[-1].id if len(rows) > limit else None,
        )


def _judge_routes(router: APIRouter, workspace: Workspace, read: Any, edit: Any) -> None:
    @router.get("/judges", tags=["labels"])
    def judges(slug: Slug, _: Caller = read) -> list[dict[str, Any]]:
        """Who or what has judged in this project: people, heads, imports, validators."""
        row = workspace.store.projects.get(slug)
        return [_judge(each) for each in workspace.store.judges.for_project(row.id)]

    @router.post("/judges", tags=["labels"], status_code=201)
    def add_judge(slug: Slug, body: JudgeNameIn, _: Caller = edit) -> dict[str, Any]:
        """A judge that is no person, such as an LLM grader, to be measured against people; made once for a name."""
        return _judge(workspace.project(slug).outside_judge(body.name, body.kind))

    @router.post("/judges/{judge_id}/judgements", tags=["labels"])
    def record_stated(slug: Slug, judge_id: int, body: StatedManyIn, _: Caller = edit) -> Acks:
        """Record answers with probabilities of a judge that is no person. They are measured, never learnt from."""
        project = workspace.project(slug)
        judge = workspace.store.judges.get(judge_id)
        if judge.project_id != project.row.id:
            raise NotFoundError(f"judge {judge_id} does not exist in this project")
        if judge.kind not in OUTSIDE_KINDS:
            raise ConflictError(f"judge {judge_id} is a {judge.kind}; expected one that was made by this API")
        return Acks(acks=[_record_stated(project, judge, each) for each in body.judgements])


def _record_stated(project: Project, judge: Judge, new: StatedIn) -> Ack:
    try:
        row = project.record(
            item=new.item,
            judge=judge,
            client_uuid=new.uuid,
            answer=new.class_id,
            note=new.note,
            proba=new.proba,
        )
    except (InputError, ConflictError, NotFoundError) as error:
        return Ack(uuid=new.uuid, ok=False, error=str(error))
    return Ack(uuid=new.uuid, ok=True, judgement_id=row.id)


def _judge(judge: Judge) -> dict[str, Any]:
    return {"id": judge.id, "kind": judge.kind, "name": judge.name, "version": judge.version}


def _record(project: Project, judge: Judge, new: JudgementIn) -> Ack:
    """Record one answer. A refusal is an answer too: sending the same again would not help."""
    try:
        row = project.record(
            item=new.item,
            judge=judge,
            client_uuid=new.uuid,
            answer=new.class_id,
            state=new.state,
            note=new.note,
            seconds=new.seconds,
            query_id=new.query_id,
            stratum=new.stratum,
        )
    except (InputError, ConflictError, NotFoundError) as error:
        return Ack(uuid=new.uuid, ok=False, error=str(error))
    return Ack(uuid=new.uuid, ok=True, judgement_id=row.id)


def _judgement(row: Judgement, in_force: bool) -> JudgementOut:
    return JudgementOut(
        id=row.id,
        item=row.item,
        judge_id=row.judge_id,
        state=row.state,
        class_id=row.answer,
        note=row.note,
        seconds=row.seconds,
        stratum=row.stratum,
        query_id=row.query_id,
        question_version=row.question_version,
        uuid=row.client_uuid,
        created_at=None if row.created_at is None else row.created_at.isoformat(),
        supersedes=row.supersedes,
        revokes=row.revokes,
        in_force=in_force,
    )
