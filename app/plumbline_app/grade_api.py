"""The Grade page's routes. Thin: each calls the project and gives JSON back.

As on the Label page, grades come over HTTP with a UUID each, so that what is sent twice is recorded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from plumbline_app.grade_state import (
    ask_state,
    criteria_state,
    grade_state,
    history_state,
    output_state,
    status_state,
    thumbs_of,
    verdict_states,
)
from plumbline_app.session import person_of_request
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.grades import GradeAsk
from plumbline_backend.domain.types import Judge, State

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject
    from plumbline_backend.workspace import Workspace

MAX_OPERATIONS = 200
Uuid = Annotated[str, Field(min_length=1, max_length=90)]


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Thumb(Body):
    """An answer to one criterion."""

    criterion: int
    answer: str


class Operation(Body):
    """One thing a person did: a grade with its thumbs, or taking the newest one back with all of them.

    `criterion`: what was asked; None is the overall question. `uuid` makes sending it again harmless.
    """

    kind: Literal["grade", "undo"]
    uuid: Uuid
    output: Annotated[int, Field(ge=0)] = 0
    criterion: int | None = None
    state: State = "answered"
    answer: str | None = None
    note: str = ""
    seconds: float | None = None
    query_id: int | None = None
    thumbs: list[Thumb] = Field(default=[], max_length=100)
    count: int = Field(default=1, ge=1, le=101)


class Mode(Body):
    """Which output comes next: by the design, or again (blind) under a criterion (None: the overall question)."""

    kind: Literal["grade", "regrade"] = "grade"
    criterion: int | None = None


class Sync(Body):
    """What was done since the last time, in order, and whether an output is wanted."""

    holder: str = ""
    operations: list[Operation] = Field(default=[], max_length=MAX_OPERATIONS)
    want: int = Field(default=1, ge=0, le=50)
    mode: Mode = Mode()


class NewCriterion(Body):
    """A criterion that was written while grading."""

    name: str
    text: str
    guidelines: str = ""
    kind: Literal["pass_fail", "rating"] = "pass_fail"


def grade_routes(workspace: Workspace) -> APIRouter:
    """Routes under /api/projects/{slug}/grade. Errors of the domain are turned into answers by the application."""
    router = APIRouter(prefix="/api/projects/{slug}/grade", tags=["grade"])

    def opened(slug: str, request: Request) -> tuple[GradingProject, Judge]:
        project = workspace.grading(slug)
        return project, project.grader(person_of_request(request.headers, request.cookies))

    @router.post("/open")
    def open_page(slug: str, body: Sync, request: Request) -> dict[str, Any]:
        """Everything a new or reloaded page shows. What it had not yet saved is taken in first."""
        project, grader = opened(slug, request)
        synced = _sync(project, grader, body)
        return {**synced, **criteria_state(project), "history": history_state(project, grader)}

    @router.post("/sync")
    def sync(slug: str, body: Sync, request: Request) -> dict[str, Any]:
        """Take in what was done, give out the next output and the state of things."""
        project, grader = opened(slug, request)
        return _sync(project, grader, body)

    @router.get("/outputs/{position}")
    def output(slug: str, position: int, request: Request) -> dict[str, Any]:
        """One output with what the person has said of it, to look at it again."""
        project, grader = opened(slug, request)
        shown = output_state(project.output(position))
        own = project.grades(output=position, grader=grader.name)
        draw = next((d for d in project.design.draws() if _asked_overall(project, d, grader, position)), None)
        return {
            **shown,
            "query_id": None if draw is None else draw.query_id,
            "reason": "",
            "graded": grade_state(own[0]) | {"note": own[0].note} if own else None,
            "thumbs": thumbs_of(project, grader, {position}).get(position, {}),
        }

    @router.get("/outputs/{position}/verdicts")
    def verdicts(slug: str, position: int) -> list[dict[str, Any]]:
        """What the judges say of it."""
        project = workspace.grading(slug)
        project.output(position)
        return verdict_states(project, position)

    @router.post("/criteria")
    def add_criterion(slug: str, body: NewCriterion, request: Request) -> dict[str, Any]:
        """A new criterion, at any moment of grading."""
        project, grader = opened(slug, request)
        project.add_criterion(
            body.name, body.text, by=grader.name, guidelines=body.guidelines, kind=body.kind
        )
        return criteria_state(project)

    return router


def _sync(project: GradingProject, grader: Judge, body: Sync) -> dict[str, Any]:
    acks = [_apply(project, grader, operation) for operation in body.operations]
    ask = _next(project, grader, body.mode) if body.want else None
    return {
        "acks": acks,
        "ask": ask_state(project, ask),
        "status": status_state(project, grader),
        "criteria_version": _criteria_version(project),
    }


def _next(project: GradingProject, grader: Judge, mode: Mode) -> GradeAsk | None:
    if mode.kind == "regrade":
        return project.next_regrade(grader, mode.criterion)
    return project.next_output(grader)


def _apply(project: GradingProject, grader: Judge, operation: Operation) -> dict[str, Any]:
    """Carry out one operation. A refusal is an answer too: sending the same again would not help."""
    try:
        if operation.kind == "undo":
            undone = [project.undo(grader, f"{operation.uuid}:{i}") for i in range(operation.count)]
            return {
                "uuid": operation.uuid,
                "ok": True,
                "undone": [grade_state(grade) for grade in undone if grade is not None],
            }
        for thumb in operation.thumbs:
            _grade(project, grader, operation, f"{operation.uuid}:{thumb.criterion}", thumb)
        _grade(project, grader, operation, operation.uuid, None)
        return {"uuid": operation.uuid, "ok": True}
    except (InputError, ConflictError, NotFoundError) as error:
        return {"uuid": operation.uuid, "ok": False, "reason": str(error)}


def _grade(
    project: GradingProject, grader: Judge, operation: Operation, uuid: str, thumb: Thumb | None
) -> None:
    """Write the grade that was asked for, or a thumb that was given with it."""
    project.grade(
        output=operation.output,
        grader=grader,
        client_uuid=uuid,
        criterion=operation.criterion if thumb is None else thumb.criterion,
        answer=operation.answer if thumb is None else thumb.answer,
        state=operation.state if thumb is None else "answered",
        note=operation.note if thumb is None else "",
        seconds=operation.seconds if thumb is None else None,
        query_id=operation.query_id,
    )


def _asked_overall(project: GradingProject, draw: Any, grader: Judge, position: int) -> bool:
    asked = (draw.judge_id, draw.question_id, draw.item) == (grader.id, project.book.overall_id, position)
    return asked and draw.stratum != "regrade"


def _criteria_version(project: GradingProject) -> str:
    """Changes whenever a criterion is added, edited or dropped."""
    return ",".join(f"{each.id}.{each.version}.{each.name}" for each in project.criteria())
