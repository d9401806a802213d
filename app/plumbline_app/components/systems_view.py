"""Systems (models, prompts) side by side: pass rates by criterion and one order over the criteria."""

from __future__ import annotations

from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.estimates import share_cell
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, fill, place
from plumbline_app.components.words import sentence
from plumbline_backend.domain.grades import Criterion
from plumbline_backend.judges.systems import SystemReport, SystemsReport

ORDER = [
    grid_column("Place", "name", "In the common order over the criteria, with its 95 % range"),
    grid_column("System", "name"),
    grid_column("Outputs", "number"),
]
RATES = [
    grid_column("Criterion", "name"),
    grid_column("System", "name"),
    grid_column("Passes, by the judge", "interval", "Share of its outputs that the chosen judge passes"),
    grid_column(
        "Passes, by your grades", "interval", "The share in all its outputs, corrected by the grades"
    ),
    grid_column("Graded", "number"),
]


class SystemsView(Viewer):
    """A row per system, best first; hidden while the outputs come from fewer than two."""

    def __init__(self) -> None:
        super().__init__()
        self._body = place()

    def __panel__(self) -> Viewable:
        return self._body

    def show(self, report: SystemsReport, criteria: dict[int, Criterion]) -> None:
        """The systems of this report."""
        if len(report.systems) < 2:
            fill(self._body)
            return
        order = Grid(caption="Systems")
        order.show(ORDER, [_place(system, report.n_criteria > 0) for system in report.systems])
        rates = Grid(caption="Pass rates by criterion", empty="No criterion has a judge yet.")
        rates.show(RATES, _rates(report, criteria))
        by = (
            f"Places: {report.method}, over {report.n_criteria} criteria with a judge."
            if report.n_criteria
            else "Places are unknown: no criterion has a judge yet."
        )
        fill(
            self._body,
            card(
                "Systems compared",
                "Rates are never averaged over criteria: their scales differ. A criterion without grades of its own is "
                "measured by the overall grades.",
                order,
                sentence(by),
                rates,
            ),
        )


def _place(system: SystemReport, known: bool) -> list[str | None]:
    return [
        f"{system.rank} (between {system.rank_low} and {system.rank_high})" if known else None,
        system.name,
        f"{system.n_outputs:,}",
    ]


def _rates(report: SystemsReport, criteria: dict[int, Criterion]) -> list[list[Any]]:
    return [
        [
            criteria[rate.criterion_id].name,
            system.name,
            share_cell(rate.judged),
            share_cell(rate.true),
            f"{rate.true.n:,}",
        ]
        for at in range(len(report.systems[0].rates))
        for system in report.systems
        for rate in [system.rates[at]]
    ]
