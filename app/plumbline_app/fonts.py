"""Roboto for pages without Material widgets: the files that panel-material-ui brings and already serves."""

from __future__ import annotations

from pathlib import Path

import panel_material_ui

_FOLDER = Path(panel_material_ui.__file__).parent / "dist"
_URL = "/static/extensions/panel-material-ui"
_WEIGHTS = (400, 700)
_SCRIPTS = {
    "latin": "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122",
    "latin-ext": "U+0100-02BA, U+1E00-1E9F, U+20A0-20AB",
    "greek": "U+0370-03FF",
    "cyrillic": "U+0301, U+0400-045F, U+0490-0491, U+04B0-04B1",
}


def font_faces() -> str:
    """The @font-face rules; empty when this version of panel-material-ui ships none (the system's font is used)."""
    rules = []
    for script, characters in _SCRIPTS.items():
        for weight in _WEIGHTS:
            for file in sorted(_FOLDER.glob(f"roboto-{script}-{weight}-normal-*.woff2")):
                rules.append(
                    f"@font-face {{ font-family: Roboto; font-weight: {weight}; font-display: swap; "
                    f'src: url("{_URL}/{file.name}") format("woff2"); unicode-range: {characters}; }}'
                )
    return "\n".join(rules)
