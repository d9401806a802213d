"""A project of thirty outputs, and a server that judges them by one word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_server import LlmServer, Turn
from loops import run_aside
from plumbline_backend.domain.types import Job
from plumbline_backend.grading import GradingProject
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

CANARY = "sk-canary-77d2e1"
N_OUTPUTS = 30


def verdict(text: str) -> Turn:
    """What the server says: long outputs fail."""
    word = "fail" if "long" in text.rsplit("<output", 1)[-1] else "pass"
    return Turn(json.dumps({"explanation": "looked at its length", "verdict": word}))


def within_a_loop(act: Callable[[], object]) -> object:
    """What `act` returns when the thread that calls it runs an event loop, as a page does."""

    async def inside() -> object:
        return act()

    return run_aside(inside())


def judging() -> LlmServer:
    """A server that judges by one word."""
    return LlmServer(lambda request: verdict(request["messages"][1]["content"]))


def prepare(folder: Path) -> Path:
    """A workspace in the folder with thirty outputs, every third of them long, and one criterion."""
    rows = [
        {"prompt": "Say it.", "response": f"{'long' if i % 3 == 0 else 'short'} {i}"}
        for i in range(N_OUTPUTS)
    ]
    (folder / "outputs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with open_workspace(folder / "workspace", executor=InlineExecutor()) as workspace:
        workspace.import_outputs(folder / "outputs.jsonl", "outputs").add_criterion(
            "Short", "It is short.", by="t"
        )
    return folder / "workspace"


def copied(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy for one test, with a key in the environment and no long waits."""
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.setattr("plumbline_backend.judges.llm.retries.FIRST_WAIT_S", 0.01)
    shutil.copytree(prepared, tmp_path / "workspace")
    return tmp_path / "workspace"


def opened(folder: Path, url: str, **settings: object) -> Workspace:
    given = {"llm_base_url": url, "llm_model": "m", "llm_key_env": "CANARY_KEY", **settings}
    return open_workspace(folder, executor=InlineExecutor(), settings=given)


def judge_of(project: GradingProject, **spec: object) -> int:
    (criterion,) = project.criteria()
    return project.add_judge(criterion.id, "llm", "grader", {"grader": "binary", **spec}).id


def run(project: GradingProject, judge_id: int, **options: object) -> Job:
    return project.wait(project.run_judge(judge_id, **options))  # type: ignore[arg-type]
