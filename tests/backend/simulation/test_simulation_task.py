"""Simulations as jobs of a project: its own known answers, demos, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plumbline_app.components.charts_simulation import simulation_curves
from plumbline_app.pages.simulate import found_rows, told
from plumbline_app.theme import tokens
from plumbline_backend.domain.errors import InputError, JobFailedError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.simulation import one_run
from plumbline_backend.simulation.data import Dataset
from plumbline_backend.simulation.setup import Setup
from plumbline_backend.simulation.task import (
    OWN_DATA,
    kept_beside,
    known_answers,
    offered_strategies,
    start_simulation,
)
from plumbline_backend.workspace import Workspace, open_workspace

LAST = """
import numpy as np
from plumbline_backend.domain.asking import Ranking


class Last:
    name = "last"
    needs = frozenset()
    explanation = "Asks the items that were imported last."

    def pick(self, view, n, rng):
        items = np.flatnonzero(view.candidates)[::-1][:n]
        return Ranking(items, items.astype(float), "it came last")
"""
QUICK = Setup(OWN_DATA, budget=20, seeds=1)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture
def wine(workspace: Workspace) -> Project:
    return workspace.create_demo("wine")


def test_a_project_is_simulated_on_its_own_answers(workspace: Workspace, wine: Project) -> None:
    assert known_answers(wine) == "cultivar"
    job = start_simulation(workspace.jobs, wine, QUICK, ["random", "typical_then_margin"])
    done = workspace.jobs.wait(job.id)
    assert done.result is not None
    rows = done.result["rows"]
    assert [row["strategy"] for row in rows] == ["random", "typical_then_margin"]
    assert [point[0] for point in rows[0]["curve"]] == [10, 15, 20]
    table = found_rows(rows)
    assert table[1][0] == "typical then margin"
    assert table[0][-1] == "1"
    assert "this project's known answers" in told(done.result["setup"])
    plot = simulation_curves(rows, 1, tokens(False))
    assert len(plot.renderers) == 6
    assert wine.status().n_answered == 0  # nothing of it reaches the ledger


def test_a_stopped_simulation_goes_on_where_it_was(
    workspace: Workspace, wine: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second strategy fails; started again, the first one's seeds are taken from the file, which then goes."""
    kept = kept_beside(wine.folders.models)
    asked: list[str] = []
    run_seed = one_run.run_seed

    def watched(data: Dataset, setup: Setup, seed: int, _: object) -> one_run.SeedCurve:
        asked.append(setup.strategy)
        if setup.strategy == "margin" and asked.count("margin") == 1:
            raise InputError("stopped")
        return run_seed(data, setup, seed)

    monkeypatch.setattr("plumbline_backend.simulation.many.run_seed", watched)
    first = start_simulation(workspace.jobs, wine, QUICK, ["random", "margin"])
    with pytest.raises(JobFailedError, match="stopped"):
        workspace.jobs.wait(first.id)
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 1
    second = start_simulation(workspace.jobs, wine, QUICK, ["random", "margin"])
    assert workspace.jobs.wait(second.id).state == "done"
    assert asked == ["random", "margin", "margin"]
    assert not kept.exists()


def test_a_demo_serves_where_there_are_no_answers(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("a,b\n" + "\n".join(f"{i},{i % 5}.5" for i in range(30)) + "\n", encoding="utf-8")
    plain = workspace.import_items(path, "plain")
    assert known_answers(plain) is None
    with pytest.raises(InputError, match="no column of known answers"):
        start_simulation(workspace.jobs, plain, QUICK, ["margin"])
    job = start_simulation(workspace.jobs, plain, replace(QUICK, data="iris"), ["margin"])
    assert workspace.jobs.wait(job.id).state == "done"


def test_a_plug_in_of_the_workspace_is_tried_by_its_name(workspace: Workspace, wine: Project) -> None:
    folder = workspace.folder / "plugins"
    folder.mkdir(exist_ok=True)
    (folder / "last.py").write_text(LAST, encoding="utf-8")
    assert list(offered_strategies(wine))[:1] == ["typical_then_margin"]
    job = start_simulation(workspace.jobs, wine, replace(QUICK, budget=12, pace="linear"), ["last"])
    result = workspace.jobs.wait(job.id).result or {}
    (row,) = result["rows"]
    assert row["strategy"] == "last"
    assert found_rows([row], paced=True)[0][-1] == "none were made"


@pytest.mark.parametrize(
    ("change", "strategies", "words"),
    [
        ({}, [], "found 0; expected 1 to 6"),
        ({}, ["margin"] * 7, "found 7; expected 1 to 6"),
        ({}, ["margn"], "did you mean 'margin'"),
        ({"noise": 2.0}, ["margin"], "--noise: found 2.0"),
        ({"head": "none"}, ["margin"], "--head: 'none' does not exist"),
        ({"data": "/etc/hosts"}, ["margin"], "data: found '/etc/hosts'; expected one of project, digits"),
        ({}, ["plugins/mine.py"], "strategy 'plugins/mine.py' does not exist"),
    ],
)
def test_wrong_choices_are_refused(
    workspace: Workspace, wine: Project, change: dict[str, object], strategies: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        start_simulation(workspace.jobs, wine, replace(QUICK, **change), strategies)  # type: ignore[arg-type]


def test_what_was_not_reached_is_a_dash() -> None:
    row = {
        "strategy": "margin",
        "labels_needed": {"90": 10, "95": 12.5, "99": None},
        "full_accuracy_interval": [0.9, 0.88, 0.92, 5],
    }
    wrong = {"error": 0.0125, "n": 1600}
    assert found_rows([{**row, "pseudo_labels": wrong}], paced=True)[0][-1] == "1.2 % of 1,600"
    assert found_rows([row]) == [["margin", "10", "12.5", "–", "90.0 % (88.0 % to 92.0 %)", "5"]]
