"""Plug-ins: one that keeps the contract, and every way in which one can go wrong."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from plumbline_app.cli import main
from plumbline_backend.domain.asking import ArrayRows, PoolView
from plumbline_backend.domain.errors import InputError
from plumbline_backend.plugins import PluginStrategy, check_plugin, choices, find_strategy, plugin_names
from plumbline_backend.pool.matrix import FeatureMatrix, MatrixWriter
from plumbline_backend.registry import STRATEGIES
from plumbline_backend.strategies.base import ask
from plumbline_backend.strategies.contract import made_view

GOOD = """
import numpy as np
from plumbline_backend.domain.asking import Ranking
from plumbline_backend.strategies.base import apart, longer


class Farthest:
    name = "{name}"
    needs = frozenset({{"features"}})
    explanation = "Asks the items that lie farthest from the middle of the pool."

    def pick(self, view, n, rng):
        items = rng.permutation(np.flatnonzero(view.candidates))
        x = view.features.gather(items)
        far = np.linalg.norm(x - x.mean(axis=0), axis=1)
        order = np.argsort(-far, kind="stable")[: longer(n)]
        return apart(Ranking(items[order], far[order], "it lies far out"), view, n)
"""
BODY = """
import os
import numpy as np
from plumbline_backend.domain.asking import Ranking


class Wrong:
    name = "wrong"
    needs = frozenset()
    explanation = "Goes wrong in one of many ways."

    def pick(self, view, n, rng):
        {body}
"""


def written(folder: Path, text: str, name: str = "wrong") -> Path:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_good_one_keeps_every_promise(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.format(name="farthest"), "farthest")
    assert {problem for _, problem in check_plugin(path)} == {""}


def test_it_is_found_by_name_and_answers_as_in_its_own_process(tmp_path: Path) -> None:
    written(tmp_path, GOOD.format(name="farthest"), "farthest")
    found = find_strategy("farthest", tmp_path)
    assert isinstance(found, PluginStrategy)
    x = np.array([[0.0], [1], [9], [4]], dtype=np.float32)
    view = PoolView(np.array([True, True, True, False]), features=ArrayRows(x))
    ranking = ask(found, view, 2, rng())
    assert ranking.items.tolist() == [2, 0]
    assert ranking.why == "it lies far out"


def test_features_on_disk_are_mapped_not_sent(tmp_path: Path) -> None:
    writer = MatrixWriter(tmp_path / "features", 1)
    writer.append(np.array([[0.0], [1], [9]], dtype=np.float32))
    writer.close()
    written(tmp_path, GOOD.format(name="farthest"), "farthest")
    view = PoolView(np.ones(3, dtype=bool), features=FeatureMatrix(tmp_path / "features"))
    assert ask(find_strategy("farthest", tmp_path), view, 1, rng()).items.tolist() == [2]


def test_the_folder_lists_its_plugins_beside_ours(tmp_path: Path) -> None:
    written(tmp_path, GOOD.format(name="farthest"), "farthest")
    written(tmp_path, "x = 1", "empty")
    written(tmp_path, "", "_private")
    assert plugin_names(tmp_path) == ("empty", "farthest")
    assert plugin_names(tmp_path / "none") == ()
    offered = dict(choices(tmp_path))
    assert list(offered) == [*STRATEGIES.names(), "empty", "farthest"]
    assert offered["farthest"].startswith("Asks the items that lie farthest")
    assert "cannot be used: empty.py defines 0 classes with a method `pick`" in offered["empty"]


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, GOOD.format(name="farthest"), "farthest")
    with pytest.raises(InputError, match="did you mean 'farthest'"):
        find_strategy("farthst", tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no idea')", "plug-in wrong.py raised ValueError in line 13: no idea"),
        ("return Ranking(np.zeros((2, 2)), np.zeros(2), '')", r"items of shape \(2, 2\)"),
        ("return Ranking(np.array([0]), np.zeros(1), '')", "1 items that may not be asked"),
        ("return Ranking(np.array([10]), np.array([np.nan]), '')", "not finite"),
        ("return None", "answered NoneType; expected a Ranking"),
        ("os._exit(3)", "plug-in wrong.py ended its process: exit status 3"),
        ("return view.the_features()", "'features' here; a strategy that uses it must name it in `needs`"),
    ],
)
def test_what_goes_wrong_inside_is_said(tmp_path: Path, body: str, message: str) -> None:
    strategy = PluginStrategy(written(tmp_path, BODY.format(body=body)))
    with pytest.raises(InputError, match=message):
        ask(strategy, made_view(), 2, rng())


def test_one_that_hangs_is_stopped(tmp_path: Path) -> None:
    path = written(tmp_path, BODY.format(body="while True: pass"))
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"wrong.py did not answer within 3 s and was stopped"):
        ask(PluginStrategy(path, time_limit_s=3), made_view(), 2, rng())
    assert time.perf_counter() - start < 30
    name, problem = check_plugin(path, time_limit_s=10)[-1]
    assert name == "asks distinct candidates with finite utilities"
    assert "did not answer within 10 s" in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        (GOOD.format(name="other"), "name: found 'other'; expected 'wrong', the file's name"),
        (BODY.format(body="pass").replace("frozenset()", "['proba']"), r"needs: found \['proba'\]"),
        (BODY.format(body="pass").replace("frozenset()", "frozenset({'magic'})"), "any of proba, features"),
        (BODY.format(body="pass") + "\n\nclass Second(Wrong):\n    pass\n", "2 classes with a method `pick`"),
    ],
)
def test_what_is_no_plugin_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PluginStrategy(written(tmp_path, text))


def test_one_of_our_names_cannot_be_taken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'margin' is one of Plumbline's own"):
        PluginStrategy(written(tmp_path, GOOD.format(name="margin"), "margin"))


def test_the_command_says_what_holds_by_its_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(path: Path, *more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["plumbline", "check-plugin", str(path), *more])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, " ".join(err.split())

    status, out, _ = run(written(tmp_path, GOOD.format(name="farthest"), "farthest"), "--json")
    assert status == 0
    assert {row["problem"] for row in json.loads(out)} == {""}
    status, out, err = run(written(tmp_path, BODY.format(body="raise KeyError('x')")))
    assert status == 1
    assert "fails  asks distinct candidates" in out
    assert "checks fail" in err
    status, _, err = run(tmp_path / "missing.py")
    assert status == 2
    assert "does not exist; expected a Python file" in err
