"""Grading the same output again without seeing the earlier grade: after an edit, and to know oneself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from plumbline_backend.domain.grades import Criterion, Grade
from plumbline_backend.domain.types import Judgement


def queue(grades: Sequence[Grade], regraded: Collection[int], seed: int) -> list[int]:
    """Outputs to ask again: stale grades first, by output; then what was never asked twice, in a random order."""
    stale = sorted({grade.output for grade in grades if grade.stale})
    fresh = sorted({g.output for g in grades if g.passed is not None and not g.stale} - set(regraded))
    return stale + [int(output) for output in np.random.default_rng(seed).permutation(fresh)]


def pairs(rows: Sequence[Judgement], criterion: Criterion) -> list[tuple[int, int]]:
    """(earlier, later) answers, 1 for a pass, of each live re-grade and the same person's grade before it.

    rows: the ledger of the criterion, newest first. Both answers must be of versions that still count.
    """
    revoked = {row.revokes for row in rows if row.revokes is not None}
    standing: dict[tuple[int, int], Judgement] = {}
    found = []
    for row in reversed(rows):
        if row.revokes is not None or row.id in revoked or row.answer is None:
            continue
        if row.question_version < criterion.valid_from:
            continue
        earlier = standing.get((row.item, row.judge_id))
        if row.stratum == "regrade" and earlier is not None and earlier.answer is not None:
            found.append((int(criterion.passes(earlier.answer)), int(criterion.passes(row.answer))))
        standing[row.item, row.judge_id] = row
    return found


def by_version(rows: Sequence[Judgement]) -> dict[int, list[Judgement]]:
    """The newest live row of each (output, judge) under each version of the criterion, oldest version first.

    rows: the ledger of the criterion, newest first. What was answered again under a later version is in both.
    """
    revoked = {row.revokes for row in rows if row.revokes is not None}
    found: dict[int, dict[tuple[int, int], Judgement]] = {}
    for row in rows:
        if row.revokes is None and row.id not in revoked:
            found.setdefault(row.question_version, {}).setdefault((row.item, row.judge_id), row)
    return {version: list(found[version].values()) for version in sorted(found)}
