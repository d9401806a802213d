"""Labels that deserve a second look, each answered by one key: likely errors, conflicts, changed minds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from panel.viewable import Viewable, Viewer

from plumbline_app.components.layout import card
from plumbline_app.components.tiles import Tiles, answer_keys, tile
from plumbline_app.components.words import sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Judge

if TYPE_CHECKING:
    from plumbline_backend.project import Project

SHOWN = 48


class Look(NamedTuple):
    """An item to look at: the class it carries (by id), and why it is here."""

    item: int
    class_id: str | None
    why: str


class LookList(Viewer):
    """A list of items that one key each answers again; the answer supersedes the person's earlier one."""

    def __init__(
        self,
        project: Project,
        judge: Judge,
        on_open: Callable[[int], None],
        on_refused: Callable[[PlumblineError], None],
        title: str,
        below: str,
        empty: str,
    ) -> None:
        super().__init__()
        self._project, self._judge = project, judge
        self._on_open, self._on_refused = on_open, on_refused
        self._title, self._below = title, below
        self._looks: list[Look] = []
        self._said = sentence("")
        self._tiles = Tiles(self._act, caption=title, empty=empty)

    def __panel__(self) -> Viewable:
        return card(self._title, self._below, self._said, self._tiles)

    def show(self, looks: Sequence[Look], words: str = "") -> None:
        """List these; words say how many there are in all."""
        question = self._project.question()
        classes = {c.id: c for c in question.classes}
        keys = answer_keys(question)
        self._looks = list(looks[:SHOWN])
        self._said.object = sentence(words).object
        self._tiles.item_keys = keys
        pairs = [[key, classes[action.partition(":")[2]].name] for key, action in keys.items()]
        self._tiles.help = [*pairs[:11], ["Enter", "open"]]
        items = self._project.pool.items([look.item for look in self._looks])
        self._tiles.show(
            [
                tile(self._project, item, look.why, classes.get(look.class_id or ""))
                for item, look in zip(items, self._looks, strict=True)
            ]
        )

    def _act(self, action: str, index: int) -> None:
        item = self._looks[index].item
        if action == "open":
            self._on_open(item)
            return
        class_id = action.partition(":")[2]
        try:
            self._project.record(
                item=item,
                judge=self._judge,
                client_uuid=uuid.uuid4().hex,
                answer=class_id,
                stratum="review",
            )
        except PlumblineError as error:
            self._on_refused(error)
            return
        self._tiles.done = sorted({*self._tiles.done, index})
        name = next(c.name for c in self._project.question().classes if c.id == class_id)
        self._said.object = sentence(f"{self._project.pool.key(item)} is {name!r} now.").object
