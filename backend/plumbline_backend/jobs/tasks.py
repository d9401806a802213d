"""What a worker can do, by name. A task takes JSON-like arguments and returns a JSON-like result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

TASKS = {
    "import": "plumbline_backend.ingest:import_pool",
    "grade_head": "plumbline_backend.judges.head:fit_and_judge",
    "import_outputs": "plumbline_backend.grading_import:import_outputs",
    "calibration": "plumbline_backend.trust.task:measure",
    "demo": "plumbline_backend.ingest:import_demo",
    "fit": "plumbline_backend.learn:fit_head",
    "fit_kind": "plumbline_backend.kinds.fitting:fit_kind",
    "compare_heads": "plumbline_backend.model_selection:compare_heads",
    "first_ranking": "plumbline_backend.first_ranking:rank_first",
    "health": "plumbline_backend.health.task:check_health",
    "features": "plumbline_backend.health.features:check_features",
    "map": "plumbline_backend.map.task:make_umap",
    "neighbours": "plumbline_backend.pool.neighbours:build_index",
    "novel": "plumbline_backend.novelty.task:suggest_classes",
    "simulate": "plumbline_backend.simulation.task:run_simulation",
    "reference": "plumbline_backend.reference:measure_reference",
}


def run_task(name: str, spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """Import the task's module, which may be heavy, and run it."""
    module, _, function = TASKS[name].partition(":")
    result: Mapping[str, Any] = getattr(import_module(module), function)(spec, report)
    return result
