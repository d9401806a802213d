"""The ledger: recording, revising, undoing, reading. On SQLite and on Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError


def test_a_recorded_judgement_comes_back_whole(desk: Any) -> None:
    made = desk.record(3, "dog", proba=(0.25, 0.75), note="naïve 🐕 <b>", seconds=1.5, stratum="stream")
    assert desk.store.ledger.current(desk.question.id) == [made]
    assert (made.answer, made.proba, made.note, made.seconds) == ("dog", (0.25, 0.75), "naïve 🐕 <b>", 1.5)
    assert (made.stratum, made.supersedes, made.revokes) == ("stream", None, None)


def test_times_are_utc_from_the_database_clock(desk: Any) -> None:
    made = desk.record(1)
    assert made.created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - made.created_at) < timedelta(minutes=1)


def test_a_revision_supersedes_and_undo_brings_the_earlier_answer_back(desk: Any) -> None:
    first = desk.record(5, "cat")
    second = desk.record(5, "dog")
    assert second.supersedes == first.id
    assert desk.answers() == {(5, desk.judge.id): "dog"}
    assert desk.undo() == second
    assert desk.answers() == {(5, desk.judge.id): "cat"}
    assert desk.undo() == first
    assert desk.answers() == {}
    assert desk.undo() is None


def test_after_an_undo_the_next_judgement_supersedes_the_live_one(desk: Any) -> None:
    first = desk.record(5, "cat")
    desk.record(5, "dog")
    desk.undo()
    assert desk.record(5, "dog").supersedes == first.id


def test_undo_takes_the_newest_of_that_judge_only(desk: Any) -> None:
    other = desk.store.judges.ensure(desk.project.id, "person", "Grace")
    mine = desk.record(1)
    desk.record(2, judge_id=other.id)
    assert desk.undo() == mine
    assert desk.answers() == {(2, other.id): "cat"}


def test_a_named_judgement_can_be_undone_out_of_order(desk: Any) -> None:
    first, second = desk.record(5, "cat"), desk.record(5, "dog")
    assert desk.undo(first.id) == first
    assert desk.answers() == {(5, desk.judge.id): "dog"}
    assert desk.undo(second.id) == second
    assert desk.answers() == {}


def test_what_cannot_be_undone_says_why(desk: Any) -> None:
    other = desk.store.judges.ensure(desk.project.id, "person", "Grace")
    made = desk.record(5)
    with pytest.raises(NotFoundError, match=f"has no judgement {made.id}"):
        desk.undo(made.id, judge=other)
    desk.undo(made.id)
    with pytest.raises(ConflictError, match="was undone already"):
        desk.undo(made.id)
    revocation = desk.store.ledger.history(desk.question.id, limit=1)[0]
    assert revocation.revokes == made.id
    with pytest.raises(ConflictError, match="an undo cannot be undone"):
        desk.undo(revocation.id)


def test_a_retry_with_the_same_uuid_is_recorded_once(desk: Any) -> None:
    new = desk.new(5, "cat")
    made = desk.store.ledger.record(new)
    desk.record(5, "dog")
    assert desk.store.ledger.record(new) == made
    assert desk.answers() == {(5, desk.judge.id): "dog"}
    assert len(desk.store.ledger.history(desk.question.id)) == 2


def test_a_retried_undo_undoes_once(desk: Any) -> None:
    desk.record(1)
    second = desk.record(2)
    for _ in range(3):
        assert desk.store.ledger.undo(desk.question.id, desk.judge.id, "undo-1") == second
    assert desk.answers() == {(1, desk.judge.id): "cat"}


def test_a_uuid_cannot_serve_for_something_else(desk: Any) -> None:
    desk.record(1, client_uuid="u")
    for attempt in (desk.new(2, client_uuid="u"), desk.new(1, "dog", client_uuid="u")):
        with pytest.raises(ConflictError, match="client_uuid 'u' was used before for item 1"):
            desk.store.ledger.record(attempt)
    with pytest.raises(ConflictError, match="was used before; expected a new one for every undo"):
        desk.store.ledger.undo(desk.question.id, desk.judge.id, "u")


def test_history_is_newest_first_with_everything_in_it(desk: Any) -> None:
    first, second = desk.record(5, "cat"), desk.record(5, "dog")
    desk.undo()
    other = desk.record(6)
    history = desk.store.ledger.history(desk.question.id, item=5)
    assert [entry.id for entry in history][1:] == [second.id, first.id]
    assert history[0].revokes == second.id
    assert history[0].answer is None
    assert desk.store.ledger.history(desk.question.id, judge_id=desk.judge.id, limit=1) == [other]


def test_current_can_be_restricted(desk: Any) -> None:
    head = desk.store.judges.ensure(desk.project.id, "head", "linear")
    desk.record(1)
    desk.record(2, "dog")
    desk.record(2, "cat", judge_id=head.id)
    assert desk.answers(items=[2, 999]) == {(2, desk.judge.id): "dog", (2, head.id): "cat"}
    assert desk.answers(items=range(3_000), judge_id=head.id) == {(2, head.id): "cat"}
    assert desk.answers(judge_kinds=("head",)) == {(2, head.id): "cat"}
    assert desk.answers(items=[]) == {}


def test_arrays_and_counts_agree_with_the_current_view(desk: Any) -> None:
    head = desk.store.judges.ensure(desk.project.id, "head", "linear")
    desk.record(9, "cat", stratum="stream")
    desk.record(3, None, state="unsure")
    for item, answer in ((7, "dog"), (7, "cat"), (1, "dog")):
        desk.record(item, answer)
    desk.record(8, "dog", judge_id=head.id)
    desk.undo()
    arrays = desk.store.ledger.current_arrays(desk.question.id)
    assert arrays.item.tolist() == [9, 3, 7]
    assert arrays.answer.tolist() == ["cat", None, "cat"]
    assert arrays.state.tolist() == ["answered", "unsure", "answered"]
    assert arrays.stratum.tolist() == ["stream", "browse", "browse"]
    assert arrays.judge_id.tolist() == [desk.judge.id] * 3
    assert arrays.id.dtype == arrays.item.dtype == arrays.judge_id.dtype == np.int64
    assert (np.diff(arrays.id) > 0).all()
    counts = desk.store.ledger.counts(desk.question.id)
    assert counts == ({"answered": 2, "unsure": 1}, {"cat": 2})
    assert desk.store.ledger.counts(desk.question.id, ("head",)) == ({"answered": 1}, {"dog": 1})


def test_an_empty_ledger(desk: Any) -> None:
    arrays = desk.store.ledger.current_arrays(desk.question.id)
    assert [len(column) for column in arrays] == [0] * 6
    assert desk.store.ledger.counts(desk.question.id) == ({}, {})
    assert desk.store.ledger.newest_id(desk.question.id) == 0
    assert list(desk.store.ledger.iter_rows(desk.question.id)) == []
    assert desk.undo() is None


def test_rows_are_streamed_with_their_judge_and_standing(desk: Any) -> None:
    first, second = desk.record(5, "cat"), desk.record(5, "dog")
    taken_back = desk.record(6)
    desk.undo()
    streamed = list(desk.store.ledger.iter_rows(desk.question.id, include_superseded=True, chunk=2))
    assert [(row.judgement.id, row.standing) for row in streamed[:3]] == [
        (first.id, "superseded"), (second.id, "current"), (taken_back.id, "revoked"),
    ]  # fmt: skip
    assert streamed[3].standing == "revocation"
    assert {(row.judge_name, row.judge_kind, row.judge_version) for row in streamed} == {("Ada", "person", 1)}
    assert [row.judgement for row in desk.store.ledger.iter_rows(desk.question.id)] == [second]


def test_a_stream_shows_one_moment_while_others_write(desk: Any) -> None:
    made = [desk.record(item) for item in range(6)]
    rows = desk.store.ledger.iter_rows(desk.question.id, chunk=2)
    seen = [next(rows).judgement]
    desk.undo()
    desk.record(0, "dog")
    assert seen + [row.judgement for row in rows] == made


def test_a_batch_is_recorded_once_and_supersedes_in_order(desk: Any) -> None:
    before = desk.record(1, "dog")
    batch = [desk.new(item, "cat", client_uuid=f"import:{item}") for item in range(5)]
    revised = desk.new(1, "dog", client_uuid="import:again", proba=(0.5, 0.5), note="x", seconds=2.0)
    assert desk.store.ledger.record_many([*batch, batch[0], revised], "labels.csv") == 6
    assert desk.store.ledger.record_many([*batch, revised], "labels.csv") == 0
    history = desk.store.ledger.history(desk.question.id, item=1)
    assert [entry.supersedes for entry in history] == [history[1].id, before.id, None]
    assert (history[0].proba, history[0].note, history[0].seconds) == ((0.5, 0.5), "x", 2.0)
    assert desk.answers(items=[0, 1]) == {(0, desk.judge.id): "cat", (1, desk.judge.id): "dog"}


def test_a_batch_with_a_mistake_changes_nothing(desk: Any) -> None:
    bad = [desk.new(0), desk.new(1, note="\0"), desk.new(-2)]
    with pytest.raises(InputError, match=r"judgement 2: note has a NUL .*; judgement 3: item is -2"):
        desk.store.ledger.record_many(bad, "labels.csv")
    with pytest.raises(InputError, match="item 5000 does not exist"):
        desk.store.ledger.record_many([desk.new(0), desk.new(5_000)], "labels.csv")
    assert desk.answers() == {}


BAD = [
    ({"note": "a\0b"}, "note has a NUL character at position 1"),
    ({"note": "a\ud800"}, r"note has a lone surrogate \(U\+D800\) at position 1"),
    ({"answer": "\udfff"}, r"answer has a lone surrogate \(U\+DFFF\)"),
    ({"answer": "\0"}, "answer has a NUL"),
    ({"client_uuid": "\0"}, "client_uuid has a NUL"),
    ({"client_uuid": " "}, "client_uuid is empty"),
    ({"client_uuid": "x" * 101}, "client_uuid has 101 characters; expected at most 100"),
    ({"note": "x" * 100_001}, "note has 100,001 characters"),
    ({"answer": "cow"}, "answer 'cow' is not a class id of question .*Valid: cat, dog"),
    ({"answer": "Cat"}, "did you mean 'cat'"),
    ({"answer": None, "state": "answered"}, "answer is None in state 'answered'"),
    ({"state": "skipped"}, "answer is 'cat' in state 'skipped'"),
    ({"state": "maybe"}, "state is 'maybe'; expected one of answered"),
    ({"stratum": "luck"}, "stratum is 'luck'; expected one of stream"),
    ({"item": 1_000}, "item 1000 does not exist; the project has 1000 items"),
    ({"item": -1}, "item is -1; expected an integer from 0"),
    ({"item": 2**63}, "item is 9223372036854775808; expected an integer"),
    ({"item": "1"}, "item is \"'1'\"|item is '1'; expected an integer"),
    ({"seconds": float("nan")}, "seconds is nan"),
    ({"seconds": -1.0}, "seconds is -1.0"),
    ({"proba": (float("nan"), 1.0)}, "proba has a value outside 0 to 1"),
    ({"query_id": 12345}, "query_id names a query that does not exist"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_bad_judgements_are_refused_by_name(desk: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        desk.store.ledger.record(desk.new(1, **changes))
    assert desk.answers() == {}


def test_who_and_what_must_exist(desk: Any, make_desk: Any) -> None:
    elsewhere = make_desk(desk.store, "others")
    cases = [
        ({"judge_id": 999}, NotFoundError, "judge 999 does not exist"),
        ({"question_id": 999}, NotFoundError, "question 999 does not exist"),
        ({"question_version": 9}, NotFoundError, "has no version 9"),
        ({"judge_id": elsewhere.judge.id}, InputError, "belong to different projects"),
    ]
    for changes, error, message in cases:
        with pytest.raises(error, match=message):
            desk.store.ledger.record(desk.new(1, **changes))


def test_text_is_kept_exactly(desk: Any) -> None:
    for item, note in enumerate(
        ("NA", " 007 ", "a\r\nb\tc", "\u202eright to left", "\U0010ffff", "=1+1", "%s %% ::x")
    ):
        assert desk.record(item, note=note).note == note
        assert desk.store.ledger.current(desk.question.id, [item])[0].note == note
