"""When the pace rises, waits, falls, freezes and stops, and what it says."""

from __future__ import annotations

import json

import pytest

from plumbline_backend.pace.control import Audit, PaceState, Paired, harmful, next_round, pooled, switched
from plumbline_backend.pace.policy import LARGEST, SMALLEST, START

FINE = Paired(0, 0, 40)
BOTH = ("a", "b")


def on(**changes):
    return switched(PaceState(**changes), on=True)


def test_it_is_off_until_somebody_asks():
    assert PaceState().mode == "off"
    assert next_round(PaceState(), {"a": Audit(200, 200)}, FINE, 0.1, BOTH) == PaceState()
    assert switched(on(), on=False).mode == "off"


def test_it_rises_only_when_the_lower_bound_holds():
    """Wilson at k = n: n / (n + 3.84). 124 right of 124 give .9699, 125 of 125 give .9702."""
    almost = next_round(on(), {"a": Audit(124, 124)}, FINE, 0.1, BOTH)
    assert almost.of("a") == START
    assert "waits" in almost.reason
    rising = next_round(on(), {"a": Audit(125, 125)}, FINE, 0.1, BOTH)
    assert rising.of("a") == rising.of("b") == pytest.approx(1.25 * START)
    assert "100.0% (97.0% to 100.0%, n = 125)" in rising.reason


def test_it_rises_once_per_fresh_audit():
    rising = next_round(on(), {"a": Audit(150, 150)}, FINE, 0.1, BOTH)
    again = next_round(rising, {"a": Audit(150, 150)}, FINE, 0.1, BOTH)
    assert again.of("a") == rising.of("a")
    assert "No new blind check" in again.reason


def test_it_falls_when_checks_fail():
    falling = next_round(on(), {"a": Audit(10, 10), "b": Audit(10, 9)}, FINE, 0.1, BOTH)
    assert falling.of("a") == falling.of("b") == pytest.approx(START / 2)
    assert "falls" in falling.reason


def test_a_bad_class_falls_alone():
    mixed = next_round(on(), {"a": Audit(400, 400), "b": Audit(20, 18)}, FINE, 0.1, BOTH)
    assert mixed.of("a") == pytest.approx(1.25 * START)
    assert mixed.of("b") == pytest.approx(START / 2)


def test_without_audits_it_waits():
    waiting = next_round(on(), {}, FINE, 0.1, BOTH)
    assert waiting.of("a") == START
    assert waiting.round == 1
    assert "No proposal has been checked" in waiting.reason


def test_it_stays_within_its_bounds():
    state = on()
    for n in range(200, 260):
        state = next_round(state, {"a": Audit(n, n)}, FINE, 0.1, ("a",))
    assert state.of("a") == LARGEST
    for n in range(1, 60):
        state = next_round(state, {"a": Audit(300 + n, 10)}, FINE, 0.1, ("a",))
    assert state.of("a") == SMALLEST


def test_it_freezes_near_the_end():
    frozen = next_round(on(), {"a": Audit(500, 500)}, FINE, 0.8, BOTH)
    assert frozen.frozen
    assert frozen.of("a") == START
    assert "frozen: 80%" in frozen.reason


@pytest.mark.parametrize(
    ("with_", "without", "expected"),
    [(0, 0, False), (0, 1, False), (0, 2, True), (1, 3, False), (3, 0, False), (2, 6, True), (5, 5, False)],
)
def test_harm_is_a_sign_test(with_, without, expected):
    """One-sided: 1 of 1: .5; 2 of 2: .25; 3 of 4: .3125; 6 of 8: .1445."""
    assert harmful(Paired(with_, without, 100)) is expected


def test_it_stops_when_the_random_stream_suffers_and_says_why():
    stopped = next_round(on(), {"a": Audit(500, 500)}, Paired(1, 6, 1234), 0.1, BOTH)
    assert stopped.mode == "stopped"
    assert stopped.reason == (
        "Pseudo-labels were switched off: of 1,234 random-stream answers, 6 are right only without them and 1 only "
        "with them."
    )
    assert next_round(stopped, {"a": Audit(501, 501)}, FINE, 0.1, BOTH) == stopped


def test_it_waits_while_held_out_labels_speak_against_it():
    """The three newest comparisons count together: 1 : 4, then 1 : 4 + 2 : 0 + 3 : 0 = 6 : 4."""
    audits = {"a": Audit(150, 150)}
    waiting = next_round(on(), audits, FINE, 0.1, BOTH, Paired(1, 4, 30))
    assert waiting.waiting
    assert waiting.mode == "on"
    assert waiting.of("a") == START
    assert waiting.reason == (
        "Pseudo-labels wait: of your own labels, held out in turn and predicted, 4 are right only without "
        "pseudo-labels and 1 only with them."
    )
    twice = next_round(waiting, audits, FINE, 0.2, BOTH, Paired(2, 0, 35))
    assert twice.waiting  # 3 : 4
    again = next_round(twice, {"a": Audit(160, 160)}, FINE, 0.3, BOTH, Paired(3, 0, 40))
    assert not again.waiting
    assert "rises" in again.reason
    assert next_round(again, audits, FINE, 0.3, BOTH, Paired(0, 1, 40)).held_out == ((2, 0), (3, 0), (0, 1))
    assert PaceState.from_json(json.loads(json.dumps(again.as_json()))) == again
    assert not switched(waiting, on=True).waiting  # a new start forgets what was measured


def test_no_audit_is_unknown_not_zero():
    unknown = pooled({})
    assert unknown.value != unknown.value
    assert unknown.n == 0


def test_it_survives_json():
    state = next_round(on(), {"a": Audit(125, 125)}, FINE, 0.1, BOTH)
    assert PaceState.from_json(json.loads(json.dumps(state.as_json()))) == state
    assert PaceState.from_json(None) == PaceState()
