"""Proposals by class, accepting and refusing in one step, labels that come back, classes made of unclear items."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.batches import Step
from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.intervals import wilson


def first_group(clouds):
    review = clouds.project.desk.review
    model = review.model()
    return review, model, review.groups(model)[0]


def test_proposals_come_by_class_the_surest_first(ready):
    review = ready.project.desk.review
    groups = review.groups(review.model())
    assert [g.label_class.id for g in groups] == ready.ids
    for k, group in enumerate(groups):
        proba = [p.proba for p in group.proposals]
        assert proba == sorted(proba, reverse=True)
        assert np.mean([ready.truth[p.item] == k for p in group.proposals]) > 0.95
        answered = ready.project.loop.answers.closed_items()
        assert all(p.nearest in answered for p in group.proposals)


def test_accept_all_but_some_is_one_step(ready):
    review, model, group = first_group(ready)
    items = {p.item: p.proba for p in group.proposals}
    refused = list(items)[:2]
    kept = {i: p for i, p in items.items() if i not in refused}
    done = review.accept(ready.me, model, group.label_class.id, kept, refused)
    assert done.step.n == len(items)
    assert (done.n_refused, done.n_passed) == (2, 0)
    live = ready.project.loop.pacing.pseudo.live()
    assert {i for i, label in live.items() if label.accepted} == set(kept)
    assert group.label_class.id not in {g.label_class.id for g in review.groups(model)}
    assert [a.item for a in review.again()] == sorted(refused) or {a.item for a in review.again()} == set(
        refused
    )
    ready.settle()
    assert ready.project.loop.newest_model().metrics["pace"]["n_pseudo"] == len(kept)
    assert ready.project.desk.batches.undo(done.step) == len(items)
    assert ready.project.loop.pacing.pseudo.live() == {}
    assert review.again() == []
    ready.settle()
    assert ready.project.loop.newest_model().metrics["pace"]["n_pseudo"] == 0
    assert ready.project.desk.batches.undo(done.step) == 0


def test_what_was_answered_meanwhile_and_the_reserve_are_passed_over(ready):
    review, model, group = first_group(ready)
    items = {p.item: p.proba for p in group.proposals}
    ready.answer(next(iter(items)))
    items[int(ready.project.stream_order[-1])] = 0.99
    done = review.accept(ready.me, model, group.label_class.id, items, [])
    assert done.n_passed == 2
    assert done.step.n == len(items) - 2


@pytest.mark.parametrize(
    ("accepted", "refused", "class_id", "message"),
    [
        ({5: 0.9}, [5], None, r"items: found \[5\]; expected items of the pool, each accepted or refused"),
        ({10_000: 0.9}, [], None, r"found \[10000\]"),
        ({5: 0.9}, [-1], None, r"found \[-1\]"),
        ({5: 0.9}, [], "c99", "class 'c99' is not in the schema"),
    ],
)
def test_what_cannot_be_accepted_is_refused(ready, accepted, refused, class_id, message):
    review, model, group = first_group(ready)
    with pytest.raises(InputError, match=message):
        review.accept(ready.me, model, class_id or group.label_class.id, accepted, refused)
    assert ready.project.loop.pacing.pseudo.live() == {}


def test_labels_that_the_model_keeps_contradicting_come_back(ready):
    """One item deep inside another class's cloud, labelled wrongly: each version contradicts it."""
    free = ~ready.project.loop.answers.reserve_mask
    wrong = int(np.flatnonzero((ready.truth == 0) & free & ~np.isin(np.arange(240), closed(ready)))[0])
    ready.answer(wrong, 1)
    assert wrong not in {a.item for a in ready.project.desk.review.again()}
    for item in np.flatnonzero((ready.truth == 0) & free & ~np.isin(np.arange(240), closed(ready)))[:6]:
        ready.answer(item)
        ready.settle()
    (found,) = [a for a in ready.project.desk.review.again() if a.item == wrong]
    assert (found.given, found.says) == (ready.ids[1], ready.ids[0])
    assert found.streak >= 3
    ready.answer(wrong, 0)  # looked at again: the new answer supersedes
    assert wrong not in {a.item for a in ready.project.desk.review.again()}


def closed(clouds):
    return clouds.project.loop.answers.closed_items()


def test_precision_over_rounds_has_n_and_interval(ready):
    rows = ready.project.desk.review.precision()
    assert [row.version for row in rows] == [m.version for m in ready.project.models()]
    last = rows[-1]
    assert last.precision.n > 0
    assert 0 <= last.precision.low <= last.precision.value <= last.precision.high <= 1
    assert last.n_proposed > 0
    assert ready.project.desk.review.audited().n >= last.precision.n


def test_answered_audits_count_in_the_precision_of_the_version_that_proposed(paced):
    """Two blind checks of the newest version, one answered as it was proposed and one not."""
    review, pacing = paced.project.desk.review, paced.project.loop.pacing
    paced.project.loop.fit_soon = lambda: None  # the version stays the newest
    model = paced.project.loop.newest_model()
    pairs = model.metrics["pace"]["stream"].values()
    n_stream, right_stream = (sum(pair[k] for pair in pairs) for k in (0, 1))
    assert review.precision()[-1].precision == wilson(right_stream, n_stream)
    asks = paced.project.next_items(paced.me, "tab", 40)
    checks = [ask for ask in asks if ask.stratum == "audit"][:2]
    said = dict(zip(*(pacing.round_of(model).saved[k].tolist() for k in (5, 6)), strict=True))
    for ask, off in zip(checks, (0, 1), strict=True):
        number = (paced.ids.index(model.metrics["classes"][said[ask.item]]) + off) % 3
        paced.answer(ask.item, number, query_id=ask.query_id, stratum=ask.shown_stratum)
    assert review.precision()[-1].precision == wilson(right_stream + 1, n_stream + 2)


def test_before_a_model_there_is_nothing_and_nothing_fails(clouds):
    review = clouds.project.desk.review
    assert review.model() is None
    assert review.again() == review.unclear() == review.precision() == []
    assert review.start_clusters() is None
    assert review.audited().n == 0


def test_unclear_items_become_a_class_in_one_action(with_fourth):
    project = with_fourth.project
    project.loop.pacing.choose("fixed")
    with_fourth.ask(40)
    review = project.desk.review
    unclear = review.unclear()
    assert len(unclear) > 5
    result = project.wait(review.start_clusters()).result
    best = max(result["clusters"], key=lambda c: np.mean(with_fourth.truth[c] == 3))
    assert np.mean(with_fourth.truth[best] == 3) > 0.7
    chosen = [i for i in best if with_fourth.truth[i] == 3]
    step = review.make_class("spiky", chosen, with_fourth.me, by="me")
    assert step.n == len(chosen)
    assert "class 'spiky' made of" in step.words
    (spiky,) = [c for c in project.question().active if c.name == "spiky"]
    assert project.status().n_by_class[spiky.id] == len(chosen)
    with_fourth.settle()
    assert spiky.id in project.loop.newest_model().metrics["classes"]
    project.desk.batches.undo(step)
    assert spiky.id not in project.status().n_by_class


def test_bulk_labels_leave_the_reserve_alone_and_are_undone_as_one(ready):
    batches, n = ready.project.desk.batches, ready.project.row.n_items
    step = batches.label(range(n), ready.me, ready.ids[0])
    assert step.n == n - len(ready.project.stream_order)
    assert step.n_reserve == len(ready.project.stream_order)
    assert ready.project.status().n_by_class.get(ready.ids[1], 0) <= ready.project.status().n_stream
    assert batches.undo(step) == step.n
    assert ready.project.status().n_answered == 45


@pytest.mark.parametrize("items", [[-1], [240], [0, 10**9]])
def test_bulk_labels_outside_the_pool_are_refused(ready, items):
    with pytest.raises(InputError, match="expected them within 0 to 239"):
        ready.project.desk.batches.label(items, ready.me, ready.ids[0])


def test_an_empty_selection_labels_nothing(ready):
    step = ready.project.desk.batches.label([], ready.me, ready.ids[0])
    assert isinstance(step, Step)
    assert step.n == 0


def test_a_taken_name_makes_no_class(ready):
    with pytest.raises(InputError, match="'round' is taken"):
        ready.project.desk.review.make_class("round", [1, 2], ready.me, by="me")


def test_an_unknown_class_is_not_given(ready):
    with pytest.raises((InputError, NotFoundError), match="c77"):
        ready.project.desk.batches.label([1], ready.me, "c77")
