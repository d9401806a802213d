"""A smallest set of judges that a person took into use, instead of one judge for each criterion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.grades import GradingJudge
from plumbline_backend.domain.optimism import Choose
from plumbline_backend.judges.choose import Candidate, SetChoice, best_of, choose_set
from plumbline_backend.judges.verdicts import VerdictTable, together

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

SETTING = "adopted_set"


class AdoptedSet(NamedTuple):
    """The judges in use, in their newest versions, and the limits that the set was found for."""

    judges: tuple[GradingJudge, ...]
    min_coverage: float
    max_ffr: float


def adopt(project: GradingProject, min_coverage: float, max_ffr: float) -> SetChoice:
    """Find the smallest set and take it into use. Raises ConflictError with the reason where there is none."""
    found = project.choose_set(min_coverage, max_ffr)
    if not found.feasible:
        raise ConflictError(f"there is no such set: {found.reason}")
    if not found.ids:
        raise ConflictError("these limits need no judge at all; expected a coverage above 0")
    names = [[judge.kind, judge.name] for judge in project.judges() if judge.id in found.ids]
    kept = {"judges": names, "min_coverage": min_coverage, "max_ffr": max_ffr}
    project.kept.change(lambda settings: settings.update({SETTING: kept}))
    return found


def drop(project: GradingProject) -> None:
    """Back to one judge for each criterion."""
    project.kept.change(lambda settings: settings.update({SETTING: None}))


def adopted(project: GradingProject) -> AdoptedSet | None:
    """The set in use; a judge that was edited is in it in its new version, a retired one is not. None: no set."""
    kept: dict[str, Any] | None = project.kept.read().get(SETTING)
    if not kept:
        return None
    names = {(kind, name) for kind, name in kept["judges"]}
    judges = tuple(judge for judge in project.judges() if (judge.kind, judge.name) in names)
    return AdoptedSet(judges, kept["min_coverage"], kept["max_ffr"]) if judges else None


def chooser(found: AdoptedSet, candidates: list[Candidate], table: VerdictTable) -> Choose:
    """The search again from other grades: the smallest set within the limits, else the best judge."""

    def choose(grades: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        choice = choose_set(candidates, grades, found.min_coverage, found.max_ffr, explain=False)
        best = None if choice.feasible else best_of(candidates, grades)
        ids = list(choice.ids) if choice.feasible else [best] if best is not None else []
        if not ids:
            return None
        return together(table.only(ids))

    return choose
