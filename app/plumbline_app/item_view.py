"""Items as the Label page shows them: JSON with text, image addresses and the numbers that plots need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import numpy as np

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import Column, Item

if TYPE_CHECKING:
    from plumbline_backend.project import Project

TEXT_LIMIT = 100_000
"""Characters of one field that are sent to the browser: 50 pages of text; a 10 MB cell would stop every tab."""
CELL_LIMIT = 500
EXCERPT_LIMIT = 48
SAMPLE_ITEMS = 600
"""Points of the pool behind a scatter plot: dense enough to show its shape, 10 kB a column."""
DEFAULT_COLUMNS = 10
PAGE_ROWS = 50
"""Rows of a page of the Data page's table."""
SHOWN_AS_CELL = ("numeric", "category", "metadata", "id")


def shown_columns(project: Project) -> list[Column]:
    """Columns a person may look at while labelling. Never an imported label: it would answer the question."""
    return [c for c in project.pool.columns if c.role not in ("label", "ignore", "features")]


def view(project: Project, item: Item) -> dict[str, Any]:
    """Everything the browser needs to paint one item; safe as JSON (no NaN), nothing in it is HTML."""
    columns = shown_columns(project)
    return {
        "item": item.position,
        "key": item.key,
        "images": [
            {"name": c.name, "url": image_url(project.slug, item.position, c.name)}
            for c in columns
            if c.role == "image"
        ],
        "texts": [_text(c.name, item.fields.get(c.name)) for c in columns if c.role == "text"],
        "cells": {c.name: _cell(item.fields.get(c.name)) for c in columns if c.role in SHOWN_AS_CELL},
        "excerpt": excerpt(project, item),
    }


def excerpt(project: Project, item: Item) -> dict[str, str]:
    """The item in the size of a stamp: a thumbnail's address or a few words."""
    columns = shown_columns(project)
    image = next((c.name for c in columns if c.role == "image"), None)
    if image is not None:
        return {"image": image_url(project.slug, item.position, image), "words": item.key}
    text = next((c.name for c in columns if c.role == "text" and item.fields.get(c.name) is not None), None)
    words = item.key if text is None else " ".join(str(item.fields[text])[: 4 * EXCERPT_LIMIT].split())
    return {"words": words[:EXCERPT_LIMIT]}


def image_url(slug: str, position: int, column: str) -> str:
    """Where the browser gets an item's image."""
    return f"/api/projects/{quote(slug)}/items/{position}/image?column={quote(column, safe='')}"


def data_url(slug: str, position: int) -> str:
    """The Data page with this item open, on the page of its table that holds it."""
    query = urlencode({"page": position // PAGE_ROWS + 1, "item": position})
    return f"/p/{quote(slug)}/data?{query}"


def layout(project: Project, chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which columns can be shown, and which this person has chosen (or the first few, to start with)."""
    cells = [c for c in shown_columns(project) if c.role in SHOWN_AS_CELL]
    names = [c.name for c in cells]
    numeric = [c.name for c in cells if c.role == "numeric"]
    chosen = chosen or {}
    plain = [c.name for c in cells if c.role != "id"]
    columns = [name for name in chosen.get("columns", plain[:DEFAULT_COLUMNS]) if name in names]
    axes = [name for name in chosen.get("axes", numeric[:2]) if name in numeric]
    return {
        "all": names,
        "numeric": numeric,
        "columns": columns,
        "axes": axes if len(axes) == 2 else numeric[:2],
    }


def background(project: Project, columns: Sequence[str]) -> dict[str, list[float | None]]:
    """Values of numeric columns for the same random items of the pool; the sample depends on the pool alone.

    Raises InputError for a column that is not numeric or not shown.
    """
    numeric = [c.name for c in shown_columns(project) if c.role == "numeric"]
    for name in columns:
        if name not in numeric:
            raise InputError(f"columns: {name!r} is not a numeric column; {did_you_mean(name, numeric)}")
    n_items = project.pool.n_items
    rng = np.random.default_rng(0)
    positions = np.sort(rng.choice(n_items, size=min(SAMPLE_ITEMS, n_items), replace=False))
    items = project.pool.items(positions.tolist())
    return {name: [_number(item.fields.get(name)) for item in items] for name in columns}


def _text(name: str, value: Any) -> dict[str, Any]:
    text = "" if value is None else str(value)
    return {"name": name, "text": text[:TEXT_LIMIT], "length": len(text), "missing": value is None}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, np.integer, np.floating)):
        number = _number(value)
        # Larger integers lose their last digits in a browser's numbers, so they travel as text.
        exact = number is not None and (not isinstance(value, int) or abs(value) <= 2**53)
        return (int(value) if isinstance(value, (int, np.integer)) else number) if exact else str(value)
    text = str(value)
    return text if len(text) <= CELL_LIMIT else text[:CELL_LIMIT] + "…"


def _number(value: Any) -> float | None:
    """The value as a finite number; None when it is missing, text, NaN or infinite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return float(f"{number:.9g}") if math.isfinite(number) else None
