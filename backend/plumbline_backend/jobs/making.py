"""The executor that the settings name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from plumbline_backend.jobs.executors import Executor
from plumbline_backend.registry import EXECUTORS


def executor_from(settings: Mapping[str, Any]) -> Executor:
    """An executor that has started. Raises InputError on an unknown name or one that is not installed."""
    name = settings["executor"]
    kind = EXECUTORS.get(name)
    threads = settings["worker_threads"] or max(1, (os.cpu_count() or 2) - 1)
    made: Executor
    if name == "inline":
        made = kind()
    elif name == "ray":
        made = kind(settings["ray_address"], threads, settings["ray_gpus"])
    else:
        made = kind(threads)
    return made
