"""`plumbline calibrate` as a person or a script calls it: files, exit status, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from plumbline_app.cli import app


def written(folder: Path, n: int = 120) -> Path:
    draw = np.random.default_rng(0)
    probs = draw.dirichlet([0.5, 0.5, 0.5], size=n)
    np.savez(folder / "judge.npz", probs=probs, labels=draw.integers(3, size=n))
    return folder / "judge.npz"


def test_json_and_page_are_written(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    arguments = [str(written(tmp_path)), "--json", str(out), "--calibrator", "temperature", "--split", "60"]
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    assert result.exit_code == 0, result.output
    document = json.loads(out.read_text())
    assert list(document["calibrators"]) == ["temperature"]
    assert (document["n_fit"], document["n_shown"]) == (60, 60)
    assert set(document["before"]["ece"]) == {"value", "low", "high", "null", "n"}
    page = (tmp_path / "figures.html").read_text()
    assert page.count("<svg") == 1 + len(document["states"])


def test_what_the_page_shows_is_in_json_and_html(tmp_path: Path) -> None:
    """Bins, risk curve, classes, slices, thresholds and sets of every state; the report has a table of each."""
    path, out = written(tmp_path), tmp_path / "figures.json"
    with np.load(path) as file:
        np.savez(path, **file, site=np.array(["here", "there"] * 60))
    CliRunner().invoke(
        app, ["calibrate", str(path), "--json", str(out), "--calibrator", "temperature", "--split", "40"]
    )
    document = json.loads(out.read_text())
    for state in document["states"].values():
        assert sum(state["bins"]["count"]) == 80
        assert state["risk"][-1][1] == 1.0
        assert len(state["classes"]) == len(state["thresholds"]) == 3
        assert [each["rule"] for each in state["sets"]] == ["lac", "aps", "raps"]
        assert {each["name"] for each in state["slices"]} == {"site is here", "site is there"}
    page = out.with_suffix(".html").read_text()
    for heading in ("Conformal sets", "Classes", "Thresholds", "Slices, worst first", "Figures"):
        assert f"<h2>{heading}" in page
    bars = page.count('fill-opacity=".35" stroke=')
    assert bars == sum(len(state["bins"]["count"]) for state in document["states"].values())
    assert "n = 80" in page
    assert "NaN" not in page


def test_without_json_the_chief_figures_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["calibrate", str(written(tmp_path)), "--calibrator", "temperature"])
    assert "ECE" in result.output
    assert "null" in result.output
    assert (tmp_path / "judge-calibration.html").exists()


def test_refused_input_ends_with_two(tmp_path: Path) -> None:
    bad = tmp_path / "bad.npz"
    np.savez(bad, probs=[[0.5, 0.4]], labels=[0])
    code = "from plumbline_app.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "calibrate", str(bad)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "bad.npz: probabilities of row 0" in " ".join(done.stderr.split())
    assert list(tmp_path.glob("*.html")) == []
