"""A project whose items carry several classes: its head on the stream, class by class, on the Calibration page."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from plumbline_backend.domain.answer_forms import write_signed
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace, open_workspace

N, N_STREAM = 200, 60
CLASSES = ("red", "blue")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    settings = {"executor": "inline", "stream_share": 0.3}
    with open_workspace(tmp_path_factory.mktemp("several") / "workspace", settings=settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def carried() -> np.ndarray:
    """(N, 2) of bool: red where a is above 0, blue where b is, one in ten by chance."""
    draw = np.random.default_rng(0)
    return (numbers() > 0) ^ (draw.random((N, 2)) < 0.1)


def numbers() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N, 2)).round(4)


@pytest.fixture(scope="module")
def project(workspace: Workspace, carried: np.ndarray) -> Project:
    """60 stream answers, of which 5 leave blue open, and a head of the other items."""
    path = workspace.folder.parent / "items.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [[f"k{i}", *numbers()[i], "xy"[i % 2]] for i in range(N)]
        csv.writer(file).writerows([["key", "a", "b", "site"], *rows])
    columns = [
        replace(c, role="metadata") if c.name == "site" else c for c in workspace.inspect(path).columns
    ]
    made = workspace.import_items(path, "several", columns, kind="multi_label")
    for name in CLASSES:
        made.add_class(name, by="test")
    answer(made, carried)
    return made


def answer(made: Project, carried: np.ndarray) -> None:
    ids, judge = [c.id for c in made.question().active], made.person("teacher")
    stream = made.stream_order[:N_STREAM].tolist()
    others = np.setdiff1d(np.arange(N), made.stream_order).tolist()
    for place, item in enumerate([*stream, *others]):
        said = {class_id: bool(yes) for class_id, yes in zip(ids, carried[item], strict=True)}
        if place < 5:
            del said[ids[1]]
        stratum = "stream" if place < N_STREAM else "random"
        made.record(
            item=item, judge=judge, client_uuid=f"a{item}", answer=write_signed(said), stratum=stratum
        )
    while (job := made.fit()) is not None:
        made.wait(job)


def test_the_head_is_measured_on_completely_answered_stream_items(
    project: Project, carried: np.ndarray
) -> None:
    assert "calibration" in (project.kind.sections or ())
    (head,) = project.desk.trust.judges()
    assert (head.key, head.n) == ("head", N_STREAM - 5)
    found = project.desk.trust.predictions("head")
    assert (found.multi_label, found.classes) == (True, CLASSES)
    items = np.sort(project.stream_order[5:N_STREAM])
    np.testing.assert_array_equal(found.targets, carried[items])
    predicted = project.predict(items)
    assert predicted is not None
    temperature = project.models()[-1].metrics["temperature"]
    np.testing.assert_allclose(predicted.proba, 1 / (1 + np.exp(-found.logits / temperature)), atol=1e-6)


def test_a_run_shows_every_class_and_slice(project: Project) -> None:
    trust = project.desk.trust
    project.wait(trust.start(["head"], "half", ["temperature", "isotonic"]))
    (view,) = trust.measured()
    assert (view["kind"], view["n_fit"], view["n_shown"]) == ("labels", 28, 27)
    assert [len(view["states"]["as given"]["classes"]), view["classes"]] == [2, list(CLASSES)]
    assert sum(view["states"]["as given"]["bins"]["count"]) == 2 * 27
    assert view["states"]["as given"]["sets"] == []
    assert sum(view["parts"]["site"].values()) == 27
    assert trust.slice_summary(view, "as given", "site", "is x").n == view["parts"]["site"]["is x"]


def test_a_class_merged_into_another_counts_by_the_likelier(project: Project) -> None:
    """After the merge there is one class; an item carries it where it carried either, and is said where one was."""
    before = project.desk.trust.predictions("head")
    red, blue = project.question().active
    project.merge_class(blue.id, red.id, by="test")
    after = project.desk.trust.predictions("head")
    assert (after.classes, after.n) == (("red",), N_STREAM)
    both = np.isin(np.sort(project.stream_order[:N_STREAM]), project.stream_order[5:N_STREAM])
    np.testing.assert_allclose(after.logits[both, 0], before.logits.max(axis=1))
    np.testing.assert_array_equal(after.targets[both, 0], before.targets.max(axis=1))
