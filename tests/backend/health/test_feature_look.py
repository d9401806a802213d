"""The look at features and columns: in a worker over a project, and against another project's items."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

N = 240


def write(path: Path, shifted: bool = False) -> Path:
    """Numbers, a camera that gives the label away in nine of ten rows, and a site that says nothing of it."""
    draw = np.random.default_rng(1 if shifted else 0)
    targets = np.arange(N) % 2
    numbers = draw.normal(size=(N, 3)) + 3 * targets[:, None] * np.array([1, 0, 0])
    numbers[:, 1] += 2 * shifted
    camera = np.where(draw.random(N) < 0.9, targets, 1 - targets)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "a", "b", "c", "camera", "site"])
        for i in range(N):
            row = [f"{value:.5f}" for value in numbers[i]]
            writer.writerow([f"k{i}", *row, f"cam{camera[i]}", "xy"[int(draw.integers(2))]])
    return path


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("look")
    with open_workspace(folder / "workspace", executor=InlineExecutor()) as opened:
        first = opened.import_items(write(folder / "first.csv"), "First")
        first.loop.fit_soon = lambda: None  # type: ignore[method-assign]
        opened.import_items(write(folder / "second.csv", shifted=True), "Second")
        (folder / "other.csv").write_text("name,words\nx,some words here\ny,other words there\n")
        opened.import_items(folder / "other.csv", "Other")
        for name in ("zero", "one"):
            first.add_class(name, by="test")
        ids = [c.id for c in first.question().active]
        person = first.person("ada")
        free = np.flatnonzero(~first.loop.answers.reserve_mask)
        for item in free.tolist():
            first.record(item=item, judge=person, client_uuid=f"a{item}", answer=ids[item % 2])
        yield opened


def test_a_look_in_a_worker(workspace: Workspace) -> None:
    """Classes three deviations apart in one of three directions: the nearest item is mostly of the same class."""
    project = workspace.project("first")
    look = project.desk.health.features
    assert look.last() is None
    project.wait(look.start())
    found = look.last()
    assert found is not None
    assert found["n"] == N
    assert 1 < found["two_nn"] < 12
    assert 0 < found["separability"] < 1
    labels = found["labels"]
    assert labels["why_not"] == ""
    assert labels["neighbours"][0] > 0.75
    assert labels["neighbours"][3] == labels["n"]
    assert labels["nc1"] > 0
    alone = {name: (accuracy, suspicious) for name, accuracy, _, suspicious in found["shortcuts"]}
    assert alone["camera"][1]
    assert alone["camera"][0][0] == pytest.approx(0.9, abs=0.06)
    assert not alone["site"][1]
    assert not alone["b"][1]
    shift = found["shift"]
    assert shift["own"]
    assert not any(shifted for *_, shifted in shift["columns"])


def test_another_import_that_differs_is_named(workspace: Workspace) -> None:
    project = workspace.project("first")
    look = project.desk.health.features
    project.wait(look.start("second"))
    found = look.last()
    assert found is not None
    assert (found["shift"]["with"], found["shift"]["own"]) == ("Second", False)
    assert [name for name, *_, shifted in found["shift"]["columns"] if shifted] == ["b"]
    assert [each.column for each in look.shift("second") if each.shifted] == ["b"]


def test_what_cannot_be_compared_is_refused(workspace: Workspace) -> None:
    look = workspace.project("first").desk.health.features
    with pytest.raises(InputError, match=r"[Oo]ther"):
        look.start("other")
    with pytest.raises(NotFoundError):
        look.start("nowhere")


def test_without_labels_it_says_what_is_missing(workspace: Workspace) -> None:
    project = workspace.project("second")
    project.wait(project.desk.health.features.start())
    found = project.desk.health.features.last()
    assert found is not None
    assert "0 labels of 0 classes; expected at least 20 labels" in found["labels"]["why_not"]
    assert found["shortcuts"] == []
