"""A bare environment to run an export in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def bare_python(environment_of_its_own: Callable[[], Path]) -> Path:
    """The Python of a fresh environment with only onnxruntime and numpy, at the pinned versions."""
    python = environment_of_its_own()
    pip = [python, "-m", "pip", "install", "--quiet", "-c", REPOSITORY / "constraints.txt"]
    done = subprocess.run([*pip, "onnxruntime", "numpy"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python
