"""Proposals of one class at a time: look, mark what is wrong, accept the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.tiles import Tiles, sure, tile
from plumbline_app.components.undo import Steps
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Judge, ModelVersion
from plumbline_backend.pace.review import Group, Proposal

if TYPE_CHECKING:
    from plumbline_backend.project import Project

SHOWN = 48
"""Proposals on the screen at once: four rows on a wide one, so that accepting all means having seen all."""
HELP = [["a", "accept all shown"], ["x", "refuse this one"], ["Enter", "open"], ["z", "undo"]]
NOTHING = "No proposals of this class are left."


class Proposals(Viewer):
    """What one model version proposes. It stays under the eyes when newer versions come, until `show` is called."""

    def __init__(
        self, project: Project, judge: Judge, steps: Steps, on_open: Callable[[int], None], slug: str
    ) -> None:
        super().__init__()
        self._project, self._judge, self._steps, self._slug = project, judge, steps, slug
        self._on_open = on_open
        self._model: ModelVersion | None = None
        self._groups: list[Group] = []
        self._shown: list[Proposal] = []
        self._class = choice("Class", {"–": ""}, "", width=280)
        self._class.param.watch(lambda _: self._draw(), "value")
        self._accept = button("Accept all shown", lambda: self.act("accept", -1), strong=True)
        self._count = sentence("")
        self._tiles = Tiles(
            self.act,
            caption="Proposals",
            empty=NOTHING,
            markable=True,
            help=HELP,
            page_keys={"a": "accept", "z": "undo"},
        )
        self._body = place()

    def __panel__(self) -> Viewable:
        return card(
            "Proposals",
            "What the model would label by itself, the surest first. Mark what is wrong; one step takes the rest.",
            self._body,
        )

    def show(self) -> None:
        """Take the newest model's proposals."""
        review = self._project.desk.review
        self._model = review.model()
        if self._model is None:
            waiting = self._project.status().waiting or "The first model is being trained."
            fill(
                self._body,
                notice("No model yet", waiting, link=(f"/p/{self._slug}/label", "Go to labelling")),
            )
            return
        self._groups = review.groups(self._model)
        if not self._groups:
            fill(self._body, notice("Nothing to review", self._why_nothing()))
            return
        names = {f"{g.label_class.name} ({len(g.proposals):,})": g.label_class.id for g in self._groups}
        kept = self._class.value if self._class.value in names.values() else next(iter(names.values()))
        self._class.param.update(options=names, value=kept)
        self._draw()
        fill(self._body, line(self._class, self._accept, self._count), self._tiles)

    def act(self, action: str, index: int) -> None:
        """Carry out what a key, a tile or a button asks for."""
        if action == "undo":
            self._steps.undo()
        elif action == "open":
            self._on_open(self._shown[index].item)
        elif action == "accept":
            self._accept_shown()

    def _accept_shown(self) -> None:
        group = self._group()
        if group is None or self._model is None or not self._shown:
            return
        refused = [self._shown[i].item for i in self._tiles.marked_now() if i < len(self._shown)]
        accepted = {p.item: p.proba for p in self._shown if p.item not in refused}
        try:
            done = self._project.desk.review.accept(
                self._judge, self._model, group.label_class.id, accepted, refused
            )
        except PlumblineError as error:
            self._steps.refused(error)
            return
        self._steps.took(done.step)
        self._take_out({*accepted, *refused})

    def _take_out(self, items: set[int]) -> None:
        left = [
            Group(g.label_class, tuple(p for p in g.proposals if p.item not in items)) for g in self._groups
        ]
        self._groups = [g for g in left if g.proposals]
        names = {f"{g.label_class.name} ({len(g.proposals):,})": g.label_class.id for g in self._groups}
        if not names:
            self.show()
            return
        kept = self._class.value if self._class.value in names.values() else next(iter(names.values()))
        self._class.param.update(options=names, value=kept)
        self._draw()

    def _group(self) -> Group | None:
        return next((g for g in self._groups if g.label_class.id == self._class.value), None)

    def _draw(self) -> None:
        group = self._group()
        self._shown = [] if group is None else list(group.proposals[:SHOWN])
        items = self._project.pool.items([p.item for p in self._shown])
        keys = self._project.pool.keys([max(p.nearest, 0) for p in self._shown])
        self._tiles.show(
            [
                tile(
                    self._project, item, f"{sure(p.proba)}; like {key}", group.label_class if group else None
                )
                for item, p, key in zip(items, self._shown, keys, strict=True)
            ]
        )
        n = 0 if group is None else len(group.proposals)
        version = "" if self._model is None else f"version {self._model.version}"
        self._count.object = sentence(f"{len(self._shown):,} of {n:,} shown, proposed by {version}.").object

    def _why_nothing(self) -> str:
        counts = self._model.metrics.get("pace", {}).get("n_by_status", {}) if self._model else {}
        why = "; ".join(f"{n:,}: {words}" for words, n in counts.items() if n and words != "proposed")
        return f"Version {self._model.version if self._model else 0} proposes nothing new. {why}".strip()
