"""From labels to what a head is fitted on: targets, weights and what else it needs, as the recipe says."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.health.dynamics import training_dynamics
from plumbline_backend.training.doubt import doubt_weights
from plumbline_backend.training.recipe import Recipe

MOST_SHARES = 50_000_000
"""Largest items x classes array of soft labels: 400 MB."""


class Material(NamedTuple):
    """What is known of n labelled items beside features and label, as far as the recipe asks for it.

    shares: (n, K) the distributions to learn from, rows of zeros where there is none. trusted: (n,) labels that two or
    more people agree on or that were adjudicated. domains: (n,) group of each item.
    """

    shares: NDArray[np.float64] | None
    trusted: NDArray[np.bool_]
    domains: NDArray[np.int64] | None

    def rows(self, chosen: NDArray[Any]) -> Material:
        """Some of the items."""
        return Material(
            None if self.shares is None else self.shares[chosen],
            self.trusted[chosen],
            None if self.domains is None else self.domains[chosen],
        )


class Ready(NamedTuple):
    """What goes into `fit`: targets (n,) or (n, K), weights; what goes into the constructor; and facts for people."""

    targets: NDArray[Any]
    weights: NDArray[np.float64] | None
    known: dict[str, Any]
    facts: dict[str, Any]


def prepare(
    recipe: Recipe,
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    n_classes: int,
    material: Material,
    rng: np.random.Generator,
) -> Ready:
    """Weigh down what is doubted, mix in the shares, hand over the groups.

    weights: what pace and imports say, None for ones; the doubt multiplies it. Raises InputError where the recipe
    cannot be followed with these labels.
    """
    facts: dict[str, Any] = {}
    if recipe.doubt != "none":
        doubted = doubt_weights(recipe.doubt, features, targets, n_classes, material.trusted, rng)
        facts |= {"n_labels": len(targets), "n_doubted": int((doubted < 0.5).sum())}
        weights = doubted if weights is None else weights * doubted
    if recipe.prune != "none":
        kept = important(recipe.prune, recipe.prune_share, features, targets, n_classes, rng)
        facts["n_pruned"] = int((~kept).sum())
        weights = kept.astype(np.float64) if weights is None else weights * kept
    learned: NDArray[Any] = targets
    if recipe.soft != "none" and material.shares is not None:
        # Two losses take the largest share for the label: it must stay the largest.
        share = recipe.soft_share if recipe.soft_loss == "cross_entropy" else min(recipe.soft_share, 0.49)
        learned = mixed(targets, material.shares, n_classes, share)
        facts["n_soft"] = int((learned.max(axis=1) < 1).sum())
    known: dict[str, Any] = {}
    if recipe.domain and material.domains is not None:
        known["domains"] = material.domains
        facts["n_groups"] = len(np.unique(material.domains))
    return Ready(learned, weights, known, facts)


def important(
    measure: str,
    share: float,
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.int64],
    n_classes: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """(n,) False for the least important `share` of each class's labels, by EL2N or GraNd of a few short trainings.

    GraNd of a linear softmax is EL2N times the length of the features and a bias; as in the trainings the features are
    standardised. At least one label of each class is kept. Source: Paul, Ganguli and Dziugaite 2021.
    """
    score = training_dynamics(features, targets, n_classes, rng).el2n
    if measure == "grand":
        x = np.asarray(features, dtype=np.float64)
        standard = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
        score = score * np.sqrt((standard**2).sum(axis=1) + 1)
    kept = np.ones(len(targets), dtype=bool)
    for k in range(n_classes):
        mine = np.flatnonzero(targets == k)
        easiest = mine[np.argsort(score[mine], kind="stable")]
        kept[easiest[: int(share * len(mine))]] = False
    return kept


def mixed(
    targets: NDArray[np.int64], shares: NDArray[np.float64], n_classes: int, share: float
) -> NDArray[np.float64]:
    """(n, K): 1 - share of the label and share of the distribution; the label alone where a row of shares is zero."""
    check_size(len(targets), n_classes)
    total = shares.sum(axis=1)
    has = total > 0
    out = np.zeros((len(targets), n_classes))
    out[has] = share * shares[has] / total[has, None]
    out[np.arange(len(targets)), targets] += np.where(has, 1 - share, 1.0)
    return out


def check_size(n: int, n_classes: int) -> None:
    """Raises InputError when soft labels of so many items and classes would not fit."""
    if n * n_classes > MOST_SHARES:
        raise InputError(
            f"soft labels of {n:,} items and {n_classes:,} classes would take {8 * n * n_classes / 2**20:,.0f} MiB; "
            f"expected at most {8 * MOST_SHARES / 2**20:,.0f} MiB: learn one class each"
        )
