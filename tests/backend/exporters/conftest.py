"""A bare environment to run an export in."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with only onnxruntime and numpy, at the pinned versions."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "-c",
        REPOSITORY / "constraints.txt",
        "onnxruntime",
        "numpy",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    absent = subprocess.run([python, "-c", "import plumbline_backend"], capture_output=True, check=False)
    assert absent.returncode == 1
    return python
