"""Which head a project trains, and how it is set."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from plumbline_backend.api.access import Access, Caller, needs
from plumbline_backend.api.bodies import HeadIn, HeadOut, HeadSettingOut, HeadsOut, Slug
from plumbline_backend.api.strict import StrictRoute
from plumbline_backend.project import Project
from plumbline_backend.project_heads import HeadOption
from plumbline_backend.workspace import Workspace


def head_routes(workspace: Workspace, access: Access) -> APIRouter:
    """Routes of the choice of head."""
    router = APIRouter(route_class=StrictRoute)
    read, edit = (needs(access, need) for need in ("read", "edit"))

    @router.get("/projects/{slug}/heads", tags=["models"])
    def heads(slug: Slug, _: Caller = read) -> HeadsOut:
        """Every head that the project could train, what it takes, and its settings; and which one is in force."""
        return _heads(workspace.project(slug))

    @router.post("/projects/{slug}/head", tags=["models"])
    def choose(slug: Slug, body: HeadIn, _: Caller = edit) -> HeadsOut:
        """Train this head from the next training on, which is due at once. Settings that are not named go back to
        their defaults; options of the training stay as they are where `options` is null."""
        project = workspace.project(slug)
        project.heads.choose(body.head, body.settings, body.options)
        return _heads(project)

    return router


def _heads(project: Project) -> HeadsOut:
    options: list[HeadOption] = project.heads.options()
    return HeadsOut(
        chosen=project.heads.chosen,
        options=project.heads.recipe.changed(),
        heads=[_head(project, option) for option in options],
    )


def _head(project: Project, option: HeadOption) -> HeadOut:
    given: dict[str, Any] = project.heads.settings(option.name)
    return HeadOut(
        name=option.name,
        explanation=option.explanation,
        refused=option.refused or None,
        seconds=option.cost.seconds,
        mib=option.cost.mib,
        settings=[
            HeadSettingOut(
                name=each.name,
                title=each.told.title,
                meaning=each.told.meaning,
                expected=each.expected,
                default=each.default,
                value=given.get(each.name),
            )
            for each in project.heads.tunable(option.name)
        ],
    )
