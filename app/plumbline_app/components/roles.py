"""What each column of a file is for: the guess, its reason, and a choice for the person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from plumbline_backend.domain.types import COLUMN_ROLES, Column, ColumnRole

ROLE_WORDS: dict[ColumnRole, str] = {
    "id": "id: names the item",
    "text": "text: words become features",
    "image": "image: pixels become features",
    "numeric": "number: a feature",
    "category": "category: a feature",
    "label": "existing label",
    "features": "feature vector",
    "metadata": "shown beside the item only",
    "ignore": "left out",
}


class ColumnRoles(JSComponent):
    """A row per column with a choice of role. `chosen()` is what the person has settled on so far."""

    rows = param.List(default=[], doc="Per column: name, type, reason, examples, missing.")
    guesses = param.List(
        default=[], item_type=str, doc="The role guessed for each column, in the file's order."
    )
    roles = param.List(default=[], item_type=str, doc="The role chosen for each column.")
    choices = param.List(default=[[role, ROLE_WORDS[role]] for role in COLUMN_ROLES], constant=True)

    _esm = Path(__file__).parent / "roles.js"

    def __init__(
        self,
        columns: Sequence[Column],
        on_change: Callable[[], None],
        corrected: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> None:
        """corrected: as `corrected` gave it for this file; what it cannot mean is left out."""
        rows = [
            {
                "name": column.name,
                "type": column.type,
                "reason": column.reason,
                "examples": " · ".join(column.examples[:3]),
                "missing": f"{column.n_missing:,} missing" if column.n_missing else "",
            }
            for column in columns
        ]
        super().__init__(
            rows=rows,
            guesses=[column.role for column in columns],
            roles=_roles(columns, corrected or {}),
            **{"margin": 0, "sizing_mode": "stretch_width", **params},
        )
        self._columns = tuple(columns)
        self._on_change = on_change

    def chosen(self) -> tuple[Column, ...]:
        """The columns with the roles chosen here."""
        return tuple(replace(c, role=role) for c, role in zip(self._columns, self.roles, strict=True))

    def corrected(self) -> dict[str, str]:
        """The roles that differ from the guess, by the column's place in the file."""
        pairs = enumerate(zip(self.roles, self.guesses, strict=True))
        return {str(at): role for at, (role, guess) in pairs if role != guess}

    def _handle_msg(self, data: Any) -> None:
        index, role = data.get("index"), data.get("role")
        if isinstance(index, int) and 0 <= index < len(self.roles) and role in COLUMN_ROLES:
            self.roles = [role if at == index else kept for at, kept in enumerate(self.roles)]
            self._on_change()


def _roles(columns: Sequence[Column], corrected: Mapping[str, Any]) -> list[str]:
    wanted = [corrected.get(str(at), column.role) for at, column in enumerate(columns)]
    return [role if role in COLUMN_ROLES else c.role for role, c in zip(wanted, columns, strict=True)]
