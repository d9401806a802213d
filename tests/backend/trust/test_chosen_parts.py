"""Calibrators fitted on another set than the shown one, and figures of a chosen part of the shown items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain.calibration_slices import MAX_VALUES, slice_parts
from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.trust.predictions import from_logits, from_proba, in_order_of
from plumbline_backend.workspace import Workspace, open_workspace

CLASSES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("parts") / "workspace"
    with open_workspace(folder, executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture(scope="module")
def project(workspace: Workspace) -> Project:
    return workspace.create_demo("wine")


def bring(project: Project, folder: Path, name: str, seed: int, n: int, **more: Any) -> str:
    """A file of logits that are twice too sure, of n items; the key of its judge."""
    draw = np.random.default_rng(seed)
    true = draw.normal(scale=2, size=(n, 3))
    labels = (softmax(true, axis=1).cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)
    arrays = {"logits": 2 * true, "labels": labels, "classes": np.array(CLASSES), **more}
    np.savez(folder / f"{name}.npz", **arrays)
    return project.desk.trust.add_outside(folder / f"{name}.npz", f"{name}.npz").key


def test_classes_are_put_in_the_other_sets_order_by_name() -> None:
    """Columns (a, b, c) to (c, a, b): class a, once 0, is 1; class c, once 2, is 0."""
    given = from_proba("one", np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]), np.array([0, 2]), ("a", "b", "c"))
    other = from_proba("two", np.array([[0.2, 0.3, 0.5]]), np.array([0]), ("c", "a", "b"))
    found = in_order_of(given, other)
    assert found.classes == ("c", "a", "b")
    np.testing.assert_array_equal(found.proba, [[0.1, 0.7, 0.2], [0.4, 0.3, 0.3]])
    assert found.targets.tolist() == [1, 0]
    assert in_order_of(given, given) is given
    fewer = from_proba("three", np.array([[0.5, 0.5]]), np.array([0]), ("a", "b"))
    with pytest.raises(
        InputError, match=r"three cannot be fitted on: found one of 2 classes \(a, b\); expected"
    ):
        in_order_of(fewer, given)
    labels = from_logits("four", np.array([[1.0, -1, 0]]), np.array([[1, 0, 1]]), ("a", "b", "c"))
    with pytest.raises(InputError, match="found several of 3 classes"):
        in_order_of(labels, given)


def test_calibrators_are_fitted_on_one_set_and_shown_on_all_of_another(
    project: Project, tmp_path: Path
) -> None:
    trust = project.desk.trust
    fit, shown = bring(project, tmp_path, "fit", 1, 400), bring(project, tmp_path, "shown", 2, 300)
    project.wait(trust.start([shown], f"set={fit}", ["temperature"]))
    (view,) = trust.measured()
    assert (view["n_fit"], view["n_shown"], view["split"]) == (400, 300, "the set fit")
    own = trust.predictions(fit)
    expected = Temperature().fit(own.logits, own.targets).temperature_
    assert view["calibrators"]["temperature"]["parameters"]["temperature"] == pytest.approx(expected)


def test_a_set_that_is_shown_or_states_other_classes_is_refused(project: Project, tmp_path: Path) -> None:
    trust = project.desk.trust
    key = bring(project, tmp_path, "same", 3, 60)
    other = bring(project, tmp_path, "other", 4, 60, classes=np.array(["x", "y", "z"]))
    few = bring(project, tmp_path, "few", 5, 10)
    with pytest.raises(InputError, match="fitted on: found same, whose items same is shown on too"):
        trust.start([key], f"set={key}")
    with pytest.raises(InputError, match=r"other cannot be fitted on: found one of 3 classes \(x, y, z\)"):
        trust.start([key], f"set={other}")
    with pytest.raises(InputError, match="few: n = 10 items"):
        trust.start([key], f"set={few}")
    with pytest.raises(NotFoundError, match="judge 'nobody' gives no probabilities"):
        trust.start([key], "set=nobody")


def test_a_chosen_part_has_every_figure_of_its_own_items(project: Project, tmp_path: Path) -> None:
    """Site a holds the first 30 of 120 shown items, 24 of them right; site b all others."""
    trust = project.desk.trust
    right = np.r_[np.ones(24, bool), np.zeros(6, bool), np.ones(90, bool)]
    said = np.tile([2.0, 0.0, 0.0], (120, 1))
    site, words = np.where(np.arange(120) < 30, "a", "b"), np.array([f"text {i}" for i in range(120)])
    key = bring(
        project, tmp_path, "sites", 6, 120, logits=said, labels=np.where(right, 0, 1), site=site, words=words
    )
    fit = bring(project, tmp_path, "fit again", 7, 60)
    project.wait(trust.start([key], f"set={fit}", ["temperature"]))
    (view,) = trust.measured()
    assert view["parts"]["site"] == {"is a": 30, "is b": 90}
    assert len(view["parts"]["words"]) == 120
    found = trust.slice_summary(view, "as given", "site", "is a")
    accuracy, ece = found.figures["accuracy"], found.figures["ece"]
    assert (found.n, accuracy.value, accuracy.n) == (30, 0.8, 30)
    assert accuracy.low < 0.8 < accuracy.high
    assert ece.value == pytest.approx(abs(0.8 - softmax([2.0, 0, 0])[0]))
    assert found.reliability.count.sum() == 30
    one = trust.slice_summary(view, "as given", "words", "is text 3")
    assert one.notes[0].startswith("n = 1 is too small")
    with pytest.raises(InputError, match="column: found 'sight'; did you mean 'site'"):
        trust.slice_summary(view, "as given", "sight", "is a")
    with pytest.raises(InputError, match="value of site: found 'is c'"):
        trust.slice_summary(view, "as given", "site", "is c")
    project.wait(trust.start([fit], "half", ["temperature"]))
    with pytest.raises(NotFoundError, match="measured anew since"):
        trust.slice_summary(view, "as given", "site", "is a")


def test_parts_of_a_column_of_many_values() -> None:
    """Numbers make quarters; of text the most frequent values, none unless asked for."""
    numbers = slice_parts(np.arange(100).astype(str))
    assert [int(inside.sum()) for _, inside in numbers] == [25, 25, 25, 25]
    text = np.array([f"t{i}" for i in range(MAX_VALUES + 1)] + ["t7"])
    assert slice_parts(text) == []
    ((words, inside),) = slice_parts(text, most_values=1)
    assert (words, inside.sum()) == ("is t7", 2)


def test_several_classes_an_item_are_measured_whole_and_in_part(project: Project, tmp_path: Path) -> None:
    """Where the lamp is off, labels of one class are drawn at random: the worst slice says so."""
    draw = np.random.default_rng(8)
    true = draw.normal(scale=2, size=(800, 3))
    lamp = np.where(draw.random(800) < 0.5, "on", "off")
    labels = (draw.random((800, 3)) < expit(true)).astype(int)
    labels[lamp == "off", 0] = draw.integers(2, size=(lamp == "off").sum())
    key = bring(project, tmp_path, "lamps", 9, 800, logits=true, labels=labels, lamp=lamp)
    trust = project.desk.trust
    project.wait(trust.start([key], "half", ["temperature"]))
    (view,) = trust.measured()
    assert view["kind"] == "labels"
    worst = view["states"]["as given"]["slices"][0]
    assert (worst["name"], worst["found"]) == ("lamp is off", True)
    assert worst["gap"][2] < 0
    shown = trust.predictions(key).rows(np.arange(400, 800))
    off = shown.rows(shown.slices["lamp"] == "off")
    found = trust.slice_summary(view, "as given", "lamp", "is off")
    assert found.n == off.n == worst["accuracy"][3]
    right = ((off.proba >= 0.5) == (off.targets > 0)).mean()
    assert found.figures["accuracy"].value == pytest.approx(right)
    assert worst["accuracy"][0] == pytest.approx(right)
