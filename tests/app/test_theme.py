"""The palettes: contrast, and that one set of names serves both themes."""

from __future__ import annotations

import pytest

from plumbline_app.theme import Tokens, bokeh_theme, css_variables, tokens

GROUNDS = ("page", "surface", "raised")
TEXTS = ("ink", "muted", "primary", "accent", "good", "warn", "bad")


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb. Source: WCAG 2.2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_reaches_aa(dark: bool, text: str, ground: str) -> None:
    t = tokens(dark)
    assert contrast(getattr(t, text), getattr(t, ground)) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("text", "ground"),
    [("on_primary", "primary"), ("primary", "primary_soft"), ("accent", "accent_soft"), ("bad", "bad_soft")],
)
def test_text_on_colour_reaches_aa(dark: bool, text: str, ground: str) -> None:
    t = tokens(dark)
    assert contrast(getattr(t, text), getattr(t, ground)) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("ground", GROUNDS)
def test_controls_reach_3_to_1(dark: bool, ground: str) -> None:
    t = tokens(dark)
    for color in (t.control, t.focus):
        assert contrast(color, getattr(t, ground)) >= 3, color


def test_both_themes_have_the_same_variables() -> None:
    def names(dark: bool) -> list[str]:
        return [line.split(":")[0] for line in css_variables(dark).splitlines()]

    assert names(False) == names(True)
    assert all(f"--pl-{name.replace('_', '-')}" in names(True) for name in Tokens.__dataclass_fields__)


def test_bokeh_theme_is_built_once() -> None:
    assert bokeh_theme(True) is bokeh_theme(True)
    assert bokeh_theme(True) is not bokeh_theme(False)
