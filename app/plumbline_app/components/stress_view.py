"""What a judge did when outputs were changed so that the right answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.viewable import Viewable

from plumbline_app.components.estimates import share_cell
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card
from plumbline_backend.domain.alignment import Estimate

COLUMNS = [
    grid_column("Change", "name"),
    grid_column("Expected", "name"),
    grid_column(
        "As expected", "interval", "Share of the changed outputs on which the judge did what it should"
    ),
    grid_column("Tried", "number"),
    grid_column("Errors", "number"),
    grid_column("Otherwise it is", "name"),
    grid_column("What was changed"),
]
EXPECTED = {"fail": "fails", "same": "same verdict"}


def stress_view(result: Mapping[str, Any]) -> Viewable:
    """The result of a stress job as a table."""
    rows = []
    for change in result["changes"]:
        found = change["as_expected"]
        estimate = Estimate(None, None, None, 0)
        if found is not None:
            estimate = Estimate(found["value"], found["low"], found["high"], change["n"])
        rows.append(
            [
                change["name"],
                EXPECTED[change["expected"]],
                share_cell(estimate),
                f"{change['n']:,}",
                f"{change['n_errors']:,}",
                change["weakness"],
                change["explanation"],
            ]
        )
    grid = Grid(caption="Stress tests", empty="Nothing could be tried.")
    grid.show(COLUMNS, rows)
    below = (
        "Over-stable: it passes what was spoilt. Over-sensitive: it changes its mind where nothing matters."
    )
    return card("Stress tests", below, grid)
