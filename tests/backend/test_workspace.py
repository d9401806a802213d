"""The loop end to end through the public door: real files, SQLite and Postgres; what is fitted is fitted in line.

Fits in a worker process of their own are what tests/faults and tests/browser run.
"""

from __future__ import annotations

import csv
import time
import uuid

import numpy as np
import pytest
from sklearn.datasets import load_digits

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.build import with_roles
from plumbline_backend.workspace import open_workspace

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is decided before a database is asked, or costs too many fits to be done twice."""


@pytest.fixture
def workspace(tmp_path, database_url):
    with open_workspace(tmp_path / "ws", database_url=database_url, executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture
def digits(workspace):
    return workspace.create_demo("digits")


def truth():
    return load_digits().target


def answer(project, judge, ask, class_name):
    by_name = {c.name: c.id for c in project.question().active}
    return project.record(
        item=ask.item,
        judge=judge,
        client_uuid=uuid.uuid4().hex,
        answer=by_name[class_name],
        query_id=ask.query_id,
        stratum=ask.stratum,
    )


def label(project, judge, n, holder="tab", settle_every=10):
    """Answer n asks as the truth says; waits for the fits now and then, so that speed does not matter."""
    asked = []
    for number in range(n):
        (ask,) = project.next_items(judge, holder, 1)
        answer(project, judge, ask, str(truth()[ask.item]))
        asked.append(ask)
        if number % settle_every == settle_every - 1:
            settle(project)
    settle(project)
    return asked


def settle(project):
    """Wait until nothing is left to train."""
    while (job := project.fit()) is not None:
        project.wait(job)


def test_labels_grow_into_a_measured_model(digits):
    me = digits.person("me")
    asked = label(digits, me, 100)
    status = digits.status()
    assert status.n_answered == 100
    assert len({ask.item for ask in asked}) == 100
    assert status.n_stream == 10  # one ask in ten
    assert status.n_train == 90
    assert status.model is not None
    assert status.n_behind == 0
    report = digits.report()
    assert report.evaluation.n == 10
    assert report.evaluation.accuracy.n == 10
    unlabelled = np.setdiff1d(np.arange(status.n_items), [ask.item for ask in asked])
    prediction = digits.predict(unlabelled.tolist())
    named = np.array([int(c.name) for c in prediction.classes])
    accuracy = float((named[prediction.proba.argmax(axis=1)] == truth()[unlabelled]).mean())
    assert accuracy > 0.80  # querying.md: margin reaches 95 % of .96 at a median of 95 labels


@on_sqlite
def test_the_stream_is_never_trained_on(digits):
    me = digits.person("me")
    asked = label(digits, me, 60)
    question = digits.question()
    trained, _ = digits.loop.answers.training(question)
    reserve = set(digits.stream_order.tolist())
    assert reserve.isdisjoint(trained.items.tolist())
    streamed = [ask.item for ask in asked if ask.stratum == "stream"]
    assert streamed == digits.stream_order[: len(streamed)].tolist()  # in the random order drawn at import
    assert len(reserve) == round(0.1 * digits.row.n_items)


def test_browsing_to_a_reserve_item_neither_trains_nor_measures(digits):
    me = digits.person("me")
    item = int(digits.stream_order[5])
    digits.record(item=item, judge=me, client_uuid="a", answer="c1")
    trained, _ = digits.loop.answers.training(digits.question())
    assert item not in trained.items
    assert digits.status().n_stream == 0


@on_sqlite
def test_an_ask_cannot_claim_to_be_of_the_stream_when_it_is_not(digits):
    outside = int(np.setdiff1d(np.arange(digits.row.n_items), digits.stream_order)[0])
    with pytest.raises(InputError, match="not in the random stream's reserve"):
        digits.record(item=outside, judge=digits.person("me"), client_uuid="a", answer="c1", stratum="stream")


@on_sqlite
def test_nothing_to_learn_from_is_said_in_words(digits):
    me = digits.person("me")
    assert digits.status().waiting.startswith("Answer a few items")
    outside = np.setdiff1d(np.arange(digits.row.n_items), digits.stream_order)
    for item in outside[:3].tolist():
        digits.record(item=item, judge=me, client_uuid=f"u{item}", answer="c1")
    status = digits.status()
    assert status.model is None
    assert "All 3 answers so far say '0'" in status.waiting
    assert digits.report() is None
    assert digits.predict([0]) is None


def test_skip_unsure_and_flag_are_never_trained_on(digits):
    me = digits.person("me")
    outside = np.setdiff1d(np.arange(digits.row.n_items), digits.stream_order).tolist()
    for item, state in zip(outside, ("skipped", "unsure", "flagged"), strict=False):
        digits.record(item=item, judge=me, client_uuid=state, state=state)
    status = digits.status()
    assert (status.n_answered, status.n_train) == (0, 0)
    assert status.n_by_state == {"answered": 0, "skipped": 1, "unsure": 1, "flagged": 1}


def test_undo_brings_the_earlier_answer_back(digits):
    me = digits.person("me")
    digits.record(item=3, judge=me, client_uuid="one", answer="c1")
    digits.record(item=3, judge=me, client_uuid="two", answer="c2")
    assert digits.current(3, me).answer == "c2"
    assert digits.undo(me, "three").answer == "c2"
    assert digits.current(3, me).answer == "c1"
    assert digits.labelled_state([3])[0].class_id == "c1"
    assert digits.undo(me, "four").answer == "c1"
    assert digits.current(3, me) is None
    assert digits.labelled_state([3])[0].state is None
    assert digits.undo(me, "five") is None
    assert len(digits.history(item=3)) == 4


def test_a_change_of_mind_keeps_how_the_item_came_to_be_asked(digits):
    """What is looked at again comes from browsing, without a query: the draw that chose the item stays known."""
    me = digits.person("me")
    asks = label(digits, me, 30)
    ranked = next(ask for ask in asks if ask.query_id is not None)
    streamed = next(ask for ask in asks if ask.stratum == "stream")
    for ask in (ranked, streamed):
        digits.record(item=ask.item, judge=me, client_uuid=f"again {ask.item}", answer="c2")
        changed = digits.current(ask.item, me)
        assert (changed.answer, changed.stratum, changed.query_id) == ("c2", ask.stratum, ask.query_id)
    fresh = next(i for i in range(digits.row.n_items) if i not in {ask.item for ask in asks})
    digits.record(item=fresh, judge=me, client_uuid="browsed", answer="c1")
    browsed = digits.current(fresh, me)
    assert (browsed.stratum, browsed.query_id) == ("browse", None)


def test_a_retry_is_recorded_once(digits):
    me = digits.person("me")
    first = digits.record(item=3, judge=me, client_uuid="same", answer="c1")
    again = digits.record(item=3, judge=me, client_uuid="same", answer="c1")
    assert first.id == again.id
    assert len(digits.history(item=3)) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"item": -1, "answer": "c1"}, "item: found -1; expected 0 to 1796"),
        ({"item": 1797, "answer": "c1"}, "item: found 1797; expected 0 to 1796"),
        ({"item": 1, "answer": "c99"}, "'c99' is not in the schema; did you mean"),
        ({"item": 1}, "answer: found None with state 'answered'"),
        ({"item": 1, "answer": "c1", "state": "skipped"}, "answer: found 'c1' with state 'skipped'"),
        ({"item": 1, "state": "maybe"}, "state: found 'maybe'; expected one of answered, skipped"),
        ({"item": 1, "answer": "c1", "seconds": float("nan")}, "seconds: found nan"),
        ({"item": 1, "answer": "c1", "note": "x" * 10_001}, "note: found 10001 characters"),
    ],
)
def test_bad_judgements_are_refused_and_nothing_is_written(digits, given, message):
    with pytest.raises(InputError, match=message):
        digits.record(judge=digits.person("me"), client_uuid="u", **given)
    assert digits.history() == []


def test_two_tabs_get_different_items_and_a_refresh_the_same(digits):
    me, you = digits.person("me"), digits.person("you")
    until = time.monotonic() + 60
    while digits.loop.newest_query() is None:  # the first ranking would come in between
        assert time.monotonic() < until
        time.sleep(0.05)
    mine = [ask.item for ask in digits.next_items(me, "tab 1", 10)]
    yours = [ask.item for ask in digits.next_items(you, "tab 2", 10)]
    assert set(mine).isdisjoint(yours)
    assert [ask.item for ask in digits.next_items(me, "tab 1", 10)] == mine
    digits.release("tab 1")
    assert set(mine) == {ask.item for ask in digits.next_items(me, "tab 3", 10)}


def test_the_pool_runs_out_in_words_not_in_errors(workspace, tmp_path):
    file = tmp_path / "tiny.csv"
    file.write_text("id,x,y\na,1,u\nb,2,v\nc,3,u\nd,4,v\n")
    project = workspace.import_items(file, "tiny")
    me = project.person("me")
    classes = [c.id for c in project.question().active]
    seen = []
    while asks := project.next_items(me, "tab", 3):
        for ask in asks:
            project.record(
                item=ask.item,
                judge=me,
                client_uuid=uuid.uuid4().hex,
                answer=classes[ask.item % 2],
                stratum=ask.stratum,
            )
            seen.append(ask.item)
    settle(project)
    assert sorted(seen) == [0, 1, 2, 3]
    assert project.status().n_answered == 4


def test_class_edits_carry_the_judgements_along(digits):
    me = digits.person("me")
    label(digits, me, 40)
    before = digits.status().n_by_class
    eight = next(c.id for c in digits.question().active if c.name == "8")
    three = next(c.id for c in digits.question().active if c.name == "3")
    digits.edit_class(eight, name="eight", by="me")
    digits.merge_class(eight, three, by="me")
    settle(digits)
    after = digits.status()
    assert after.n_by_class[three] == before.get(three, 0) + before.get(eight, 0)
    assert eight not in after.n_by_class
    assert after.model.metrics["classes"].count(eight) == 0
    version = digits.question().version
    assert digits.edit_class(three, name="3", by="me").version == version, "nothing changed, nothing is kept"
    changes = [change.change for change in digits.question_history()]
    assert changes[0] == "merged class 'eight' into '3'"
    assert changes[1] == "class '8': name '8' to 'eight'"
    assert digits.report().evaluation.n == after.n_stream


@on_sqlite
def test_every_strategy_can_be_chosen_and_ranks_anew(digits):
    me = digits.person("me")
    label(digits, me, 30)
    for name in ("entropy", "least_confident", "random", "margin"):
        digits.set_strategy(name)
        settle(digits)
        assert digits.status().model.metrics["strategy"] == name
        assert digits.next_items(me, f"tab {name}", 2)
    with pytest.raises(InputError, match="did you mean 'margin'"):
        digits.set_strategy("marginn")


@on_sqlite
def test_the_learning_curve_judges_every_version_by_the_same_items(digits):
    label(digits, digits.person("me"), 120)
    curve = digits.learning_curve()
    assert curve.n_stream == 12
    assert {point.accuracy.n for point in curve.points} == {12}
    trained_on = [point.n_train for point in curve.points]
    assert trained_on == sorted(trained_on)
    assert curve.reference
    assert curve.reference_note == ""


def test_everything_is_there_after_reopening(tmp_path, database_url):
    with open_workspace(tmp_path / "ws", database_url=database_url, executor=InlineExecutor()) as opened:
        project = opened.create_demo("wine")
        me = project.person("me")
        for ask in project.next_items(me, "tab", 5):
            project.record(
                item=ask.item, judge=me, client_uuid=f"{ask.item}", answer="c1", stratum=ask.stratum
            )
        order = project.stream_order.tolist()
    with open_workspace(tmp_path / "ws", database_url=database_url, executor=InlineExecutor()) as opened:
        project = opened.project("wine")
        assert project.status().n_answered == 5
        assert project.stream_order.tolist() == order


@on_sqlite
def test_a_workspace_opens_in_one_process_at_a_time(workspace):
    with pytest.raises(ConflictError, match="is open in another process"):
        open_workspace(workspace.folder)


@on_sqlite
def test_unknown_names_suggest_the_nearest(workspace):
    workspace.create_demo("wine")
    with pytest.raises(NotFoundError, match="did you mean 'wine'"):
        workspace.project("wien")
    with pytest.raises(InputError, match="did you mean 'digits'"):
        workspace.create_demo("digit")


def test_imported_labels_train_but_do_not_measure(workspace, tmp_path):
    file = tmp_path / "given.csv"
    rng = np.random.default_rng(0)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "u", "v", "class"])
        for i in range(200):
            kind = i % 2
            writer.writerow([f"k{i}", rng.normal() + 4 * kind, rng.normal(), "up" if kind else "down"])
    project = workspace.import_items(file, "given", label_use="training")
    settle(project)
    status = project.status()
    assert status.n_train == 180  # 200 less the reserve of 20
    assert status.n_stream == 0
    assert status.n_answered == 0  # no person has answered anything
    assert status.model is not None


@on_sqlite
def test_a_refused_import_leaves_nothing_and_names_what_is_wrong(workspace, tmp_path):
    file = tmp_path / "twice.csv"
    file.write_text("id,x\na,1\na,2\nb,3\n")
    columns = with_roles(workspace.inspect(file).columns, {"id": "id"})
    with pytest.raises(Exception, match="row 2, column 'id': found 'a'"):
        workspace.import_items(file, "twice", columns)
    assert workspace.projects() == []
    assert list((workspace.folder / "pool").iterdir()) == []
    project = workspace.import_items(file, "twice", columns, on_problem="skip")
    assert project.row.n_items == 2


def test_delete_removes_rows_and_files(workspace):
    project = workspace.create_demo("wine")
    project.record(item=0, judge=project.person("me"), client_uuid="a", answer="c1")
    left = workspace.folder / "trust" / "wine", workspace.folder / "simulations" / "wine.jsonl"
    left[0].mkdir(parents=True)
    left[1].parent.mkdir()
    left[1].touch()
    workspace.delete_project("wine")
    assert workspace.projects() == []
    assert not [path for path in workspace.folder.rglob("wine*") if path.parent.name != "uploads"]
    assert workspace.create_demo("wine").history() == []


@on_sqlite
def test_a_person_needs_a_name(workspace):
    project = workspace.create_demo("wine")
    with pytest.raises(InputError, match="person: found '  '"):
        project.person("  ")
