"""Alignment of judges with grades from a file, without a project: JSON Lines of {output, grade, verdicts}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED, Alignment, Estimate, measure
from plumbline_backend.domain.errors import ImportRefusedError, InputError, Problem
from plumbline_backend.domain.optimism import cross_validated
from plumbline_backend.importers.outputs_json import passed_of
from plumbline_backend.judges.choose import Candidate, best_of, choose_set

FIGURES = ("coverage", "ffr", "alignment", "pass_rate", "tpr", "tnr", "mcc", "kappa")


@dataclass(frozen=True)
class GradedFile:
    """Grades (n_outputs,), strata (n_outputs,) and per judge where it fails and where it decided at all."""

    grades: NDArray[np.int8]
    strata: NDArray[np.int64]
    judges: tuple[str, ...]
    failed: NDArray[np.bool_]
    decided: NDArray[np.bool_]


def read_graded(path: Path) -> GradedFile:
    """Read the file. grade: true or "good", false or "bad", null for ungraded; verdicts: {judge: true, false or null};
    stratum: optional, what the output was drawn from. Raises ImportRefusedError listing every bad row, InputError.
    """
    if not path.is_file():
        raise InputError(f"{path.name}: no such file; expected JSON Lines of output, grade and verdicts")
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    found = [_row(path.name, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    problems = [each for each in found if isinstance(each, Problem)]
    if problems:
        raise ImportRefusedError(problems[:100], max(0, len(problems) - 100))
    rows = [each for each in found if not isinstance(each, Problem)]
    if not rows:
        raise InputError(f"{path.name}: no rows; expected at least one graded output")
    return _arrays(rows)


def align(
    found: GradedFile, min_coverage: float = 0.8, max_ffr: float = 0.2, seed: int = 0
) -> dict[str, Any]:
    """Every judge, and the set that is chosen: the fewest judges within the limits, else the best single one.

    The set's figures are cross-validated, as it was chosen by the same grades. Unknown is null.
    """
    rng = np.random.default_rng(seed)
    judges = {
        name: {
            **_figures(measure(found.failed[j][known], found.grades[known], found.strata[known], rng)),
            "n_outputs": int(known.sum()),
            "n_undecided": int((~known).sum()),
        }
        for j, name in enumerate(found.judges)
        for known in [found.decided[j]]
    }
    return {
        "judges": judges,
        "selected": _selected(found, min_coverage, max_ffr, rng),
        "n_outputs": len(found.grades),
        "n_graded": int((found.grades != UNGRADED).sum()),
        "n_good": int((found.grades == GOOD).sum()),
        "n_bad": int((found.grades == BAD).sum()),
    }


def _selected(
    found: GradedFile, min_coverage: float, max_ffr: float, rng: np.random.Generator
) -> dict[str, Any]:
    candidates = [Candidate(j, found.failed[j], found.decided[j]) for j in range(len(found.judges))]
    choice = choose_set(candidates, found.grades, min_coverage, max_ffr)
    ids = _chosen(candidates, found.grades, min_coverage, max_ffr)
    if ids is None:
        empty = {name: _json(Estimate(None, None, None, 0)) for name in FIGURES}
        return {"judges": [], "feasible": False, "reason": choice.reason, "method": "none", **empty}
    failed, known = _together(found, ids)

    def choose(grades: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        again = _chosen(candidates, grades, min_coverage, max_ffr)
        return None if again is None else _together(found, again)

    grades = np.where(known, found.grades, UNGRADED).astype(np.int8)
    corrected = cross_validated(choose, failed, grades, found.strata, rng, known)
    apparent = measure(failed[known], found.grades[known], found.strata[known], rng)
    return {
        "judges": [found.judges[j] for j in ids],
        "feasible": choice.feasible,
        "reason": choice.reason,
        "method": "cross-validated" if corrected is not None else "same grades: too good",
        **_figures(apparent if corrected is None else corrected),
        "apparent": _figures(apparent),
        "subsumes": [[found.judges[a], found.judges[b]] for a, b in choice.subsumes],
    }


def _chosen(
    candidates: list[Candidate], grades: NDArray[np.int8], min_coverage: float, max_ffr: float
) -> list[int] | None:
    """The fewest judges within the limits, else the best one; None when the grades are all of one kind."""
    choice = choose_set(candidates, grades, min_coverage, max_ffr, explain=False)
    if choice.feasible:
        return list(choice.ids)
    best = best_of(candidates, grades)
    return None if best is None else [best]


def _together(found: GradedFile, ids: list[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the set fails, and where it decides: any fails, or all decided."""
    failed = np.asarray((found.failed[ids] & found.decided[ids]).any(axis=0))
    return failed, np.asarray(failed | found.decided[ids].all(axis=0))


def _row(file: str, number: int, line: str) -> dict[str, Any] | Problem:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return Problem(file, f"one JSON object per line ({error})", number, value=line[:80])
    if not isinstance(row, Mapping) or "grade" not in row or not isinstance(row.get("verdicts"), Mapping):
        return Problem(file, "an object with output, grade and verdicts", number, value=line[:80])
    grade = None if row["grade"] is None else passed_of(row["grade"])
    if row["grade"] is not None and grade is None:
        return Problem(file, "true, false or null", number, "grade", str(row["grade"]))
    for judge, verdict in row["verdicts"].items():
        if not isinstance(verdict, bool) and verdict is not None:
            return Problem(file, "true, false or null", number, f"verdicts.{judge}", str(verdict))
    return {"grade": grade, "verdicts": dict(row["verdicts"]), "stratum": str(row.get("stratum", ""))}


def _arrays(rows: list[dict[str, Any]]) -> GradedFile:
    names = tuple(dict.fromkeys(name for row in rows for name in row["verdicts"]))
    said = [[row["verdicts"].get(name) for row in rows] for name in names]
    codes = {None: UNGRADED, True: GOOD, False: BAD}
    _, strata = np.unique([row["stratum"] for row in rows], return_inverse=True)
    shape = (len(names), len(rows))
    return GradedFile(
        grades=np.array([codes[row["grade"]] for row in rows], dtype=np.int8),
        strata=strata.reshape(-1).astype(np.int64),
        judges=names,
        failed=np.array([[v is False for v in column] for column in said], dtype=bool).reshape(shape),
        decided=np.array([[v is not None for v in column] for column in said], dtype=bool).reshape(shape),
    )


def _figures(alignment: Alignment) -> dict[str, Any]:
    return {name: _json(getattr(alignment, name)) for name in FIGURES}


def _json(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
