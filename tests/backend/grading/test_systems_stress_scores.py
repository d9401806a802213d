"""Systems compared, stress tests of judges, and score rows of other tools."""

from __future__ import annotations

import json

import numpy as np
import pytest

from conftest import NAMED, SHORT, grade_many, is_bad, outputs_of
from plumbline_backend.domain.errors import ConflictError, ImportRefusedError, InputError
from plumbline_backend.domain.ranking import borda, consensus, kemeny, preferences


def test_kemeny_finds_the_order_with_the_fewest_disagreements():
    # Three criteria: a > b > c, b > c > a, a > c > b: a over b 2:1, a over c 2:1, b over c 2:1
    scores = np.array([[3.0, 2, 1], [1, 3, 2], [3, 1, 2]])
    assert preferences(scores).tolist() == [[0, 2, 2], [1, 0, 2], [1, 1, 0]]
    assert kemeny(preferences(scores)) == [0, 1, 2]
    assert borda(preferences(scores)) == [0, 1, 2]


def test_one_criterion_with_a_large_gap_does_not_outvote_two():
    # The mean of the scales would put b first: 0.51 and 0.5 against 0.49, 0.48 but 0.0 against 1.0
    scores = np.array([[0.51, 0.49], [0.50, 0.48], [0.0, 1.0]])
    assert consensus(scores) == ([0, 1], "Kemeny")


def test_unknown_scores_vote_for_nobody_and_many_go_to_borda():
    assert preferences(np.array([[np.nan, 1.0]])).sum() == 0
    order, method = consensus(np.arange(10.0)[None, :])
    assert (order, method) == (list(range(9, -1, -1)), "Borda")
    assert consensus(np.empty((0, 0))) == ([], "Kemeny")


def test_systems_side_by_side(judged):
    grade_many(judged, judged.grader("ada"), 30)
    found = judged.compare_systems()
    assert {system.name for system in found.systems} == {"a", "b"}
    assert [system.rank for system in found.systems] == [1, 2]
    for system in found.systems:
        assert system.n_outputs == 30
        assert 1 <= system.rank_low <= system.rank <= system.rank_high <= 2
        for rate in system.rates:
            assert rate.judged.n == 30
            assert rate.judged.low < rate.judged.value < rate.judged.high
            assert 0 < rate.true.n < 30
            assert rate.true.low <= rate.true.value <= rate.true.high


def test_without_names_or_judges_there_is_nothing_to_compare(make_project, project):
    assert project.compare_systems().n_criteria == 0
    unnamed = make_project([{"output": "x"}, {"output": "y"}])
    assert unnamed.compare_systems().systems == ()


def stress_of(project, judge):
    result = project.wait(project.start_stress(judge.id, 15)).result
    return {row["name"]: row for row in result["changes"]}


def test_an_over_stable_and_a_sound_judge(project):
    sleepy = project.add_judge(
        None, "assertion", "sleepy", {"code": "def check(output, context):\n    return True"}
    )
    named = project.add_judge(None, "assertion", "named", {"code": NAMED})
    for judge in (sleepy, named):
        project.wait(project.run_judge(judge.id))
    asleep, awake = stress_of(project, sleepy), stress_of(project, named)
    assert asleep["off-topic text"]["as_expected"]["value"] == 0.0
    assert asleep["off-topic text"]["weakness"] == "over-stable"
    assert len(asleep["off-topic text"]["examples"]) == 3
    assert asleep["added flattery"]["as_expected"]["value"] == 1.0
    assert awake["off-topic text"]["as_expected"] == {
        "value": 1.0,
        "low": pytest.approx(0.796, abs=1e-3),
        "high": 1.0,
    }
    assert awake["off-topic text"]["n"] == 15
    assert project.verdict_table().counts(sleepy.id)["pass"] == 60  # nothing of the tests was stored


def test_an_over_sensitive_judge(project):
    code = "def check(output, context):\n    return len(output) % 2 == 0"
    judge = project.add_judge(None, "assertion", "odd", {"code": code})
    project.wait(project.run_judge(judge.id))
    found = stress_of(project, judge)["added flattery"]
    assert found["weakness"] == "over-sensitive"
    assert found["as_expected"]["value"] in (0.0, 1.0)  # the compliment's length is odd or even
    assert stress_of(project, judge)["empty output"]["as_expected"]["value"] == 0.0


def test_what_cannot_be_stressed_is_said(project):
    head = project.add_judge(None, "head", "head", {})
    with pytest.raises(ConflictError, match="needs features that a changed output does not have"):
        project.start_stress(head.id)
    short = project.add_judge(None, "assertion", "short", {"code": SHORT})
    with pytest.raises(Exception, match="has no verdicts yet; run it first"):
        project.wait(project.start_stress(short.id))


LANGSMITH = [
    {"run_id": "o000", "key": "correctness", "score": 1, "value": None, "comment": "fine"},
    {"run_id": "o001", "key": "correctness", "score": 0.2, "comment": "wrong"},
]
PHOENIX = [
    {"span_id": "o000", "name": "hallucination", "label": "factual", "score": 0, "explanation": "ok",
     "annotator_kind": "LLM"},
    {"span_id": "o001", "name": "hallucination", "label": "hallucinated", "annotator_kind": "LLM"},
    {"span_id": "o002", "name": "eva", "label": "good", "explanation": "as it should be", "annotator_kind": "HUMAN"},
]  # fmt: skip
LANGFUSE = {"data": [
    {"traceId": "o000", "name": "tone", "value": 0.9, "dataType": "NUMERIC", "source": "EVAL", "comment": None},
    {"traceId": "o003", "name": "tone", "stringValue": "maybe", "dataType": "CATEGORICAL", "source": "EVAL"},
    {"traceId": "o003", "name": "eva", "value": 0, "source": "ANNOTATION"},
]}  # fmt: skip


def written(tmp_path, name, content):
    path = tmp_path / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_langsmith_rows(project, tmp_path):
    path = written(tmp_path, "feedback.jsonl", LANGSMITH)
    assert project.import_scores(path)[:2] == (0, 2)
    (judge,) = project.judges()
    assert (judge.name, judge.kind) == ("correctness", "imported")
    assert [(v.output, v.state, v.note) for v in project.verdicts(judge.id)] == [
        (0, "pass", "score 1: fine"),
        (1, "fail", "score 0.2: wrong"),
    ]
    assert project.import_scores(path)[:2] == (0, 0)  # the same file again


def test_phoenix_rows_tell_people_from_models(project, tmp_path):
    assert project.import_scores(written(tmp_path, "annotations.json", PHOENIX))[:2] == (1, 2)
    (judge,) = project.judges()
    assert [v.state for v in project.verdicts(judge.id)] == ["pass", "fail"]
    (found,) = project.grades()
    assert (found.grader, found.output, found.passed, found.note) == ("eva", 2, True, "as it should be")
    assert found.stratum == "browse"  # nobody knows how it was chosen: no estimate rests on it


def test_langfuse_rows_and_a_value_that_says_neither(project, tmp_path):
    assert project.import_scores(written(tmp_path, "scores.json", LANGFUSE))[:2] == (1, 2)
    (judge,) = project.judges()
    assert [(v.output, v.state) for v in project.verdicts(judge.id)] == [(0, "pass"), (3, "error")]


def test_scores_as_csv(project, tmp_path):
    text = "run_id,key,score,comment\no000,correctness,1,fine\n"
    assert project.import_scores(written(tmp_path, "scores.csv", text))[:2] == (0, 1)


def test_scores_of_one_criterion(project, tmp_path):
    polite = project.add_criterion("Polite", "It is polite.", by="eva")
    path = written(tmp_path, "annotations.json", PHOENIX)
    assert project.import_scores(path, criterion=polite.id)[:2] == (1, 2)
    assert project.import_scores(path, criterion=polite.id)[:2] == (0, 0)
    assert {judge.criterion_id for judge in project.judges()} == {polite.id}
    assert len(project.grades(polite.id)) == 1
    assert project.grades() == []
    rated = project.add_criterion("Warmth", "How warm is it?", by="eva", kind="rating")
    with pytest.raises(InputError, match="criterion 'Warmth' is rated; expected one that people call good"):
        project.import_scores(path, criterion=rated.id)


def test_scores_of_unknown_outputs_are_refused_or_listed(project, tmp_path):
    rows = [*LANGSMITH, {"run_id": "nowhere", "key": "correctness", "score": 1}, {"score": 1}]
    path = written(tmp_path, "feedback.jsonl", rows)
    with pytest.raises(
        ImportRefusedError, match="found 'nowhere'; expected the id of an output of this project"
    ):
        project.import_scores(path)
    assert project.judges() == []
    joined = project.import_scores(path, on_problem="skip")
    assert joined.n_verdicts == 2
    assert len(joined.problems) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.json", '"text"', "expected a list of score rows"),
        ("scores.jsonl", [{"run_id": "nowhere", "key": "k", "score": 1}], "no score fits"),
    ],
)
def test_files_without_scores(project, tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        project.import_scores(written(tmp_path, name, content), on_problem="skip")


def test_the_pass_rate_of_ungraded_outputs_by_a_judge_measured_elsewhere(judged, make_project):
    fresh = make_project(outputs_of(90))
    short = judged.judges()[0]
    copy = fresh.add_judge(None, "assertion", short.name, short.spec)
    with pytest.raises(ConflictError, match="has no verdicts here; run it first"):
        fresh.pass_rate_by(copy.id, judged)
    fresh.wait(fresh.run_judge(copy.id))
    assert fresh.pass_rate_by(copy.id, judged).value is None  # nothing is graded there yet
    grade_many(judged, judged.grader("ada"), 40)
    found = fresh.pass_rate_by(copy.id, judged)
    truth = np.mean([not is_bad(i) for i in range(90)])
    assert found.low <= truth <= found.high
    assert found.n == 40
    other = fresh.add_judge(None, "assertion", "other", short.spec)
    with pytest.raises(ConflictError, match="'other' is not in use in project 'made'"):
        fresh.pass_rate_by(other.id, judged)
