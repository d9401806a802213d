"""Column names that can be told apart, whatever the header says."""

from __future__ import annotations

from collections.abc import Sequence


def distinct_names(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """(names, notes): empty names become "column 3", repeated ones get a number; each change is noted."""
    taken = set(header)
    names: list[str] = []
    notes: list[str] = []
    for place, name in enumerate(header, start=1):
        if name and name not in names:
            names.append(name)
            continue
        base = name or f"column {place}"
        fresh, number = (base, 1) if not name and base not in taken else (f"{base} (2)", 2)
        while fresh in taken or fresh in names:
            number += 1
            fresh = f"{base} ({number})"
        notes.append(
            f"column {place} has no name; it is called {fresh!r}"
            if not name
            else f"column {place} is called {name!r} like an earlier one; it is called {fresh!r}"
        )
        names.append(fresh)
    return names, notes
