"""Items in the size of stamps, for pages where many are looked at together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import param
from panel.custom import JSComponent

from plumbline_app.components.charts import percent
from plumbline_app.components.controls import on_screen
from plumbline_app.components.label_card import OwnLook
from plumbline_app.item_view import excerpt, shown_columns
from plumbline_backend.domain.schema import effective_keys
from plumbline_backend.domain.types import Item, LabelClass, Question

if TYPE_CHECKING:
    from plumbline_backend.project import Project

CELLS = 3
OnAction = Callable[[str, int], None]
"""(action, index of the tile, or -1 for an action of the whole page)."""


class Tiles(JSComponent):
    """Tiles with one key each: arrows move, Enter opens, x marks, and what `item_keys` and `page_keys` say.

    An action of a tile or of the page is handed to `on_action`; "open" comes from Enter and from a click where tiles
    cannot be marked, a double click where they can.
    """

    tiles = param.List(default=[], doc="Mappings as `tile` gives them.")
    marked = param.List(default=[], doc="Indices of marked tiles.")
    done = param.List(default=[], doc="Indices of tiles that are dealt with; they are dimmed.")
    markable = param.Boolean(default=False)
    mark_word = param.String(default="refused")
    caption = param.String(default="", doc="What the tiles are, for those who hear it read.")
    empty = param.String(default="Nothing here.", doc="Shown when there are no tiles.")
    help = param.List(default=[], doc="Pairs of (key, what it does), shown above the tiles.")
    item_keys = param.Dict(default={}, doc="Key to the action on the tile that has the focus.")
    page_keys = param.Dict(default={}, doc="Key to an action of the page, wherever the focus is.")

    _esm = Path(__file__).parent / "tiles.js"

    def __init__(self, on_action: OnAction, **params: Any) -> None:
        super().__init__(**{"margin": 0, "sizing_mode": "stretch_width", "design": OwnLook, **params})
        self._on_action = on_action

    def show(self, tiles: Sequence[Mapping[str, Any]]) -> None:
        """Replace the tiles; nothing is marked or done."""
        self.param.update(tiles=[dict(each) for each in tiles], marked=[], done=[])

    def marked_now(self) -> list[int]:
        """Indices of the tiles marked on the screen; `marked` itself comes 50 ms late, see `controls.typed`."""
        return list(on_screen(self, lambda model: model.data.marked, self.marked))

    def _handle_msg(self, data: Any) -> None:
        action = data.get("action") if isinstance(data, dict) else None
        index = data.get("index") if isinstance(data, dict) else None
        if isinstance(action, str) and isinstance(index, int) and -1 <= index < len(self.tiles):
            self._on_action(action, index)


def tile(
    project: Project, item: Item, note: str = "", label_class: LabelClass | None = None
) -> dict[str, Any]:
    """One item: its picture, its first words or its first numbers, with a class and a note."""
    short = excerpt(project, item)
    words = short["words"]
    if "image" not in short and words == item.key:
        words = " · ".join([item.key, *_numbers(project, item)])
    return {
        "item": item.position,
        "image": short.get("image", ""),
        "words": words,
        "note": note,
        "chip": None if label_class is None else {"text": label_class.name, "color": label_class.color},
    }


def answer_keys(question: Question) -> dict[str, str]:
    """Each class's key to the action "answer:<class id>"."""
    return {key: f"answer:{class_id}" for class_id, key in effective_keys(question).items()}


def sure(proba: float) -> str:
    """A probability as a note."""
    return "over 99.9 % sure" if proba > 0.999 else f"{percent(proba)} sure"


def _numbers(project: Project, item: Item) -> list[str]:
    names = [c.name for c in shown_columns(project) if c.role in ("numeric", "category")][:CELLS]
    values = [(name, item.fields.get(name)) for name in names]
    return [
        f"{name} {v:.4g}" if isinstance(v, float) else f"{name} {v}" for name, v in values if v is not None
    ]
