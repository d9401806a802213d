"""Draws are uniform inside their stratum: chi-square tests over thousands of seeded first and second draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from plumbline_backend.criteria.design import SamplingDesign
from plumbline_backend.domain.types import Judge
from plumbline_backend.judges.verdicts import ERROR, FAILED, NOT_RUN, PASSED
from plumbline_backend.store.draws import Draw, Partition

N_SEEDS = 4_000
CODES = np.array([FAILED] * 4 + [PASSED] * 6 + [ERROR] * 2, dtype=np.int8)
ADA = Judge(1, 1, "person", "ada", 1, {})
NOT_BY_CHANCE = 0.001


class Draws:
    """The store's draws, in memory: thousands of projects would take minutes on a disk."""

    def __init__(self) -> None:
        self._draws: list[Draw] = []
        self._partitions: list[Partition] = []

    def list(self, _: int) -> list[Draw]:
        return self._draws

    def partitions(self, _: int) -> list[Partition]:
        return self._partitions

    def add_partition(self, _: int, judges: Sequence[int], labels: str) -> Partition:
        self._partitions.append(Partition(len(self._partitions) + 1, tuple(judges), labels))
        return self._partitions[-1]

    def add(self, _: int, question_id: int, judge_id: int, item: int, stratum: Any, *split: Any) -> Draw:
        partition, probability = split
        at = datetime(2026, 1, 1, tzinfo=UTC)
        draw = Draw(
            len(self._draws) + 1, question_id, judge_id, item, stratum, partition, probability, at, None
        )
        self._draws.append(draw)
        return draw

    def close_all(self) -> None:
        self._draws = [replace(draw, closed_at=draw.created_at) for draw in self._draws]


def drawn(seed: int, codes: np.ndarray, n: int) -> list[Draw]:
    """The first n draws of a project of this seed."""
    draws = Draws()
    design = SamplingDesign(SimpleNamespace(draws=draws), 1, len(codes), 1, seed)  # type: ignore[arg-type]
    for _ in range(n):
        assert design.next(ADA, codes, [1]) is not None
        draws.close_all()
    return draws.list(1)


def test_the_first_draw_of_each_stratum_is_uniform_and_says_its_probability() -> None:
    first = [drawn(seed, CODES, 1)[0] for seed in range(N_SEEDS)]
    for stratum, items in {"judged_fail": range(4), "judged_pass": range(4, 10)}.items():
        mine = [draw for draw in first if draw.stratum == stratum]
        assert len(mine) == pytest.approx(N_SEEDS / 2, rel=0.1)  # who begins is tossed
        assert {draw.probability for draw in mine} == {1 / len(items)}
        counts = np.bincount([draw.item for draw in mine], minlength=12)[list(items)]
        assert counts.sum() == len(mine)
        assert stats.chisquare(counts).pvalue > NOT_BY_CHANCE


def test_later_draws_are_uniform_over_what_is_left() -> None:
    """After one of four failed outputs each of the others has a third: every ordered pair is equally likely."""
    pairs = np.zeros((4, 4))
    for seed in range(N_SEEDS):
        failed = [draw for draw in drawn(seed, CODES[:10], 4) if draw.stratum == "judged_fail"]
        pairs[failed[0].item, failed[1].item] += 1
        assert [draw.probability for draw in failed[:2]] == [1 / 4, 1 / 3]
    assert np.diag(pairs).sum() == 0
    assert stats.chisquare(pairs[~np.eye(4, dtype=bool)]).pvalue > NOT_BY_CHANCE


def test_without_judges_every_output_is_equally_likely() -> None:
    first = [drawn(seed, np.full(12, NOT_RUN, dtype=np.int8), 1)[0] for seed in range(N_SEEDS)]
    assert {draw.probability for draw in first} == {1 / 12}
    assert stats.chisquare(np.bincount([draw.item for draw in first], minlength=12)).pvalue > NOT_BY_CHANCE


def test_the_test_would_see_a_preference() -> None:
    """One output in four drawn at 0.28 instead of 0.25 is found among so many draws."""
    counts = np.array([0.28, 0.24, 0.24, 0.24]) * N_SEEDS / 2
    assert stats.chisquare(counts).pvalue < 0.05
    counts = np.array([0.30, 0.2333, 0.2333, 0.2334]) * N_SEEDS / 2
    assert stats.chisquare(counts).pvalue < NOT_BY_CHANCE
