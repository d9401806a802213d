"""A class added mid-project: while it has far fewer labels than the others, all count as equally frequent."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.build import with_roles
from plumbline_backend.project import Project
from plumbline_backend.training.grown import allowing_for, just_added
from plumbline_backend.training.recipe import AUTOMATIC, Recipe
from plumbline_backend.workspace import open_workspace

N = 300


def test_a_class_counts_as_new_below_a_quarter_of_the_others_median() -> None:
    """Old a, b, c have 40, 20, 8 labels, median 20, a quarter 5: d with 4 is new, e with 5 is not, f has none yet."""
    targets = np.repeat([0, 1, 2, 3, 4], [40, 20, 8, 4, 5])
    classes = ("a", "b", "c", "d", "e", "f")
    assert just_added(targets, classes, {"a", "b", "c"}) == ("d",)
    assert just_added(targets, classes, {"a", "b", "c", "d"}) == ()
    assert just_added(targets, classes, set()) == ()
    assert just_added(targets, classes, {"f"}) == ()


def test_what_was_asked_for_is_not_overruled_and_some_heads_cannot() -> None:
    assert Recipe().class_prior == AUTOMATIC
    assert Recipe().head_settings("linear_softmax") == {}
    assert allowing_for(Recipe(), ["d"], "linear_softmax").head_settings("linear_softmax") == {"adjust": 1.0}
    assert allowing_for(Recipe(), [], "linear_softmax") == Recipe()
    assert allowing_for(Recipe(), ["d"], "lda") == Recipe()
    assert allowing_for(Recipe(class_prior=0.0), ["d"], "linear_softmax") == Recipe(class_prior=0.0)
    assert Recipe(class_prior=0.0).changed() == {"class_prior": 0.0}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Two numbers per item around three centres that overlap: classes 0, 1 and 2 in turn."""
    draw = np.random.default_rng(0)
    lines = ["key,a,b"]
    for i in range(N):
        a, b = draw.normal(size=2) + 1.5 * np.array([(0, 0), (2, 0), (1, 1.6)][i % 3])
        lines.append(f"i{i},{a:.4f},{b:.4f}")
    file = tmp_path / "sky.csv"
    file.write_text("\n".join(lines) + "\n")
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        columns = with_roles(opened.inspect(file).columns, {"key": "id"})
        found = opened.import_items(file, "sky", columns)
        for name in ("comet", "moon"):
            found.add_class(name, by="ann")
        yield found


def label(project: Project, k: int, n: int, skip: int = 0) -> None:
    """n more answers of class k outside the random stream, then a training."""
    judge, class_id = project.person("ann"), project.question().active[k].id
    items = [i for i in range(N) if i % 3 == k and not project.loop.answers.in_reserve(i)]
    for item in items[skip : skip + n]:
        project.record(item=item, judge=judge, client_uuid=uuid.uuid4().hex, answer=class_id)


def trained(project: Project) -> tuple[float, int | None, float]:
    """(adjust of the newest head, classes taken as new, share of the third kind of items that it finds)."""
    while (job := project.fit()) is not None:
        project.wait(job)
    model = project.models()[-1]
    head = load_head(project.folders.models / model.folder)
    logits = head.logits(project.pool.features.gather(np.arange(2, N, 3)))
    found = float((logits.argmax(axis=1) == 2).mean()) if logits.shape[1] == 3 else 0.0
    return head.adjust, model.metrics["recipe"]["facts"].get("n_just_added"), found  # type: ignore[attr-defined]


def test_an_added_class_is_found_until_it_has_labels_of_its_own(project: Project) -> None:
    label(project, 0, 60)
    label(project, 1, 60)
    assert trained(project)[:2] == (0.0, None)
    project.add_class("star", by="ann")
    label(project, 2, 5)
    assert project.heads.just_added() == [project.question().active[2].id]
    adjust, n_new, found = trained(project)
    assert (adjust, n_new) == (1.0, 1)
    project.heads.choose("linear_softmax", recipe={"class_prior": 0.0})
    plain_adjust, plain_new, plainly_found = trained(project)
    assert (plain_adjust, plain_new) == (0.0, None)
    assert found > plainly_found + 0.2
    project.heads.choose("linear_softmax", recipe={})
    label(project, 2, 15, skip=5)
    assert trained(project)[:2] == (0.0, None)
