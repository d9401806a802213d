"""What a page looks at, in its address: a refresh and a link keep it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import panel as pn
import param


def keep_in_address(page: param.Parameterized, names: Sequence[str]) -> None:
    """Take the named params from the address of this tab, and write them there when they change.

    Text stays text (Panel's own synchronisation reads "12" as a number and "1e3" as a thousand). A value that a
    param cannot take is left out. Does nothing outside a tab.
    """
    location = pn.state.location
    if location is None:
        return
    page.param.update(**from_address(page, names, location.search or ""))

    def write(*_: param.parameterized.Event) -> None:
        kept = {
            name: getattr(page, name) for name in names if getattr(page, name) != page.param[name].default
        }
        location.search = f"?{urlencode(kept)}" if kept else ""

    page.param.watch(write, list(names))


def from_address(page: param.Parameterized, names: Sequence[str], search: str) -> dict[str, str | int]:
    """The named params as an address such as "?q=12&page=3" gives them; those that it cannot mean are left out."""
    given = dict(parse_qsl(search.removeprefix("?")))
    taken: dict[str, str | int] = {}
    for name in names:
        wanted = page.param[name]
        if name not in given:
            continue
        try:
            value = int(given[name]) if isinstance(wanted, param.Integer) else given[name]
            wanted._validate(value)
        except ValueError:
            continue
        taken[name] = value
    return taken
