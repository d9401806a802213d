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
    assert "<svg" in (tmp_path / "figures.html").read_text()


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
