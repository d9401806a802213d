"""A hundred digits answered by the keyboard in a browser: what the export is worth on the others, run by itself.

    python benchmarks/hundred_digits.py

Runs tests/browser/test_hundred_digits.py, where the job is described, and keeps its figures. They vary with how often
the model learned in between, so with the machine: `model_version` tells how often that was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from common import environment, write

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the test and write results/hundred_digits.json."""
    with TemporaryDirectory() as folder:
        outcome = Path(folder) / "outcome.json"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/browser/test_hundred_digits.py"],
            cwd=ROOT,
            env={**os.environ, "HUNDRED_DIGITS_RESULT": str(outcome)},
            check=True,
        )
        packages = ["torch", "onnxruntime", "playwright", "panel"]
        write("hundred_digits", {**json.loads(outcome.read_text()), **environment(packages)})


if __name__ == "__main__":
    main()
