"""One answer per item from several people's: majority, Dawid-Skene, MACE, GLAD, and the top two answers.

ratings: (n_items, n_workers) class indices, MISSING where a worker did not answer, as in `agreement`. Nothing here
needs the truth; each method reads it out of how people agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.agreement import MISSING
from plumbline_backend.domain.errors import InputError

MAX_STEPS = 200
TOLERANCE = 1e-6
SMOOTHING = 0.01
"""Added to every cell of a worker's confusion counts."""
_TINY = 1e-300


@dataclass(frozen=True)
class Aggregated:
    """proba: (n, K) soft labels, rows sum to 1, uniform for items without answers. label: (n,) the likeliest class.

    skill: (n_workers,) in the method's own unit (see there), NaN for workers without answers.
    more: what else it learned.
    """

    proba: NDArray[np.float64]
    label: NDArray[np.int64]
    skill: NDArray[np.float64]
    more: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class _Answers(NamedTuple):
    """The answers that there are, one per row: which item, by whom, which class."""

    item: NDArray[np.int64]
    worker: NDArray[np.int64]
    label: NDArray[np.int64]
    shape: tuple[int, int, int]


def majority(ratings: NDArray[np.integer[Any]], n_classes: int) -> Aggregated:
    """Shares of the votes; equal votes go to the class with the lower index. skill: agreement with the majority."""
    answers = _answers(ratings, n_classes)
    proba = _normalised(_votes(answers))
    return _result(proba, answers)


def dawid_skene(ratings: NDArray[np.integer[Any]], n_classes: int) -> Aggregated:
    """EM over a confusion matrix per worker, C_w[k, j] = P(answers j | true k), from the majority's start.

    With fewer than two workers, who can tell nothing about each other, it is the majority.

    skill: probability of a right answer, averaged over classes by their share. more["confusion"]: (n_workers, K, K).
    Source: Dawid and Skene 1979.
    """
    answers = _answers(ratings, n_classes)
    if len(set(answers.worker.tolist())) < 2:
        return majority(ratings, n_classes)
    n, n_workers, k = answers.shape
    confusion = np.zeros((n_workers, k, k))
    proba = _normalised(_votes(answers))

    def step(q: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal confusion
        counts = np.full((n_workers * k, k), SMOOTHING)
        np.add.at(counts, answers.worker * k + answers.label, q[answers.item])
        confusion = counts.reshape(n_workers, k, k).transpose(0, 2, 1)
        confusion = confusion / confusion.sum(axis=2, keepdims=True)
        log = np.tile(np.log(np.maximum(q.mean(axis=0), _TINY)), (n, 1))
        np.add.at(log, answers.item, np.log(confusion[answers.worker, :, answers.label]))
        return _softmax(log)

    proba = _converged(step, proba)
    right = np.einsum("wkk,k->w", confusion, proba.mean(axis=0))
    return _result(proba, answers, _known(right, answers), {"confusion": confusion})


def mace(ratings: NDArray[np.integer[Any]], n_classes: int, restarts: int = 10, seed: int = 0) -> Aggregated:
    """Workers know the answer with probability theta_w, and else guess from their own xi_w: P(l | k) = theta 1[l = k] +
    (1 - theta) xi_l.

    EM under Jeffreys priors, the best likelihood of `restarts` random starts and an even one. skill: theta.
    more["guess"]: (n_workers, K).
    Source: Hovy et al. 2013.
    """
    answers = _answers(ratings, n_classes)
    rng = np.random.default_rng(seed)
    n_workers = answers.shape[1]
    starts = [np.full(n_workers, 0.7), *(rng.uniform(0.2, 0.95, n_workers) for _ in range(restarts))]
    found = [_mace_from(start, answers) for start in starts]
    proba, theta, guess, _ = max(found, key=lambda each: each[3])
    return _result(proba, answers, _known(theta, answers), {"guess": guess})


def glad(ratings: NDArray[np.integer[Any]], n_classes: int) -> Aggregated:
    """P(right) = sigmoid(alpha_w beta_i): workers have an ability, items an easiness beta > 0; errors fall evenly.

    EM with gradient steps on alpha and log beta under standard normal priors around 1 and 0. skill: alpha (negative:
    worse than chance). more["easiness"]: (n_items,). Source: Whitehill et al. 2009.
    """
    answers = _answers(ratings, n_classes)
    if len(set(answers.worker.tolist())) < 2:
        return majority(ratings, n_classes)
    n, n_workers, k = answers.shape
    alpha, log_beta = np.ones(n_workers), np.zeros(n)
    wrong = np.log(max(k - 1, 1))

    def step(q: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal alpha, log_beta
        right = q[answers.item, answers.label]
        for _ in range(20):
            beta = np.exp(log_beta)
            error = right - _sigmoid(alpha[answers.worker] * beta[answers.item])
            slope = np.bincount(answers.worker, error * beta[answers.item], n_workers) - (alpha - 1)
            steep = np.bincount(answers.item, error * alpha[answers.worker], n) * beta - log_beta
            alpha = alpha + 0.5 * slope / (
                1 + np.bincount(answers.worker, beta[answers.item] ** 2, n_workers) / 4
            )
            log_beta = np.clip(log_beta + 0.5 * steep / (1 + _squares(alpha, beta, answers)), -4, 4)
        chance = np.clip(_sigmoid(alpha[answers.worker] * np.exp(log_beta)[answers.item]), 1e-12, 1 - 1e-12)
        log = np.tile(np.log(np.maximum(q.mean(axis=0), _TINY)), (n, 1))
        other = np.log1p(-chance) - wrong
        np.add.at(log, answers.item, np.repeat(other[:, None], k, axis=1))
        np.add.at(log, (answers.item, answers.label), np.log(chance) - other)
        return _softmax(log)

    proba = _converged(step, _normalised(_votes(answers)))
    return _result(proba, answers, _known(alpha, answers), {"easiness": np.exp(log_beta)})


class TopTwo(NamedTuple):
    """Of each item the likeliest answer and its rival, (n,) each; confusion (n,) in (.5, 1): how sure the first is."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    confusion: NDArray[np.float64]
    skill: NDArray[np.float64]


def top_two(ratings: NDArray[np.integer[Any]], n_classes: int) -> TopTwo:
    """The two most plausible answers of every item, by the spectral method of Jeong and Chung 2023.

    confusion: the probability q of the first among answers that are one of the two; at 1/2 nobody can tell them apart.
    skill: (n_workers,) the probability of not guessing. Needs at least three classes and two workers.
    Raises InputError otherwise, and as `majority`.
    """
    answers = _answers(ratings, n_classes)
    n, n_workers, k = answers.shape
    if k < 3 or n_workers < 2:
        raise InputError(
            f"top two answers: {k} classes and {n_workers} workers; expected at least three classes and two workers"
        )
    table = np.full((n_workers, n), MISSING)
    table[answers.worker, answers.item] = answers.label
    density = len(answers.item) / (n * n_workers)
    weights = np.zeros((k + 1, n))
    for cut in range(1, k):
        weights[cut] = _leading(table, cut, k, density)
    gaps = np.diff(weights, axis=0)  # D_k, (K, n)
    order = np.argsort(gaps, axis=0, kind="stable")
    first, second = order[0], order[1]
    hit = (table == first) | (table == second)
    skill = _skill(hit & (table != MISSING), table != MISSING, k)
    q = np.clip(1 / k - gaps[first, np.arange(n)] / max(np.linalg.norm(skill), 1e-12), 0.501, 0.999)
    return _refined(answers, skill, q, TopTwo(first, second, q, skill))


def by_top_two(ratings: NDArray[np.integer[Any]], n_classes: int) -> Aggregated:
    """`top_two` as soft labels: the confusion probability on the first answer, what is left of it on the second."""
    found = top_two(ratings, n_classes)
    rows = np.arange(len(found.first))
    proba = np.zeros((len(rows), n_classes))
    proba[rows, found.first] = found.confusion
    proba[rows, found.second] = 1 - found.confusion
    return Aggregated(proba, found.first, found.skill, {"second": found.second})


def conflicts(ratings: NDArray[np.integer[Any]], aggregated: Aggregated) -> NDArray[np.int64]:
    """Items on which people disagree, the least certain first: the queue for adjudication."""
    given = np.where(ratings == MISSING, -1, ratings)
    highest = given.max(axis=1, initial=-1)
    lowest = np.where(given < 0, np.iinfo(np.int64).max, given).min(axis=1, initial=np.iinfo(np.int64).max)
    disputed = np.flatnonzero((highest >= 0) & (highest != lowest))
    certainty = aggregated.proba[disputed].max(axis=1)
    return np.asarray(disputed[np.argsort(certainty, kind="stable")], dtype=np.int64)


METHODS: Mapping[str, Callable[[NDArray[np.integer[Any]], int], Aggregated]] = {
    "majority": majority,
    "dawid_skene": dawid_skene,
    "mace": mace,
    "glad": glad,
}
"""The ways to aggregate that give soft labels, by name."""
METHODS_FROM_THREE_CLASSES = {**METHODS, "top_two": by_top_two}
"""And those that need three classes and two people."""


def _mace_from(
    theta: NDArray[np.float64], answers: _Answers
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Soft labels, theta, guesses and log-likelihood of EM from one start."""
    n, n_workers, k = answers.shape
    guess = np.full((n_workers, k), 1 / k)
    before = -np.inf
    for _ in range(MAX_STEPS):
        lucky = (1 - theta)[answers.worker] * guess[answers.worker, answers.label]
        log = np.zeros((n, k))
        np.add.at(log, answers.item, np.log(np.maximum(lucky, _TINY))[:, None].repeat(k, axis=1))
        knows = theta[answers.worker]
        known = np.log(np.maximum(lucky + knows, _TINY)) - np.log(np.maximum(lucky, _TINY))
        np.add.at(log, (answers.item, answers.label), known)
        likelihood = float(np.logaddexp.reduce(log, axis=1).sum())
        proba = _softmax(log)
        knew = proba[answers.item, answers.label] * knows / np.maximum(lucky + knows, _TINY)
        total = np.bincount(answers.worker, minlength=n_workers)
        theta = (np.bincount(answers.worker, knew, n_workers) + 0.5) / (total + 1)
        spread = np.full(n_workers * k, 0.5)
        np.add.at(spread, answers.worker * k + answers.label, 1 - knew)
        guess = _normalised(spread.reshape(n_workers, k))
        if likelihood - before < TOLERANCE * n:
            break
        before = likelihood
    return proba, theta, guess, likelihood


def _leading(table: NDArray[np.int64], cut: int, k: int, density: float) -> NDArray[np.float64]:
    """w_k of one cut of the classes into lower and upper, (n,)."""
    signs = np.where(table < cut, -1.0, 1.0)
    signs[table == MISSING] = 0.0
    signs -= density * (k - 2 * cut) / k
    u = np.linalg.svd(signs, full_matrices=False)[0][:, 0]
    u = u if u.sum() >= 0 else -u
    u = np.clip(u / max(u.mean(), 1e-12) / max((u / max(u.mean(), 1e-12)).max(), 1e-12), 0.0, 1.0)
    return np.asarray(signs.T @ (u / max(np.linalg.norm(u), 1e-12)) / (2 * density), dtype=np.float64)


def _skill(hit: NDArray[np.bool_], given: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    rate = hit.sum(axis=1) / np.maximum(given.sum(axis=1), 1)
    return np.asarray(np.clip((rate - 2 / k) / (1 - 2 / k), 0.001, 0.999), dtype=np.float64)


def _refined(answers: _Answers, skill: NDArray[np.float64], q: NDArray[np.float64], start: TopTwo) -> TopTwo:
    """The pair (a, b) of the largest likelihood for every item, given skill and q."""
    n, _, k = answers.shape
    odds = (skill / (1 - skill))[answers.worker]
    first, second = np.zeros((n, k)), np.zeros((n, k))
    own = q[answers.item]
    np.add.at(first, (answers.item, answers.label), np.log(k * own * odds + 1))
    np.add.at(second, (answers.item, answers.label), np.log(k * (1 - own) * odds + 1))
    pairs = first[:, :, None] + second[:, None, :]
    pairs[:, np.arange(k), np.arange(k)] = -np.inf
    best = pairs.reshape(n, -1).argmax(axis=1)
    return start._replace(first=best // k, second=best % k)


def _answers(ratings: NDArray[np.integer[Any]], n_classes: int) -> _Answers:
    ratings = np.asarray(ratings)
    if ratings.ndim != 2:
        raise InputError(f"ratings have shape {ratings.shape}; expected (n_items, n_workers)")
    outside = (ratings != MISSING) & ((ratings < 0) | (ratings >= n_classes))
    if outside.any():
        item, worker = (int(i) for i in np.argwhere(outside)[0])
        raise InputError(
            f"rating of item {item} by worker {worker} is {ratings[item, worker]}; expected a class from 0 to "
            f"{n_classes - 1}, or {MISSING} for none"
        )
    given = np.argwhere(ratings != MISSING)
    n, n_workers = ratings.shape
    labels = ratings[given[:, 0], given[:, 1]].astype(np.int64)
    return _Answers(given[:, 0], given[:, 1], labels, (n, n_workers, n_classes))


def _votes(answers: _Answers) -> NDArray[np.float64]:
    n, _, k = answers.shape
    return np.bincount(answers.item * k + answers.label, minlength=n * k).reshape(n, k).astype(np.float64)


def _result(
    proba: NDArray[np.float64],
    answers: _Answers,
    skill: NDArray[np.float64] | None = None,
    more: Mapping[str, NDArray[Any]] | None = None,
) -> Aggregated:
    label = proba.argmax(axis=1)
    if skill is None:
        agreed = np.bincount(answers.worker, label[answers.item] == answers.label, answers.shape[1])
        skill = _known(
            agreed / np.maximum(np.bincount(answers.worker, minlength=answers.shape[1]), 1), answers
        )
    return Aggregated(proba, label, skill, more or {})


def _known(skill: NDArray[np.float64], answers: _Answers) -> NDArray[np.float64]:
    """NaN for workers who have not answered anything."""
    return np.where(np.bincount(answers.worker, minlength=answers.shape[1]) > 0, skill, np.nan)


def _converged(
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]], proba: NDArray[np.float64]
) -> NDArray[np.float64]:
    for _ in range(MAX_STEPS):
        found = step(proba)
        if not proba.size or np.abs(found - proba).max() < TOLERANCE:
            return found
        proba = found
    return proba


def _squares(alpha: NDArray[np.float64], beta: NDArray[np.float64], answers: _Answers) -> NDArray[np.float64]:
    return np.bincount(answers.item, alpha[answers.worker] ** 2, len(beta)) * beta**2 / 4


def _normalised(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1.0), 1.0 / counts.shape[1])


def _softmax(log: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(log - log.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)
