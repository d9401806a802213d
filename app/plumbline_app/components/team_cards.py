"""How a team works on a project: who did what, how work is shared, what was said about items."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, checkbox, choice
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.people import Comment
from plumbline_backend.domain.types import Interval
from plumbline_backend.people.team import Team
from plumbline_backend.store.progress import PersonProgress

OVERLAPS = {"One person": 1, "Two people": 2, "Three people": 3, "Four people": 4, "Five people": 5}
COMMENTS = (
    grid_column("Item", "number", "Position in the pool"),
    grid_column("Who"),
    grid_column("Said", "text", "Open the row to settle it"),
    grid_column("When", "text", "In UTC"),
)


def when(at: datetime | None) -> str:
    """A time in UTC, to the minute; a dash for never."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M}"


def progress_cells(progress: PersonProgress | None) -> list[str]:
    """Answered, skipped or unsure, flagged, in hand, last."""
    if progress is None:
        return ["0", "0", "0", "0", "–"]
    n = progress.n_by_state
    aside = n.get("skipped", 0) + n.get("unsure", 0)
    counts = (progress.n_answered, aside, n.get("flagged", 0), progress.n_held)
    return [*(f"{each:,}" for each in counts), when(progress.last_at)]


PROGRESS = (
    grid_column("Answered", "number", "Items with an answer of this person"),
    grid_column("Set aside", "number", "Skipped, or answered with unsure"),
    grid_column("Flagged", "number", "Items that this person calls broken"),
    grid_column("In hand", "number", "Items promised to this person now; they go back when the time is over"),
    grid_column("Last", "text", "Newest answer, in UTC"),
)


def agreement_words(alpha: Interval, n_disputes: int) -> str:
    """How far the annotators agree, with what it rests on."""
    disputes = (
        f"{n_disputes:,} disputed items wait for a last word." if n_disputes else "Nothing is disputed."
    )
    if alpha.n == 0:
        return f"No item has answers of two people yet, so their agreement is unknown. {disputes}"
    if math.isnan(alpha.value):
        return f"All answers to the {alpha.n:,} items that several answered are one class; alpha is unknown. {disputes}"
    return (
        f"Krippendorff's alpha {alpha.value:.2f} (95 % interval {alpha.low:.2f} to {alpha.high:.2f}, n = {alpha.n:,} "
        f"items with answers of two people or more). {disputes}"
    )


class Sharing(Viewer):
    """How many people are asked each item, and what annotators see."""

    def __init__(self, team: Team, slug: str, on_change: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._team, self._slug, self._on_change = team, slug, on_change
        options = {**OVERLAPS}
        if team.overlap not in options.values():
            options[f"{team.overlap} people"] = team.overlap
        self._overlap = choice("Each item is asked of", options, team.overlap, width=220)
        self._blind = checkbox(
            "Annotators work blind: they see nothing of what others or the model say", team.is_blind
        )
        self._overlap.param.watch(lambda event: self._share("overlap", event.new), "value")
        self._blind.param.watch(lambda event: self._share("blind", event.new), "value")
        self._agreement = place()

    def __panel__(self) -> Viewable:
        below = "Promises to people and answers together never exceed this number; a promise ends by itself."
        return card("How work is shared", below, self._overlap, self._blind, self._agreement)

    def show(self) -> None:
        """Measure agreement, and count what is disputed."""
        _, n_disputes = self._team.disputes(0)
        words = agreement_words(self._team.agreement(), n_disputes)
        parts = [sentence(words)]
        if n_disputes:
            parts = [
                notice("Disputed items", words, link=(f"/p/{self._slug}/adjudicate", "Give the last word"))
            ]
        fill(self._agreement, *parts)

    def _share(self, name: str, value: Any) -> None:
        self._team.share(**{name: value})
        self._on_change(name, value)


class Comments(Viewer):
    """What nobody has settled yet."""

    def __init__(self, team: Team, person: str) -> None:
        super().__init__()
        self._team, self._person = team, person
        self._shown: Sequence[Comment] = ()
        self._grid = Grid(
            self._open,
            columns=list(COMMENTS),
            caption="Comments",
            rows_height=360,
            empty="Nobody has said anything.",
        )
        self._opened = place()

    def __panel__(self) -> Viewable:
        return card("Comments", "Said on the Label page, and not settled yet.", self._grid, self._opened)

    def show(self) -> None:
        """Read them again."""
        self._shown = self._team.open_comments()
        rows = [[f"{c.item:,}", c.author, c.text, when(c.created_at)] for c in self._shown]
        self._grid.show(COMMENTS, rows)
        fill(self._opened)

    def _open(self, index: int) -> None:
        comment = self._shown[index]
        settle = button("Settled", lambda: self._settle(comment))
        fill(
            self._opened, line(sentence(f"{comment.author} on item {comment.item:,}: {comment.text}"), settle)
        )

    def _settle(self, comment: Comment) -> None:
        self._team.resolve(comment.id, self._person)
        self.show()
