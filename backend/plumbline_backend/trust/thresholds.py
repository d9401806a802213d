"""What deciding by a threshold costs on the shown items of a run: exact at any threshold, for every class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.arrays import load_array
from plumbline_backend.domain.calibration_scores import CostCurve, OperatingPoint, cost_curve, operating_point
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.trust.calibration import CalibrationRun

AS_GIVEN = "as given"


class Decided(NamedTuple):
    """One class against the rest: the figures of one threshold, and the cost of each."""

    point: OperatingPoint
    curve: CostCurve


def keep_shown(run: CalibrationRun, folder: Path, name: str) -> dict[str, str]:
    """Write targets and probabilities of the shown items to the folder; returns the file of each state.

    Columns lie one after another, so that one class is read without the others.
    """
    arrays = {"targets": run.shown.targets, AS_GIVEN: run.shown.proba}
    chosen = run.after.get(run.comparison.chosen)
    if chosen is not None:
        arrays[chosen.name] = chosen.proba
    files = {state: f"{name}-{i}.npy" for i, state in enumerate(arrays)}
    for state, array in arrays.items():
        np.save(folder / files[state], np.asfortranarray(array))
    return files


def read_shown(view: Mapping[str, Any], state: str, *more: str) -> list[NDArray[Any]]:
    """What `keep_shown` wrote: targets and the probabilities of a state, and `more` files of the folder, all mapped.

    Raises NotFoundError when the run was replaced by a newer one.
    """
    files = view.get("shown", {})
    paths = [Path(view["folder"]) / name for name in (files.get("targets", ""), files.get(state, ""), *more)]
    if not all(path.is_file() for path in paths):
        raise NotFoundError("these items were measured anew since; open the page again, or press Measure")
    return [load_array(path, mapped=True) for path in paths]


def decided(
    view: Mapping[str, Any], state: str, label_class: str, threshold: float, cost_fp: float, cost_fn: float
) -> Decided:
    """What saying `label_class` from `threshold` on would have cost, with intervals.

    view: of `MeasuredJudges.measured`. Raises InputError on a threshold outside [0, 1] and costs that are not positive,
    NotFoundError when the run was replaced by a newer one.
    """
    k = view["classes"].index(label_class)
    targets, proba = read_shown(view, state)
    happened = np.asarray(targets[:, k] > 0 if targets.ndim == 2 else targets == k)
    own = np.minimum(np.asarray(proba[:, k]), 1.0)
    return Decided(
        operating_point(own, happened, threshold, cost_fp, cost_fn),
        cost_curve(own, happened, cost_fp, cost_fn),
    )
