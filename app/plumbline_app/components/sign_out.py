"""The button that ends a session: a form of its own, because it is the server that ends it."""

from __future__ import annotations

from typing import Any

from panel.custom import JSComponent

from plumbline_app.theme import TOUCH_PX


class SignOut(JSComponent):
    """Posts to /logout and goes where the answer leads."""

    _esm = """
    export function render() {
      const form = document.createElement("form");
      form.method = "post";
      form.action = "/logout";
      const button = document.createElement("button");
      button.type = "submit";
      button.textContent = "Sign out";
      button.className = "quiet";
      form.append(button);
      return form;
    }
    """
    _stylesheets = (
        """
    :host { font-family: var(--pl-font); }
    form { margin: 0; }
    .quiet { min-height: var(--pl-touch); padding: 0 16px; border-radius: var(--pl-radius); font: inherit;
      font-size: 14px; cursor: pointer; border: 1px solid var(--pl-control); background: transparent;
      color: var(--pl-ink); white-space: nowrap; }
    .quiet:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 2px; }
    """,
    )

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, "width": 110, "height": TOUCH_PX, **params})
