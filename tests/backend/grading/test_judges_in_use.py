"""Which judges and verdicts count: reworded, dropped and merged criteria, retired judges."""

from __future__ import annotations

import json
import uuid

import pytest

from conftest import NAMED, SHORT, grade_many
from plumbline_backend.domain.errors import ConflictError


def test_an_assertion_never_reads_the_words_so_its_verdicts_stay(judged):
    short = judged.criteria()[0]
    judge = judged.judges(short.id)[0]
    judged.edit_criterion(short.id, by="ada", text="At most 30 words.")
    assert judged.verdict_table().n_stale(judge.id) == 0
    assert judged.verdicts(judge.id, 0)[0].criterion_version == 1
    assert not judged.verdicts(judge.id, 0)[0].stale


def test_heads_and_outside_verdicts_of_another_meaning_are_stale(judged):
    short, ada = judged.criteria()[0], judged.grader("ada")
    for output in range(30):
        judged.grade(output=output, grader=ada, client_uuid=uuid.uuid4().hex, criterion=short.id,
                     answer="fail" if output % 3 == 0 else "pass")  # fmt: skip
    head = judged.add_judge(short.id, "head", "head", {})
    judged.wait(judged.run_judge(head.id))
    judged.edit_criterion(short.id, by="ada", text="No more than 20 words.", same_meaning=True)
    assert judged.verdict_table().n_stale(head.id) == 0
    judged.edit_criterion(short.id, by="ada", text="It is friendly.")
    assert judged.verdict_table().n_stale(head.id) == 60
    assert judged.verdict_table([head]).as_set().tolist() == [4] * 60  # as if it was never run


@pytest.mark.parametrize("how", ["drop", "merge"])
def test_judges_of_a_criterion_out_of_use_are_out_of_use(judged, tmp_path, how):
    short, named = judged.criteria()
    grade_many(judged, judged.grader("ada"), 30)
    assert len(judged.choose_set(0.9, 0.1).ids) == 2
    if how == "drop":
        judged.book.drop(short.id)
    else:
        judged.book.merge(short.id, named.id)
    assert [judge.name for judge in judged.judges()] == ["Named"]
    assert [judge.name for judge in judged.chosen_judges()] == ["Named"]
    assert not judged.choose_set(0.95, 0.1).feasible  # the long ones are nobody's any more
    document = json.loads(judged.export("json", tmp_path / "all.json").read_text())
    assert [judge["name"] for judge in document["judges"]] == ["Named"]
    text = (judged.export("pytest", tmp_path / "checks") / "test_outputs.py").read_text()
    assert text.count("def check") == 1
    judged.book.restore(short.id)
    assert [judge.name for judge in judged.judges()] == ["Short", "Named"]


def test_a_set_in_use_loses_the_judges_of_a_dropped_criterion(judged, tmp_path):
    short = judged.criteria()[0]
    grade_many(judged, judged.grader("ada"), 30)
    assert len(judged.adopt_set(0.9, 0.1).ids) == 2
    judged.book.drop(short.id)
    assert [judge.name for judge in judged.alignment_report().chosen.adopted.judges] == ["Named"]
    for what in ("json", "pytest", "promptfoo"):
        judged.export(what, tmp_path / what)


def test_a_taken_name_says_where_the_judge_is(judged):
    short, named = judged.criteria()
    judge = judged.judges(short.id)[0]
    with pytest.raises(
        ConflictError, match="'Short' exists already, for criterion 'Short'; edit it, or choose"
    ):
        judged.add_judge(named.id, "assertion", "Short", {"code": NAMED})
    judged.bench.retire(judge.id)
    with pytest.raises(
        ConflictError, match="'Short' is retired, of criterion 'Short'; bring it back, or choose"
    ):
        judged.add_judge(short.id, "assertion", "Short", {"code": SHORT})
    assert [each.id for each in judged.bench.retired(short.id)] == [judge.id]
    judged.bench.retire(judge.id, retired=False)
    assert judged.bench.retired(short.id) == []
    assert judged.verdict_table().counts(judge.id)["not run"] == 0  # its verdicts were kept
    judged.book.drop(short.id)
    with pytest.raises(ConflictError, match="of criterion 'Short', which is dropped"):
        judged.add_judge(named.id, "assertion", "Short", {"code": SHORT})
