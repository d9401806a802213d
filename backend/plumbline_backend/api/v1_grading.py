"""Grading projects: criteria, judges and their verdicts, the alignment report."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from plumbline_backend.api.access import Access, Caller, needs
from plumbline_backend.api.bodies import MAX_PAGE, After, JudgeIn, Limit, Slug, VerdictIn, VerdictsIn
from plumbline_backend.api.once import Key, answered_once
from plumbline_backend.api.plain import plain
from plumbline_backend.api.strict import StrictRoute
from plumbline_backend.api.v1_data import in_pool
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.domain.grades import RATINGS, Criterion, GradingJudge, Verdict
from plumbline_backend.workspace import Workspace


def grading_routes(workspace: Workspace, access: Access) -> APIRouter:
    """Routes of one grading project."""
    router = APIRouter(prefix="/grading/{slug}", route_class=StrictRoute, tags=["grading"])
    read, edit = needs(access, "read"), needs(access, "edit")

    @router.get("/criteria")
    def criteria(slug: Slug, _: Caller = read) -> list[dict[str, Any]]:
        """The overall question first, then the criteria."""
        project = workspace.grading(slug)
        return [plain(each) for each in [project.overall(), *project.criteria()]]

    @router.get("/judges")
    def judges(slug: Slug, _: Caller = read) -> list[dict[str, Any]]:
        """The judges in use."""
        return [_judge(each) for each in workspace.grading(slug).judges()]

    @router.post("/judges", status_code=201)
    def add_judge(slug: Slug, body: JudgeIn, key: Key = None, caller: Caller = edit) -> dict[str, Any]:
        """An outside judge whose verdicts are brought by this API and measured like any other's."""

        def make() -> dict[str, Any]:
            return _judge(workspace.grading(slug).add_judge(body.criterion, "imported", body.name, {}))

        asked = ("judge", slug, body.model_dump(mode="json"))
        made: dict[str, Any] = answered_once(workspace.store.requests, caller, key, asked, make)
        return made

    @router.get("/judges/{judge_id}/verdicts")
    def verdicts(
        slug: Slug, judge_id: int, limit: Limit = MAX_PAGE, after: After = -1, _: Caller = read
    ) -> dict[str, Any]:
        """What a judge says, by output."""
        found = [each for each in workspace.grading(slug).verdicts(judge_id) if each.output > after]
        page = found[:limit]
        return {
            "verdicts": [plain(each) for each in page],
            "next": page[-1].output if len(found) > limit else None,
        }

    @router.post("/judges/{judge_id}/verdicts")
    def bring_verdicts(slug: Slug, judge_id: int, body: VerdictsIn, _: Caller = edit) -> dict[str, int]:
        """Bring verdicts of an outside judge. The same batch again adds only what was not there yet."""
        project = workspace.grading(slug)
        judge = project.bench.get(judge_id)
        if judge.kind != "imported":
            raise ConflictError(
                f"judge {judge_id} runs here; only an imported judge's verdicts can be brought"
            )
        criterion = project.criterion(judge.criterion_id)
        new = [_verdict(each, criterion, in_pool(project.pool, each.output)) for each in body.verdicts]
        if len({each.output for each in new}) < len(new):
            raise InputError("verdicts: an output occurs twice; expected each once in a batch")
        return {"added": project.bench.save(judge, new, f"api:{judge.id}:{body.batch}")}

    @router.get("/alignment")
    def alignment(slug: Slug, _: Caller = read) -> dict[str, Any]:
        """How well each judge agrees with the graders, with intervals; unknown is null."""
        shown: dict[str, Any] = plain(workspace.grading(slug).alignment_report())
        return shown

    return router


def _verdict(given: VerdictIn, criterion: Criterion, output: int) -> Verdict:
    """The verdict as the project keeps it. Raises InputError where state and answer do not fit."""
    fits = criterion.kind == "rating" and given.state in ("pass", "fail")
    if given.answer is not None and not fits:
        raise InputError(f"answer: found {given.answer!r}; expected null unless a rating passes or fails")
    if given.answer in RATINGS and criterion.passes(given.answer or "") != (given.state == "pass"):
        raise InputError(
            f"state: found {given.state!r} for the rating {given.answer}; "
            f"ratings from {criterion.pass_from} pass"
        )
    return Verdict(output, given.state, given.answer, given.p_pass, given.note)


def _judge(judge: GradingJudge) -> dict[str, Any]:
    return {
        "id": judge.id,
        "criterion": judge.criterion_id,
        "kind": judge.kind,
        "name": judge.name,
        "version": judge.version,
        "cost": judge.cost,
    }
