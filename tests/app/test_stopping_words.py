"""What the stopping panel says, sign by sign."""

from __future__ import annotations

from dataclasses import replace

from plumbline_app.components.stopping_panel import compared, shown, sign_rows
from plumbline_backend.domain.stopping import Ahead
from plumbline_backend.domain.types import Interval
from plumbline_backend.stopping_report import StoppingReport

UNKNOWN = Interval(float("nan"), 0.0, 1.0, 0)
FULL = StoppingReport(
    target=0.95,
    accuracy=Interval(0.9, 0.85, 0.94, 200),
    verdict="not yet",
    ahead=Ahead(120, 40, None),
    kappas=(Interval(0.97, 0.95, 0.98, 2000),),
    stable=None,
    change=Interval(0.02, 0.01, 0.03, 2000),
    uncertainty=Interval(0.3, 0.28, 0.32, 2000),
    separability=Interval(0.8, 0.78, 0.82, 2000),
    separability_chance=0.1,
    compared=(100, 120),
)


def test_every_sign_has_its_n_and_says_something() -> None:
    rows = sign_rows(FULL)
    assert len(rows) == 6
    assert all(len(row) == 4 and all(row) for row in rows)
    assert "n = 200" in rows[0][1]
    assert rows[1][1] == "about 120 (40 to no upper end)"
    assert rows[2][1] == "0.970 (0.950 to 0.980), n = 2,000"
    assert rows[2][3] == "Too early: 1 of 3 rounds."
    assert rows[3][3] == "40 items moved."


def test_unknown_is_said_and_never_a_number() -> None:
    nothing = replace(
        FULL,
        accuracy=UNKNOWN,
        verdict="cannot tell",
        ahead=None,
        kappas=(),
        change=None,
        separability_chance=None,
    )
    rows = sign_rows(nothing)
    assert rows[0][1] == "unknown, n = 0"
    assert [row[1] for row in rows[1:4]] == ["unknown"] * 3
    assert rows[5][2] == "unknown"
    assert not any("nan" in cell for row in rows for cell in row)
    assert shown(UNKNOWN) == "unknown, n = 0"


def test_it_says_which_models_are_compared() -> None:
    assert "100 and 120 labels" in compared((100, 120))
    assert "second model" in compared((100,))
