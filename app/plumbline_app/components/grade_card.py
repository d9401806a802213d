"""The grade card: an output beside its prompt, good or bad, a thumb per criterion, drawn in the browser.

It lives in plain JavaScript modules under static/grade/, fetched from this server, and talks to `grade_api`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from plumbline_app.components.label_card import OwnLook

_STATIC = Path(__file__).parents[1] / "static"


class GradeCard(JSComponent):
    """Grades one project for one person; the criteria are given so that they are there at the first paint."""

    slug = param.String(doc="The project's name in URLs.")
    person = param.String(doc="Who is grading.")
    criteria = param.Dict(
        default={}, doc="The overall question and the criteria, as `criteria_state` gives them."
    )

    _esm = """
    export async function render({ model }) {
      const { GradeCard } = await import(new URL("/assets/grade/card.js", location.href).href);
      const card = new GradeCard(model.slug, model.person, model.criteria);
      model.on("remove", () => card.close());
      return card.root;
    }
    """
    _stylesheets: ClassVar[list[str]] = [
        (_STATIC / folder / "card.css").read_text(encoding="utf-8") for folder in ("label", "grade")
    ]

    def __init__(self, **params: Any) -> None:
        super().__init__(design=OwnLook, sizing_mode="stretch_both", margin=0, **params)
