"""Agreement of people: the headline, who agrees with whom, each person, and the items on which they differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components.charts_confusion import Sides, confusion_matrix
from plumbline_app.components.controls import button, choice
from plumbline_app.components.figures import Tile, html_pane, tiles
from plumbline_app.components.grid import Grid, grid_column, interval_cell
from plumbline_app.components.layout import card, fill, line, place, side_by_side, stack
from plumbline_app.components.words import sentence
from plumbline_app.theme import Tokens
from plumbline_backend.domain.errors import shorten
from plumbline_backend.domain.types import Interval
from plumbline_backend.trust.annotators import Annotator, AnnotatorReport, Conflict

METHOD_WORDS = {
    "Dawid-Skene": "dawid_skene",
    "Majority": "majority",
    "MACE": "mace",
    "GLAD": "glad",
    "Top two answers": "top_two",
}
SKILLS = {
    "dawid_skene": ("Right answers", "Probability of a right answer, by Dawid-Skene"),
    "majority": ("Agreement", "Share of answers that are the majority's"),
    "mace": ("Knows", "Probability of knowing rather than guessing, by MACE"),
    "top_two": ("Knows", "Probability of not guessing, by the two most plausible answers"),
    "glad": ("Ability", "GLAD's ability; 0 is chance, below 0 is worse than chance"),
}
TABLE_PX = 460
FIELDS = {"padding-top": "8px"}
"""Room above a line of fields for their labels, which stand on the upper edge."""


class AgreementView(Viewer):
    """One report. settle(item, class_id) records an adjudication."""

    def __init__(self, report: AnnotatorReport, t: Tokens, settle: Callable[[int, str], None]) -> None:
        super().__init__()
        self._report, self._t, self._settle = report, t, settle
        self._open: Conflict | None = None

    def __panel__(self) -> Viewable:
        return stack(
            html_pane(tiles(headline(self._report))),
            side_by_side(self._people(), self._pairs(), narrow_px=480),
            self._queue(),
            self._confusions(),
        )

    def _people(self) -> Viewable:
        label, hint = SKILLS[self._report.method]
        columns = (
            grid_column("Person", "name"),
            grid_column("n", "number", "Items answered"),
            grid_column(
                "With the others", "interval", "Agreement with the majority of the others; 95 % interval"
            ),
            grid_column("n shared", "number", "Items on which the others have a majority"),
            grid_column("With themselves", "interval", "The same answer when they answered an item again"),
            grid_column(label, "number", hint),
        )
        rows = [
            [
                each.name,
                f"{each.n:,}",
                interval_cell(each.with_others),
                f"{each.with_others.n:,}",
                interval_cell(each.with_self),
                _skill(each),
            ]
            for each in self._report.annotators
        ]
        table = Grid(caption="People", rows_height=TABLE_PX)
        table.show(columns, rows)
        return card("People", "Intervals are 95 %; – is unknown.", table)

    def _pairs(self) -> Viewable:
        table = Grid(caption="Pairs of people", rows_height=TABLE_PX)
        table.empty = "Only one person has answered."
        columns = (
            grid_column("Two people", "name"),
            grid_column("n", "number", "Items that both answered"),
            grid_column("Cohen's kappa", "text", "1: full agreement, 0: as by chance; 95 % interval"),
        )
        rows = [
            [f"{pair.first} and {pair.second}", f"{pair.kappa.n:,}", coefficient(pair.kappa)]
            for pair in self._report.pairs
        ]
        table.show(columns, rows)
        return card("Who agrees with whom", "Unknown below 10 shared items.", table)

    def _queue(self) -> Viewable:
        report = self._report
        table = Grid(self._show_conflict, caption="Items on which people differ", rows_height=TABLE_PX)
        table.empty = "Nobody differs on any item."
        columns = (
            grid_column("Item", "number"),
            grid_column("What was said", "text"),
            grid_column("Likeliest", "name"),
            grid_column("Certainty", "number", "Of the likeliest class, by the aggregation"),
            grid_column("Rival", "text", "The other of the two most plausible answers"),
            grid_column(
                "First of the two", "number", "Confusion probability: at 50 % nobody can tell them apart"
            ),
            grid_column("Settled", "text"),
        )
        rows = [
            [
                str(each.item),
                ", ".join(f"{who}: {what}" for who, what in each.said),
                each.likeliest,
                f"{100 * each.certainty:.0f} %",
                each.rival or "–",
                "–" if each.confusion is None else f"{100 * each.confusion:.0f} %",
                "yes" if each.settled else "no",
            ]
            for each in report.conflicts
        ]
        table.show(columns, rows)
        shown = f"; the first {len(rows):,} are listed" if report.n_conflicts > len(rows) else ""
        below = f"{report.n_conflicts:,} of {report.n_shared:,} shared items{shown}. The least certain first."
        self._ruling = place()
        return card("Items to settle", f"{below} Press a row to settle it.", table, self._ruling)

    def _show_conflict(self, index: int) -> None:
        conflict = self._report.conflicts[index]
        names = {c.name: c.id for c in self._report.classes}
        picked = choice("The last word", names, names.get(conflict.likeliest), width=240)
        fill(
            self._ruling,
            sentence(
                f"Item {conflict.item}: {', '.join(f'{who} says {what}' for who, what in conflict.said)}."
            ),
            line(picked, button("Settle it", lambda: self._settle(conflict.item, picked.value), strong=True)),
        )

    def _confusions(self) -> Viewable:
        names = [c.name for c in self._report.classes]
        people = [each for each in self._report.annotators if each.n and len(names) >= 2]
        if not people:
            return place()
        picked = choice("Person", {each.name: i for i, each in enumerate(people)}, 0, width=240)
        where = place()

        def draw(*_: Any) -> None:
            person = people[picked.value]
            sides = Sides("items", "put together", f"{shorten(person.name, 40)} says")
            chart = confusion_matrix(person.confusion, names, self._t, sides)
            fill(where)
            fill(where, pn.pane.Bokeh(chart, sizing_mode="stretch_width", margin=0))

        picked.param.watch(draw, "value")
        draw()
        below = "Rows: the aggregated class; columns: what this person said."
        return card("What each person confuses", below, line(picked, **FIELDS), where)


def _skill(each: Annotator) -> str:
    if math.isnan(each.skill):
        return "–"
    ends = each.skill_interval
    return f"{each.skill:.3f}" if ends is None else f"{each.skill:.3f} ({ends.low:.3f} to {ends.high:.3f})"


def headline(report: AnnotatorReport) -> list[Tile]:
    """Krippendorff's alpha, Fleiss' kappa and how much is shared."""
    shared = f"n = {report.n_shared:,} items with two answers or more"
    fleiss = report.fleiss
    return [
        Tile("Krippendorff's alpha", coefficient(report.alpha, spread=False), _spread(report.alpha), shared),
        Tile(
            "Fleiss' kappa",
            coefficient(fleiss, spread=False),
            _spread(fleiss),
            f"n = {fleiss.n:,} items that all {len(report.annotators)} answered",
        ),
        Tile(
            "Items shared", f"{report.n_shared:,}", f"of n = {report.n_items:,} answered items", "", "plain"
        ),
        Tile(
            "Items in dispute",
            f"{report.n_conflicts:,}",
            f"of n = {report.n_shared:,} shared items",
            "",
            "plain",
        ),
    ]


def coefficient(interval: Interval, spread: bool = True) -> str:
    """A coefficient of agreement with its interval; a dash when unknown."""
    if math.isnan(interval.value):
        return "–"
    return (
        f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"
        if spread
        else f"{interval.value:.2f}"
    )


def _spread(interval: Interval) -> str:
    return "unknown" if math.isnan(interval.value) else f"{interval.low:.2f} to {interval.high:.2f} (95 %)"
