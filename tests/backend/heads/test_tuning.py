"""Settings of heads: every one is explained and bounded, what is typed is read, what cannot be is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.making import make_head
from plumbline_backend.heads.tuning import HeadSetting, checked, read, tunable
from plumbline_backend.registry import HEADS, KIND_HEADS

NAMES = (*HEADS.names(), *KIND_HEADS.names())
EACH = [(head, setting) for head in NAMES for setting in tunable(head)]


@pytest.mark.parametrize(("head", "setting"), EACH, ids=lambda v: v.name if isinstance(v, HeadSetting) else v)
def test_every_setting_is_explained_and_its_range_makes_a_head(head: str, setting: HeadSetting) -> None:
    told = setting.told
    assert 2 < len(told.title) < 30
    assert 20 < len(told.meaning) < 130
    assert told.meaning.endswith(".")
    assert setting.default is None or setting.problem(setting.default) == ""
    assert setting.default_words
    assert (
        setting.read(setting.default_words.split("(")[-1].strip(")")) is not None or setting.default is None
    )
    ends: list[Any] = list(told.choices or (told.low, told.high))
    if setting.form in ("whole", "layers"):
        ends = [int(end) for end in ends]
    known = {"class_texts": ["one", "two"], "unlabelled": ()}
    for end in ends:
        value = [end] if setting.form == "layers" else end
        assert setting.problem(value) == ""
        make_head(head, known, {setting.name: value})


def test_heads_that_know_no_setting_list_none() -> None:
    assert tunable("nearest_mean") == ()
    assert [each.name for each in tunable("cosine")] == ["scale", "margin", "tolerance", "max_iterations"]
    assert [each.name for each in tunable("k_nearest")] == ["k"]
    assert tunable("k_nearest")[0].told != next(s for s in tunable("sampled_softmax") if s.name == "k").told


def test_what_is_typed_is_read() -> None:
    assert read("linear_softmax", {"l2": " 0.1 ", "max_iterations": "20"}) == {
        "l2": 0.1,
        "max_iterations": 20,
    }
    assert read("linear_softmax", {"l2": "default", "tolerance": ""}) == {"l2": None, "tolerance": None}
    assert read("mlp", {"widths": "256, 128"}) == {"widths": [256, 128]}
    assert read("simplex_etf", {"widths": "none"}) == {"widths": []}
    assert read("metric_loss", {"metric": "g_mean"}) == {"metric": "g_mean"}
    assert read("singular_kernel", {"exponent": "8"}) == {"exponent": 8}
    assert checked("linear_softmax", {"l2": None, "tolerance": 1e-4}) == {"tolerance": 1e-4}
    assert checked("mlp", {"widths": (8,)}) == {"widths": [8]}


@pytest.mark.parametrize(
    ("head", "given", "words"),
    [
        ("linear_softmax", {"l2": "much"}, "head setting 'l2' is 'much'; expected a number from 0 to 1e+09"),
        ("linear_softmax", {"l2": "-1"}, "head setting 'l2' is -1.0; expected a number from 0 to 1e+09"),
        ("linear_softmax", {"l2": "nan"}, "head setting 'l2' is nan; expected a number"),
        ("linear_softmax", {"max_iterations": "1.5"}, "is '1.5'; expected a whole number from 1 to 100000"),
        (
            "linear_softmax",
            {"tolerence": "1"},
            "has no setting 'tolerence'; did you mean 'tolerance'?",
        ),
        ("nearest_mean", {"l2": "1"}, "head 'nearest_mean' has no setting 'l2'; it has none"),
        ("cosine", {"adjust": "1"}, "'adjust' is an option of the training; set 'class_prior' there"),
        ("cosine", {"seed": "1"}, "head 'cosine' has no setting 'seed'"),
        ("mlp", {"widths": "8,8,8,8"}, "expected one to 3 layers, each of units from 1 to 4096"),
        ("mlp", {"widths": "none"}, "'widths' is []; expected one to 3 layers"),
        ("metric_loss", {"metric": "f2"}, "is 'f2'; expected one of f1, balanced_accuracy, g_mean, accuracy"),
        ("lines", {}, "head 'lines' does not exist"),
    ],
)
def test_what_cannot_be_is_refused_in_words(head: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as refused:
        read(head, given)
    assert words in str(refused.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InputError) as refused:
        checked("cosine", {"scale": True, "margin": 2, "tolerance": 0.01})
    assert str(refused.value).count("head setting") == 2
    assert "'scale' is True; expected a number from 0 to 10000" in str(refused.value)
