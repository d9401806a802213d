"""The pace: whether the model learns from its own proposals, how right they are, and why it is as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.charts import percent, percent_interval
from plumbline_app.components.charts_precision import precision_chart
from plumbline_app.components.controls import button, choice
from plumbline_app.components.figures import facts, html_pane
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.words import sentence
from plumbline_app.theme import tokens
from plumbline_backend.pace.control import PaceState
from plumbline_backend.pace.pseudo import Live
from plumbline_backend.registry import PACES

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MODES = {
    "off": "Off: the model learns from people only",
    "on": "On: the model learns from its surest proposals too",
    "stopped": "Switched off by itself",
}


class PacePanel(Viewer):
    """Switch, policy, reason, and the audited precision."""

    def __init__(self, project: Project, dark: bool) -> None:
        super().__init__()
        self._project, self._dark = project, dark
        self._switch = button("Learn from proposals", self._press)
        names = list(PACES.names())
        self._policy = choice("Policy", names, project.loop.pacing.policy, width=220)
        self._policy.param.watch(lambda event: self._choose(event.new), "value")
        self._explained = sentence("")
        self._facts = html_pane()
        self._chart = place()
        self._drawn = 0
        self._shown: tuple[PaceState, Mapping[int, Live]] | None = None

    def __panel__(self) -> Viewable:
        return card(
            "Pace",
            "With the pace on, the surest proposals count as labels in training, fewer or more of them as blind checks "
            "allow. They are never measured on, and one press takes all of them back.",
            line(self._switch, self._policy, self._explained),
            self._facts,
            self._chart,
        )

    def show(self) -> None:
        """Read state and figures anew; the chart only when a version has come."""
        pacing, review = self._project.loop.pacing, self._project.desk.review
        state, live = self._shown = pacing.state, pacing.pseudo.live()
        self._switch.label = "Stop, and take all back" if state.mode == "on" else "Learn from proposals"
        self._explained.object = sentence(PACES.get(pacing.policy).explanation).object
        audited = review.audited()
        n_accepted = sum(label.accepted for label in live.values())
        n_pace = len(live) - n_accepted
        checked = (
            f"{percent(audited.value)} ({percent_interval(audited)}), n = {audited.n:,} blind checks"
            if audited.n
            else "unknown: no proposal has been checked yet"
        )
        self._facts.object = facts(
            [
                ("State", MODES[state.mode]),
                ("Why", state.reason),
                ("Labels in training", f"{n_pace:,} of the pace, {n_accepted:,} accepted here"),
                ("Right when checked", checked),
                ("Pace", _pace_words(state)),
            ]
        )
        self._draw_chart()

    def changed(self) -> bool:
        """Whether state or labels are others than those shown. Cheap while nothing was written."""
        pacing = self._project.loop.pacing
        return self._shown != (pacing.state, pacing.pseudo.live())

    def _draw_chart(self) -> None:
        rounds = self._project.desk.review.precision()
        checked = sum(r.precision.n for r in rounds)
        if checked == self._drawn:
            return
        self._drawn = checked
        fill(self._chart)  # Bokeh lays out a figure wrongly when it replaces another one in place
        fill(self._chart, precision_chart(rounds, tokens(self._dark)))

    def _press(self) -> None:
        pacing = self._project.loop.pacing
        pacing.switch(on=pacing.state.mode != "on")
        self._project.loop.fit_soon()
        self.show()

    def _choose(self, policy: str) -> None:
        self._project.loop.pacing.choose(policy)
        self._explained.object = sentence(PACES.get(policy).explanation).object


def _pace_words(state: PaceState) -> str:
    if not state.lam:
        return "where it starts: a probability of 95 %"
    from math import exp

    values = sorted(exp(-lam) for lam in state.lam.values())
    span = percent(values[0]) if values[0] == values[-1] else f"{percent(values[0])} to {percent(values[-1])}"
    frozen = ", frozen" if state.frozen else ""
    return f"round {state.round:,}; a probability of {span}, by class{frozen}"
