"""The Label page's routes. Thin: each calls the project and gives JSON back.

Plain functions, so that each runs in a thread of its own: a slow write holds up nobody else. Answers come over HTTP
rather than over the page's websocket because a websocket's session ends with the server: the same POST, sent again
with the same UUID, reaches the server that took its place, and is recorded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from plumbline_app.item_view import background, layout, view
from plumbline_app.label_state import ask_states, history_state, question_state, status_state, strategies
from plumbline_app.session import person_of_request
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Judge, State, Stratum

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.workspace import Workspace

QUEUE = 10
"""Items kept ready in the browser: more than a person answers while one request is under way."""
MAX_OPERATIONS = 200
Position = Annotated[int, Field(ge=0)]
Uuid = Annotated[str, Field(min_length=1, max_length=100)]


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Operation(Body):
    """One thing a person did. `uuid` makes sending it again harmless."""

    kind: Literal["record", "undo"]
    uuid: Uuid
    item: Position = 0
    state: State = "answered"
    class_id: str | None = None
    note: str = ""
    seconds: float | None = None
    query_id: int | None = None
    stratum: Stratum = "browse"
    target_uuid: str = ""
    judgement_id: int | None = None


class Sync(Body):
    """What was done since the last time, in order, and how many items are wanted."""

    holder: Uuid
    operations: list[Operation] = Field(default=[], max_length=MAX_OPERATIONS)
    want: int = Field(default=QUEUE, ge=0, le=50)


class ClassEdit(Body):
    """An edit of the question's classes or words."""

    kind: Literal["add", "edit", "merge", "reorder", "guidelines", "text"]
    class_id: str = ""
    into: str = ""
    order: list[str] = []
    name: str | None = None
    color: str | None = None
    key: str | None = None
    description: str | None = None
    parent: str | None = None
    text: str = ""


class Choice(Body):
    """Columns that a person wants to see while labelling."""

    columns: list[str] = Field(default=[], max_length=200)
    axes: list[str] = Field(default=[], max_length=2)


class Strategy(Body):
    """The query strategy from now on."""

    name: str


def label_routes(workspace: Workspace) -> APIRouter:
    """Routes under /api/projects/{slug}/label. Errors of the domain are turned into answers by the application."""
    router = APIRouter(prefix="/api/projects/{slug}/label", tags=["label"])

    @router.post("/open")
    def open_page(slug: str, body: Sync, request: Request) -> dict[str, Any]:
        """Everything a new or reloaded page shows. What it had not yet saved is taken in first."""
        project = workspace.project(slug)
        person = person_of_request(request.headers, request.cookies)
        judge = project.person(person)
        synced = _sync(project, judge, body)
        return {
            **synced,
            "question": question_state(project.question()),
            "history": history_state(project, judge),
            "strategies": strategies(project),
            "layout": layout(project, _choices(project).get(person)),
        }

    @router.post("/sync")
    def sync(slug: str, body: Sync, request: Request) -> dict[str, Any]:
        """Take in what was done, give out the next items and the state of things."""
        project = workspace.project(slug)
        return _sync(project, project.person(person_of_request(request.headers, request.cookies)), body)

    @router.get("/items/{position}")
    def item(slug: str, position: int) -> dict[str, Any]:
        """One item, to look at an answer again."""
        project = workspace.project(slug)
        _in_pool(project, position)
        return view(project, project.pool.item(position))

    @router.get("/items/{position}/opinion")
    def opinion(slug: str, position: int) -> dict[str, Any]:
        """What the newest model thinks of the item: class ids with calibrated probabilities, likeliest first.

        `none_of_these`: whether it belongs to no class; null where the project has no open-set rule.
        """
        project = workspace.project(slug)
        _in_pool(project, position)
        found = project.predict([position])
        if found is None:
            return {"model": None, "classes": [], "none_of_these": None}
        pairs = sorted(zip(found.classes, found.proba[0].tolist(), strict=True), key=lambda pair: -pair[1])
        return {
            "model": found.model.version,
            "classes": [{"id": c.id, "proba": value} for c, value in pairs],
            "none_of_these": None if found.none_of_these is None else bool(found.none_of_these[0]),
        }

    @router.get("/background")
    def pool_background(slug: str, columns: Annotated[list[str], Query()]) -> dict[str, list[float | None]]:
        """Numbers of a random sample of the pool, behind this item's in the plots."""
        return background(workspace.project(slug), columns)

    @router.get("/classes/history")
    def class_history(slug: str) -> list[dict[str, Any]]:
        """Every edit of the question, newest first."""
        changes = workspace.project(slug).question_history()
        return [
            {"version": c.version, "change": c.change, "by": c.by, "at": c.at.isoformat()} for c in changes
        ]

    @router.post("/classes")
    def edit_classes(slug: str, body: ClassEdit, request: Request) -> dict[str, Any]:
        """Edit the question; answers are carried along, because they name classes by id."""
        return question_state(
            _edit(workspace.project(slug), body, by=person_of_request(request.headers, request.cookies))
        )

    @router.post("/columns")
    def choose_columns(slug: str, body: Choice, request: Request) -> dict[str, Any]:
        """Remember which columns this person wants to see in this project."""
        project = workspace.project(slug)
        person = person_of_request(request.headers, request.cookies)
        chosen = {**_choices(project), person: body.model_dump()}
        project.set_settings(label_columns=chosen)
        return layout(project, chosen[person])

    @router.post("/strategy")
    def choose_strategy(slug: str, body: Strategy) -> dict[str, str]:
        """Ask by another strategy from the next ranking on."""
        workspace.project(slug).set_strategy(body.name)
        return {"strategy": body.name}

    return router


def _sync(project: Project, judge: Judge, body: Sync) -> dict[str, Any]:
    ids: dict[str, int] = {}
    acks = [_apply(project, judge, operation, ids) for operation in body.operations]
    asks = project.next_items(judge, body.holder, body.want) if body.want else []
    question = project.question()
    return {
        "acks": acks,
        "asks": ask_states(project, asks),
        "status": status_state(
            project.status(), question.version, project.kind.headline, project.calibrate_from
        ),
    }


def _apply(project: Project, judge: Judge, operation: Operation, ids: dict[str, int]) -> dict[str, Any]:
    """Carry out one operation. A refusal is an answer too: sending the same again would not help."""
    try:
        if operation.kind == "undo":
            target = ids.get(operation.target_uuid, operation.judgement_id)
            undone = project.undo(judge, operation.uuid, target)
            return {"uuid": operation.uuid, "ok": True, "judgement_id": None if undone is None else undone.id}
        row = project.record(
            item=operation.item,
            judge=judge,
            client_uuid=operation.uuid,
            answer=operation.class_id,
            state=operation.state,
            note=operation.note,
            seconds=operation.seconds,
            query_id=operation.query_id,
            stratum=operation.stratum,
        )
        ids[operation.uuid] = row.id
        return {"uuid": operation.uuid, "ok": True, "judgement_id": row.id}
    except (InputError, ConflictError, NotFoundError) as error:
        return {"uuid": operation.uuid, "ok": False, "reason": str(error)}


def _edit(project: Project, edit: ClassEdit, by: str) -> Any:
    given = edit.model_dump(include={"name", "color", "key", "description", "parent"}, exclude_none=True)
    if edit.kind == "add":
        name, _ = given.pop("name", ""), given.pop("parent", None)
        return project.add_class(name, **{k: v for k, v in given.items() if v}, by=by)
    if edit.kind == "edit":
        return project.edit_class(edit.class_id, by=by, **given)
    if edit.kind == "merge":
        return project.merge_class(edit.class_id, edit.into, by=by)
    if edit.kind == "reorder":
        return project.reorder_classes(edit.order, by=by)
    if edit.kind == "guidelines":
        return project.set_guidelines(edit.text, by=by)
    return project.set_question_text(edit.text, by=by)


def _choices(project: Project) -> dict[str, Any]:
    return dict(project.settings().get("label_columns", {}))


def _in_pool(project: Project, position: int) -> None:
    if not 0 <= position < project.pool.n_items:
        raise NotFoundError(
            f"item {position} does not exist; the pool has items 0 to {project.pool.n_items - 1}"
        )
