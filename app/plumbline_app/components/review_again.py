"""Labels that come back for another look, answered by one key each."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.layout import card
from plumbline_app.components.tiles import Tiles, answer_keys, tile
from plumbline_app.components.undo import Steps
from plumbline_app.components.words import sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Judge
from plumbline_backend.pace.review import Again

if TYPE_CHECKING:
    from plumbline_backend.project import Project

SHOWN = 48
NOTHING = (
    "Nothing to look at again: the model contradicts no label, and no refused proposal waits for its class."
)


class LookAgain(Viewer):
    """Contradicted labels and refused proposals. Each answer supersedes what the person said before."""

    def __init__(self, project: Project, judge: Judge, steps: Steps, on_open: Callable[[int], None]) -> None:
        super().__init__()
        self._project, self._judge, self._steps, self._on_open = project, judge, steps, on_open
        self._rows: list[Again] = []
        self._said = sentence("")
        self._tiles = Tiles(self._act, caption="Labels to look at again", empty=NOTHING)

    def __panel__(self) -> Viewable:
        return card(
            "Look again",
            "Labels that three versions in a row contradict although they learned from them, and proposals that you "
            "refused. Press a class's key on an item to answer it; the same answer again keeps it.",
            self._said,
            self._tiles,
        )

    def show(self) -> None:
        """Read the list anew."""
        question = self._project.question()
        names = {c.id: c for c in question.classes}
        self._rows = self._project.desk.review.again()[:SHOWN]
        items = self._project.pool.items([row.item for row in self._rows])
        keys = answer_keys(question)
        self._tiles.item_keys = keys
        self._tiles.help = [[key, names[action.partition(":")[2]].name] for key, action in keys.items()][:12]
        tiles = []
        for item, row in zip(items, self._rows, strict=True):
            if row.given is None or row.says is None:
                tiles.append(tile(self._project, item, "refused; not answered yet"))
            else:
                note = f"{row.streak} versions say {names[row.says].name}"
                tiles.append(tile(self._project, item, note, names[row.given]))
        self._tiles.show(tiles)

    def _act(self, action: str, index: int) -> None:
        item = self._rows[index].item
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
            self._steps.refused(error)
            return
        self._tiles.done = sorted({*self._tiles.done, index})
        name = next(c.name for c in self._project.question().classes if c.id == class_id)
        self._said.object = sentence(f"{self._project.pool.key(item)} is {name!r} now.").object
