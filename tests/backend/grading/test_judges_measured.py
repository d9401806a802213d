"""The judges of a project: versions, verdicts counted aloud, every kind measured, and the smallest set."""

from __future__ import annotations

import uuid

import pytest

from conftest import SHORT, grade_many, is_bad
from plumbline_backend.domain.errors import ConflictError, InputError, JobFailedError, NotFoundError
from plumbline_backend.domain.grades import Verdict


def new():
    return uuid.uuid4().hex


def test_an_edited_judge_is_a_new_version_with_empty_verdicts(judged):
    old = judged.judges()[0]
    same = judged.edit_judge(old.id, {"code": SHORT})
    assert same.id == old.id
    changed = judged.edit_judge(old.id, {"code": SHORT.replace("20", "25")})
    assert (changed.version, changed.name) == (2, old.name)
    assert [j.id for j in judged.judges()] == [judged.judges()[0].id, changed.id]
    assert judged.verdict_table([changed]).counts(changed.id)["not run"] == 60
    assert judged.verdict_table([old]).counts(old.id)["not run"] == 0
    assert len(judged.judges(every_version=True)) == 3
    judged.bench.retire(changed.id)
    assert changed.id not in [j.id for j in judged.judges()]


def test_errors_and_abstentions_are_counted_aloud(project):
    criterion = project.add_criterion("Odd", "Odd.", by="ada")
    code = (
        "def check(output, context):\n    n = int(context['vars']['name'][4:])\n"
        "    if n % 4 == 0:\n        raise ValueError('bad')\n    return None if n % 4 == 1 else n % 4 == 2\n"
    )
    judge = project.add_judge(criterion.id, "assertion", "odd", {"code": code})
    project.wait(project.run_judge(judge.id))
    assert project.verdict_table().counts(judge.id) == {
        "fail": 15, "pass": 15, "error": 15, "abstain": 15, "not run": 0,
    }  # fmt: skip
    report = project.alignment_report().criteria[0].judges[0]
    assert (report.n_errors, report.n_abstained, report.selectivity) == (15, 15, 0.5)
    assert project.verdicts(judge.id, output=0)[0].note == "ValueError: bad (line 4)"
    assert (
        project.alignment_report().chosen.n_undecided == 15
    )  # abstaining fails nothing; errors leave it open


def test_a_run_only_judges_what_has_no_verdict_yet(judged):
    judge = judged.judges()[0]
    assert judged.wait(judged.run_judge(judge.id)).result["n_judged"] == 0
    assert judged.wait(judged.run_judge(judge.id, again=True)).result["n_judged"] == 60
    fresh = judged.edit_judge(judge.id, {"code": SHORT + "\n"})
    assert judged.wait(judged.run_judge(fresh.id, outputs=[1, 2, 2])).result["n_judged"] == 2


def test_a_criterion_without_a_judge_is_shown_as_such(project):
    project.add_criterion("Kind", "Is it kind?", by="ada")
    grade_many(project, project.grader("ada"), 5)
    report = project.alignment_report().criteria[0]
    assert (report.judges, report.chosen, report.chosen_by) == ((), None, "none")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "code: found NoneType; expected text"),
        ({"code": "def check(output, context) return"}, "code, line 1: .*expected Python that compiles"),
        ({"code": "x = 1"}, "found no function check"),
        ({"code": "def check(output): return True"}, "check takes 1 arguments; expected two"),
        ({"code": SHORT, "row_s": 0}, "row_s: found 0; expected seconds from 0.01 to 60"),
        ({"code": SHORT, "colour": 1}, "found colour; expected code and row_s only"),
    ],
)
def test_bad_assertions_are_refused(project, spec, message):
    with pytest.raises(InputError, match=message):
        project.add_judge(None, "assertion", "bad", spec)
    assert project.judges() == []


def test_bad_judges_are_refused(judged):
    with pytest.raises(InputError, match="judge kind: found 'oracle'"):
        judged.add_judge(None, "oracle", "x", {})
    with pytest.raises(InputError, match="judge name: found ' '"):
        judged.add_judge(None, "assertion", " ", {"code": SHORT})
    with pytest.raises(InputError, match="judge cost: found -1"):
        judged.add_judge(None, "assertion", "x", {"code": SHORT}, cost=-1)
    with pytest.raises(ConflictError, match="'Short' exists already"):
        judged.add_judge(None, "assertion", "Short", {"code": SHORT})
    with pytest.raises(NotFoundError, match="judge 999 does not exist"):
        judged.run_judge(999)


def test_imported_judges_are_measured_but_not_run(project):
    judge = project.add_judge(None, "imported", "outside", {})
    project.bench.save(judge, [Verdict(o, "fail" if is_bad(o) else "pass") for o in range(60)], "b")
    grade_many(project, project.grader("ada"), 20)
    assert project.alignment_report().overall.judges[0].alignment.alignment.value > 0.85
    with pytest.raises(JobFailedError, match="was imported and cannot be run here"):
        project.wait(project.run_judge(judge.id, again=True))


def test_grades_and_verdicts_of_a_file_by_criterion_with_score_and_explanation(make_project):
    mapping = {
        "response": "a",
        "grades": [{"column": "stars", "grader": "eva", "criterion": "Tone", "pass_from": 4, "note": "n"}],
        "verdicts": [
            {"column": "ok", "judge": "gpt", "criterion": "Tone", "score": "s", "explanation": "why"},
            {"column": "all_ok", "judge": "rules"},
        ],
    }
    rows = [
        {"a": f"text {i}", "stars": 3 + i % 2, "n": "n", "ok": i % 2, "s": 0.25, "why": "calm", "all_ok": "?"}
        for i in range(6)
    ]
    project = make_project(rows, mapping=mapping)
    (tone,) = project.criteria()
    report = project.alignment_report()
    assert (tone.name, report.criteria[0].n_graded) == ("Tone", 6)
    (judged,) = report.criteria[0].judges
    assert (judged.judge.name, judged.alignment.graded) == ("gpt", (3, 0, 0, 3))
    assert project.verdicts(judged.judge.id, 1)[0].note == "score 0.25: calm"
    (rules,) = report.overall.judges
    assert (rules.n_errors, rules.alignment.coverage.value) == (6, None)  # neither pass nor fail


def test_trained_heads_learn_from_grades_and_are_measured_without_them(project):
    ada = project.grader("ada")
    head = project.add_judge(None, "head", "head", {})
    grade_many(project, ada, 2)
    with pytest.raises(JobFailedError, match="at least 3 good and 3 bad"):
        project.wait(project.run_judge(head.id))
    grade_many(project, ada, 38)
    project.wait(project.run_judge(head.id))
    verdicts = project.verdicts(head.id)
    assert len(verdicts) == 60
    assert all(0 <= v.p_pass <= 1 for v in verdicts)
    alignment = project.alignment_report().overall.judges[0].alignment
    assert alignment.alignment.n == 40
    with pytest.raises(InputError, match="did you mean 'linear_softmax'"):
        project.add_judge(None, "head", "other", {"head": "linear_softmacs"})


def test_the_smallest_set_by_integer_programming(judged):
    grade_many(judged, judged.grader("ada"), 40)
    choice = judged.choose_set(0.9, 0.05)
    assert choice.feasible
    assert len(choice.ids) == 2
    assert (choice.coverage, choice.ffr) == (1.0, 0.0)
    impossible = judged.edit_judge(judged.judges()[0].id, {"code": SHORT.replace("20", "1000")})
    judged.wait(judged.run_judge(impossible.id))
    refused = judged.choose_set(0.95, 0.05)
    assert not refused.feasible
    assert refused.reason.startswith("coverage: all judges together fail")
    with pytest.raises(ConflictError, match="there is no such set: coverage: all judges together fail"):
        judged.adopt_set(0.95, 0.05)


def test_a_smallest_set_in_use_is_measured_drawn_by_and_exported(judged, tmp_path):
    criterion = judged.criteria()[0]
    extra = judged.add_judge(
        criterion.id, "assertion", "never", {"code": "def check(o, c):\n    return True"}
    )
    judged.wait(judged.run_judge(extra.id))
    grade_many(judged, judged.grader("ada"), 40)
    found = judged.adopt_set(0.3, 0.05)
    (one,) = judged.chosen_judges()
    assert (one.id,) == found.ids
    report = judged.alignment_report()
    assert report.chosen.judges == found.ids
    assert report.chosen.method == "cross-validated"  # the set is found again without some of the grades
    assert (report.chosen.adopted.min_coverage, report.chosen.adopted.max_ffr) == (0.3, 0.05)
    exported = judged.export("pytest", tmp_path / "checks") / "test_outputs.py"
    assert exported.read_text().count("def check") == 1
    edited = judged.edit_judge(one.id, {"code": SHORT.replace("20", "19")})
    assert [judge.id for judge in judged.chosen_judges()] == [edited.id]  # its newest version
    judged.bench.retire(edited.id)
    assert len(judged.chosen_judges()) == 2  # nothing is left of the set: one for each criterion again
    judged.bench.retire(edited.id, retired=False)
    judged.select_judge(criterion.id, None)
    assert judged.alignment_report().chosen.adopted is None
    with pytest.raises(ConflictError, match="need no judge at all"):
        judged.adopt_set(0.0, 0.05)
