"""A field for Python code."""

from __future__ import annotations

from typing import Any

import panel as pn

CODE_HEIGHT_PX = 260


def typed_code(field: pn.widgets.CodeEditor) -> str:
    """What is in the editor now; see `controls.typed`."""
    shown = [model.code for model, _ in field._models.values()]
    return str((shown[0] if shown else field.value) or "")


def code_field(value: str, dark: bool, **options: Any) -> pn.widgets.CodeEditor:
    """An editor with line numbers and colours. Its value counts as it is typed."""
    return pn.widgets.CodeEditor(
        value=value,
        language="python",
        theme="github_dark" if dark else "github_light_default",
        on_keyup=True,
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
