"""Criteria at any moment of grading: versions, stale grades, merged and dropped ones, ratings, limits."""

from __future__ import annotations

import uuid

import pytest

from conftest import grade_many
from plumbline_backend.domain.errors import ConflictError, InputError


def new():
    return uuid.uuid4().hex


def test_editing_a_criterion_makes_older_grades_stale(judged):
    ada, short = judged.grader("ada"), judged.criteria()[0]
    asks = grade_many(judged, ada, 10)
    for ask in asks:
        judged.grade(output=ask.output, grader=ada, client_uuid=new(), criterion=short.id,
                     answer="fail" if ask.output % 3 == 0 else "pass", query_id=ask.query_id)  # fmt: skip
    assert judged.alignment_report().criteria[0].judges[0].against == "criterion"
    edited = judged.edit_criterion(short.id, by="ada", text="At most 30 words.")
    assert (edited.version, edited.valid_from) == (2, 2)
    assert all(g.stale and g.criterion_version == 1 for g in judged.grades(short.id))
    report = judged.alignment_report().criteria[0]
    assert (report.n_graded, report.n_stale) == (0, 10)
    assert report.judges[0].by_version[0][0] == 1
    assert report.judges[0].by_version[0][1].graded != (0, 0, 0, 0)
    assert sorted(judged.regrade_queue(ada, short.id)) == sorted(ask.output for ask in asks)
    ask = judged.next_regrade(ada, short.id)
    assert (ask.stratum, ask.probability) == ("regrade", None)
    judged.grade(output=ask.output, grader=ada, client_uuid=new(), criterion=short.id, answer="pass",
                 query_id=ask.query_id)  # fmt: skip
    assert len(judged.regrade_queue(ada, short.id)) == 9
    assert [c.change for c in judged.book.history(short.id)] == ["changed the text", "created"]
    assert judged.book.at_version(short.id, 1).text == "At most 20 words."


def test_putting_the_same_thing_better_keeps_the_grades(judged):
    ada, short = judged.grader("ada"), judged.criteria()[0]
    judged.grade(output=1, grader=ada, client_uuid=new(), criterion=short.id, answer="pass")
    judged.edit_criterion(short.id, by="ada", text="No more than 20 words.", same_meaning=True)
    assert not judged.grades(short.id)[0].stale
    assert judged.edit_criterion(short.id, by="ada", name="Brief").version == 2  # a name is not wording


def test_merge_drop_and_restore(judged):
    short, named = judged.criteria()
    judged.book.merge(short.id, named.id)
    assert [c.name for c in judged.criteria()] == ["Named"]
    assert judged.criterion(short.id).merged_into == named.id
    with pytest.raises(ConflictError, match="is merged; restore it first"):
        judged.edit_criterion(short.id, by="ada", text="x")
    with pytest.raises(InputError, match="'Short' is merged; expected an active one"):
        judged.grade(
            output=0, grader=judged.grader("ada"), client_uuid=new(), criterion=short.id, answer="pass"
        )
    judged.book.restore(short.id)
    judged.book.drop(named.id)
    assert [c.name for c in judged.criteria()] == ["Short"]
    judged.add_criterion("Named", "Another one.", by="ada")
    with pytest.raises(ConflictError, match="'Named' is taken"):
        judged.book.restore(named.id)
    for refused in (judged.book.drop, lambda c: judged.book.merge(c, short.id)):
        with pytest.raises(ConflictError, match="overall"):
            refused(judged.overall().id)
    with pytest.raises(ConflictError, match="into itself"):
        judged.book.merge(short.id, short.id)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": " "}, "criterion name: found ' '"),
        ({"name": "x" * 121}, "expected 1 to 120 printable characters"),
        ({"kind": "stars"}, "kind: found 'stars'; .*Valid: pass_fail, rating"),
        ({"pass_from": 1}, "pass_from: found 1; expected a rating from 2 to 5"),
        ({"ffr_limit": 1.5}, "ffr_limit: found 1.5; expected a rate from 0 to 1"),
        ({"text": " "}, "text is empty"),
    ],
)
def test_bad_criteria_are_refused(project, given, message):
    options = {"name": "Kind", "text": "Is it kind?", **given}
    with pytest.raises(InputError, match=message):
        project.add_criterion(options.pop("name"), options.pop("text"), by="ada", **options)
    assert project.criteria() == []


def test_rating_criteria_pass_from_a_rating_on(project):
    ada = project.grader("ada")
    tone = project.add_criterion("Tone", "How friendly?", by="ada", kind="rating", pass_from=3)
    answers = {0: "5", 1: "3", 2: "2"}
    for output, answer in answers.items():
        project.grade(output=output, grader=ada, client_uuid=new(), criterion=tone.id, answer=answer)
    assert [g.passed for g in project.grades(tone.id)] == [True, True, False]
    project.edit_criterion(tone.id, by="ada", pass_from=4)
    assert [g.passed for g in project.grades(tone.id)] == [True, False, False]
    with pytest.raises(InputError, match="answer: found 'pass'"):
        project.grade(output=3, grader=ada, client_uuid=new(), criterion=tone.id, answer="pass")
