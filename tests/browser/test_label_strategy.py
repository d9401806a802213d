"""How the next items are chosen, on the Label page: the choice, its sentence, and why each item was asked."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from conftest import OpenLabelling, Server
from plumbline_backend.registry import STRATEGIES

PLUGIN = """
import numpy as np
from plumbline_backend.domain.asking import Ranking


class Oldest:
    name = "oldest"
    needs = frozenset()
    explanation = "Asks the items in the order in which they came."

    def pick(self, view, n, rng):
        items = np.flatnonzero(view.candidates)[:n]
        return Ranking(items, -items.astype(float), "it came early")
"""
WHY = re.compile(r"typical_then_margin, rank \d+: it is typical of a region|drawn at random")


def test_a_strategy_is_chosen_explained_and_says_why_it_asks(
    own_server: Server, labelling: OpenLabelling
) -> None:
    plugins = own_server.workspace / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "oldest.py").write_text(PLUGIN, encoding="utf-8")
    label = labelling("wine", at=own_server).wait()
    page = label.page
    expect(page.locator(".why")).to_have_text(WHY)
    chosen = page.get_by_label("How the next items are chosen")
    expect(chosen).to_have_value("typical_then_margin")
    expect(chosen.locator("option")).to_have_text(
        [name.replace("_", " ") for name in (*STRATEGIES.names(), "oldest")]
    )
    chosen.select_option("margin")
    expect(page.locator(".explanation")).to_have_text(STRATEGIES.get("margin").explanation)
    chosen.select_option("oldest")
    expect(page.locator(".explanation")).to_have_text("Asks the items in the order in which they came.")
    label.press(*"0120120120")  # what was promised already is asked first
    expect(page.locator(".model")).to_contain_text("Version")
    label.press(*"0120120120")
    label.settle()
    reason = page.locator(".why").inner_text()
    assert re.match(r"oldest( by model version \d+)?, rank \d+: it came early|drawn at random", reason)
    label.press(*"01201")
    seen = {label.item: page.locator(".why").inner_text()}
    assert all(seen.values())
    other = labelling("wine", person="another", at=own_server).wait()
    expect(other.page.get_by_label("How the next items are chosen")).to_have_value("oldest")
