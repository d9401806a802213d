"""What the pages say: advice with numbers worked by hand, tables, sizes; and that text stays text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import param
import pytest

from plumbline_app.components.address import from_address
from plumbline_app.components.advice import calibration_sentence, headline, on_stream
from plumbline_app.components.figures import Tile, facts, tiles
from plumbline_app.components.grid import interval_cell
from plumbline_app.components.import_review import cell, preview_table, role_mistakes, summary
from plumbline_app.components.judge_run import model_in_words
from plumbline_app.components.layout import fill, place
from plumbline_app.components.model_tables import class_rows, run_rows, stored_interval, training_facts
from plumbline_app.components.words import sentence
from plumbline_app.pages.export import size
from plumbline_app.pages.model import chosen, standing
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.metrics import evaluate
from plumbline_backend.domain.types import Column, Interval, LabelClass, ModelVersion
from plumbline_backend.importers.source import Preview
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.judges.llm_judge import set_budget
from plumbline_backend.standing import LoopStatus
from plumbline_backend.workspace import open_workspace

SCRIPT = "<script>window.hacked = 1</script>"
UNKNOWN = Interval(float("nan"), 0.0, 1.0, 0)


def model(version: int = 3, **metrics: Any) -> ModelVersion:
    given = {
        "seconds": {"fit": 0.5, "score": 0.25},
        "n_iterations": 7,
        "l2": 1.0,
        "temperature": 1.2,
        **metrics,
    }
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return ModelVersion(
        version, 1, 1, version, 1, "f", at, n_train=40, n_stream=5, ledger_id=45, metrics=given
    )


def status(newest: ModelVersion | None, n_behind: int = 0) -> LoopStatus:
    return LoopStatus(
        n_items=100, n_answered=45, n_by_state={}, n_by_class={}, n_train=40, n_stream=5, n_reserve=10,
        stream_share=0.1, strategy="margin", model=newest, n_behind=n_behind, training=None, failed=None, waiting="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n", "half_width", "expected"),
    [
        (0, 0.5, "The first 20 also calibrate its probabilities, which takes about 200 asks."),
        (7, 0.3, "13 more take about 130 asks. Accuracy is known to ± 30 points so far."),
        (46, 0.14, "50 more take about 500 asks."),
        (46, 0.09, None),  # a narrow interval needs no more answers
        (200, 0.2, None),
    ],
)
def test_advice_says_how_many_answers_are_needed(n: int, half_width: float, expected: str | None) -> None:
    advice = on_stream(n, calibrate_from=20, stream_share=0.1, accuracy_half_width=half_width)
    assert (advice is None) if expected is None else (advice is not None and expected in advice.text)


def test_every_figure_of_the_headline_says_its_n_and_interval() -> None:
    proba = np.tile([0.8, 0.2], (10, 1))
    found = headline(evaluate(proba, np.array([0] * 8 + [1] * 2), np.random.default_rng(0)), calibrated=False)
    assert found[0].value == "80.0 %"
    assert all("n = 10" in tile.remark for tile in found)
    assert all("(95 %)" in tile.basis for tile in found)
    assert "no temperature fitted yet" in found[1].remark
    assert "by chance" in found[1].remark


def test_nothing_measured_is_a_dash_and_an_unseen_class_makes_log_loss_infinite() -> None:
    rng = np.random.default_rng(0)
    empty = headline(evaluate(np.empty((0, 2)), np.empty(0, dtype=int), rng), calibrated=False)
    assert {tile.value for tile in empty} == {"–"}
    some = evaluate(np.tile([1.0, 0.0], (4, 1)), np.array([0, 0, 0, 1]), rng)
    assert headline(some, True, n_untrained=1)[2].value == "infinite"


def test_calibration_is_compared_with_what_chance_gives() -> None:
    rng = np.random.default_rng(0)
    proba = np.tile([0.75, 0.25], (40, 1))
    right = evaluate(proba, np.array([0] * 30 + [1] * 10), rng)  # exactly as stated: ECE 0
    wrong = evaluate(proba, np.array([0] * 8 + [1] * 32), rng)
    assert "no larger than" in calibration_sentence(right)
    assert "Look for points outside" in calibration_sentence(wrong)


def test_tiles_and_facts_show_text_as_text() -> None:
    markup = tiles([Tile(SCRIPT, SCRIPT, SCRIPT, SCRIPT)]) + facts([(SCRIPT, SCRIPT)])
    assert "<script" not in markup
    assert markup.count("&lt;script&gt;") == 6


def test_class_and_run_tables() -> None:
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    measured = evaluate(proba, np.array([0, 1, 1]), np.random.default_rng(0))
    classes = (LabelClass("c1", SCRIPT, "#000000"), LabelClass("c2", "b", "#ffffff"))
    rows = class_rows(classes, measured.per_class, ("c1",), {"c1": 12, "c2": 9})
    assert [row[0]["text"] for row in rows] == [SCRIPT, "b"]
    assert [row[1] for row in rows] == ["1", "2"]
    assert [row[-1] for row in rows] == ["12", "0"]  # c2 was never trained on
    (run,) = run_rows([model(accuracy=[0.8, 0.5, 0.9, 5], ece=[None, 0.0, 1.0, 0], strategy="margin")])
    assert (run[0], run[2], run[3], run[5]["text"]) == ("3", "40", "linear_softmax", "80 %")
    assert (run[7], run[8]) == (None, "0.75")
    took = dict(training_facts(model(), "a note"))
    assert (took["Together"], took["Temperature"], took["Iterations"]) == ("0.750 s", "1.200 (a note)", "7")


def test_unknown_intervals() -> None:
    assert interval_cell(UNKNOWN) is None
    assert np.isnan(stored_interval([None, 0.0, 1.0, 0]).value)
    assert stored_interval([0.5, 0.25, 0.75, 8]) == Interval(0.5, 0.25, 0.75, 8)


def test_choosing_a_version() -> None:
    models = [model(1), model(2)]
    assert chosen(models, 0) is models[1]
    assert chosen(models, 1) is models[0]
    with pytest.raises(NotFoundError, match="version 9 does not exist; expected 1 to 2"):
        chosen(models, 9)
    assert standing(status(models[1], n_behind=4), models[1]).endswith("4 newer answers are not in it yet.")
    assert "the newest is version 2" in standing(status(models[1]), models[0])


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["id", "text", "label"], []),
        (["id", "id", "text"], ["2 columns have the role id; expected at most one."]),
        (["label", "label", "numeric"], ["2 columns have the role existing label; expected at most one."]),
        (["id", "metadata"], ["No column gives features"]),
    ],
)
def test_roles_that_cannot_be_imported_are_named(roles: list[str], expected: list[str]) -> None:
    found = role_mistakes(roles)
    assert len(found) == len(expected)
    assert all(said.startswith(words) for said, words in zip(found, expected, strict=True))


def test_preview_keeps_cells_apart_whatever_columns_are_called() -> None:
    names = ["__proto__", 'a "quoted", name', "dotted.name", "constructor"]
    columns = tuple(Column(name, "string", "metadata") for name in names)
    preview = Preview(
        columns, (dict(zip(names, ["1", "2", None, SCRIPT], strict=True)),), None, "csv", "utf-8"
    )
    headings, rows = preview_table(preview)
    assert [heading["label"] for heading in headings] == names
    assert rows == [["1", "2", None, SCRIPT]]
    assert summary("f.csv", preview) == "f.csv: csv, utf-8, rows counted during the import, 4 columns."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (9007199254740993, "9007199254740993"),
        (0.1234567, "0.123457"),
        (b"\x00\x01", "2 bytes"),
        (np.arange(8), "[0, 1, 2, 3, 4, 5, …] (8)"),
        ("007", "007"),
        ("NaN", "NaN"),
    ],
)
def test_cells_show_values_as_they_are(value: Any, shown: str | None) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (300 << 20, "300 MiB"), (5 << 40, "5120 GiB")],
)
def test_sizes(n_bytes: int, shown: str) -> None:
    assert size(n_bytes) == shown


def test_an_empty_place_takes_no_room() -> None:
    somewhere = place()
    assert not somewhere.visible
    fill(somewhere, sentence("a"), sentence("b"))
    assert somewhere.visible
    assert len(somewhere) == 2
    fill(somewhere)
    assert not somewhere.visible


class Looking(param.Parameterized):
    q = param.String(default="")
    page = param.Integer(default=1, bounds=(1, None))
    state = param.Selector(default="", objects=["", "skipped"])


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", {}),
        ("?q=12&page=3", {"q": "12", "page": 3}),
        ("?q=1e3&state=skipped", {"q": "1e3", "state": "skipped"}),
        ("?page=-1&state=bogus&other=1", {}),
        ("?page=abc&q=%3Cscript%3E", {"q": "<script>"}),
    ],
)
def test_an_address_gives_text_as_text_and_nothing_that_cannot_be(
    search: str, expected: dict[str, Any]
) -> None:
    assert from_address(Looking(), ["q", "page", "state"], search) == expected


@pytest.mark.parametrize(
    ("usd", "tokens", "told"),
    [
        (3.5, None, "m answers, within $3.50 a run."),
        (None, 9000, "m answers, within 9,000 tokens a run."),
        (3.5, 9000, "m answers, within $3.50 and 9,000 tokens a run."),
        (None, None, "m answers, within no limit a run."),
    ],
)
def test_a_budget_of_either_kind_is_said(tmp_path, usd, tokens, told):
    """One that was formatted without being there broke the Judges page of its project for good."""
    (tmp_path / "o.jsonl").write_text('{"output": "x"}\n')
    settings = {"llm_base_url": "http://127.0.0.1:9", "llm_model": "m", "llm_key_env": ""}
    prices = {"llm_price_in": 1.0, "llm_price_out": 1.0}
    with open_workspace(
        tmp_path / "ws", executor=InlineExecutor(), settings={**settings, **prices}
    ) as workspace:
        project = workspace.import_outputs(tmp_path / "o.jsonl", "o")
        set_budget(project, usd, tokens)
        assert model_in_words(project) == (True, told)
