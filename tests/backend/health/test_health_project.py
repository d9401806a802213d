"""The health of a real project: errors found, looked at again, superseded; conflicts, twins, balance."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from sklearn.datasets import load_wine

from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

TRUTH = load_wine().target


@pytest.fixture
def project(tmp_path):
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        made = workspace.create_demo("wine")
        made.loop.fit_soon = lambda: None  # these tests need no model
        yield made


def answer(project, item, number, person="Ada", **more):
    ids = [c.id for c in project.question().active]
    return project.record(
        item=int(item),
        judge=project.person(person),
        client_uuid=uuid.uuid4().hex,
        answer=ids[number],
        **more,
    )


def teach(project, wrong=2):
    """100 answers outside the reserve, the first few of them wrong; returns the wrong ones."""
    free = np.flatnonzero(~project.loop.answers.reserve_mask)
    chosen = np.random.default_rng(0).permutation(free)[:100]
    for place, item in enumerate(chosen):
        answer(project, item, (TRUTH[item] + (place < wrong)) % 3)
    return chosen[:wrong].tolist()


def test_wrong_labels_are_found_with_what_found_them(project):
    wrong = teach(project)
    job = project.wait(project.desk.health.start())
    assert job.kind == "health"
    checked = project.desk.health.last()
    assert checked.n_checked == 100
    found = {issue.item: issue for issue in checked.issues}
    assert set(wrong) <= set(found)
    ids = [c.id for c in project.question().active]
    for item in wrong:
        assert found[item].suggested == ids[TRUTH[item]]
        assert found[item].proba > found[item].self_proba
        assert found[item].by
    assert len(found) < 15


def test_what_is_answered_again_leaves_the_list_and_supersedes(project):
    wrong = teach(project)
    project.wait(project.desk.health.start())
    before = project.current(wrong[0], project.person("Ada"))
    after = answer(project, wrong[0], TRUTH[wrong[0]], stratum="review")
    assert after.supersedes == before.id
    items = {issue.item for issue in project.desk.health.last().issues}
    assert wrong[0] not in items
    assert wrong[1] in items
    answer(project, wrong[1], (TRUTH[wrong[1]] + 1) % 3, stratum="review")  # kept as it is, on purpose
    assert wrong[1] not in {issue.item for issue in project.desk.health.last().issues}


def test_the_reserve_is_never_checked_against_a_model(project):
    teach(project)
    for item in project.stream_order[:10]:
        answer(project, item, (TRUTH[item] + 1) % 3, stratum="stream")
    project.wait(project.desk.health.start())
    checked = project.desk.health.last()
    assert checked.n_checked == 100
    assert {i.item for i in checked.issues}.isdisjoint(project.stream_order.tolist())


@pytest.mark.parametrize("n", [0, 5])
def test_too_few_labels_are_said_so(project, n):
    for item in np.flatnonzero(~project.loop.answers.reserve_mask)[:n]:
        answer(project, item, TRUTH[item])
    project.wait(project.desk.health.start())
    checked = project.desk.health.last()
    assert checked.why_not == f"{n} labels; the check of labels needs at least 20"
    assert checked.issues == []
    assert checked.n_checked == 0
    assert checked.n_compared == 178


def test_one_class_only_is_said_so(project):
    free = np.flatnonzero(~project.loop.answers.reserve_mask)
    for item in free[:25]:
        answer(project, item, 0)
    project.wait(project.desk.health.start())
    assert "needs two classes" in project.desk.health.last().why_not


def test_before_a_check_there_is_none(project):
    assert project.desk.health.last() is None
    assert project.desk.health.running() is None
    assert project.desk.health.conflicts() == []
    assert project.desk.health.changed_minds() == []


def test_people_who_disagree_and_people_who_change_their_minds(project):
    ids = [c.id for c in project.question().active]
    answer(project, 3, 0, "Ada")
    answer(project, 3, 1, "Grace")
    answer(project, 4, 2, "Ada")
    answer(project, 4, 2, "Grace")
    (conflict,) = project.desk.health.conflicts()
    assert conflict == (3, (("Ada", ids[0]), ("Grace", ids[1])))
    answer(project, 4, 0, "Grace")
    answer(project, 5, 0, "Ada")
    slip = answer(project, 5, 1, "Ada")
    project.undo(project.person("Ada"), uuid.uuid4().hex, slip.id)
    (changed,) = project.desk.health.changed_minds()  # what was undone is no change of mind
    assert changed == (4, (("Grace", ids[2]), ("Grace", ids[0])))
    project.merge_class(ids[1], ids[0], by="test")
    assert [c.item for c in project.desk.health.conflicts()] == [4]  # Ada's 0 and Grace's 1 are one class now


def test_balance_has_counts_and_shares_with_interval(project):
    teach(project, wrong=0)
    for item in project.stream_order[:12]:
        answer(project, item, TRUTH[item], stratum="stream")
    rows = project.desk.health.balance()
    assert sum(row.n_labels for row in rows) == 100
    assert {row.share.n for row in rows} == {12}
    assert sum(row.share.value for row in rows) == pytest.approx(1)
    assert all(row.share.low <= row.share.value <= row.share.high for row in rows)


def test_without_random_answers_shares_are_unknown(project):
    assert all(np.isnan(row.share.value) and row.share.n == 0 for row in project.desk.health.balance())


def test_twins_with_different_labels_come_first(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3)) * 5
    rows[10] = rows[1]
    rows[40] = rows[30]
    path = tmp_path / "twins.csv"
    path.write_text("x,y,z\n" + "\n".join(",".join(f"{v:.5f}" for v in row) for row in rows) + "\n")
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as workspace:
        project = workspace.import_items(path, "twins")
        for name in ("yes", "no"):
            project.add_class(name, by="test")
        answer(project, 30, 0)
        answer(project, 40, 1)
        answer(project, 1, 0)
        project.wait(project.desk.health.start())
        checked = project.desk.health.last()
        assert [(t.items, t.differ) for t in checked.twins] == [((30, 40), True), ((1, 10), False)]
        assert checked.n_groups == 2
