"""Systems (models, prompts) side by side: pass rates by criterion and one order over the criteria."""

from __future__ import annotations

from panel.viewable import Viewable, Viewer

from plumbline_app.components.estimates import share_cell
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, fill, place
from plumbline_app.components.words import sentence
from plumbline_backend.domain.grades import Criterion
from plumbline_backend.judges.systems import SystemsReport


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
        judged = [rate.criterion_id for rate in report.systems[0].rates]
        columns = [
            grid_column(
                "Place", "number", "In the common order over the criteria; in brackets its 95 % range"
            ),
            grid_column("System", "name"),
            grid_column("Outputs", "number"),
        ]
        for criterion_id in judged:
            name = criteria[criterion_id].name
            columns += [
                grid_column(f"{name}: judged", "interval", "Share that the chosen judge passes"),
                grid_column(f"{name}: by your grades", "interval", "The share corrected by the grades"),
            ]
        rows = []
        for system in report.systems:
            place_ = f"{system.rank} ({system.rank_low} to {system.rank_high})"
            rates = [
                cell for rate in system.rates for cell in (share_cell(rate.judged), share_cell(rate.true))
            ]
            rows.append([place_, system.name, f"{system.n_outputs:,}", *rates])
        grid = Grid(caption="Systems")
        grid.show(columns, rows)
        by = (
            f"Places: {report.method}, over {report.n_criteria} criteria with a judge."
            if report.n_criteria
            else ("Places are unknown: no criterion has a judge yet.")
        )
        fill(
            self._body,
            card(
                "Systems compared",
                "Rates are never averaged over criteria: their scales differ.",
                grid,
                sentence(by),
            ),
        )
