"""What was selected on the map: listed, opened, labelled in one step; and the items nearest to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice
from plumbline_app.components.layout import card, line
from plumbline_app.components.tiles import Tiles, tile
from plumbline_app.components.undo import Steps
from plumbline_app.components.words import sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Judge, Positions

if TYPE_CHECKING:
    from plumbline_backend.project import Project

SHOWN = 48
LIKE = 40
NOTHING = "Draw a lasso or a box around points, or open one and ask for more like it."


class Selection(Viewer):
    """Items picked on the map. Labels are the person's own, one step for all of them."""

    def __init__(
        self,
        project: Project,
        judge: Judge,
        steps: Steps,
        on_open: Callable[[int], None],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__()
        self._project, self._judge, self._steps = project, judge, steps
        self._on_open, self._on_change = on_open, on_change
        self.items: Positions = np.empty(0, dtype=np.int64)
        self._count = sentence("")
        self._class = choice("Class", {"–": ""}, "", width=220)
        self._label = button("Label all selected", self._give, strong=True, disabled=True)
        self._unlabelled = button("Keep only the unanswered", self._only_open, disabled=True)
        self._tiles = Tiles(
            self._act, caption="Selected items", empty=NOTHING, help=[["Enter", "open"], ["z", "undo"]]
        )
        self._tiles.page_keys = {"z": "undo"}

    def __panel__(self) -> Viewable:
        return card(
            "Selection",
            "",
            line(self._class, self._label, self._unlabelled, self._count),
            self._tiles,
        )

    def show(self, items: Positions, words: str) -> None:
        """List these items, under words that say where they come from."""
        self.items = items
        question = self._project.question()
        kept = self._class.value
        options = {c.name: c.id for c in question.active}
        self._class.param.update(
            options=options or {"–": ""},
            value=kept if kept in options.values() else next(iter(options.values()), ""),
        )
        shown = items[:SHOWN].tolist()
        classes = {c.id: c for c in question.classes}
        states = self._project.labelled_state(shown)
        self._tiles.show(
            [
                tile(
                    self._project,
                    item,
                    "" if state.class_id else (state.state or "not answered"),
                    classes.get(state.class_id or ""),
                )
                for item, state in zip(self._project.pool.items(shown), states, strict=True)
            ]
        )
        more = f", {len(shown):,} shown" if len(items) > len(shown) else ""
        self._count.object = sentence(f"{words}: {len(items):,} items{more}." if words else "").object
        for each in (self._label, self._unlabelled):
            each.disabled = len(items) == 0 or not options

    def more_like(self, item: int) -> list[int]:
        """List the nearest items, the nearest first; they are returned too."""
        found = self._project.desk.map.more_like(item, LIKE)
        how = "" if found.exact else " (approximate: the pool is large)"
        self.show(found.items, f"Nearest to {self._project.pool.key(item)}{how}")
        return found.items.tolist()

    def _act(self, action: str, index: int) -> None:
        if action == "undo":
            self._steps.undo()
        elif action == "open":
            self._on_open(int(self.items[index]))

    def _give(self) -> None:
        try:
            step = self._project.desk.batches.label(self.items.tolist(), self._judge, self._class.value)
        except PlumblineError as error:
            self._steps.refused(error)
            return
        self._steps.took(step)
        self._on_change()

    def _only_open(self) -> None:
        answers = self._project.loop.answers
        answers.refresh()
        open_items = np.array([i for i in self.items.tolist() if not answers.closed(i)], dtype=np.int64)
        self.show(open_items, "Unanswered of the selection")
