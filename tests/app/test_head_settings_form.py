"""The settings of a head as a form, without a browser."""

from __future__ import annotations

from typing import Any

import pytest

from plumbline_app.components.head_settings import HeadSettingsForm
from plumbline_backend.heads.tuning import tunable


@pytest.fixture
def changes() -> list[int]:
    return []


@pytest.fixture
def form(changes: list[int]) -> HeadSettingsForm:
    return HeadSettingsForm(lambda: changes.append(1))


def field(form: HeadSettingsForm, name: str) -> Any:
    return next(row._field for row in form._rows if row.setting.name == name)


def test_it_holds_what_is_set_and_says_what_is_wrong(form: HeadSettingsForm, changes: list[int]) -> None:
    form.show(tunable("linear_softmax"), {"l2": 0.5})
    assert form.values == {"l2": 0.5}
    assert form._fields.visible
    field(form, "tolerance").value_input = "loose"
    assert form.problems == ["head setting 'tolerance' is 'loose'; expected a number from 1e-12 to 0.1"]
    assert field(form, "tolerance").error_state
    about = next(row._about.object for row in form._rows if row.setting.name == "tolerance")
    assert "This is no value here; expected a number from 1e-12 to 0.1." in about
    field(form, "tolerance").value_input = "1e-4"
    field(form, "l2").value_input = ""
    assert form.problems == []
    assert form.values == {"tolerance": 1e-4}
    assert len(changes) >= 3


def test_another_head_brings_its_own_settings_and_none_needs_no_room(form: HeadSettingsForm) -> None:
    form.show(tunable("metric_loss"), {})
    assert not form._fields.visible
    field(form, "metric").value = "g_mean"
    assert form.values == {"metric": "g_mean"}
    form.show(tunable("multi_label"), {}, without=["correction", "focus", "balance", "mix"])
    assert [row.setting.name for row in form._rows] == ["l2", "tolerance", "max_iterations"]
    form.show(tunable("nearest_mean"), {})
    assert not form._open.visible
    assert form.values == {}
