"""The class-sharded head on two gloo processes equals the one process's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.jobs.class_sharded import TOLERANCE, share_of


def problem(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters; every class occurs, some once."""
    rng = np.random.default_rng(3)
    targets = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 4 * n_classes)])
    centres = rng.normal(size=(n_classes, 12))
    features = centres[targets] + rng.normal(size=(len(targets), 12))
    return features, targets


@pytest.mark.slow
def test_two_processes_equal_one_to_1e_5(tmp_path: Path) -> None:
    features, targets = problem(n_classes=101)
    np.savez(tmp_path / "labels.npz", features=features, targets=targets)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "-m", "plumbline_backend.jobs.class_sharded", str(tmp_path / "labels.npz"), str(tmp_path / "head"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    sharded = LinearSoftmax.load(tmp_path / "head")
    alone = LinearSoftmax(tolerance=TOLERANCE).fit(features, targets, 101)
    assert sharded.converged_
    assert np.abs(sharded.weight_ - alone.weight_).max() < 1e-5
    assert np.abs(sharded.bias_ - alone.bias_).max() < 1e-5
    other = LinearSoftmax(l2=1.01, tolerance=TOLERANCE).fit(features, targets, 101)
    assert np.abs(other.weight_ - alone.weight_).max() > 1e-5, "the comparison sees a slightly other head"


@pytest.mark.parametrize(("n_classes", "world"), [(10, 3), (2, 4), (7, 1), (1000, 8)])
def test_every_class_has_one_place(n_classes: int, world: int) -> None:
    places = [list(range(n_classes))[share_of(n_classes, rank, world)] for rank in range(world)]
    assert [each for place in places for each in place] == list(range(n_classes))
    assert max(map(len, places)) - min(map(len, places)) <= 1
