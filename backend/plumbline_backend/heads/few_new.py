"""Heads for classes that have just been added and have few labels beside old ones with many."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.cosine import scale_rule, unit_rows
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.penalty import require_l2
from plumbline_backend.heads.program import Program, UnitRows, affine

FEW = 10
"""Up to so many labels a class counts as new, while others have more."""


def new_classes(mass: NDArray[np.float64], few: int) -> NDArray[np.bool_]:
    """(K,) True for classes with labels, but few; none when all have few."""
    rare = (mass > 0) & (mass <= few)
    return rare if (mass > few).any() else np.zeros(len(mass), dtype=bool)


class TEEN(ProgramHead):
    """Nearest mean direction, where a new class's mean leans towards the old ones that it resembles.

    c_new <- (1 - a) c_new + a norm(softmax(tau c_new C_old^T) C_old). Nothing of the old classes changes. Source: Wang
    et al. 2023.
    """

    name = "teen"
    explanation = (
        "Mean directions, corrected for classes with few labels by the well-known ones that they resemble: for "
        "classes added mid-project."
    )
    SETTINGS = ("lean", "tau", "few", "scale")
    ARRAYS = ("weight_", "bias_")
    FACTS = ("n_new_classes_", "scale_")

    def __init__(self, lean: float = 0.3, tau: float = 16.0, few: int = FEW, scale: float = 0.0) -> None:
        if not 0 <= lean <= 1 or not tau > 0 or few < 1 or not 0 <= scale < float("inf"):
            raise InputError(
                f"lean is {lean}, tau {tau}, few {few}, scale {scale}; expected 0 to 1, above zero, one or more, zero "
                "or more"
            )
        self.lean = lean
        self.tau = tau
        self.few = few
        self.scale = scale

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: TEEN | None = None,  # noqa: ARG002 - the solution is closed
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses."""
        items = labelled(features, targets, n_classes, sample_weight)
        unit = unit_rows(items.features.astype(np.float64))
        mass = items.mass()
        present, new = np.flatnonzero(mass > 0), new_classes(mass, self.few)
        prototypes = unit_rows(items.sums(unit))
        prototypes[new] = calibrated(prototypes[new], prototypes[(mass > 0) & ~new], self.lean, self.tau)
        self.n_new_classes_ = int(new.sum())
        self.scale_ = self.scale or 2 * scale_rule(len(present))
        final = over_all_classes(affine(self.scale_ * prototypes[present]), present, n_classes, unit)
        self.weight_, self.bias_, self.width_ = final.weight, final.bias, unit.shape[1]
        return self

    def program(self) -> Program:
        """Unit rows, then the scaled mean directions."""
        return (UnitRows(), affine(self.weight_, self.bias_))


class _Rebuilt(ProgramHead):
    """A linear softmax over the new classes' items and made-up items of the old classes, from their means alone."""

    SETTINGS = ("few", "l2", "seed", "max_iterations")
    ARRAYS = ("weight_", "bias_")
    FACTS = ("n_new_classes_", "converged_", "l2_")

    def __init__(
        self, few: int = FEW, l2: float | None = None, seed: int = 0, max_iterations: int = 500
    ) -> None:
        if few < 1:
            raise InputError(f"few is {few}; expected one label or more")
        require_l2(l2)
        self.few = few
        self.l2 = l2
        self.seed = seed
        self.max_iterations = max_iterations

    def made_up(
        self, items: Labelled, new: NDArray[np.bool_], means: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Pseudo-items of the old classes, with their classes."""
        raise NotImplementedError(f"{type(self).__name__} makes nothing up")

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: _Rebuilt | None = None,  # noqa: ARG002 - the items are made anew
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses. While no class is new, linear_softmax over all items."""
        items = labelled(features, targets, n_classes, sample_weight)
        mass = items.mass()
        new = new_classes(mass, self.few)
        self.n_new_classes_ = int(new.sum())
        linear = LinearSoftmax(l2=self.l2, max_iterations=self.max_iterations)
        if not new.any():
            linear.fit(items.features, items.targets, n_classes, items.weight)
        else:
            means = items.sums(items.features.astype(np.float64)) / np.where(mass > 0, mass, 1.0)[:, None]
            x, y = self.made_up(items, new, means, np.random.default_rng(self.seed))
            chosen = new[items.likeliest]
            linear.fit(
                np.concatenate([items.features[chosen].astype(np.float64), x]),
                np.concatenate([items.likeliest[chosen], y]),
                n_classes,
                np.concatenate([items.weight[chosen], np.ones(len(y))]),
            )
        self.weight_, self.bias_, self.width_ = linear.weight_, linear.bias_, linear.width_
        self.converged_, self.l2_ = linear.converged_, linear.l2_
        return self

    def program(self) -> Program:
        """One step: W x + b."""
        return (affine(self.weight_, self.bias_),)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """As the linear softmax."""
        return LinearSoftmax.estimate(n, d, k)


class FeTrIL(_Rebuilt):
    """Old classes stand in the training as the items of the new class nearest to them, moved to their means.

    Pseudo-item of old class p from new class n: h + mu_p - mu_n. Source: Petit et al. 2023.
    """

    name = "fetril"
    explanation = (
        "Remembers old classes by their averages only and borrows the spread of new ones: for classes added when old "
        "items are gone."
    )

    def made_up(
        self,
        items: Labelled,
        new: NDArray[np.bool_],
        means: NDArray[np.float64],
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """As many for each old class as the nearest new one has items."""
        fresh = np.flatnonzero(new)
        old = np.flatnonzero((items.mass() > 0) & ~new)
        distance = ((means[old][:, None] - means[fresh][None]) ** 2).sum(axis=2)
        x, y = [], []
        for p, n in zip(old, fresh[distance.argmin(axis=1)], strict=True):
            donors = items.features[items.likeliest == n].astype(np.float64)
            x.append(donors + means[p] - means[n])
            y.append(np.full(len(donors), p))
        return np.concatenate(x), np.concatenate(y)


class NAPAVQ(_Rebuilt):
    """Old classes stand in the training as points on the way from their mean towards those of their neighbours.

    mu_p + u (mu_q - mu_p), u uniform in [0, 1/2), q among the three nearest old or new classes: the borders where old
    classes meet stay guarded. Source: after Malepathirana et al. 2023, on fixed features.
    """

    name = "napa_vq"
    explanation = (
        "Remembers old classes by their averages and guards the borders between neighbours: for classes added when "
        "old items are gone."
    )
    NEIGHBOURS = 3

    def made_up(
        self, items: Labelled, new: NDArray[np.bool_], means: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """For each old class as many as a new one has on average, its mean among them."""
        present = np.flatnonzero(items.mass() > 0)
        old = present[~new[present]]
        each = max(2, round(float(np.bincount(items.likeliest, minlength=len(new))[new].mean())))
        x, y = [], []
        for p in old:
            others = present[present != p]
            nearest = others[np.argsort(((means[others] - means[p]) ** 2).sum(axis=1))[: self.NEIGHBOURS]]
            towards = means[rng.choice(nearest, each - 1)] - means[p]
            x.append(
                np.concatenate([means[p][None], means[p] + rng.uniform(0, 0.5, (each - 1, 1)) * towards])
            )
            y.append(np.full(each, p))
        return np.concatenate(x), np.concatenate(y)


def calibrated(
    new: NDArray[np.float64], old: NDArray[np.float64], lean: float, tau: float
) -> NDArray[np.float64]:
    """(n_new, d) unit prototypes that lean towards the old ones (n_old, d) that they resemble."""
    if not len(new):
        return new
    resembled = unit_rows(softmax(tau * new @ old.T, axis=1) @ old)
    return unit_rows((1 - lean) * new + lean * resembled)
