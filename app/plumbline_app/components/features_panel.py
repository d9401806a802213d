"""What the model sees of an item: which columns go through which transform, and how many features they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from panel.viewable import Viewable

from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card
from plumbline_app.components.words import notice
from plumbline_backend.domain.errors import shorten
from plumbline_backend.pool.features import FittedFeatures, load_features

if TYPE_CHECKING:
    from plumbline_backend.pool.pool import Pool

TRANSFORM_WORDS = {
    "numeric": "mean 0, deviation 1; missing values get the median and a column that says so",
    "category": "a column per value up to 50 values, hashed to 64 above",
    "text": "TF-IDF of words, then the strongest directions (truncated SVD)",
    "image": "resized pixels, then principal components (PCA)",
    "embedding": "sentence embedding of a transformer model",
}
COLUMNS = (
    grid_column("Transform"),
    grid_column("Columns"),
    grid_column("Features", "number"),
    grid_column("What it does"),
)
NAMES_SHOWN = 8


def features_card(pool: Pool) -> Viewable:
    """The fitted feature set of a pool, or what is missing."""
    if not pool.has_features:
        return card(
            "Features", "", notice("No features yet", "They are built at the end of the import.", tone="warn")
        )
    fitted = load_features(pool)
    grid = Grid(caption="Feature transforms")
    grid.show(COLUMNS, feature_rows(fitted))
    notes = [notice("Left out", "\n".join(fitted.notes), tone="warn")] if fitted.notes else []
    below = f"{fitted.d:,} features per item, fitted once on a sample of the pool; exported with the model."
    return card("Features", below, grid, *notes)


def feature_rows(fitted: FittedFeatures) -> list[list[str]]:
    """A row per part: transform, its columns, how many features, what it does."""
    rows = []
    for part in fitted.parts:
        names = [shorten(name, 40) for name in part.part.columns]
        shown = ", ".join(names[:NAMES_SHOWN])
        more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
        what = TRANSFORM_WORDS.get(part.part.transform, "")
        rows.append([part.part.transform, shown + more, f"{part.stop - part.start:,}", what])
    return rows
