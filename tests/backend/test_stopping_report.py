"""The signs for stopping on a real project, from no model to several."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_wine

from plumbline_backend.domain.errors import InputError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.stopping_report import compared_models, set_target, stopping_report, target_of
from plumbline_backend.workspace import open_workspace


@pytest.fixture
def wine(tmp_path: Path) -> Iterator[Project]:
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        yield opened.create_demo("wine")


def label(project: Project, n: int) -> None:
    classes, truth = project.question().active, load_wine().target
    for _ in range(n):
        (ask,) = project.next_items(project.person("me"), uuid.uuid4().hex, 1)
        project.record(
            item=ask.item,
            judge=project.person("me"),
            client_uuid=uuid.uuid4().hex,
            answer=classes[truth[ask.item]].id,
            query_id=ask.query_id,
            stratum=ask.stratum,
        )
    while (job := project.fit()) is not None:
        project.wait(job)


def test_signs_come_as_models_do(wine: Project) -> None:
    assert stopping_report(wine, wine.learning_curve(with_reference=False)) is None
    label(wine, 12)
    first = stopping_report(wine, wine.learning_curve(with_reference=False))
    assert first is not None
    assert first.target == 0.95
    assert first.stable is None
    assert first.uncertainty.n == 178
    assert 0 <= first.uncertainty.value <= 1
    for _ in range(4):
        label(wine, 12)
    found = stopping_report(wine, wine.learning_curve(with_reference=False))
    assert found is not None
    assert len(found.kappas) == 3
    assert found.stable is not None
    assert all(
        later - earlier >= 10 for earlier, later in zip(found.compared, found.compared[1:], strict=False)
    )
    assert found.change is not None
    assert found.change.n == 178
    assert found.separability_chance is not None
    assert found.separability_chance < found.separability.value


def test_the_target_is_kept_and_checked(wine: Project) -> None:
    set_target(wine, 0.9)
    assert target_of(wine) == 0.9
    with pytest.raises(InputError, match="target accuracy is 2"):
        set_target(wine, 2)
    assert target_of(wine) == 0.9


def test_models_a_few_labels_apart_are_not_compared() -> None:
    models = [SimpleNamespace(n_train=n) for n in (5, 20, 28, 31, 38, 40, 41)]
    assert [model.n_train for model in compared_models(models)] == [5, 20, 31, 41]  # type: ignore[arg-type]
    assert compared_models([]) == []
    assert np.diff([model.n_train for model in compared_models(models[:2])]).tolist() == [15]  # type: ignore[arg-type]
