"""A grading project end to end: outputs, criteria, draws, grades, judges and what the report says of them."""

from __future__ import annotations

import uuid

import pytest

from conftest import grade, grade_many, outputs_of
from plumbline_backend.domain.alignment import UNGRADED
from plumbline_backend.domain.errors import InputError


def new():
    return uuid.uuid4().hex


def test_outputs_come_back_as_they_were(project):
    first = project.output(0)
    assert (first.key, first.system, first.prompt) == ("o000", "a", "p0")
    assert first.variables == {"name": "name0"}
    assert first.response == outputs_of(1)[0]["output"]
    assert project.systems == ("a", "b")
    with pytest.raises(InputError, match="output: found 60; expected 0 to 59"):
        project.output(60)


def test_grading_starts_with_no_criterion_at_all(project):
    ada = project.grader("ada")
    asks = grade_many(project, ada, 20)
    assert len({ask.output for ask in asks}) == 20
    assert {ask.stratum for ask in asks} == {"random"}
    assert asks[0].probability == pytest.approx(1 / 60)
    assert asks[1].probability == pytest.approx(1 / 59)
    report = project.alignment_report()
    assert (report.n_graded, report.n_good + report.n_bad) == (20, 20)
    assert report.chosen.method == "no judges"
    assert report.chosen.alignment.coverage.value is None


def test_the_same_output_until_it_is_graded_and_again_after_undo(project):
    ada = project.grader("ada")
    ask = project.next_output(ada)
    assert project.next_output(ada) == ask
    criterion = project.add_criterion("Kind", "Is it kind?", by="ada")
    project.grade(output=ask.output, grader=ada, client_uuid=new(), criterion=criterion.id, answer="pass",
                  query_id=ask.query_id)  # fmt: skip
    assert project.next_output(ada) == ask  # a thumb for a criterion does not end the ask
    grade(project, ada, ask)
    other = project.next_output(ada)
    assert other.output != ask.output
    assert project.undo(ada, "undo 1").output == ask.output
    assert project.undo(ada, "undo 1").output == ask.output  # the same undo again
    assert len(project.grades()) == 0
    assert project.undo(ada, "undo 2").criterion_id == criterion.id
    assert project.undo(ada, "undo 3") is None
    reopened = {project.next_output(ada).output, other.output}
    assert ask.output in reopened | {d.item for d in project.design.draws() if d.closed_at is None}


def test_a_retry_is_recorded_once(project):
    ada = project.grader("ada")
    ask = project.next_output(ada)
    for _ in range(2):
        project.grade(output=ask.output, grader=ada, client_uuid="same", answer="pass", query_id=ask.query_id)
    assert len(project.grades()) == 1


def test_draws_are_half_from_what_is_failed_and_uniform_inside(judged):
    ada = judged.grader("ada")
    asks = grade_many(judged, ada, 20)
    strata = [ask.stratum for ask in asks]
    assert abs(strata.count("judged_fail") - strata.count("judged_pass")) <= 1
    failed = judged.verdict_table().as_set() == 0
    assert all(failed[ask.output] == (ask.stratum == "judged_fail") for ask in asks)
    n_failed = int(failed.sum())
    first_fail = next(ask for ask in asks if ask.stratum == "judged_fail")
    assert first_fail.probability == pytest.approx(1 / n_failed)


def test_every_output_is_drawn_once_and_then_none(make_project):
    project = make_project(outputs_of(7))
    ada = project.grader("ada")
    assert sorted(ask.output for ask in grade_many(project, ada, 7)) == list(range(7))
    assert project.next_output(ada) is None


def test_the_report_measures_what_is_known(judged):
    grade_many(judged, judged.grader("ada"), 30)
    report = judged.alignment_report()
    short, named = report.criteria
    assert short.judges[0].against == "overall"  # no grades of its own yet
    assert short.chosen_by == "only"
    both = report.chosen.alignment
    assert both.coverage.value > 0.8  # too long or nameless is just what is bad
    assert both.ffr.value < 0.2
    assert both.coverage.n + both.ffr.n == report.n_graded == 30
    assert report.chosen.method == "no choice"
    assert named.judges[0].selectivity == pytest.approx(48 / 60)
    assert 0 <= report.chosen.more_grades <= 30


def test_a_choice_among_judges_is_cross_validated_and_says_so(judged):
    short = judged.criteria()[0]
    for limit in (8, 15, 40):
        code = f"def check(output, context):\n    return len(output.split()) <= {limit}\n"
        judge = judged.add_judge(short.id, "assertion", f"at most {limit}", {"code": code})
        judged.wait(judged.run_judge(judge.id))
    grade_many(judged, judged.grader("ada"), 30)
    report = judged.alignment_report()
    assert report.criteria[0].chosen_by == "best"
    assert report.chosen.method == "cross-validated"
    assert report.chosen.corrected is not None
    assert report.chosen.corrected.alignment.value <= report.chosen.apparent.alignment.value + 0.02
    swapped = judged.judges(short.id)[-1]
    judged.select_judge(short.id, swapped.id)
    assert judged.alignment_report().criteria[0].chosen == swapped.id
    assert judged.alignment_report().criteria[0].chosen_by == "person"
    with pytest.raises(InputError, match="not in use for criterion"):
        judged.select_judge(judged.criteria()[1].id, swapped.id)


def test_outputs_chosen_by_hand_are_left_out_of_estimates(judged):
    ada = judged.grader("ada")
    for output in range(5):
        judged.grade(output=output, grader=ada, client_uuid=new(), answer="pass")
    report = judged.alignment_report()
    assert (report.n_by_hand, report.n_graded) == (5, 0)
    assert {g.probability for g in judged.grades()} == {None}


def test_a_limit_of_false_failures_per_criterion(judged):
    short = judged.criteria()[0]
    judged.edit_criterion(short.id, by="ada", ffr_limit=0.0)
    harsh = judged.add_judge(
        short.id, "assertion", "harsh", {"code": "def check(output, context):\n    return False"}
    )
    judged.wait(judged.run_judge(harsh.id))
    grade_many(judged, judged.grader("ada"), 24)
    judged.select_judge(short.id, harsh.id)
    assert judged.alignment_report().criteria[0].over_limit


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"output": 60, "answer": "pass"}, "output: found 60; expected 0 to 59"),
        ({"output": -1, "answer": "pass"}, "output: found -1"),
        ({"answer": "good"}, "answer: found 'good'; .*Valid: fail, pass"),
        ({}, "answer: found None with state 'answered'"),
        ({"answer": "pass", "state": "unsure"}, "answer: found 'pass' with state 'unsure'"),
        ({"state": "maybe"}, "state: found 'maybe'"),
        ({"answer": "pass", "note": "x" * 10_001}, "note: found 10001 characters"),
        ({"answer": "pass", "query_id": 99}, "query_id: 99 did not ask for output 0"),
    ],
)
def test_bad_grades_are_refused_and_nothing_is_written(project, given, message):
    with pytest.raises(InputError, match=message):
        project.grade(**{"output": 0, "grader": project.grader("ada"), "client_uuid": new(), **given})
    assert project.grades() == []


def test_skipped_and_unsure_outputs_end_the_ask_and_count_for_nothing(project):
    ada = project.grader("ada")
    for state in ("skipped", "unsure", "flagged"):
        ask = project.next_output(ada)
        project.grade(output=ask.output, grader=ada, client_uuid=new(), state=state, query_id=ask.query_id)
    assert (project.truth() == UNGRADED).all()
    assert [g.passed for g in project.grades()] == [None] * 3
