"""Grading the same output again without seeing the earlier grade: after an edit, and to know oneself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from plumbline_backend.domain.grades import Criterion, Grade
from plumbline_backend.domain.types import Judgement


def queue(
    grades: Sequence[Grade], regraded: Collection[int], seed: int, drawn: Sequence[int] = ()
) -> list[int]:
    """Outputs to ask again: stale grades first, in the order in which the design drew them, so that whoever stops on
    the way has graded a uniform sample; others, and what was never asked twice, in a random order after them.

    drawn: outputs in the order of their draws.
    """
    stale = {grade.output for grade in grades if grade.stale}
    fresh = {g.output for g in grades if g.passed is not None and not g.stale} - set(regraded)
    rng = np.random.default_rng(seed)
    by_design = [output for output in dict.fromkeys(drawn) if output in stale]
    by_hand = rng.permutation(sorted(stale - set(by_design))).tolist()
    return by_design + [int(output) for output in [*by_hand, *rng.permutation(sorted(fresh)).tolist()]]


def n_passed_over(
    drawn: Sequence[int], graded: Collection[int], stale: Collection[int], again: Collection[int]
) -> int:
    """How many drawn outputs were passed over by a criterion's grades, so that these are chosen and no random sample.

    A run of draws without a gap is as random as all draws. What waits for a re-grade after an edit comes in the order
    of the draws too, so it has a gap only before the last one that was graded again. drawn: outputs in the order of
    their draws. graded: those with a grade in force; stale: those with only an older one; again: graded ones that had
    an older one too.
    """
    older = [output in again for output in drawn if output in stale or output in again]
    newer = [output in graded for output in drawn if output not in stale and output not in again]
    return _gaps(older[::-1])[1] + _gaps(newer)[0]


def _gaps(has: Sequence[bool]) -> tuple[int, int]:
    """How many are False between the first and the last True, and after the first True."""
    if True not in has:
        return 0, 0
    after = list(has[has.index(True) :])
    last = len(after) - after[::-1].index(True)
    return after[:last].count(False), after.count(False)


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
