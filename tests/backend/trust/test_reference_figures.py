"""What benchmarks/clinc150_reference.py measured, against the reference figures of the same recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

RESULT = Path(__file__).parents[3] / "benchmarks" / "results" / "clinc150_reference.json"


def test_clinc150_figures_are_the_reference_to_the_fourth_digit() -> None:
    """MiniLM: accuracy .9547, ECE .0761 and .0046 after temperature .628; TwoNN 6.1, NC1 3.9, separability .60.

    TwoNN and separability rest on rows drawn at random: the reference lies within the range of five draws.
    """
    measured = json.loads(RESULT.read_text(encoding="utf-8"))
    minilm, features = measured["minilm"], measured["minilm"]["features"]
    found = [round(minilm[name], 4) for name in ("accuracy", "ece_raw", "ece_temperature")]
    assert found == [0.9547, 0.0761, 0.0046]
    assert minilm["temperature"] == pytest.approx(0.628, abs=1e-3)
    assert features["nc1"] == pytest.approx(3.9, abs=0.05)
    assert features["two_nn"][0] <= 6.1 <= features["two_nn"][1]
    assert features["separability"][0] <= 0.60 <= features["separability"][1]
    assert features["separability_of_noise"] == pytest.approx(0.98, abs=0.005)
    assert round(measured["lsa"]["ece_raw"], 4) == 0.0756
