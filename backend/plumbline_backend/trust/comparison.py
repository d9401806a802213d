"""Which calibrator to use: cross-validated negative log-likelihood, with the interval of every difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.domain.calibration_intervals import skewed_mean
from plumbline_backend.domain.types import Interval
from plumbline_backend.registry import CALIBRATORS

FOLDS = 5
MOST_ITEMS = 50_000
"""Items compared on, drawn at random: more would steady the NLL beyond the third digit only."""
NONE = "none"
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Compared:
    """One calibrator's cross-validated NLL in nats, and how much it is above the least."""

    name: str
    nll: Interval
    above_best: Interval
    changes_predictions: bool


@dataclass(frozen=True)
class Comparison:
    """rows: in the registry's order after "none"; chosen: a name of them; reason: why, in a sentence."""

    rows: tuple[Compared, ...]
    chosen: str
    reason: str
    n: int


def compare(
    logits: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    names: Sequence[str],
    rng: np.random.Generator,
    report: Report = lambda _, __: None,
) -> Comparison:
    """Cross-validate each calibrator on the items it would be fitted to, in five folds that are the same for all.

    The least NLL wins, unless a simpler one (no calibrator, then temperature) is not worse beyond its interval:
    those never change a prediction. logits (n, K), targets (n,).
    """
    rows = rng.permutation(len(targets))[:MOST_ITEMS]
    z, y = np.asarray(logits, dtype=np.float64)[rows], np.asarray(targets)[rows]
    losses = {NONE: _losses(softmax(z, axis=1), y)}
    seed = int(rng.integers(2**31))
    for done, name in enumerate(names):
        report(done / len(names), f"comparing calibrators: {name}")
        folds = np.random.default_rng(seed)
        n_folds = min(FOLDS, len(y))
        if n_folds >= 2:
            losses[name] = _losses(CALIBRATORS.get(name)().cross_fitted(z, y, n_folds, folds), y)
    best = min(losses, key=lambda name: losses[name].mean() if len(y) else 0.0)
    compared = tuple(
        Compared(
            name,
            skewed_mean(loss, low=0.0),
            skewed_mean(loss - losses[best]),
            name != NONE and CALIBRATORS.get(name).changes_predictions,
        )
        for name, loss in losses.items()
    )
    chosen, reason = _choice(compared, best)
    return Comparison(compared, chosen, reason, len(y))


def _choice(compared: Sequence[Compared], best: str) -> tuple[str, str]:
    for row in compared:
        if row.name == best:
            break
        if row.name in (NONE, "temperature") and not row.above_best.low > 0:
            return row.name, (
                f"{row.name} is the simplest that is not worse than {best}: its NLL is {row.above_best.value:.4f} "
                f"above, with 0 inside the 95 % interval of the difference ({row.above_best.low:.4f} to "
                f"{row.above_best.high:.4f})"
            )
    if best in (NONE, "temperature"):
        return best, f"{best} has the least cross-validated NLL"
    return best, f"{best} has the least cross-validated NLL, and what is simpler is worse beyond the interval"


def _losses(proba: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
    own = proba[np.arange(len(targets)), targets]
    return np.asarray(-np.log(np.clip(own, np.finfo(np.float64).tiny, 1.0)), dtype=np.float64)
