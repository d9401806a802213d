"""Lines to copy into a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent


class Code(JSComponent):
    """Text in a fixed-width box with a button that copies it."""

    text = param.String(default="", doc="The lines.")
    label = param.String(default="", doc="What they are, for those who hear it read.")

    _esm = Path(__file__).parent / "code.js"

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, "sizing_mode": "stretch_width", **params})
