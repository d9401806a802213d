"""scikit-learn's forests and boosted trees: honest rivals, above all on tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import labelled
from plumbline_backend.heads.neighbours import log_shares, within_limit
from plumbline_backend.heads.program import Forest, Program, affine
from plumbline_backend.heads.trees import of_boosting, of_random_forest

FEW_NUMBERS = 200_000
TRUSTED = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")


class RandomForest(ProgramHead):
    """Mean of the leaves' class shares over `n_trees` trees; logits are the logs of the shares, smoothed.

    Features are rounded to float32, as scikit-learn's trees read them.
    """

    name = "random_forest"
    explanation = (
        "Many decision trees that vote: needs no scaling, copes with columns that mean nothing; a sound choice for "
        "tables."
    )
    MAX_CLASSES = 1000
    SETTINGS = ("n_trees", "min_leaf", "seed")
    ARRAYS = ("present_",)
    FACTS = ("n_classes_", "n_")

    def __init__(self, n_trees: int = 200, min_leaf: int = 1, seed: int = 0) -> None:
        if n_trees < 1 or min_leaf < 1:
            raise InputError(f"n_trees is {n_trees} and min_leaf {min_leaf}; expected one or more")
        self.n_trees = n_trees
        self.min_leaf = min_leaf
        self.seed = seed

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: RandomForest | None = None,  # noqa: ARG002 - trees are grown anew
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, and more classes than MAX_CLASSES."""
        items = within_limit(
            labelled(features, targets, n_classes, sample_weight), self.name, self.MAX_CLASSES
        )
        x, y, weight = items.copies()
        model = RandomForestClassifier(
            self.n_trees, min_samples_leaf=self.min_leaf, random_state=self.seed, n_jobs=1
        )
        self._model = model.fit(x, y, sample_weight=weight)
        self.present_, self.n_classes_ = model.classes_.astype(np.int64), n_classes
        self.n_, self.width_ = len(x), x.shape[1]
        return self

    def program(self) -> Program:
        """The trees, shares of all classes with some room for each, log."""
        trees = Forest(self._model, "shares", of_random_forest(self._model))
        room = log_shares(self.n_trees, self.n_, self.n_classes_)
        to_all = np.zeros((self.n_classes_, len(self.present_)))
        to_all[self.present_, np.arange(len(self.present_))] = 1.0
        mixed = room[0].weight @ to_all
        if len(self.present_) == 2:  # the trees give the second's share alone
            mixed, base = mixed[:, 1:] - mixed[:, :1], mixed[:, 0]
            return (trees, affine(mixed, room[0].bias + base), *room[1:])
        return (trees, affine(mixed, room[0].bias), *room[1:])

    def save(self, folder: Path) -> None:
        """Beside the usual files forest.skops, scikit-learn's model."""
        super().save(folder)
        skops.io.dump(self._model, folder / "forest.skops")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote into `folder`."""
        head = super().load(folder)
        head._model = skops.io.load(folder / "forest.skops", trusted=list(TRUSTED))
        return head

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """200 trees of depth log n over sqrt(d) columns; a leaf holds k shares."""
        return Cost(0.3 + 4e-7 * 200 * n * np.log2(n + 2) * d**0.5 / 10, 200 * n * (8 * k + 64) / 2**20)


class GradientBoosting(ProgramHead):
    """Histogram gradient boosting: `n_rounds` trees per class, each mending what is left; early stop from 1,000 on."""

    name = "gradient_boosting"
    explanation = (
        "Decision trees that mend each other's errors: often the best on tables with some thousand labels; slow with "
        "many classes."
    )
    MAX_CLASSES = 200
    SETTINGS = ("n_rounds", "learning_rate", "seed")
    ARRAYS = ("present_", "absent_bias_")
    FACTS = ("n_classes_", "rounds_")

    def __init__(self, n_rounds: int = 100, learning_rate: float = 0.1, seed: int = 0) -> None:
        if n_rounds < 1 or not learning_rate > 0:
            raise InputError(
                f"n_rounds is {n_rounds} and learning_rate {learning_rate}; expected one or more, and above zero"
            )
        self.n_rounds = n_rounds
        self.learning_rate = learning_rate
        self.seed = seed

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: GradientBoosting | None = None,  # noqa: ARG002 - trees are grown anew
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, and more classes than MAX_CLASSES."""
        items = within_limit(
            labelled(features, targets, n_classes, sample_weight), self.name, self.MAX_CLASSES
        )
        x, y, weight = items.copies()
        rarest = int(np.bincount(y)[np.unique(y)].min())
        model = HistGradientBoostingClassifier(
            max_iter=self.n_rounds,
            learning_rate=self.learning_rate,
            min_samples_leaf=int(np.clip(len(x) // 20, 1, 20)),
            early_stopping=len(x) >= 1000 and rarest >= 10,
            random_state=self.seed,
        )
        with _one_thread_for_few(x):
            self._model = model.fit(x, y, sample_weight=weight)
        self.present_, self.n_classes_ = model.classes_.astype(np.int64), n_classes
        self.rounds_, self.width_ = int(model.n_iter_), x.shape[1]
        raw = model.decision_function(x)
        raw = np.column_stack([np.zeros(len(x)), raw]) if raw.ndim == 1 else raw
        typical = np.logaddexp.reduce(raw, axis=1).mean()
        self.absent_bias_ = np.array([typical - np.log(len(x) + n_classes)])
        return self

    def program(self) -> Program:
        """The trees' raw scores, put at their classes."""
        trees = Forest(self._model, "raw", of_boosting(self._model))
        bias = np.full(self.n_classes_, float(self.absent_bias_[0]))
        bias[self.present_] = 0.0
        columns = trees.trees.n_outputs
        weight = np.zeros((self.n_classes_, columns))
        weight[self.present_[-columns:], np.arange(columns)] = 1.0
        return (trees, affine(weight, bias))

    def save(self, folder: Path) -> None:
        """Beside the usual files forest.skops, scikit-learn's model."""
        super().save(folder)
        skops.io.dump(self._model, folder / "forest.skops")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote into `folder`."""
        head = super().load(folder)
        head._model = skops.io.load(folder / "forest.skops", trusted=list(TRUSTED))
        return head

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """A hundred rounds of a tree per class."""
        trees = 100 * (k if k > 2 else 1)
        return Cost(0.2 + trees * (2e-3 + 2e-9 * n * d), (trees * 61 * 64 + n * (d + 16 * k)) / 2**20)


def _one_thread_for_few(x: NDArray[Any]) -> threadpool_limits:
    """Few items are done before threads have been handed out: 20 rounds of 120 items took 0.1 s instead of 1 s."""
    return threadpool_limits(1 if x.size < FEW_NUMBERS else None, "openmp")
