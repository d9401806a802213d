"""A model in the measures of its question kind: figures, a table per class, and what the training took."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.charts import percent, percent_interval
from plumbline_app.components.figures import Tile, facts, html_pane, tiles
from plumbline_app.components.grid import Grid, GridColumn, chip, grid_column, interval_cell
from plumbline_app.components.layout import card, side_by_side, stack
from plumbline_app.components.model_tables import stored_interval, training_facts
from plumbline_app.components.words import notice
from plumbline_backend.domain.types import Interval, ModelVersion
from plumbline_backend.kinds.base import Figure, KindReport

FEW = 20
"""Below so many items an interval spans half of all values or more, and the page says what would make it narrower."""


class KindReportView(Viewer):
    """One version in full. With `versions`, their headline figures in a table below."""

    def __init__(
        self,
        report: KindReport,
        headline: tuple[str, str],
        versions: Sequence[ModelVersion] = (),
        on_version: Callable[[ModelVersion], None] | None = None,
    ) -> None:
        super().__init__()
        self._report, self._headline = report, headline
        self._newest_first = list(versions)[::-1]
        self._on_version = on_version

    def __panel__(self) -> Viewable:
        parts: list[Viewable] = [html_pane(tiles(map(tile, self._report.figures)))]
        parts += [notice("Worth knowing", note, tone="warn") for note in self._notes()]
        if self._report.headers:
            parts.append(self._classes())
        if self._newest_first:
            parts.append(side_by_side(self._training(), self._versions(), narrow_px=380))
        return stack(*parts)

    def _notes(self) -> list[str]:
        few = (
            f"Only {self._report.n:,} random-stream answers so far: the intervals are wide. They narrow as you answer, "
            "because part of what you are asked is drawn at random."
        )
        alone = bool(self._report.headers)
        return [*([few] if alone and self._report.n < FEW else []), *self._report.notes]

    def _classes(self) -> Viewable:
        table = Grid(caption="Figures per class", rows_height=620, empty="No class has an answer yet.")
        table.show(*class_table(self._report))
        below = f"On n = {self._report.n:,} random-stream items; intervals are 95 %."
        return card("Classes", below, table)

    def _training(self) -> Viewable:
        model = self._report.model
        took = facts(training_facts(model, model.metrics.get("temperature_note", "")))
        return card("What the training took", "", html_pane(took))

    def _versions(self) -> Viewable:
        key, name = self._headline
        table = Grid(self._open, caption="Versions", rows_height=420)
        columns = [
            grid_column("Version", "number"),
            grid_column("Labels", "number", "Items it was trained on"),
            grid_column(f"{name} then", "interval", "On the random-stream answers there were at that time"),
            grid_column("n", "number", "Random-stream answers at that time"),
        ]
        table.show(columns, [_version_row(model, key) for model in self._newest_first])
        shown = self._report.model.id
        table.selected = next((i for i, model in enumerate(self._newest_first) if model.id == shown), -1)
        return card("Versions", "Press a row to see that version.", table)

    def _open(self, index: int) -> None:
        if self._on_version is not None:
            self._on_version(self._newest_first[index])


def tile(figure: Figure) -> Tile:
    """A figure in large type, with its interval and n; unknown is said so."""
    value = figure.value
    if value.n == 0 or math.isnan(value.value):
        return Tile(figure.name, "–", "not known yet, n = 0", figure.meaning, "quiet")
    if figure.share:
        return Tile(
            figure.name, percent(value.value), f"{percent_interval(value)}, n = {value.n:,}", figure.meaning
        )
    basis = f"{value.low:.2f} to {value.high:.2f}, n = {value.n:,}"
    return Tile(figure.name, f"{value.value:.2f}", basis, figure.meaning)


def class_table(report: KindReport) -> tuple[list[GridColumn], list[list[Any]]]:
    """Headings and a row per class."""
    first = report.rows[0].cells if report.rows else ()
    kinds = ["interval" if isinstance(cell, Interval) else "number" for cell in first]
    headings = [
        grid_column(name, "interval" if kind == "interval" else "number", meaning)
        for (name, meaning), kind in zip(report.headers, kinds, strict=False)
    ]
    rows = [
        [chip(row.of), *(interval_cell(c) if isinstance(c, Interval) else f"{c:,}" for c in row.cells)]
        for row in report.rows
    ]
    return [grid_column("Class", "chip"), *headings], rows


def _version_row(model: ModelVersion, key: str) -> list[Any]:
    found = stored_interval(model.metrics.get(key))
    return [str(model.version), f"{model.n_train:,}", interval_cell(found), f"{model.n_stream:,}"]
