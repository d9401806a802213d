"""Question kinds from import to export: labels by column, and a classifier that equals the project's own without it."""

from __future__ import annotations

import csv
import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skops.io

from plumbline_backend.domain.errors import InputError
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace, open_workspace

N = 90
NUMBERS = ("a", "b", "c")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    settings = {"executor": "inline", "stream_share": 0.3, "calibrate_from": 10}
    with open_workspace(tmp_path / "workspace", settings=settings) as opened:
        yield opened


def imported(
    workspace: Workspace, kind: str, labels: list[str], **options: str
) -> tuple[Project, Path, np.ndarray]:
    """A project of N items with three numbers and a label column, its file, and the numbers."""
    x = np.random.default_rng(0).normal(size=(N, 3)).round(4)
    path = workspace.folder.parent / "items.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [[f"k{i}", *x[i], labels[i]] for i in range(N)]
        csv.writer(file).writerows([["key", *NUMBERS, "labels"], *rows])
    columns = [replace(c, role="label") if c.name == "labels" else c for c in workspace.inspect(path).columns]
    return workspace.import_items(path, kind, columns, kind=kind, **options), path, x


def answer(project: Project, labels: list[str], n: int) -> None:
    """Answer as the label column says, as the project asks; then train."""
    judge, question = project.person("me"), project.question()
    while n:
        for ask in project.next_items(judge, "tab", min(10, n)):
            said = project.loop.kind.imported(labels[ask.item], question)
            project.record(
                item=ask.item, judge=judge, client_uuid=uuid.uuid4().hex, answer=said, stratum=ask.stratum
            )
            n -= 1
    while (job := project.fit()) is not None:
        project.wait(job)


def exported(project: Project, source: Path, python: Path, folder: Path) -> list[dict[str, str]]:
    """The rows that the exported predict.py writes in an environment without Plumbline."""
    project.export_classifier(folder)
    command = [python, folder / "predict.py", source, "-o", folder / "out.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    with (folder / "out.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def noisy_choice() -> list[str]:
    """Three classes, of which two in five are drawn at random: a head fitted to few of them is too sure of itself."""
    rng = np.random.default_rng(3)
    x = np.random.default_rng(0).normal(size=(N, 3)).round(4)
    told = np.where(x[:, 0] > 0.4, 2, (x[:, 1] > 0).astype(int))
    drawn = np.where(rng.random(N) < 0.4, rng.integers(0, 3, N), told)
    return [("calm", "late, or =1+1", "naïve")[k] for k in drawn]


def test_a_choice_is_exported_with_its_temperature(
    workspace: Workspace, tmp_path: Path, bare_python: Path
) -> None:
    labels = noisy_choice()
    project, source, x = imported(workspace, "choice", labels)
    answer(project, labels, N)
    wanted, report = project.predict(list(range(N))), project.report()
    assert wanted is not None
    assert report is not None
    assert abs(np.log(report.temperature)) > 0.1, "far enough from 1 that leaving it out would be seen"
    rows = exported(project, source, bare_python, tmp_path / "out")
    found = np.array([[float(row[f"p:{c.id}"]) for c in wanted.classes] for row in rows])
    np.testing.assert_allclose(found, wanted.proba, rtol=0, atol=1e-5)
    assert [row["class"] for row in rows] == [wanted.classes[k].name for k in wanted.proba.argmax(axis=1)]
    estimator = skops.io.load(tmp_path / "out" / "estimator.skops", trusted=[])
    np.testing.assert_allclose(estimator.predict_proba(x), wanted.proba, rtol=0, atol=1e-5)


def several_labels() -> list[str]:
    x = np.random.default_rng(0).normal(size=(N, 3)).round(4)
    return [
        "; ".join(n for n, yes in zip(("red", "green", "blue"), row > 0.2, strict=True) if yes) for row in x
    ]


def test_several_classes_from_import_to_export(
    workspace: Workspace, tmp_path: Path, bare_python: Path
) -> None:
    labels = several_labels()
    project, source, x = imported(workspace, "multi_label", labels)
    assert [c.name for c in project.question().active] == ["blue", "green", "red"]
    answer(project, labels, 60)
    model = project.status().model
    assert model is not None
    report = project.kind_report(model.id)
    assert report is not None
    assert report.n == project.status().n_stream
    assert {f.name for f in report.figures} >= {"Micro F1", "Macro F1", "Mean AP"}
    assert all(f.value.low <= f.value.value <= f.value.high for f in report.figures)
    assert report.figures[0].value.value > 0.6
    wanted = project.predict(list(range(N)))
    assert wanted is not None

    rows = exported(project, source, bare_python, tmp_path / "out")
    ids = [c.id for c in wanted.classes]
    found = np.array([[float(row[f"p:{class_id}"]) for class_id in ids] for row in rows])
    np.testing.assert_allclose(found, wanted.proba, atol=1e-5)
    names = {c.id: c.name for c in wanted.classes}
    for row, proba in zip(rows, wanted.proba, strict=True):
        assert row["class_id"].split() == [c for c, p in zip(ids, proba, strict=True) if p >= 0.5]
        assert row["class"] == "; ".join(names[c] for c in row["class_id"].split())
    estimator = skops.io.load(tmp_path / "out" / "estimator.skops", trusted=[])
    np.testing.assert_allclose(estimator.predict_proba(x), wanted.proba, atol=1e-5)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["link"] == "sigmoid"
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert "An item may have several of them or none" in card
    assert "| Micro F1 |" in card


def test_the_label_export_has_a_column_for_each_class(workspace: Workspace, tmp_path: Path) -> None:
    project, *_ = imported(workspace, "multi_label", several_labels())
    judge = project.person("me")
    ids = {c.name: c.id for c in project.question().active}
    said = f"+{ids['red']} -{ids['blue']}"
    project.record(item=3, judge=judge, client_uuid="one", answer=said)
    project.record(item=4, judge=judge, client_uuid="two", state="skipped")
    for format_name in ("csv", "jsonl", "parquet"):
        project.export_labels(tmp_path / f"labels.{format_name}", format_name)
    with (tmp_path / "labels.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert [first[f"class: {name}"] for name in ("red", "blue", "green")] == ["yes", "no", ""]
    assert first["class_name"] == "red"
    assert second["class: red"] == ""
    record = json.loads((tmp_path / "labels.jsonl").read_text().splitlines()[0])
    assert (record["class_id"], record["class: green"], record["class: blue"]) == (
        said_in_order(ids),
        None,
        "no",
    )


def said_in_order(ids: dict[str, str]) -> str:
    """Yes to red and no to blue, in the order of the classes, which is by name."""
    return f"-{ids['blue']} +{ids['red']}"


def test_an_imported_label_column_is_complete_and_trains(workspace: Workspace) -> None:
    project, *_ = imported(workspace, "multi_label", several_labels(), label_use="training")
    while (job := project.fit()) is not None:
        project.wait(job)
    status = project.status()
    assert status.model is not None
    assert status.model.metrics["head_facts"]["n_said"] == 3 * status.n_train
    assert status.n_by_class == {}  # people have said nothing; the import is no person


def test_it_waits_for_a_yes_and_a_no_and_says_so(workspace: Workspace) -> None:
    project, *_ = imported(workspace, "multi_label", several_labels())
    judge = project.person("me")
    assert "as soon as a class has a yes and a no" in project.status().waiting
    outside = [i for i in range(N) if i not in set(project.stream_order.tolist())]
    project.record(item=outside[0], judge=judge, client_uuid="one", answer="+c1")
    assert "no class has both a yes and a no yet" in project.status().waiting
    project.record(item=outside[1], judge=judge, client_uuid="two", answer="-c1 +c2")
    assert project.status().waiting == ""


def test_a_merge_after_training_reads_old_answers_anew(workspace: Workspace) -> None:
    labels = several_labels()
    project, *_ = imported(workspace, "multi_label", labels)
    answer(project, labels, 40)
    project.merge_class("c1", "c2", by="test")
    while (job := project.fit()) is not None:
        project.wait(job)
    prediction = project.predict([0, 1])
    assert prediction is not None
    assert prediction.proba.shape == (2, 2)
    assert project.status().n_by_class.keys() <= {"c2", "c3"}


def test_a_rating_from_import_to_export(workspace: Workspace, tmp_path: Path, bare_python: Path) -> None:
    x = np.random.default_rng(0).normal(size=(N, 3)).round(4)
    labels = [str(2 * (1 + int(level))) for level in np.searchsorted([-1.0, 0.0, 1.0], x[:, 0])]
    labels = ["10" if label == "8" else label for label in labels]  # 2, 4, 6, 10: by value, not by spelling
    project, source, x = imported(workspace, "rating", labels)
    assert [c.name for c in project.question().active] == ["2", "4", "6", "10"]
    answer(project, labels, 60)
    model = project.status().model
    assert model is not None
    assert model.metrics["head"] == "ordinal"
    report = project.kind_report(model.id)
    assert report is not None
    figures = {figure.name: figure.value for figure in report.figures}
    assert figures["Mean distance"].value < 0.5
    assert figures["Quadratic kappa"].value > 0.5
    assert figures["Mean distance"].n == project.status().n_stream
    wanted = project.predict(list(range(N)))
    assert wanted is not None
    rows = exported(project, source, bare_python, tmp_path / "out")
    found = np.array([[float(row[f"p:{c.id}"]) for c in wanted.classes] for row in rows])
    np.testing.assert_allclose(found, wanted.proba, atol=1e-5)
    estimator = skops.io.load(tmp_path / "out" / "estimator.skops", trusted=[])
    np.testing.assert_allclose(estimator.predict_proba(x), wanted.proba, atol=1e-5)
    assert "| Quadratic kappa |" in (tmp_path / "out" / "model_card.md").read_text()
    project.export_labels(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        levels = {row["class_name"]: row["level"] for row in csv.DictReader(file)}
    assert levels == {"2": "1", "4": "2", "6": "3", "10": "4"}


def test_a_rating_offers_heads_of_order_and_a_choice_does_not(workspace: Workspace) -> None:
    rating, *_ = imported(workspace, "rating", ["1", "2"] * (N // 2))
    choice, *_ = imported(workspace, "choice", ["1", "2"] * (N // 2))
    assert rating.heads.chosen == "ordinal"
    assert "ordinal" in [option.name for option in rating.heads.options()]
    assert "ordinal" not in [option.name for option in choice.heads.options()]
    rating.heads.choose("linear_softmax")
    assert rating.heads.chosen == "linear_softmax"


@pytest.mark.parametrize(
    ("kind", "head", "words"),
    [
        ("choice", "ordinal", "head 'ordinal' does not answer questions of the kind 'One class'"),
        ("choice", "multi_label", "head 'multi_label' does not answer questions of the kind 'One class'"),
        ("multi_label", "linear_softmax", "does not answer questions of the kind 'Several classes'"),
        ("hierarchical", "linear_softmax", "did you mean|Valid: tree"),
    ],
)
def test_a_head_for_another_kind_of_question_is_refused(
    workspace: Workspace, kind: str, head: str, words: str
) -> None:
    project, *_ = imported(workspace, kind, ["1", "2"] * (N // 2))
    before = project.heads.chosen
    with pytest.raises(InputError, match=words):
        project.heads.choose(head)
    assert project.heads.chosen == before


@pytest.mark.parametrize("kind", ["multi_label", "hierarchical"])
def test_options_of_a_training_that_a_kind_cannot_follow_are_refused(workspace: Workspace, kind: str) -> None:
    """They would never be found in the trained model, so that it would be trained again and again."""
    project, *_ = imported(workspace, kind, ["1", "2"] * (N // 2))
    with pytest.raises(InputError, match="training options doubt are for questions with one class per item"):
        project.heads.choose(project.heads.chosen, recipe={"doubt": "margins"})
    assert project.heads.recipe.changed() == {}


def tree_labels() -> list[str]:
    x = np.random.default_rng(0).normal(size=(N, 3)).round(4)
    fine = ["animal/dog", "animal/cat", "plant/tree", "plant/moss"]
    return [fine[2 * int(row[0] > 0) + int(row[1] > 0)] for row in x]


def test_a_tree_from_coarse_answers_to_export(
    workspace: Workspace, tmp_path: Path, bare_python: Path
) -> None:
    labels = tree_labels()
    project, source, x = imported(workspace, "hierarchical", labels)
    assert [c.name for c in project.question().active] == ["animal", "cat", "dog", "plant", "moss", "tree"]
    answer(project, [label.split("/")[0] for label in labels], 30)  # coarse first
    first = project.status().model
    assert first is not None
    assert first.metrics["accuracy"][0] > 0.6
    answer(project, labels, 50)  # then fine
    model = project.status().model
    assert model is not None
    report = project.kind_report(model.id)
    assert report is not None
    figures = {figure.name: figure.value for figure in report.figures}
    assert figures["Accuracy"].n == project.status().n_stream
    assert figures["On finest answers"].n < figures["Accuracy"].n
    assert figures["At depth 1"].n == figures["Accuracy"].n > figures["At depth 2"].n

    wanted = project.predict(list(range(N)))
    assert wanted is not None
    place = {c.name: i for i, c in enumerate(wanted.classes)}
    for parent, children in (("animal", ("dog", "cat")), ("plant", ("tree", "moss"))):
        summed = sum(wanted.proba[:, place[child]] for child in children)
        np.testing.assert_allclose(wanted.proba[:, place[parent]], summed, atol=1e-12)
    rows = exported(project, source, bare_python, tmp_path / "out")
    found = np.array([[float(row[f"p:{c.id}"]) for c in wanted.classes] for row in rows])
    np.testing.assert_allclose(found, wanted.proba, atol=1e-5)
    leaves = [place[name] for name in ("dog", "cat", "tree", "moss")]
    for row, proba in zip(rows, wanted.proba, strict=True):
        assert row["class"] == wanted.classes[leaves[int(proba[leaves].argmax())]].name
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [each["name"] for each in manifest["classes_above"]] == ["animal", "plant"]
    estimator = skops.io.load(tmp_path / "out" / "estimator.skops", trusted=[])
    ids = [each["id"] for each in manifest["classes"]]
    by_id = {c.id: i for i, c in enumerate(wanted.classes)}
    order = [by_id[class_id] for class_id in estimator.classes_]
    assert sorted(ids) == sorted(estimator.classes_)
    np.testing.assert_allclose(estimator.predict_proba(x), wanted.proba[:, order], atol=1e-5)
    assert "stands for" in (tmp_path / "out" / "model_card.md").read_text()


def test_splitting_a_class_keeps_old_answers_as_coarse_ones(workspace: Workspace, tmp_path: Path) -> None:
    labels = [label.split("/")[0] for label in tree_labels()]
    project, *_ = imported(workspace, "hierarchical", labels)
    answer(project, labels, 40)
    animal = next(c.id for c in project.question().active if c.name == "animal")
    before = project.status().n_by_class[animal]
    for name in ("dog", "cat"):
        project.add_class(name, by="test")
        added = project.question().active[-1].id
        project.edit_class(added, by="test", parent=animal)
    while (job := project.fit()) is not None:
        project.wait(job)
    assert project.status().n_by_class[animal] == before
    model = project.status().model
    assert model is not None
    assert len(model.metrics["classes"]) == 3  # dog, cat, plant: the branch gave way to its leaves
    project.record(item=0, judge=project.person("you"), client_uuid="fine", answer=added)
    assert project.status().n_by_class[animal] >= before
    project.export_labels(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class_path"] for row in rows} == {"animal", "plant", "animal / cat"}
    assert {row["depth"] for row in rows} == {"1", "2"}
