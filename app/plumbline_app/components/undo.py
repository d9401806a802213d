"""The steps that a page has taken, to be taken back one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button
from plumbline_app.components.layout import fill, line, place
from plumbline_app.components.words import notice, sentence
from plumbline_backend.batches import Step
from plumbline_backend.domain.errors import PlumblineError

if TYPE_CHECKING:
    from plumbline_backend.project import Project


class Steps(Viewer):
    """Says what the last step did, and takes it back: one press a step, the newest first."""

    def __init__(self, project: Project, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._project = project
        self._on_change = on_change
        self._steps: list[Step] = []
        self._said = sentence("")
        self._undo = button("Undo", self.undo)
        self._row = line(self._said, self._undo, **{"flex-wrap": "nowrap"})
        self._row.visible = False
        self._wrong = place()

    def __panel__(self) -> Viewable:
        return line(self._row, self._wrong)

    def took(self, step: Step) -> None:
        """A step was taken: say so and offer to take it back."""
        self._steps.append(step)
        left = (
            f" {step.n_reserve:,} belong to the random stream and were left alone." if step.n_reserve else ""
        )
        self._say(f"{step.words[:1].upper()}{step.words[1:]}.{left}")

    def undo(self) -> None:
        """Take the newest step back; does nothing when there is none."""
        if not self._steps:
            return
        step = self._steps.pop()
        n = self._project.desk.batches.undo(step)
        self._say(f"Taken back: {step.words} ({n:,} judgements revoked).")
        self._on_change()

    def refused(self, error: PlumblineError) -> None:
        """Show why an action was not carried out."""
        fill(self._wrong, notice("Not done", str(error), tone="bad"))

    def _say(self, words: str) -> None:
        fill(self._wrong)
        self._said.object = sentence(words).object
        self._undo.visible = bool(self._steps)
        self._row.visible = True
