"""A field for Python code."""

from __future__ import annotations

from typing import Any

import panel as pn

from plumbline_app.components.controls import on_screen

CODE_HEIGHT_PX = 260


def typed_code(field: pn.widgets.CodeEditor) -> str:
    """What is in the editor now; see `controls.typed`."""
    return str(on_screen(field, lambda model: model.code_input, field.value_input) or "")


def code_field(value: str, dark: bool, **options: Any) -> pn.widgets.CodeEditor:
    """An editor with line numbers and colours, read with `typed_code`.

    `on_keyup` stays off: Panel would answer every key with the value it knew 50 ms ago, and on a busy machine that
    takes back what was typed meanwhile.
    """
    return pn.widgets.CodeEditor(
        value=value,
        value_input=value,
        language="python",
        theme="github_dark" if dark else "github_light_default",
        on_keyup=False,
        sizing_mode="stretch_width",
        height=CODE_HEIGHT_PX,
        margin=0,
        styles={
            "border": "1px solid var(--pl-control)",
            "border-radius": "var(--pl-radius)",
            "overflow": "hidden",
        },
        **options,
    )
