"""The label card: item view, answers, keys, history and progress, drawn in the browser.

It lives in plain JavaScript modules under static/label/, fetched from this server, and talks to `label_api`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent
from panel.theme import Design

_STATIC = Path(__file__).parents[1] / "static" / "label"


class OwnLook(Design):
    """Keeps Panel's style sheets out of a component that brings its own: they would change its buttons."""


class LabelCard(JSComponent):
    """Labels one project for one person; the question is given so that the answers are there at the first paint."""

    slug = param.String(doc="The project's name in URLs.")
    person = param.String(doc="Who is answering.")
    question = param.Dict(default={}, doc="The question, as `question_state` gives it.")

    _esm = """
    export async function render({ model }) {
      const { LabelCard } = await import(new URL("/assets/label/card.js", location.href).href);
      const card = new LabelCard(model.slug, model.person, model.question);
      model.on("remove", () => card.close());
      return card.root;
    }
    """
    _stylesheets: ClassVar[list[str]] = [(_STATIC / "card.css").read_text(encoding="utf-8")]

    def __init__(self, **params: Any) -> None:
        super().__init__(design=OwnLook, sizing_mode="stretch_both", margin=0, **params)
