"""Import of 1,000,000 rows x 64 numbers, beside pandas.read_csv and NumPy in the same run.

Each measurement is a process of its own, so that its peak memory is its own:

    python benchmarks/import_pool.py [--rows N] [--out FILE]

Two peaks of memory: all that was resident (VmHWM), mapped files included, which the system takes back when it
needs the room; and the anonymous part of it (RssAnon, looked at every 5 ms), which is what a machine must have.

"import" is build_pool (checks, key index, hashes, fsync), "open" is Pool.open, the first item and a gather of
1,024 rows of features, "features" is fit_features, "pandas" is read_csv and a float32 .npy file: no checks,
no keys, everything in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

N_FEATURES = 64
RESULTS = Path(__file__).parent / "results" / "import_pool.json"


def main() -> None:
    """Write the files, run every measurement in a fresh process, print and save the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--out", type=Path, default=RESULTS)
    arguments.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.step:
        print(json.dumps(measured(STEPS[given.step], given.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as name:
        folder = Path(name)
        write_inputs(folder, given.rows)
        results = {step: run_step(step, folder) for step in STEPS}
    for figures in results.values():
        figures["rows_per_s"] = round(given.rows / figures["seconds"])
    saved = {"about": about(), "rows": given.rows, "features": N_FEATURES, "results": results}
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(saved, indent=1) + "\n")
    for step, figures in results.items():
        print(
            f"{step:14} {figures['seconds']:8.2f} s {figures['peak_mib']:8.0f} MiB "
            f"{figures['anonymous_mib']:8.0f} MiB anonymous {figures.get('note', '')}"
        )


def write_inputs(folder: Path, n_rows: int) -> None:
    """The same numbers as CSV (with an id and a label) and as NPZ, written in pieces."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n_rows, N_FEATURES)).astype(np.float32).round(4)
    labels = rng.integers(0, 5, n_rows)
    np.savez(folder / "pool.npz", X=features, y=labels)
    header = ",".join(["id", *(f"f{j}" for j in range(N_FEATURES)), "label"])
    with (folder / "pool.csv").open("w") as stream:
        stream.write(header + "\n")
        for i in range(n_rows):
            cells = ",".join(map(str, features[i].tolist()))
            stream.write(f"item-{i},{cells},class {labels[i]}\n")


def run_step(step: str, folder: Path) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(work: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Seconds of the clock and of the processor, and this process's peak memory in MiB.

    VmHWM counts mapped files while they are resident. Not ru_maxrss: that is inherited from the parent.
    """
    over, seen = threading.Event(), [memory_mib("RssAnon")]

    def look() -> None:
        while not over.wait(0.005):
            seen.append(memory_mib("RssAnon"))

    watcher = threading.Thread(target=look)
    watcher.start()
    extra = work(folder)
    over.set()
    watcher.join()
    return {
        **extra,
        "cpu_s": round(time.process_time(), 2),
        "peak_mib": memory_mib("VmHWM"),
        "anonymous_mib": max(seen),
    }


def memory_mib(what: str) -> float:
    """A figure of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024, 1)


def import_csv(folder: Path) -> dict[str, Any]:
    """build_pool of the CSV file."""
    return build(folder, "pool.csv", "from_csv")


def import_npz(folder: Path) -> dict[str, Any]:
    """build_pool of the NPZ file."""
    return build(folder, "pool.npz", "from_npz")


def build(folder: Path, source: str, target: str) -> dict[str, Any]:
    """Import as the app does: inspect, then build with the proposed roles."""
    from plumbline_backend.importers import inspect_file
    from plumbline_backend.pool import build_pool

    start = time.perf_counter()
    columns = inspect_file(folder / source).columns
    inspected = time.perf_counter() - start
    summary = build_pool(folder / source, folder / target, columns)
    seconds = time.perf_counter() - start
    assert summary.n_skipped == 0
    return {
        "seconds": round(seconds, 2),
        "inspect_s": round(inspected, 3),
        "file_mb": size_mb(folder / source),
    }


def open_pool(folder: Path) -> dict[str, Any]:
    """Open the CSV's pool, read one item in its middle, then 100 more, and look up a key."""
    from plumbline_backend.pool import Pool

    start = time.perf_counter()
    pool = Pool.open(folder / "from_csv")
    item = pool.item(pool.n_items // 2)
    seconds = time.perf_counter() - start
    assert pool.position(item.key) == item.position
    rng = np.random.default_rng(1)
    positions = rng.integers(0, pool.n_items, 100)
    start = time.perf_counter()
    for position in positions:
        pool.item(int(position))
    item_ms = (time.perf_counter() - start) / len(positions) * 1e3
    return {"seconds": round(seconds, 4), "item_ms": round(item_ms, 3)}


def fit_pool_features(folder: Path) -> dict[str, Any]:
    """fit_features of the CSV's 64 columns, then gathers of 1,024 rows."""
    from plumbline_backend.pool import Pool, fit_features

    pool = Pool.open(folder / "from_csv")
    start = time.perf_counter()
    fit_features(pool)
    seconds = time.perf_counter() - start
    rng = np.random.default_rng(2)
    gathers = []
    for _ in range(20):
        positions = rng.integers(0, pool.n_items, 1024)
        begin = time.perf_counter()
        pool.features.gather(positions)
        gathers.append(time.perf_counter() - begin)
    return {"seconds": round(seconds, 2), "gather_1024_ms": round(float(np.median(gathers)) * 1e3, 3)}


def pandas_csv(folder: Path) -> dict[str, Any]:
    """The baseline: read_csv into memory, its numbers as a float32 .npy file."""
    import pandas as pd

    start = time.perf_counter()
    table = pd.read_csv(folder / "pool.csv")
    matrix = table.iloc[:, 1 : 1 + N_FEATURES].to_numpy(np.float32)
    np.save(folder / "pandas.npy", matrix)
    seconds = time.perf_counter() - start
    (folder / "pandas.npy").unlink()
    return {"seconds": round(seconds, 2), "note": "baseline: no checks, no keys, all in memory"}


def about() -> dict[str, str]:
    """Machine and versions."""
    names = ("plumbline", "numpy", "pyarrow", "pandas")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(
        (line.split(":", 1)[1].strip() for line in lines if "model name" in line), platform.processor()
    )
    return {
        "device": f"{cpu}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}",
        "disk_free_gb": str(shutil.disk_usage(tempfile.gettempdir()).free // 10**9),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def size_mb(path: Path) -> int:
    """Size in MB."""
    return path.stat().st_size // 10**6


STEPS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "pandas_csv": pandas_csv,
    "import_csv": import_csv,
    "open": open_pool,
    "features": fit_pool_features,
    "import_npz": import_npz,
}

if __name__ == "__main__":
    main()
