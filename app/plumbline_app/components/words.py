"""Words on a page: headings, notices, empty states. Whatever is given is shown as text, never read as HTML."""

from __future__ import annotations

from html import escape
from typing import Literal

import panel as pn

Tone = Literal["plain", "good", "warn", "bad"]

_STYLE = """
:host { font-family: var(--pl-font); color: var(--pl-ink); }
h1 { margin: 0; font-size: 22px; line-height: 1.3; letter-spacing: -0.01em; }
h2 { margin: 0; font-size: 16px; line-height: 1.4; }
p { margin: 4px 0 0; color: var(--pl-muted); font-size: 14px; max-width: 72ch; white-space: pre-wrap;
  overflow-wrap: anywhere; }
a { color: var(--pl-primary); }
.notice { padding: 24px; border: 1px solid var(--pl-line); border-left: 4px solid var(--pl-control);
  border-radius: var(--pl-radius); background: var(--pl-surface); }
.notice.good { border-left-color: var(--pl-good); }
.notice.warn { border-left-color: var(--pl-warn); }
.notice.bad { border-left-color: var(--pl-bad); }
.notice a { display: inline-flex; align-items: center; min-height: var(--pl-touch); margin-top: 8px;
  font-size: 14px; font-weight: 700; }
"""


def heading(text: str, below: str = "", level: Literal[1, 2] = 1) -> pn.pane.HTML:
    """A heading with a quieter sentence under it."""
    under = f"<p>{escape(below)}</p>" if below else ""
    return _html(f"<h{level}>{escape(text)}</h{level}>{under}")


def sentence(text: str) -> pn.pane.HTML:
    """A paragraph in the quieter colour."""
    return _html(f"<p>{escape(text)}</p>")


def notice(
    title: str, text: str, *, tone: Tone = "plain", link: tuple[str, str] | None = None
) -> pn.pane.HTML:
    """Something to know, with what to do about it. link: (address on this server, words)."""
    after = f'<a href="{escape(link[0])}">{escape(link[1])}</a>' if link else ""
    role = "alert" if tone == "bad" else "note"
    inner = f"<h2>{escape(title)}</h2><p>{escape(text)}</p>{after}"
    return _html(f'<div class="notice {tone}" role="{role}">{inner}</div>')


def _html(markup: str) -> pn.pane.HTML:
    return pn.pane.HTML(markup, stylesheets=[_STYLE], sizing_mode="stretch_width", margin=0)
