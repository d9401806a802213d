"""A project's ranking: before the first answer, with every kind of strategy, and when a strategy fails."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.asking import Ranking
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Ask
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.ranking import load_ranking, save_ranking
from plumbline_backend.workspace import Workspace, open_workspace

FAILS = """
class Fails:
    name = "fails"
    needs = frozenset({"features"})
    explanation = "Raises an error whenever it is asked for items."

    def pick(self, view, n, rng):
        raise RuntimeError("out of ideas")
"""
HANGS = """
import time


class Hangs:
    name = "hangs"
    needs = frozenset()
    explanation = "Never comes back when it is asked for items."

    def pick(self, view, n, rng):
        time.sleep(3600)
"""
TEXTS = {
    "sport": ["the team won the match", "a goal in the last minute of the match", "the team lost the cup"],
    "money": ["the bank raised its rates", "shares of the bank fell", "rates and shares went up"],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture
def wine(workspace: Workspace) -> Project:
    return workspace.create_demo("wine")


def settle(project: Project) -> None:
    """Wait until the coordinating thread has decided and every job of the project has ended."""
    for _ in range(3):
        decided = threading.Event()
        project.loop.jobs.soon(decided.set)
        assert decided.wait(60)
        while any(job.state in ("queued", "running") for job in project.loop.jobs.list(project.row.id)):
            time.sleep(0.01)


def model_asks(project: Project, n: int = 10) -> list[Ask]:
    asks = project.next_items(project.person("me"), uuid.uuid4().hex, n)
    return [ask for ask in asks if ask.stratum != "stream"]


def answer(project: Project, ask: Ask, class_id: str) -> None:
    project.record(
        item=ask.item,
        judge=project.person("me"),
        client_uuid=uuid.uuid4().hex,
        answer=class_id,
        query_id=ask.query_id,
        stratum=ask.stratum,
    )


def answer_two_classes(project: Project) -> None:
    first, second = project.question().active[:2]
    for i, ask in enumerate(model_asks(project, 12)):
        answer(project, ask, (first, second)[i % 2].id)
    settle(project)


def test_typical_items_come_first_before_any_answer(wine: Project) -> None:
    wine.set_strategy("typical_then_margin")
    settle(wine)
    asks = model_asks(wine)
    assert {ask.reason.split(":")[0] for ask in asks} == {
        f"typical_then_margin, rank {ask.rank + 1}" for ask in asks
    }
    assert all("typical of a region" in ask.reason for ask in asks)
    assert all(ask.query_id is not None for ask in asks)
    assert wine.status().model is None


def test_another_strategy_before_the_first_model_counts_at_once(wine: Project) -> None:
    wine.set_strategy("k_center")
    settle(wine)
    assert all("far from everything" in ask.reason for ask in model_asks(wine))
    wine.set_strategy("margin")  # needs a model
    settle(wine)
    assert all("no model has ranked" in ask.reason for ask in model_asks(wine))


@pytest.mark.parametrize("name", ["margin", "badge", "bald", "bids", "class_balanced_margin", "typiclust"])
def test_strategies_of_every_need_rank_a_real_project(wine: Project, name: str) -> None:
    wine.set_strategy(name)
    answer_two_classes(wine)
    asks = model_asks(wine)
    assert wine.status().model is not None
    assert all(ask.reason.startswith(f"{name} by model version") for ask in asks)
    assert all(ask.utility is not None and np.isfinite(ask.utility) for ask in asks)


def test_a_plugin_that_fails_is_replaced_aloud(workspace: Workspace, wine: Project) -> None:
    folder = workspace.folder / "plugins"
    folder.mkdir(exist_ok=True)
    (folder / "fails.py").write_text(FAILS, encoding="utf-8")
    wine.set_strategy("fails")
    answer_two_classes(wine)
    (reason,) = {ask.reason.split(": ", 1)[1] for ask in model_asks(wine)}
    assert reason.startswith(
        "drawn at random, because the chosen strategy could not rank: plug-in fails.py raised"
    )
    assert "out of ideas" in reason


def test_class_names_start_a_text_project(workspace: Workspace, tmp_path: Path) -> None:
    rows = ["text"] + [text for _ in range(6) for group in TEXTS.values() for text in group]
    path = tmp_path / "news.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    columns = [replace(column, role="text") for column in workspace.inspect(path).columns]
    project = workspace.import_items(path, "news", columns=columns)
    project.add_class("match and team", by="me", description="sport")
    project.add_class("bank", by="me", description="rates and shares")
    project.set_strategy("zero_label")
    settle(project)
    asks = model_asks(project, 4)
    texts = [project.pool.item(ask.item).fields["text"] for ask in asks]
    assert all("close to the description of a class" in ask.reason for ask in asks)
    assert any("match" in text or "team" in text for text in texts)
    assert any("bank" in text or "rates" in text for text in texts)


def test_zero_label_is_refused_where_there_is_no_text(wine: Project) -> None:
    before = wine.status().strategy
    with pytest.raises(InputError, match="'zero_label' cannot rank the items without descriptions"):
        wine.set_strategy("zero_label")
    assert wine.status().strategy == before
    with pytest.raises(InputError, match="did you mean 'margin'"):
        wine.set_strategy("margn")


def test_a_ranking_is_read_as_it_was_written(tmp_path: Path) -> None:
    save_ranking(tmp_path, Ranking(np.array([3, 1]), np.array([0.5, 0.25]), "because"))
    items, utility, why = load_ranking(tmp_path)
    assert (items.tolist(), utility.tolist(), why) == ([3, 1], [0.5, 0.25], "because")
    np.savez(tmp_path / "ranking.npz", items=np.array([3]), utility=np.array([0.5]))
    assert load_ranking(tmp_path).why == ""


def test_a_plug_in_that_hangs_in_a_live_project_is_stopped_and_said(
    workspace: Workspace, wine: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbline_backend.plugins.PluginStrategy.__init__.__defaults__", (1.0,))
    folder = workspace.folder / "plugins"
    folder.mkdir(exist_ok=True)
    (folder / "hangs.py").write_text(HANGS, encoding="utf-8")
    wine.set_strategy("hangs")
    answer_two_classes(wine)
    asks = model_asks(wine)
    assert len(asks) >= 8  # labelling goes on
    (reason,) = {ask.reason.split(": ", 1)[1] for ask in asks}
    assert "drawn at random, because the chosen strategy could not rank" in reason
    assert "hangs.py did not answer within 1 s and was stopped" in reason


def test_a_pool_of_two_items_is_labelled_to_its_end(workspace: Workspace, tmp_path: Path) -> None:
    """One of the two is the random stream's, so that no head can be trained: the page says why, and nothing fails."""
    path = tmp_path / "two.csv"
    path.write_text("a,b\n1,2.5\n3,0.5\n", encoding="utf-8")
    two = workspace.import_items(path, "two")
    for name in ("yes", "no"):
        two.add_class(name, by="test")
    settle(two)
    asks = two.next_items(two.person("me"), "tab", 10)
    assert sorted(ask.item for ask in asks) == [0, 1]
    for ask, each in zip(asks, two.question().active, strict=True):
        answer(two, ask, each.id)
    settle(two)
    assert two.next_items(two.person("me"), "tab", 10) == []
    status = two.status()
    assert (status.n_answered, status.n_train + status.n_stream) == (2, 2)
    assert status.model is None
    assert status.waiting
    assert not status.failed
