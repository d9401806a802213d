"""Pseudo-labels through the loop: in the ledger as a head's, out of evaluation and reserve, revocable as one."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from plumbline_app.label_state import ask_states
from plumbline_backend.domain.errors import InputError
from plumbline_backend.pace.control import PaceState
from plumbline_backend.pace.pacing import AUDIT_EVERY, BATCH, MAYBE_CHECK, is_check_place
from plumbline_backend.pace.round import AUDIT_FILE, FILE


def head_rows(clouds):
    return clouds.project._store.ledger.current(clouds.project._question_id, judge_kinds=("head",))


def test_while_it_is_off_nothing_is_pseudo_labelled_but_proposals_are_there(ready):
    clouds = ready
    pacing = clouds.project.loop.pacing
    assert pacing.state == PaceState()
    assert head_rows(clouds) == []
    found = pacing.round_of(clouds.project.loop.newest_model())
    assert len(found.saved.items) > 50
    names = np.array([clouds.ids.index(c) for c in found.classes])
    assert (names[found.saved.target] == clouds.truth[found.saved.items]).mean() > 0.97
    certain = found.saved.proba
    assert (np.diff(certain) <= 0).all()  # the surest first
    assert clouds.project.loop.newest_model().metrics["pace"]["n_pseudo"] == 0


def test_pseudo_labels_are_judgements_of_the_head_in_one_batch(paced):
    rows = head_rows(paced)
    assert len(rows) > 50
    judges = {judge.id: judge for judge in paced.project._store.judges.for_project(paced.project.row.id)}
    assert {judges[row.judge_id].kind for row in rows} == {"head"}
    assert {row.stratum for row in rows} == {"model"}
    right = [paced.ids.index(row.answer) == paced.truth[row.item] for row in rows]
    assert np.mean(right) > 0.97
    model = paced.project.loop.newest_model()
    assert model.metrics["pace"]["n_pseudo"] > 50


def test_they_are_never_of_the_reserve_nor_of_answered_items(paced):
    items = {row.item for row in head_rows(paced)}
    assert items.isdisjoint(paced.project.stream_order.tolist())
    answered = set(paced.project.loop.answers.closed_items().tolist())
    newest = paced.project.loop.newest_model()
    given = set(
        paced.project.loop.pacing.for_fit(paced.project.question(), newest, tuple(paced.ids))["items"]
    )
    assert given.isdisjoint(answered)
    assert given.isdisjoint(paced.project.stream_order.tolist())


def test_they_are_in_no_figure_that_people_see(paced):
    status = paced.project.status()
    assert status.n_answered == 50
    assert status.n_train + status.n_stream == 50
    assert paced.project.report().evaluation.n == status.n_stream
    assert status.n_behind == 0
    state = paced.project.labelled_state([head_rows(paced)[0].item])[0]
    assert state.class_id is None


def test_switching_off_takes_all_of_them_back_and_the_next_model_knows_none(paced):
    before = paced.project.history(limit=None)
    paced.project.loop.pacing.switch(on=False)
    assert head_rows(paced) == []
    assert paced.project.loop.pacing.state.mode == "off"
    after = paced.project.history(limit=None)
    assert len(after) > len(before)  # the ledger keeps every row, and the revocations
    paced.settle()
    assert paced.project.loop.newest_model().metrics["pace"]["n_pseudo"] == 0


def test_rounds_end_without_new_answers(paced):
    """A round changes the labels of the next fit, whose round is not due: the loop comes to rest."""
    versions = paced.project.loop.newest_model().version
    paced.settle()
    assert paced.project.loop.newest_model().version == versions
    assert paced.project.loop.fit_if_due() is None


def test_labels_are_not_sticky(paced):
    """An answer to a pseudo-labelled item takes its place; the next round revokes what is no longer proposed."""
    item = head_rows(paced)[0].item
    paced.answer(item)
    paced.ask(12)
    assert item not in {row.item for row in head_rows(paced)}


def test_blind_checks_come_among_the_others_and_give_nothing_away(paced):
    asks = [ask for ask in paced.ask(30) if ask.stratum == "audit"]
    assert 1 <= len(asks) <= 4  # one in ten, while there are proposals to check
    model = paced.project.loop.newest_model()
    audits = paced.project.loop.pacing.audits(model)
    n_stream = sum(n for n, _ in model.metrics["pace"]["stream"].values())
    checked = paced.project.loop.answers.items_asked_as("audit", "answered")
    assert sum(a.n for a in audits.values()) == len(checked) + n_stream
    assert paced.project.loop.pacing.state.n_audited > 0
    wrong = asks[0].item
    number = (paced.truth[wrong] + 1) % 3
    paced.answer(wrong, number)
    after = paced.project.loop.pacing.audits(model)
    assert sum(a.right for a in audits.values()) - sum(a.right for a in after.values()) == 1


def test_nothing_that_is_told_of_an_ask_tells_a_check_from_the_others(paced):
    asks = paced.project.next_items(paced.me, "tab", 30)
    checks = [ask for ask in asks if ask.stratum == "audit"]
    ranked = [ask for ask in asks if ask.stratum == "model"]
    assert checks
    assert len(ranked) > 10
    told = {(ask.shown_stratum, ask.query_id, ask.reason) for ask in checks}
    assert told == {(ask.shown_stratum, ask.query_id, ask.reason) for ask in ranked}
    ((stratum, _, reason),) = told
    assert stratum == "model"
    assert reason.endswith(MAYBE_CHECK)
    assert "rank" not in reason
    shown = [state for state in ask_states(paced.project, asks) if state["stratum"] == "model"]
    assert {len(state) for state in shown} == {len(shown[0])}
    paced.project.loop.pacing.switch(on=False)
    paced.project.release("tab")
    after = paced.project.next_items(paced.me, "tab", 5)
    assert all(MAYBE_CHECK not in ask.reason for ask in after)
    assert any("rank" in ask.reason for ask in after)


def test_an_answer_to_what_passed_for_the_models_ask_is_kept_as_a_check(paced):
    """The lease knows; without it an item that the round had drawn counts as a check, others as the model's."""
    asks = paced.project.next_items(paced.me, "tab", 30)
    check, gone = [ask for ask in asks if ask.stratum == "audit"][:2]
    ranked = next(ask for ask in asks if ask.stratum == "model")
    for ask in (check, ranked):
        paced.answer(ask.item, query_id=ask.query_id, stratum=ask.shown_stratum)
    paced.project.release("tab")
    paced.answer(gone.item, query_id=gone.query_id, stratum=gone.shown_stratum)
    kept = {row.item: row.stratum for row in paced.project.history(judge=paced.me, limit=3)}
    assert kept == {check.item: "audit", ranked.item: "model", gone.item: "audit"}
    again = paced.answer(check.item, query_id=check.query_id, stratum="model")
    assert again.stratum == "audit"


def test_checks_stand_at_places_that_nobody_can_count_to():
    places = [number % AUDIT_EVERY for number in range(1000) if is_check_place(number, seed=0)]
    assert len(places) == 100  # one in every ten
    assert len(set(places)) == AUDIT_EVERY
    assert [n for n in range(200) if is_check_place(n, 0)] != [n for n in range(200) if is_check_place(n, 1)]


def test_refused_items_are_not_proposed_again(ready):
    clouds = ready
    item = int(clouds.project.loop.pacing.round_of(clouds.project.loop.newest_model()).saved.items[0])
    clouds.project.record(
        item=item, judge=clouds.me, client_uuid=uuid.uuid4().hex, state="skipped", stratum="review"
    )
    clouds.ask(2)
    saved = clouds.project.loop.pacing.round_of(clouds.project.loop.newest_model()).saved
    assert item not in saved.items.tolist()


def test_only_the_serving_models_rounds_are_kept_but_every_audit(paced):
    folders = [f for f in paced.project.folders.models.iterdir() if (f / "model.json").exists()]
    assert len(folders) > 3
    assert [(f / FILE).exists() for f in folders].count(True) <= 2
    assert all((f / AUDIT_FILE).exists() for f in folders)


def test_it_stops_itself_when_the_stream_suffers(paced, monkeypatch):
    pacing = paced.project.loop.pacing
    model = paced.project.loop.newest_model()
    model.metrics["pace"]["paired"] = [0, 4, 9]
    monkeypatch.setattr("plumbline_backend.pace.pacing.EVERY", 0)
    pacing.after_fit(model, paced.project.question())
    assert pacing.state.mode == "stopped"
    assert "4 are right only without them" in pacing.state.reason
    assert head_rows(paced) == []


def test_it_waits_while_held_out_labels_speak_against_it(paced, monkeypatch):
    pacing = paced.project.loop.pacing
    model = paced.project.loop.newest_model()
    models = sorted(paced.project._store.models.list(paced.project._question_id), key=lambda each: each.id)
    of_rounds = [each.metrics["pace"].get("held_out") for each in models]
    assert of_rounds[0] is None  # the pace was off
    only_with, only_without, n = next(found for found in reversed(of_rounds) if found is not None)
    assert 0 <= only_without <= only_with <= n
    assert n > 30  # every human label is held out once
    monkeypatch.setattr("plumbline_backend.pace.pacing.EVERY", 0)
    model.metrics["pace"]["held_out"] = [0, 5, n]
    pacing.after_fit(model, paced.project.question())
    assert pacing.state.mode == "on"
    assert "5 are right only without pseudo-labels" in pacing.state.reason
    assert head_rows(paced) == []
    assert list(pacing.asks(model)) == []  # nothing is in force that could be checked
    model.metrics["pace"]["held_out"] = [6, 0, n]
    pacing.after_fit(model, paced.project.question())
    assert not pacing.state.waiting
    assert len(head_rows(paced)) > 50


def test_the_pace_freezes_at_four_fifths_of_what_is_wanted(paced, monkeypatch):
    """About 45 labels of three classes: 150 are wanted without a budget, 50 by a budget of 50."""
    pacing, model = paced.project.loop.pacing, paced.project.loop.newest_model()
    monkeypatch.setattr("plumbline_backend.pace.pacing.EVERY", 0)
    pacing.after_fit(model, paced.project.question())
    assert not pacing.state.frozen
    assert 0.8 * 50 <= model.n_train < 0.8 * 150
    paced.project.set_settings(label_budget=50)
    pacing.after_fit(model, paced.project.question())
    assert pacing.state.frozen
    assert "of the wanted answers are there" in pacing.state.reason


def test_replacing_takes_back_what_is_no_longer_proposed_and_changes_what_is_proposed_as_another(paced):
    project, pseudo = paced.project, paced.project.loop.pacing.pseudo
    judge, question = project.loop.newest_model().judge_id, project.question()
    pseudo.revoke(batch=BATCH)
    a, b, c, d = range(4)
    pseudo.accept(question, judge, "by hand", {d: (paced.ids[0], 0.9)})
    pseudo.replace(question, judge, BATCH, {a: (paced.ids[0], 0.9), b: (paced.ids[1], 0.9)})
    first = {item: label.row for item, label in pseudo.live().items()}
    pseudo.replace(
        question, judge, BATCH, {b: (paced.ids[2], 0.8), c: (paced.ids[1], 0.9), d: (paced.ids[1], 1)}
    )
    live = {item: label.class_id for item, label in pseudo.live().items()}
    assert live == {b: paced.ids[2], c: paced.ids[1], d: paced.ids[0]}  # what a person accepted stays
    revoked = {row.revokes for row in project.history(limit=20)}
    assert first[a] in revoked  # no longer proposed
    assert pseudo.live()[d].row == first[d]


def test_an_unknown_policy_is_refused_with_the_nearest(clouds):
    with pytest.raises(InputError, match="pace 'liner' does not exist; did you mean 'linear'"):
        clouds.project.loop.pacing.choose("liner")


def test_a_class_with_too_few_labels_gets_none(clouds):
    """Two labels of one class, many of the others; softmatch takes nearly every item."""
    clouds.project.loop.pacing.choose("softmatch")
    items = {
        k: np.flatnonzero((clouds.truth == k) & ~clouds.project.loop.answers.reserve_mask) for k in range(3)
    }
    for k, n in ((0, 15), (1, 15), (2, 2)):
        for item in items[k][:n]:
            clouds.answer(item)
    clouds.settle()
    model = clouds.project.loop.newest_model()
    found = clouds.project.loop.pacing.round_of(model)
    assert {found.classes[t] for t in np.unique(found.saved.target)} == set(clouds.ids[:2])
    assert model.metrics["pace"]["n_by_status"]["the class has fewer than 3 human labels"] > 0


@pytest.mark.parametrize("policy", ["spld", "softmatch", "transductive_bound", "linear"])
def test_other_policies_run_through_the_worker(clouds, policy):
    clouds.project.loop.pacing.choose(policy)
    clouds.ask(30)
    assert clouds.project.loop.newest_model().metrics["pace"]["policy"] == policy


def test_the_batch_has_one_name(paced):
    assert paced.project._store.ledger.revoke_many(paced.project._question_id, "u" * 10, batch=BATCH) > 50
