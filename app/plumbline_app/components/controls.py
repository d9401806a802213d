"""Buttons, choices and fields in the theme's colours, each at least as high as a finger needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel_material_ui as pmui

from plumbline_app.theme import TOUCH_PX, material_theme


def button(words: str, on_click: Callable[[], None], *, strong: bool = False, **options: Any) -> pmui.Button:
    """A button; `strong` marks the one action that the page is for."""
    return pmui.Button(
        label=words,
        variant="contained" if strong else "outlined",
        color="primary",
        height=TOUCH_PX,
        on_click=lambda _: on_click(),
        **_common(options),
    )


def choice(label: str, options: Mapping[str, Any] | Sequence[str], value: Any, **more: Any) -> pmui.Select:
    """One of a list. options: words to values."""
    given = dict(options) if isinstance(options, Mapping) else list(options)
    return pmui.Select(label=label, options=given, value=value, **_field(more))


def several(label: str, options: Sequence[str], value: Sequence[str], **more: Any) -> pmui.MultiChoice:
    """Any number of a list."""
    return pmui.MultiChoice(
        label=label, options=list(options), value=list(value), variant="outlined", **_common(more)
    )


def text_field(label: str, value: str = "", **more: Any) -> pmui.TextInput:
    """A line of text; its value counts when Enter is pressed or the field is left."""
    return pmui.TextInput(label=label, value=value, **_field(more))


def text_area(label: str, value: str = "", rows: int = 3, **more: Any) -> pmui.TextAreaInput:
    """Several lines of text; its value counts when the field is left."""
    given = {"sizing_mode": "stretch_width", "auto_grow": True, "max_rows": 14, **more}
    return pmui.TextAreaInput(label=label, value=value, rows=rows, **_field(given))


def typed(field: pmui.TextInput | pmui.TextAreaInput) -> str:
    """What is in the field now, also while it is being typed.

    Panel hands a widget's value over 50 ms after it came, and a click at once: who types and clicks quickly would be
    read without the last words. The document itself has them already.
    """
    return str(on_screen(field, lambda model: model.data.value_input, field.value_input) or "")


def on_screen(component: Any, read: Callable[[Any], Any], otherwise: Any) -> Any:
    """What `read` finds in the component's model, which has what the browser sent already; `otherwise` before it is
    drawn."""
    return next((read(model) for model, _ in component._models.values()), otherwise)


def radio(label: str, options: Mapping[str, Any], value: Any, **more: Any) -> pmui.RadioBoxGroup:
    """One of a few, all in sight. options: words to values."""
    return pmui.RadioBoxGroup(label=label, options=dict(options), value=value, **_common(more))


def checkbox(label: str, value: bool, **more: Any) -> pmui.Checkbox:
    """Yes or no."""
    return pmui.Checkbox(label=label, value=value, **_common(more))


def _field(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"variant": "outlined", "size": "small", **_common(options)}


def _common(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"theme_config": _theme(), "margin": 0, **options}


def _theme() -> dict[str, Any]:
    """The theme with the pages' size of type in labels and fields, and fields as high as buttons."""
    more = {
        "MuiOutlinedInput": {"styleOverrides": {"root": {"minHeight": TOUCH_PX, "fontSize": 14}}},
        "MuiFormControlLabel": {"styleOverrides": {"label": {"fontSize": 14}}},
        "MuiFormLabel": {"styleOverrides": {"root": {"fontSize": 14}}},
        "MuiInputLabel": {"styleOverrides": {"root": {"fontSize": 14}}},
        "MuiMenuItem": {"styleOverrides": {"root": {"fontSize": 14}}},
    }
    return {scheme: {**given, "components": more} for scheme, given in material_theme().items()}
