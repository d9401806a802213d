"""A grading project end to end: outputs, criteria, draws, grades, judges and what the report says of them."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from conftest import SHORT, grade, grade_many, is_bad, outputs_of
from plumbline_backend.domain.alignment import UNGRADED
from plumbline_backend.domain.errors import ConflictError, InputError, JobFailedError, NotFoundError
from plumbline_backend.domain.grades import Verdict
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace


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


# Criteria and their versions


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


# Several graders


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


# Judges


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


# Edges of the data


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
