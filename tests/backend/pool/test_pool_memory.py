"""Features are made in bounded memory: what a machine must have does not grow with the pool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from plumbline_backend.domain.types import Column
from plumbline_backend.importers import ProblemLog, SourceBatch
from plumbline_backend.pool.build import write_pool

N_COLUMNS = 64
BATCH = 10_000
MEASURE = """
import sys, threading
from pathlib import Path
from plumbline_backend.pool import Pool, fit_features
def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
pool = Pool.open(Path(sys.argv[1]))
before, over = anonymous(), threading.Event()
seen = [before]
def look():
    while not over.wait(0.002):
        seen.append(anonymous())
watcher = threading.Thread(target=look)
watcher.start()
fit_features(pool)
over.set()
watcher.join()
print(max(seen) - before)
"""


def made(folder: Path, n_rows: int) -> Path:
    """A pool of 64 columns of numbers."""
    columns = tuple(Column(f"f{j}", "double", "numeric", "") for j in range(N_COLUMNS))
    values = np.random.default_rng(0).normal(size=(N_COLUMNS, BATCH))
    batch = pa.RecordBatch.from_arrays([pa.array(each) for each in values], names=[c.name for c in columns])

    def read(_: ProblemLog) -> list[SourceBatch]:
        starts = range(0, n_rows, BATCH)
        return [SourceBatch(batch, np.arange(s + 1, s + BATCH + 1), (s + BATCH) / n_rows) for s in starts]

    write_pool("numbers", read, folder, columns, {})
    return folder


def anonymous_mib(pool: Path) -> float:
    """How much fit_features needs beyond what is there before, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", MEASURE, pool], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_features_of_four_times_the_pool_need_no_more_memory(tmp_path: Path) -> None:
    """The sample of 50,000 x 64 is 12.8 MB in float32, 25.6 MB as it is stored; 240,000 x 64 would be 61 MB more."""
    small = anonymous_mib(made(tmp_path / "small", 60_000))
    large = anonymous_mib(made(tmp_path / "large", 240_000))
    assert large < 140
    assert abs(large - small) < 30
