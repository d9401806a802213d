"""Making the calibrator that serves a project."""

from __future__ import annotations

from plumbline_backend.calibrators.base import PostHoc
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.registry import CALIBRATORS


def make_calibrator(name: str, calibrate_from: int) -> PostHoc:
    """An unfitted calibrator that waits for `calibrate_from` answers, or for more where it learns more than one number.

    Raises InputError with the nearest name.
    """
    made: PostHoc = CALIBRATORS.get(name)()
    if name == Temperature.name or made.min_items < calibrate_from:
        made.min_items = calibrate_from
    return made
