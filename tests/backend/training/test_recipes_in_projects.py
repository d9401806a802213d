"""A recipe through the public door: chosen, trained, kept with the version, compared; and refused in words."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.build import with_roles
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace, open_workspace

N = 160
NAMES = ("comet", "moon", "star")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture
def project(workspace: Workspace, tmp_path: Path) -> Project:
    """Two numbers per item, a judge's probabilities for each class, a site, and the right class."""
    draw = np.random.default_rng(0)
    lines = ["key,a,b,site,p_comet,p_moon,p_star,kind"]
    for i in range(N):
        k = i % 3
        a, b = 3 * (k == 0) + draw.normal(), 3 * (k == 1) + draw.normal()
        proba = np.where(np.arange(3) == k, 0.6, 0.2)
        shown = ",".join(f"{p:.2f}" for p in proba)
        lines.append(f"i{i},{a:.4f},{b:.4f},{'north' if i % 2 else 'south'},{shown},{NAMES[k]}")
    file = tmp_path / "sky.csv"
    file.write_text("\n".join(lines) + "\n")
    roles = {"key": "id", "kind": "label", "site": "metadata", **{f"p_{name}": "metadata" for name in NAMES}}
    found = workspace.import_items(file, "sky", with_roles(workspace.inspect(file).columns, roles))
    settle(found)
    return found


def settle(project: Project) -> None:
    while (job := project.fit()) is not None:
        project.wait(job)


def label(project: Project, person: str, items: range, shift: int = 0) -> None:
    ids = {c.name: c.id for c in project.question().active}
    judge = project.person(person)
    for item in items:
        project.record(
            item=item, judge=judge, client_uuid=uuid.uuid4().hex, answer=ids[NAMES[(item + shift) % 3]]
        )
    settle(project)


def options_of(project: Project) -> dict[str, Any]:
    model = project.status().model
    assert model is not None
    found: dict[str, Any] = model.metrics["recipe"]
    return found


def test_a_chosen_recipe_trains_at_once_and_is_kept_with_the_version(project: Project) -> None:
    label(project, "ann", range(60))
    assert options_of(project) == {"options": {}, "facts": {}}
    before = project.status().model
    project.heads.choose("linear_softmax", recipe={"class_prior": 1.0, "doubt": "margins"})
    settle(project)
    after = project.status().model
    assert before is not None
    assert after is not None
    assert after.version > before.version
    assert options_of(project)["options"] == {"class_prior": 1.0, "doubt": "margins"}
    assert options_of(project)["facts"]["n_labels"] == after.n_train
    project.heads.choose("lda", recipe={})
    settle(project)
    assert options_of(project)["options"] == {}
    assert project.heads.recipe.changed() == {}


@pytest.mark.parametrize(
    ("head", "recipe", "fact"),
    [
        ("linear_softmax", {"soft": "columns", "soft_loss": "nkd"}, "n_soft"),
        ("mlp", {"soft": "teacher", "soft_loss": "dual_head"}, "n_soft"),
        ("domain_aligned", {"domain": "site"}, "n_groups"),
    ],
)
def test_columns_teachers_and_groups_reach_the_head(
    project: Project, head: str, recipe: dict[str, Any], fact: str
) -> None:
    label(project, "ann", range(45))
    settings = {"widths": [8], "max_epochs": 5} if head == "mlp" else None
    project.heads.choose(head, settings, recipe)
    settle(project)
    assert options_of(project)["options"] == recipe
    n_train = project.status().n_train
    assert options_of(project)["facts"][fact] == (2 if fact == "n_groups" else n_train)


def test_people_who_differ_teach_their_shares(project: Project) -> None:
    label(project, "ann", range(45))
    with pytest.raises(InputError, match="no item was answered by more than one person"):
        project.heads.choose("linear_softmax", recipe={"soft": "annotators"})
    with pytest.raises(InputError, match=r"0 labels were settled by two or more people; .* needs 10"):
        project.heads.choose("linear_softmax", recipe={"doubt": "trusted"})
    label(project, "bob", range(24))
    label(project, "cem", range(24, 40), shift=1)
    project.heads.choose("linear_softmax", recipe={"soft": "annotators", "doubt": "trusted"})
    settle(project)
    in_reserve = sum(project.loop.answers.in_reserve(item) for item in range(24, 40))
    assert options_of(project)["facts"]["n_soft"] == 16 - in_reserve


def test_answers_put_together_and_pruning_reach_the_training(project: Project) -> None:
    """Ann is always right, Cem never: of the 16 items that both answered, those outside the reserve have shares."""
    label(project, "ann", range(45))
    label(project, "bob", range(24))
    label(project, "cem", range(24, 40), shift=1)
    project.heads.choose("linear_softmax", recipe={"soft": "dawid_skene", "prune": "el2n"})
    settle(project)
    facts = options_of(project)["facts"]
    assert options_of(project)["options"] == {"soft": "dawid_skene", "prune": "el2n"}
    in_reserve = sum(project.loop.answers.in_reserve(item) for item in range(24, 40))
    assert facts["n_soft"] >= 16 - in_reserve
    assert 0.15 * project.status().n_train < facts["n_pruned"] <= 0.25 * project.status().n_train


def test_ways_to_train_are_compared(project: Project) -> None:
    label(project, "ann", range(45))
    label(project, "bob", range(30))
    names = [name for name, _ in project.heads.variants()]
    assert "linear_softmax, class frequencies: as if equally frequent" in names
    assert "linear_softmax, soft labels: a judge's columns" in names
    assert not any("earlier version" in name or "second head" in name for name in names)
    project.wait(project.heads.compare_recipes())
    found = project.heads.comparison()
    assert found is not None
    assert [result.name for result in found.results] == ["linear_softmax, labels as they are", *names]
    assert all(
        result.accuracy.n == project.status().n_train for result in found.results if not result.refused
    )
    project.heads.choose("linear_softmax", recipe={"class_prior": 1.0})
    project.wait(project.heads.compare(["linear_softmax", "lda"]))
    again = project.heads.comparison()
    assert again is not None
    assert [result.refused for result in again.results] == ["", ""]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"domain": "sight"}, "column 'sight' does not exist; did you mean 'site'?"),
        ({"doubts": "margins"}, "training option 'doubts' does not exist; did you mean 'doubt'?"),
        ({"soft": "teacher", "teacher": 99}, "there is no such version"),
    ],
)
def test_what_cannot_be_followed_is_refused_and_changes_nothing(
    project: Project, recipe: dict[str, Any], words: str
) -> None:
    label(project, "ann", range(45))
    head = "domain_aligned" if "domain" in recipe else "linear_softmax"
    with pytest.raises(InputError) as refused:
        project.heads.choose(head, recipe=recipe)
    assert words in str(refused.value)
    assert project.heads.recipe.changed() == {}
    assert project.heads.chosen == "linear_softmax"


def test_without_columns_a_judge_cannot_be_learned_from(workspace: Workspace) -> None:
    wine = workspace.create_demo("wine")
    with pytest.raises(InputError, match="no columns hold a judge's probabilities"):
        wine.heads.choose("linear_softmax", recipe={"soft": "columns"})
    assert wine.heads.cannot("domain_aligned", wine.heads.recipe).endswith(
        "needs a column that must not matter"
    )
