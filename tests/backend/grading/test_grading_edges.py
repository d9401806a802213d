"""Several graders, and the edges of the data: one output, huge ones, all good or all bad."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from conftest import SHORT, grade, grade_many
from plumbline_backend.domain.alignment import UNGRADED
from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace


def new():
    return uuid.uuid4().hex


def test_a_fifth_of_a_second_graders_asks_repeat_the_first(project):
    ada, bob = project.grader("ada"), project.grader("bob")
    seen = {ask.output for ask in grade_many(project, ada, 10)}
    asks = grade_many(project, bob, 15)
    repeated = [ask for ask in asks if ask.stratum == "overlap"]
    assert len(repeated) == 3
    assert {ask.output for ask in repeated} <= seen
    assert seen.isdisjoint({ask.output for ask in asks if ask.stratum != "overlap"})
    agreement = project.alignment_report().overall.agreement
    assert (agreement.graders, agreement.between.n) == (("ada", "bob"), 3)
    assert agreement.alignable == "unknown"
    assert "10 are needed" in agreement.reason


def test_graders_who_do_not_agree_are_not_alignable(project):
    ada, bob = project.grader("ada"), project.grader("bob")
    for output in range(30):
        project.grade(output=output, grader=ada, client_uuid=new(), answer="pass" if output % 2 else "fail")
        project.grade(output=output, grader=bob, client_uuid=new(), answer="pass" if output % 3 else "fail")
    agreement = project.alignment_report().overall.agreement
    assert agreement.alignable in ("no", "doubtful")
    assert "agree with each other" in agreement.reason
    assert agreement.between.n == 30
    assert (project.truth() == UNGRADED).sum() == 30 + sum((o % 2 == 0) != (o % 3 == 0) for o in range(30))


def test_a_grader_who_does_not_agree_with_herself(project):
    ada = project.grader("ada")
    rng = np.random.default_rng(0)
    grade_many(project, ada, 30)
    for _ in range(30):
        ask = project.next_regrade(ada)
        grade(project, ada, ask, bad=bool(rng.integers(2)))
    assert project.next_regrade(ada) is None
    agreement = project.alignment_report().overall.agreement
    assert agreement.within.n == 30
    assert agreement.alignable in ("no", "doubtful")
    assert "themselves" in agreement.reason


def test_a_steady_grader_is_alignable(project):
    ada = project.grader("ada")
    grade_many(project, ada, 15)
    for _ in range(15):
        grade(project, ada, project.next_regrade(ada))
    agreement = project.alignment_report().overall.agreement
    assert (agreement.within.value, agreement.alignable) == (1.0, "yes")


@pytest.mark.parametrize("answer", ["pass", "fail"])
def test_all_good_or_all_bad_is_unknown_not_zero(judged, answer):
    for _ in range(12):
        ask = judged.next_output(judged.grader("ada"))
        judged.grade(output=ask.output, grader=judged.grader("ada"), client_uuid=new(), answer=answer,
                     query_id=ask.query_id)  # fmt: skip
    found = judged.alignment_report().chosen.alignment
    unknown, known = (found.coverage, found.ffr) if answer == "pass" else (found.ffr, found.coverage)
    assert unknown.value is None
    assert known.value is not None
    assert found.alignment.value is None


def test_one_output(make_project):
    project = make_project([{"id": "only", "output": "hello", "vars": {"name": "hello"}}])
    judge = project.add_judge(None, "assertion", "short", {"code": SHORT})
    project.wait(project.run_judge(judge.id))
    grade_many(project, project.grader("ada"), 1)
    assert project.alignment_report().n_graded == 1
    assert project.next_output(project.grader("ada")) is None


def test_huge_and_hostile_outputs(make_project):
    odd = "<script>alert(1)</script>\x1b[2J\x07 \u202e =cmd()"
    project = make_project(
        [{"id": "a", "output": "x" * 1_000_000}, {"id": "b", "output": odd}, {"id": "c", "output": ""}]
    )
    assert len(project.output(0).response) == 1_000_000
    assert project.output(1).response == odd
    judge = project.add_judge(
        None, "assertion", "nonempty", {"code": "def check(output, context):\n    return output != ''"}
    )
    project.wait(project.run_judge(judge.id))
    assert project.verdict_table().codes[:, 0].tolist() == [1, 1, 0]


def test_everything_is_there_after_reopening(tmp_path):
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        project = opened.create_grading_demo()
        grade_many(project, project.grader("ada"), 5)
        ask = project.next_output(project.grader("ada"))
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        project = opened.grading(project.slug)
        assert len(project.grades()) == 5
        assert project.next_output(project.grader("ada")) == ask
        assert opened.create_grading_demo().slug == project.slug


def test_each_kind_of_project_opens_by_its_own_door(workspace, project):
    with pytest.raises(NotFoundError, match="holds outputs to grade"):
        workspace.project(project.slug)
    wine = workspace.create_demo("wine")
    with pytest.raises(NotFoundError, match="holds items to label"):
        workspace.grading(wine.slug)
    with pytest.raises(InputError, match="did you mean 'replies'"):
        workspace.start_grading_demo("reply")
    workspace.delete_project(project.slug)
    assert [row.slug for row in workspace.projects()] == [wine.slug]


def test_the_demo_is_as_its_note_says(workspace):
    project = workspace.create_grading_demo()
    assert project.n_outputs == 126
    assert sorted(project.systems) == ["eager", "terse", "warm"]
    assert project.grades() == []
    assert "{{message}}" in project.kept.read()["template"]
    assert all(set(output.variables) == {"customer", "order", "message"} for output in project.outputs())
