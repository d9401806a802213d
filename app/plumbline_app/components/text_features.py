"""How the words of each text column become features: counted here, or read by a sentence-embedding model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import choice, text_field, typed
from plumbline_app.components.layout import card, fill, line, place
from plumbline_backend.pool.chosen import embedded
from plumbline_backend.pool.features import FeaturePart
from plumbline_backend.pool.transforms.embedding import DEFAULT_MODEL, NOT_INSTALLED, is_installed

WAYS = {"Words: TF-IDF, at most 128 dimensions": "text", "Meaning: sentence embeddings": "embedding"}


class TextFeatures(Viewer):
    """A choice per text column. `show` says which columns there are; `chosen` what is not the usual treatment."""

    def __init__(self, models: Mapping[str, Any], on_change: Callable[[], None]) -> None:
        """models: what `models()` gave before, to go on from there."""
        super().__init__()
        self._before = {name: model for name, model in models.items() if isinstance(model, str)}
        self._on_change = on_change
        self._names: tuple[str, ...] = ()
        self._ways: dict[str, Any] = {}
        self._models: dict[str, Any] = {}
        self._rows = place()
        self._card = card("Features of text", self._below(), self._rows)

    def __panel__(self) -> Viewable:
        return self._card

    def show(self, names: Sequence[str]) -> None:
        """Offer a choice for these columns; what was chosen for one that stays is kept."""
        if tuple(names) != self._names:
            self._names = tuple(names)
            fill(self._rows, *map(self._row, names))
        self._card.visible = bool(names)

    def models(self) -> dict[str, str]:
        """The model for each column that is to be embedded."""
        embedding = [name for name in self._names if self._ways[name].value == "embedding"]
        return {name: (typed(self._models[name]) or self._models[name].value).strip() for name in embedding}

    def chosen(self) -> tuple[FeaturePart, ...]:
        """A part for each column that is to be embedded."""
        return tuple(embedded(name, model) for name, model in self.models().items())

    def _row(self, name: str) -> Viewable:
        if name not in self._ways:
            offered = WAYS if is_installed() else {words: way for words, way in WAYS.items() if way == "text"}
            embeds = is_installed() and name in self._before
            way = choice(f"Features of column {name}", offered, "embedding" if embeds else "text", width=340)
            model = text_field(
                f"Model for column {name}: a folder or a name on the hub",
                self._before.get(name, DEFAULT_MODEL),
                width=520,
                visible=embeds,
            )
            way.param.watch(lambda event: self._way_changed(name, event.new), "value")
            model.param.watch(lambda _: self._on_change(), "value")
            self._ways[name], self._models[name] = way, model
        return line(self._ways[name], self._models[name])

    def _way_changed(self, name: str, way: str) -> None:
        self._models[name].visible = way == "embedding"
        self._on_change()

    def _below(self) -> str:
        if not is_installed():
            return f"Words are counted. {NOT_INSTALLED[0].upper()}{NOT_INSTALLED[1:]}"
        return (
            "Counting words needs nothing else. Embeddings know that two sentences mean the same, take longer, "
            "and need their model wherever the exported classifier is to read text."
        )
