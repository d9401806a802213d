"""The store's own error: the database did not do what was asked, through no fault of the input."""

from __future__ import annotations

from plumbline_backend.domain.errors import PlumblineError


class DatabaseError(PlumblineError):
    """The database cannot be reached, is full, stayed locked or failed. Nothing was acknowledged."""
