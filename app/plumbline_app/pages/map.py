"""The Map page: the pool in two dimensions, coloured by what is known, selected and labelled by region."""

from __future__ import annotations

import time

import numpy as np
import param
from panel.viewable import Viewable

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.controls import button, choice
from plumbline_app.components.item_detail import item_detail
from plumbline_app.components.job_row import POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, line, page_column, place
from plumbline_app.components.map_selection import Selection
from plumbline_app.components.map_view import WEBGL_POINTS, MapView
from plumbline_app.components.undo import Steps
from plumbline_app.components.words import heading, notice
from plumbline_app.pages.page import Page
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job

LOOK_EVERY_S = 2.0
DETAIL_PX = 360
BELOW = "Items that look alike to the model lie together. Select a region and label it in one step."
COLOUR_WORDS = {
    "Label": "label",
    "Prediction": "prediction",
    "Confidence": "confidence",
    "Source of the label": "source",
    "Agreement with the model": "error",
}
LAYOUT_WORDS = {"pca": "Principal components", "umap": "UMAP"}


class MapPage(Page):
    """Map, selection, neighbours of one project."""

    section = "map"
    heading = "Map"

    layout = param.Selector(default="pca", objects=list(LAYOUT_WORDS))
    by = param.Selector(default="label", objects=list(COLOUR_WORDS.values()))

    def __panel__(self) -> Viewable:
        project = self.project
        keep_in_address(self, ["layout", "by"])
        judge = project.person(self.session.person)
        self._next_look = float("inf")
        self._stamp: tuple[int, ...] = ()
        self._steps = Steps(project, self._changed)
        self._detail, self._wrong = place(), place()
        self._selection = Selection(project, judge, self._steps, self._open, self._changed)
        self._view = MapView(
            self._select,
            self._click,
            slug=self.session.slug,
            n_items=project.row.n_items,
            raster=project.row.n_items > WEBGL_POINTS,
        )
        self._layout = choice("Layout", {LAYOUT_WORDS["pca"]: "pca"}, "pca", width=220)
        self._by = choice("Colour", COLOUR_WORDS, self.by, width=240)
        self._layout.param.watch(lambda event: setattr(self, "layout", event.new), "value")
        self._by.param.watch(lambda event: setattr(self, "by", event.new), "value")
        self.param.watch(lambda _: self._draw(), ["layout", "by"])
        self._make = button("Make a UMAP map", self._make_umap)
        self._job_row = JobRow(self.session.workspace.jobs, self._made)
        self._body = place()
        self._body.styles = {**self._body.styles, "flex": "1 1 0", "min-width": "0"}
        self._detail.styles = {**self._detail.styles, "flex": f"0 0 {DETAIL_PX}px", "min-width": "0"}
        both = line(self._body, self._detail, **{"flex-wrap": "nowrap", "align-items": "flex-start"})
        self._detail.align = "start"
        self.every(POLL_MS, self._tick)
        return page_column(
            heading("Map", BELOW),
            self._steps,
            self._wrong,
            card("", "", line(self._layout, self._by, self._make), self._job_row, both),
            self._selection,
        )

    def load(self) -> None:
        """Compute the principal components where they are not kept yet, and show the map."""
        if not self.project.pool.has_features:
            fill(self._body, notice("No features", "This pool has no features to place its items by."))
            return
        self.project.desk.map.points("pca")
        self._offer_layouts()
        running = self.project.desk.map.running()
        if running is not None:
            self._job_row.follow(running, "Making the UMAP map")
        self._draw()
        fill(self._body, self._view)
        self._selection.show(np.empty(0, dtype=np.int64), "")
        self._next_look = time.monotonic()

    def _offer_layouts(self) -> None:
        there = self.project.desk.map.layouts()
        if self.layout not in there:
            self.layout = "pca"
        self._layout.param.update(options={LAYOUT_WORDS[each]: each for each in there}, value=self.layout)
        self._make.label = "Make the UMAP map anew" if "umap" in there else "Make a UMAP map"

    def _draw(self) -> None:
        """Give the browser the colours in force; the points only when the layout is another."""
        found = self.project.desk.map.colours(self.by)
        self._stamp = self.project.desk.map.stamp()
        self._view.param.update(
            legend=[list(entry) for entry in found.legend],
            by=self.by,
            colour_version=self._view.colour_version + 1,
            layout=self.layout,
            outline=self._view.outline if self._view.layout == self.layout else [],
            marks=self._view.marks if self._view.layout == self.layout else [],
        )

    def _changed(self) -> None:
        self._draw()
        if len(self._selection.items):
            self._selection.show(self._selection.items, "Selected")

    def _tick(self) -> None:
        self._job_row.poll()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_EVERY_S
            if self.project.desk.map.stamp() != self._stamp:
                self._draw()

    def _select(self, outline: list[list[float]]) -> None:
        try:
            found = self.project.desk.map.select(self.layout, outline)
        except PlumblineError as error:
            self._steps.refused(error)
            return
        self._selection.show(found, "Selected")
        self._view.param.update(outline=outline, marks=[])

    def _click(self, x: float, y: float, reach: float) -> None:
        item = self.project.desk.map.at(self.layout, x, y, reach)
        if item is not None:
            self._open(item)

    def _open(self, item: int) -> None:
        self._mark([item])
        like = button("More like this", lambda: self._like(item))
        fill(self._detail, line(like), item_detail(self.project, item, self._shut, answering=True))

    def _shut(self) -> None:
        fill(self._detail)
        self._mark([])

    def _like(self, item: int) -> None:
        self._mark([item, *self._selection.more_like(item)])

    def _mark(self, items: list[int]) -> None:
        points = self.project.desk.map.points(self.layout)
        self._view.marks = [[float(x), float(y)] for x, y in points[items]]

    def _make_umap(self) -> None:
        if self.project.desk.map.running() is None:
            self._job_row.follow(self.project.desk.map.start_umap(), "Making the UMAP map")

    def _made(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._wrong, notice("The map was not made", job.message, tone="bad"))
            return
        if job.state == "done":
            fill(self._wrong)
            self._job_row.follow(None)
            self._view.layout_version += 1
            self.layout = "umap"
            self._offer_layouts()
