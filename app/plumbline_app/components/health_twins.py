"""Near-duplicates, group by group, those with different labels first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.layout import card, fill, place, stack
from plumbline_app.components.tiles import Tiles, tile
from plumbline_app.components.words import sentence
from plumbline_backend.health.health import Checked, Twins

if TYPE_CHECKING:
    from plumbline_backend.project import Project

GROUPS = 12
ITEMS = 12


class TwinGroups(Viewer):
    """Groups of items whose features nearly coincide."""

    def __init__(self, project: Project, on_open: Callable[[int], None]) -> None:
        super().__init__()
        self._project, self._on_open = project, on_open
        self._said = sentence("Not checked yet.")
        self._groups = place()

    def __panel__(self) -> Viewable:
        return card(
            "Near-duplicates",
            "Items that are the same or nearly. Each costs an answer that teaches nothing new; where their labels "
            "differ, one is wrong.",
            self._said,
            self._groups,
        )

    def show(self, checked: Checked) -> None:
        """List the groups of a check."""
        n = self._project.row.n_items
        all_ = "all" if checked.n_compared == n else f"{checked.n_compared:,} of {n:,}"
        differ = sum(group.differ for group in checked.twins)
        shown = checked.twins[:GROUPS]
        more = f" {len(shown)} are shown." if checked.n_groups > len(shown) else ""
        self._said.object = sentence(
            f"{checked.n_groups:,} groups among {all_} items; in {differ:,} of them labels differ.{more}"
        ).object
        fill(self._groups, *[self._group(group) for group in shown])

    def _group(self, group: Twins) -> Viewable:
        items = list(group.items[:ITEMS])
        classes = {c.id: c for c in self._project.question().classes}
        states = self._project.labelled_state(items)
        tiles = Tiles(
            lambda action, index: self._on_open(items[index]) if action == "open" else None,
            caption=f"Near-duplicates of {self._project.pool.key(items[0])}",
        )
        tiles.show(
            [
                tile(self._project, item, "" if s.class_id else "not answered", classes.get(s.class_id or ""))
                for item, s in zip(self._project.pool.items(items), states, strict=True)
            ]
        )
        words = f"{len(group.items):,} items"
        return stack(sentence(f"{words}; their labels differ" if group.differ else words), tiles)
