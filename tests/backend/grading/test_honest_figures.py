"""Figures say what they rest on: hand choices, chosen thumbs, limits that nothing meets, code drafted from grades."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from conftest import SHORT, grade, grade_many
from plumbline_backend.criteria.regrade import n_passed_over, queue
from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED
from plumbline_backend.domain.grades import Grade
from plumbline_backend.judges.choose import Candidate, best_of, least_ffr
from plumbline_backend.judges.reference import MIN_OWN, reference_grades


def thumb(project, grader, output, criterion, bad, query_id=None):
    project.grade(
        output=output,
        grader=grader,
        client_uuid=uuid.uuid4().hex,
        criterion=criterion.id,
        answer="fail" if bad else "pass",
        query_id=query_id,
    )


@pytest.fixture
def several(judged):
    """Three judges for the criterion "Short", which the oldest meets best."""
    short = judged.criteria()[0]
    for limit in (2, 100):
        code = f"def check(output, context):\n    return len(output.split()) <= {limit}\n"
        judge = judged.add_judge(short.id, "assertion", f"at most {limit}", {"code": code})
        judged.wait(judged.run_judge(judge.id))
    return judged


# Choices by hand


def test_choosing_the_best_by_hand_keeps_the_correction(several):
    short = several.criteria()[0]
    grade_many(several, several.grader("ada"), 30)
    before = several.alignment_report().chosen
    best = several.alignment_report().criteria[0].chosen
    several.select_judge(short.id, best)
    report = several.alignment_report()
    assert report.criteria[0].chosen_by == "person"
    assert (report.chosen.method, report.chosen.corrected) == ("cross-validated", before.corrected)
    assert report.chosen.n_in_sight == 0


def test_another_choice_with_the_grades_in_sight_says_so(several):
    short, ada = several.criteria()[0], several.grader("ada")
    grade_many(several, ada, 20)
    several.select_judge(short.id, several.judges(short.id)[1].id)
    grade_many(several, ada, 4)
    chosen = several.alignment_report().chosen
    assert (chosen.method, chosen.n_in_sight) == ("by hand", 20)


def test_a_choice_before_the_first_grade_is_none_by_the_grades(several):
    short = several.criteria()[0]
    several.select_judge(short.id, several.judges(short.id)[1].id)
    grade_many(several, several.grader("ada"), 20)
    chosen = several.alignment_report().chosen
    assert (chosen.method, chosen.n_in_sight) == ("no choice", 0)


def test_retiring_all_but_one_is_a_choice_too(several):
    short = several.criteria()[0]
    grade_many(several, several.grader("ada"), 20)
    for judge in several.judges(short.id)[1:]:
        several.bench.retire(judge.id)
    report = several.alignment_report()
    assert (report.criteria[0].chosen_by, report.chosen.method) == ("only", "by hand")


# Judges that have not answered


def test_a_judge_that_was_not_run_does_not_make_the_others_look_as_if_they_failed_everything(judged):
    """An output that one judge fails is decided whatever the others say, one that it passes is not: looking at the
    decided ones alone would show 100 % coverage and 100 % false failures."""
    grade_many(judged, judged.grader("ada"), 30)
    before = judged.alignment_report().chosen
    warm = judged.add_criterion("Warm", "Is warm.", by="ada")
    idle = judged.add_judge(warm.id, "assertion", "idle", {"code": SHORT})
    chosen = judged.alignment_report().chosen
    assert (chosen.not_run, chosen.n_undecided) == ((idle.id,), 0)
    assert chosen.apparent == before.apparent
    judged.wait(judged.run_judge(idle.id, outputs=range(0, 60, 2)))
    chosen = judged.alignment_report().chosen
    assert (chosen.not_run, chosen.n_undecided) == ((), 30)
    assert chosen.apparent.ffr.value < 0.2  # of the 30 that all have judged
    assert sum(chosen.apparent.graded) == int((judged.truth(designed=True)[::2] != UNGRADED).sum())


# A limit of false failures


def candidates(*failed):
    return [
        Candidate(j, np.array(row, dtype=bool), np.ones(len(row), dtype=bool)) for j, row in enumerate(failed)
    ]


def test_the_limit_goes_before_the_alignment():
    # Two bad, four good. Judge 0 catches both and spoils two of four; judge 1 catches one and spoils none.
    grades = np.array([BAD, BAD, GOOD, GOOD, GOOD, GOOD], dtype=np.int8)
    two = candidates([1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0])
    # Alignment with half an output on each side: 2 * .833 * .5 / 1.333 = .625, and 2 * .5 * .9 / 1.4 = .643
    assert best_of(two, grades) == 1
    greedy = candidates([1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0])  # 2 * .833 * .7 / 1.533 = .761
    assert best_of(greedy, grades) == 0
    assert best_of(greedy, grades, 0.25) == 0  # one of four is just within
    assert best_of(greedy, grades, 0.2) == 1
    assert best_of(candidates([1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 0, 0]), grades, 0.2) is None
    assert least_ffr(candidates([1, 0, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]), grades) == 1
    assert least_ffr(candidates([0, 0, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0]), grades) == 1  # a tie: the better one
    assert least_ffr(two, np.full(6, GOOD, dtype=np.int8)) is None


def test_the_limit_is_compared_with_the_rate_of_all_outputs_not_of_the_draws():
    # Two of twelve are failed, both graded; of the ten that pass two are graded, each stands for five. Counted, the
    # judge fails one good output of three; it stands for 1 of 1 + 10 good ones.
    failed = [1, 1] + [0] * 10
    grades = np.array([BAD, GOOD, GOOD, GOOD] + [UNGRADED] * 8, dtype=np.int8)
    strata = np.array(failed)
    assert best_of(candidates(failed), grades, 0.1) is None
    assert best_of(candidates(failed), grades, 0.1, strata) == 0  # 1 / 11 = .091
    assert best_of(candidates(failed), grades, 0.09, strata) is None


def test_where_no_judge_meets_the_limit_the_mildest_stands_and_it_is_said(several):
    short = several.criteria()[0]
    for judge in several.judges(short.id):
        several.bench.retire(judge.id)
    harsh, milder = (
        several.add_judge(
            short.id, "assertion", name, {"code": f"def check(o, c):\n    return len(o) % {n} == 0"}
        )
        for name, n in (("harsh", 7), ("milder", 2))
    )
    for judge in (harsh, milder):
        several.wait(several.run_judge(judge.id))
    several.edit_criterion(short.id, by="ada", ffr_limit=0.01)
    grade_many(several, several.grader("ada"), 30)
    report = several.alignment_report()
    assert (report.criteria[0].chosen, report.criteria[0].chosen_by) == (milder.id, "least ffr")
    assert report.criteria[0].over_limit
    assert report.chosen.method == "cross-validated"  # this, too, is a choice by the grades


# Thumbs


def test_a_single_thumb_does_not_replace_the_overall_grades(judged):
    ada, short = judged.grader("ada"), judged.criteria()[0]
    asks = grade_many(judged, ada, 20)
    for n, ask in enumerate(asks[: MIN_OWN - 1], 1):
        thumb(judged, ada, ask.output, short, False, ask.query_id)
        found = reference_grades(judged, short)
        assert (found.against, int((found.truth != UNGRADED).sum())) == ("overall", 20), n
    thumb(judged, ada, asks[MIN_OWN - 1].output, short, True, asks[MIN_OWN - 1].query_id)
    found = reference_grades(judged, short)
    assert (found.against, int((found.truth != UNGRADED).sum())) == ("criterion", 10)
    assert found.n_passed_over == 0  # the first ten draws without a gap


def test_thumbs_on_what_a_person_picked_are_counted_and_said(judged):
    ada, short = judged.grader("ada"), judged.criteria()[0]
    asks = grade_many(judged, ada, 30)
    for ask in asks[::2]:
        thumb(judged, ada, ask.output, short, True, ask.query_id)
    report = judged.alignment_report().criteria[0]
    assert (report.judges[0].against, report.n_passed_over) == (
        "criterion",
        14,
    )  # 15 thumbs, a gap after each but one


@pytest.mark.parametrize(
    ("graded", "stale", "again", "expected"),
    [
        ("", "", "", 0),
        ("cdef", "", "", 0),  # a criterion that came later
        ("abc", "", "", 0),  # the first three
        ("acf", "", "", 3),  # b, d, e
        ("ab", "cdef", "ab", 0),  # half of the re-grades, in order
        ("ad", "bcef", "ad", 2),  # b and c were skipped
        ("abef", "cd", "ab", 0),  # two re-graded, two waiting, two new
    ],
)
def test_gaps_in_the_order_of_the_draws(graded, stale, again, expected):
    assert n_passed_over("abcdef", set(graded), set(stale), set(again)) == expected


def test_regrades_come_in_the_order_of_the_draws(judged):
    ada, short = judged.grader("ada"), judged.criteria()[0]
    asks = grade_many(judged, ada, 16)
    for ask in asks:
        thumb(judged, ada, ask.output, short, ask.output % 3 == 0, ask.query_id)
    by_hand = next(o for o in range(60) if o not in {ask.output for ask in asks})
    thumb(judged, ada, by_hand, short, True)
    judged.edit_criterion(short.id, by="ada", text="At most 30 words.")
    order = [ask.output for ask in asks]
    assert order != sorted(order)
    assert judged.regrade_queue(ada, short.id) == [*order, by_hand]
    for _ in range(12):
        ask = judged.next_regrade(ada, short.id)
        thumb(judged, ada, ask.output, short, False, ask.query_id)
    found = judged.alignment_report().criteria[0]
    assert (found.n_graded, found.n_stale, found.n_passed_over) == (12, 5, 0)


def test_what_was_not_drawn_is_asked_again_in_no_order_of_the_file():
    def stale(output):
        return Grade(
            output, output, 1, 1, "ada", "answered", "pass", True, "", None, None, True, "browse", None
        )

    order = queue([stale(o) for o in range(40)], (), seed=0)
    assert sorted(order) == list(range(40)) != order


# Code drafted from grades


def test_grades_that_the_drafting_model_saw_are_counted(judged):
    short = judged.criteria()[0]
    asks = grade_many(judged, judged.grader("ada"), 20)
    shown = [ask.output for ask in asks[:7]]
    drafted = judged.add_judge(short.id, "assertion", "drafted", {"code": SHORT, "drafted_from": shown})
    judged.wait(judged.run_judge(drafted.id))
    assert drafted.spec["drafted_from"] == sorted(shown)
    reports = {each.judge.name: each for each in judged.alignment_report().criteria[0].judges}
    assert (reports["drafted"].n_drafted, reports["Short"].n_drafted) == (7, 0)


def test_graders_that_disagree_are_said_beside_the_headline(project):
    from plumbline_app.components.alignment_caveats import not_alignable

    ada = project.grader("ada")
    rng = np.random.default_rng(0)
    grade_many(project, ada, 30)
    for _ in range(30):
        grade(project, ada, project.next_regrade(ada), bad=bool(rng.integers(2)))
    (said,) = not_alignable(project.alignment_report())
    assert said.startswith("Overall: graders ")
    assert "agree with themselves" in said
    assert said.endswith("match such grades.")
