"""The map of a real project: layouts in files, colours in step with ledger and model, UMAP in a worker."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from sklearn.datasets import load_wine

from plumbline_backend.domain.errors import InputError, JobFailedError, NotFoundError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.map import task
from plumbline_backend.workspace import open_workspace


@pytest.fixture
def project(tmp_path):
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        yield workspace.create_demo("wine")


def answer(project, item, number, **more):
    ids = [c.id for c in project.question().active]
    return project.record(
        item=int(item),
        judge=project.person("me"),
        client_uuid=uuid.uuid4().hex,
        answer=ids[number],
        **more,
    )


def taught(project, n=60):
    truth = load_wine().target
    free = np.flatnonzero(~project.loop.answers.reserve_mask)
    chosen = np.random.default_rng(0).permutation(free)[:n]
    project.loop.fit_soon = lambda: None
    for item in chosen:
        answer(project, item, truth[item])
    del project.loop.fit_soon
    while (job := project.fit()) is not None:
        project.wait(job)
    return chosen


def counts(colours):
    return {entry.words: entry.n for entry in colours.legend}


def test_pca_is_there_at_once_and_is_kept(project):
    points = project.desk.map.points("pca")
    assert points.shape == (178, 2)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    assert project.desk.map.layouts() == ("pca",)
    kept = project.pool.features.folder / "map_pca.npy"
    np.testing.assert_array_equal(np.load(kept), points)
    assert project.pool.features.n == 178  # the map's file is not taken for a shard of features


def test_umap_is_made_in_a_worker_with_progress(project, monkeypatch):
    told = []
    monkeypatch.setattr(
        project.desk.map._jobs,
        "_reporter",
        lambda job: lambda share, words: told.append((share, words)) if job.kind == "map" else None,
    )
    job = project.wait(project.desk.map.start_umap())
    assert job.kind == "map"
    assert job.result == {"n_embedded": 178, "n_items": 178}
    assert project.desk.map.layouts() == ("pca", "umap")
    points = project.desk.map.points("umap")
    assert points.shape == (178, 2)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert any("moving points" in words for _, words in told)
    truth = load_wine().target
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(178)
    assert (truth[gaps.argmin(axis=1)] == truth).mean() > 0.85


def test_items_beyond_the_embedded_lie_amid_their_neighbours(project, monkeypatch):
    monkeypatch.setattr(task, "EMBEDDED", 100)
    job = project.wait(project.desk.map.start_umap())
    assert job.result == {"n_embedded": 100, "n_items": 178}
    points = project.desk.map.points("umap")
    truth = load_wine().target
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(178)
    assert (truth[gaps.argmin(axis=1)] == truth).mean() > 0.8


def test_a_layout_that_is_not_there_is_said_so(project):
    with pytest.raises(NotFoundError, match="was not made yet"):
        project.desk.map.points("umap")
    with pytest.raises(InputError, match="layout: 'tsne' does not exist"):
        project.desk.map.points("tsne")
    with pytest.raises(InputError, match="colour: 'labl' does not exist; did you mean 'label'"):
        project.desk.map.colours("labl")


def test_colours_before_any_answer_are_all_unknown(project):
    for by in ("label", "prediction", "confidence", "source", "error"):
        found = project.desk.map.colours(by)
        assert len(found.index) == 178
        assert (found.index == 0).all()
        assert found.legend[0].n == 178


def test_colours_follow_answers_model_and_pseudo_labels(project):
    chosen = taught(project)
    desk = project.desk.map
    assert counts(desk.colours("label"))["not answered"] == 178 - 60
    predicted = desk.colours("prediction")
    assert predicted.legend[0].n == 0
    assert (predicted.index - 1 == load_wine().target).mean() > 0.85
    assert sum(entry.n for entry in desk.colours("confidence").legend[1:]) == 178
    assert counts(desk.colours("source"))["by hand or in bulk"] == 60
    assert counts(desk.colours("error"))["model agrees"] == 60
    wrong = chosen[0]
    answer(project, wrong, (load_wine().target[wrong] + 1) % 3)
    assert desk.colours("error").index[wrong] == 2
    review = project.desk.review
    group = review.groups(review.model())[0]
    review.accept(
        project.person("me"),
        review.model(),
        group.label_class.id,
        {p.item: p.proba for p in group.proposals},
        [],
    )
    assert counts(desk.colours("source"))["pseudo-label"] == len(group.proposals)


def test_colours_are_kept_until_something_changes(project):
    first = project.desk.map.colours("label")
    assert project.desk.map.colours("label") is first
    answer(project, 3, 0)
    assert project.desk.map.colours("label") is not first


def test_a_lasso_and_a_click_find_items(project):
    desk = project.desk.map
    points = desk.points("pca")
    x, y = (float(v) for v in points[17])
    assert desk.at("pca", x, y, 0.01) == 17
    assert desk.at("pca", 40.0, 40.0, 0.01) is None
    box = [(x - 0.05, y - 0.05), (x + 0.05, y - 0.05), (x + 0.05, y + 0.05), (x - 0.05, y + 0.05)]
    found = desk.select("pca", box)
    assert 17 in found
    assert (np.abs(points[found] - points[17]) <= 0.05 + 1e-6).all()
    with pytest.raises(InputError, match="not a list"):
        desk.select("pca", [["a", "b"]] * 4)


def test_selected_items_are_labelled_in_one_step(project):
    desk = project.desk
    found = desk.map.select("pca", [(-9, -9), (9, -9), (9, 9), (-9, 9)])
    step = desk.batches.label(found, project.person("me"), project.question().active[0].id)
    assert step.n + step.n_reserve == 178
    assert counts(desk.map.colours("label"))["not answered"] == step.n_reserve
    desk.batches.undo(step)
    assert counts(desk.map.colours("label"))["not answered"] == 178


def test_two_items_have_a_pca_map_but_no_umap(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("x,y\n1,2\n3,5\n")
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        project = workspace.import_items(path, "two")
        assert project.desk.map.points("pca").shape == (2, 2)
        with pytest.raises(JobFailedError, match="the pool has 2 items; a UMAP map needs at least 5"):
            project.wait(project.desk.map.start_umap())


def test_a_pool_of_duplicates_has_both_maps(tmp_path):
    path = tmp_path / "same.csv"
    path.write_text("x,y\n" + "1,2\n" * 30 + "1,3\n")
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        project = workspace.import_items(path, "same")
        assert np.isfinite(project.desk.map.points("pca")).all()
        project.wait(project.desk.map.start_umap())
        assert np.isfinite(project.desk.map.points("umap")).all()
