"""What every benchmark shares: interleaved timing, peak memory, where it ran, and the JSON it leaves."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Timing(NamedTuple):
    """Medians over the rounds, and every round's wall-clock seconds."""

    wall_s: float
    cpu_s: float
    rounds_s: tuple[float, ...]


def interleaved(tasks: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Timing]:
    """Time each task once per round, in turn, after one warm-up each: drifts of the machine hit all alike."""
    for task in tasks.values():
        task()
    wall: dict[str, list[float]] = {name: [] for name in tasks}
    cpu: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            gc.collect()
            start, start_cpu = time.perf_counter(), time.process_time()
            task()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    return {
        name: Timing(statistics.median(wall[name]), statistics.median(cpu[name]), tuple(wall[name]))
        for name in tasks
    }


def peak_extra_mib(task: Callable[[], Any]) -> float | None:
    """Resident MiB that the task adds at its peak; None where the system does not tell (other than Linux)."""
    if not (_STATUS.exists() and _CLEAR.exists()):
        return None
    gc.collect()
    _CLEAR.write_text("5")
    before = _status_kib("VmRSS")
    task()
    return (_status_kib("VmHWM") - before) / 1024


def environment(packages: Sequence[str]) -> dict[str, Any]:
    """Code, device, system and versions, for the head of a result file."""
    return {
        "commit": commit(),
        "device": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
    }


def commit() -> str | None:
    """Hash of the code that is measured, with "+changes" where tracked code differs from it; None without git."""
    git = ["git", "-C", str(RESULTS.parent.parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    elsewhere = [":/", f":(exclude,top){RESULTS.relative_to(RESULTS.parent.parent)}"]
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *elsewhere], check=False)
    return head.stdout.strip() + ("+changes" if changed.returncode else "")


def write(name: str, result: Mapping[str, Any]) -> Path:
    """Write results/<name>.json and print it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2)
    path = RESULTS / f"{name}.json"
    path.write_text(text + "\n")
    print(text)
    return path


def _status_kib(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
