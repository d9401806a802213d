"""A pool of 10,000,000 x 64: imported, trained on, scored, and the next item served, in bounded memory.

    python benchmarks/ten_million.py [--items 10000000] [--name ten_million]

Everything goes through an open workspace, as a server has it: the import and the fit run in its worker process. Memory
is sampled every 50 ms from /proc for this process and its worker, as the sum of both: "anonymous" is what they hold,
"resident" counts pages of mapped files too, which the system takes back when it needs them. Beside it: what the same
features would take as one float32 array in memory, and the same scan by a plain NumPy matrix product over the
memory-mapped file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common import environment, write
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace, open_workspace

N_FEATURES = 64
CHUNK = 100_000
CLASSES = ("left", "middle", "right")
NEXT_ROUNDS = 60
SAMPLE_EVERY_S = 0.05


def main() -> None:
    """Measure each step and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--name", default="ten_million")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="plumbline-ten-million-"))
    try:
        report = {
            "benchmark": "ten_million",
            **environment(["numpy", "torch", "pyarrow"]),
            "items": options.items,
            "features": N_FEATURES,
            "float32_array_mib": round(options.items * N_FEATURES * 4 / 2**20),
            **measure(folder, options.items),
            "load_after": round(os.getloadavg()[0], 2),
        }
        report["scaled_to_100m_x_384"] = scaled(report)
        write(options.name, report)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, n_items: int) -> dict[str, Any]:
    """Seconds and peak memory of import, fit with scoring, and next items."""
    file = folder / "pool.parquet"
    make_pool(file, n_items)
    steps: dict[str, Any] = {"file_mib": round(file.stat().st_size / 2**20)}
    with open_workspace(folder / "workspace", settings={"worker_threads": os.cpu_count() or 1}) as workspace:
        steps["import"], project = measured(lambda: workspace.import_items(file, "pool"))
        file.unlink()
        for name in CLASSES:
            project.add_class(name, by="benchmark")
        steps["fit_and_score"], _ = measured(lambda: train(workspace, project))
        steps["next_item"], times = measured(lambda: serve(project))
        ms = np.array(times) * 1000
        steps["next_item"] |= {
            "p50_ms": _ms(ms, 50),
            "p95_ms": _ms(ms, 95),
            "max_ms": _ms(ms, 100),
            "n": len(ms),
        }
        steps["fit_and_score"]["phases_s"] = {
            phase: round(seconds, 2) for phase, seconds in project.models()[-1].metrics["seconds"].items()
        }
        steps["numpy_scan"] = {"seconds": round(numpy_scan(project), 2)}
    steps["on_disk_mib"] = round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20)
    return steps


def make_pool(path: Path, n_items: int) -> None:
    """Write clusters of three classes as a Parquet file, a chunk at a time."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(CLASSES), N_FEATURES))
    schema = pa.schema([("key", pa.string()), ("x", pa.list_(pa.float32(), N_FEATURES))])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, n_items, CHUNK):
            n = min(CHUNK, n_items - start)
            rows = centres[np.arange(start, start + n) % len(CLASSES)] + rng.normal(size=(n, N_FEATURES))
            values = pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float32).ravel()), N_FEATURES)
            keys = pa.array([f"item-{i}" for i in range(start, start + n)])
            writer.write_table(pa.table([keys, values], schema=schema))


def train(workspace: Workspace, project: Project) -> None:
    """Answer sixty items as they are asked, and wait for the head that has seen them all."""
    judge = project.person("benchmark")
    project.loop.fit_soon = lambda: None  # type: ignore[method-assign]
    for ask in project.next_items(judge, "warm", 60):
        truth = int(project.pool.key(ask.item).partition("-")[2]) % len(CLASSES)
        answer = project.question().classes[truth].id
        project.record(
            item=ask.item, judge=judge, client_uuid=f"w{ask.item}", answer=answer, stratum=ask.stratum
        )
    job = project.fit()
    if job is None:
        raise RuntimeError(project.status().waiting)
    workspace.jobs.wait(job.id, timeout_s=3600)


def serve(project: Project) -> list[float]:
    """Seconds from an answer to the next item with its fields, again and again."""
    judge = project.person("labeller")
    times = []
    (ask,) = project.next_items(judge, "tab", 1)
    for _ in range(NEXT_ROUNDS):
        begun = time.perf_counter()
        project.record(
            item=ask.item, judge=judge, client_uuid=f"n{ask.item}", answer="c1", stratum=ask.stratum
        )
        (ask,) = project.next_items(judge, "tab", 1)
        project.pool.item(ask.item)
        times.append(time.perf_counter() - begun)
    return times


def numpy_scan(project: Project) -> float:
    """The baseline of scoring: one matrix product over the memory-mapped features, nothing kept."""
    weight = np.ones((N_FEATURES, len(CLASSES)), dtype=np.float32)
    begun = time.perf_counter()
    for _, rows in project.pool.features.chunks():
        (rows @ weight).argmax(axis=1)
    return time.perf_counter() - begun


def scaled(report: dict[str, Any]) -> dict[str, Any]:
    """The written calculation for 100,000,000 x 384 from the rates measured here."""
    values = report["items"] * N_FEATURES
    target = 100_000_000 * 384
    ratio = target / values
    score_s = report["fit_and_score"]["phases_s"]["score"]
    return {
        "features_on_disk_gb": round(target * 4 / 1e9, 1),
        "import_hours": round(report["import"]["seconds"] * ratio / 3600, 1),
        "score_minutes": round(score_s * ratio / 60, 1),
        "assumes": "time grows with items x features; measured on the machine named above under the load named there",
    }


def measured(step: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """Seconds and peak MiB of this process and its children together, and what the step returned."""
    watch = Watch()
    begun = time.perf_counter()
    found = step()
    seconds = time.perf_counter() - begun
    return {"seconds": round(seconds, 1), **watch.end()}, found


class Watch:
    """Samples memory until it is told to end."""

    def __init__(self) -> None:
        self._peak = {"anonymous": 0, "resident": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> dict[str, int]:
        """The peaks in MiB."""
        self._ended.set()
        self._thread.join()
        return {f"peak_{kind}_mib": round(kib / 1024) for kind, kib in self._peak.items()}

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            found = [memory_kib(pid) for pid in family()]
            for kind in self._peak:
                self._peak[kind] = max(self._peak[kind], sum(each[kind] for each in found))


def family() -> list[int]:
    """This process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended since
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def memory_kib(pid: int) -> dict[str, int]:
    """KiB that a process holds (anonymous) and has in memory (resident); 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {"anonymous": 0, "resident": 0}
    by_name = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        "anonymous": int(by_name.get("RssAnon", "0 kB").split()[0]),
        "resident": int(by_name.get("VmRSS", "0 kB").split()[0]),
    }


def _ms(values: np.ndarray[Any, Any], percentile: float) -> float:
    return round(float(np.percentile(values, percentile)), 1)


if __name__ == "__main__":
    main()
