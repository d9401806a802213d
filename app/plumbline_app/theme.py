"""Colours, type and spacing in one place, light and dark.

Pages and components read these through CSS variables (`--pl-ink`, `--pl-primary`, ...), which shadow roots
inherit; Bokeh figures through `bokeh_theme`; Material widgets through `material_theme`. Text colours reach WCAG AA
(4.5:1) on `page`, `surface` and `raised`, and `control` reaches 3:1 on them (held by tests/app/test_theme.py).
Colours of classes belong to the question (`domain.schema.PALETTE`), not to the theme.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from bokeh.themes import Theme

FONT = 'Roboto, "Segoe UI", "Helvetica Neue", Helvetica, Arial, sans-serif'
MONO = 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace'
SPACE_PX = (0, 4, 8, 12, 16, 24, 32, 48)
"""The only distances between things; `SPACE_PX[3]` is 12 px."""
RADIUS_PX = 8
TOUCH_PX = 44
"""The least height and width of anything that a finger may press."""


@dataclass(frozen=True)
class Tokens:
    """The colours of one theme, as #rrggbb."""

    page: str
    surface: str
    raised: str
    line: str
    control: str
    ink: str
    muted: str
    primary: str
    primary_soft: str
    on_primary: str
    accent: str
    accent_soft: str
    good: str
    warn: str
    bad: str
    bad_soft: str
    focus: str
    grid: str


LIGHT = Tokens(
    page="#f5f3ee",
    surface="#ffffff",
    raised="#faf8f3",
    line="#e0dcd1",
    control="#878175",
    ink="#1c2427",
    muted="#5a6468",
    primary="#0d5f68",
    primary_soft="#dcecec",
    on_primary="#ffffff",
    accent="#8a5a00",
    accent_soft="#f6e9cd",
    good="#1d6b42",
    warn="#8a5a00",
    bad="#a92a35",
    bad_soft="#f9e2e2",
    focus="#0d5f68",
    grid="#e9e5db",
)
DARK = Tokens(
    page="#12171a",
    surface="#1a2125",
    raised="#222b30",
    line="#323d43",
    control="#74838a",
    ink="#e9edeb",
    muted="#a3b0b5",
    primary="#69c6cf",
    primary_soft="#1e3b40",
    on_primary="#0b2326",
    accent="#e3b65c",
    accent_soft="#3a3120",
    good="#74c99a",
    warn="#e3b65c",
    bad="#f08f94",
    bad_soft="#43262a",
    focus="#8fdbe2",
    grid="#2a3439",
)


def tokens(dark: bool) -> Tokens:
    """The colours of the dark or the light theme."""
    return DARK if dark else LIGHT


def css_variables(dark: bool) -> str:
    """The theme as CSS declarations (`--pl-name: value;`), for the root element of a page."""
    lines = [f"--pl-{name.replace('_', '-')}: {value};" for name, value in asdict(tokens(dark)).items()]
    lines += [f"--pl-space-{step}: {px}px;" for step, px in enumerate(SPACE_PX)]
    lines += [f"--pl-font: {FONT};", f"--pl-mono: {MONO};"]
    lines += [f"--pl-radius: {RADIUS_PX}px;", f"--pl-touch: {TOUCH_PX}px;"]
    lines += [f"color-scheme: {'dark' if dark else 'light'};"]
    return "\n".join(lines)


@cache
def bokeh_theme(dark: bool) -> Theme:
    """The theme of every Bokeh figure; set for each document, so that charts need no colours of their own for axes."""
    t = tokens(dark)
    text = {"text_color": t.muted, "text_font": FONT, "text_font_size": "12px"}
    return Theme(
        json={
            "attrs": {
                "Plot": {
                    "background_fill_color": t.surface,
                    "border_fill_color": t.surface,
                    "outline_line_color": None,
                },
                "Axis": {
                    "axis_line_color": t.control,
                    "major_tick_line_color": t.control,
                    "minor_tick_line_color": None,
                    **{f"axis_label_{k}": v for k, v in text.items()},
                    "axis_label_text_font_style": "normal",
                    **{f"major_label_{k}": v for k, v in text.items()},
                },
                "Grid": {"grid_line_color": t.grid},
                "Title": {
                    "text_color": t.ink,
                    "text_font": FONT,
                    "text_font_size": "14px",
                    "text_font_style": "bold",
                },
                "Legend": {
                    "background_fill_color": t.surface,
                    "background_fill_alpha": 0.9,
                    "border_line_color": t.line,
                    **{f"label_{k}": v for k, v in text.items()},
                },
                "ColorBar": {
                    "background_fill_color": t.surface,
                    "major_label_text_color": t.muted,
                    "title_text_color": t.muted,
                },
                "Label": text,
                "LabelSet": text,
            }
        }
    )


def material_theme() -> dict[str, Any]:
    """`theme_config` for panel-material-ui widgets: both palettes, our type and corners."""
    return {scheme: _material_palette(dark) for scheme, dark in (("light", False), ("dark", True))}


def _material_palette(dark: bool) -> dict[str, Any]:
    t = tokens(dark)
    return {
        "palette": {
            "primary": {"main": t.primary, "contrastText": t.on_primary},
            "secondary": {"main": t.accent, "contrastText": t.page},
            "error": {"main": t.bad},
            "warning": {"main": t.warn},
            "success": {"main": t.good},
            "background": {"default": t.page, "paper": t.surface},
            "text": {"primary": t.ink, "secondary": t.muted},
            "divider": t.line,
        },
        "typography": {"fontFamily": FONT, "fontSize": 14, "button": {"textTransform": "none"}},
        "shape": {"borderRadius": RADIUS_PX},
    }
