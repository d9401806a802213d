"""Estimates as people read them: a value with its interval and n, or "unknown" with the reason."""

from __future__ import annotations

from typing import Any

from plumbline_app.components.charts import percent
from plumbline_app.components.figures import Tile
from plumbline_backend.domain.alignment import Estimate

UNKNOWN = "unknown"


def share_in_words(estimate: Estimate) -> str:
    """A share with its interval and n."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"{UNKNOWN}, n = {estimate.n:,}"
    how_sure = "known exactly" if _exact(estimate) else _range(estimate)
    return f"{percent(estimate.value, 0)}, {how_sure}, n = {estimate.n:,}"


def index_in_words(estimate: Estimate) -> str:
    """A coefficient from -1 to 1 with its interval and n."""
    if estimate.value is None:
        return f"{UNKNOWN}, n = {estimate.n:,}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}), n = {estimate.n:,}"


def share_cell(estimate: Estimate) -> dict[str, Any] | None:
    """A cell of kind "interval" in a Grid; None when it is unknown."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "text": percent(estimate.value, 0),
        "note": "exact" if _exact(estimate) else f"{round(100 * estimate.low)}–{round(100 * estimate.high)}",
        "hint": share_in_words(estimate),
    }


def share_tile(label: str, estimate: Estimate, missing: str, remark: str) -> Tile:
    """A share in large type; while it is unknown, what is missing."""
    if estimate.value is None:
        return Tile(label, UNKNOWN, f"{missing} (n = {estimate.n:,})", remark, "quiet")
    how_sure = "known exactly" if _exact(estimate) else f"95 % interval {_range(estimate)}"
    basis = f"{how_sure}, n = {estimate.n:,}"
    return Tile(label, percent(estimate.value, 0), basis, remark)


def _exact(estimate: Estimate) -> bool:
    """Whether nothing is left to chance: every output that the figure rests on is graded, or it cannot be otherwise."""
    return estimate.low == estimate.high


def _range(estimate: Estimate) -> str:
    low, high = estimate.low or 0.0, estimate.high or 0.0
    return f"{100 * low:.0f} to {100 * high:.0f} %"
