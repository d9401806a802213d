"""Grading projects for the tests: small made outputs whose faults are known."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.grades import GradeAsk
from plumbline_backend.domain.types import Judge
from plumbline_backend.grading import GradingProject
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

SHORT = "def check(output, context):\n    return len(output.split()) <= 20\n"
NAMED = 'def check(output, context):\n    return context["vars"]["name"] in output\n'


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with one project, to be copied: an import takes longer than most tests."""
    folder = tmp_path_factory.mktemp("template")
    file = folder / "made.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in outputs_of(60)), encoding="utf-8")
    with open_workspace(folder / "ws", executor=InlineExecutor()) as opened:
        opened.import_outputs(file, "made")
    return folder / "ws"


@pytest.fixture
def workspace(tmp_path: Path, template: Path) -> Iterator[Workspace]:
    """A workspace of the test's own with the project "made"."""
    shutil.copytree(template, tmp_path / "ws")
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        yield opened


def outputs_of(n: int) -> list[dict[str, Any]]:
    """Outputs by two systems: every third is too long, every fifth forgets the name."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        words = int(rng.integers(25, 50) if i % 3 == 0 else rng.integers(3, 15))
        name = "nobody" if i % 5 == 0 else f"name{i}"
        text = f"Dear {name}, " + " ".join(rng.choice(["good", "reply", "parcel", "soon"], words))
        rows.append(
            {
                "id": f"o{i:03d}",
                "output": text,
                "vars": {"name": f"name{i}"},
                "model": "ab"[i % 2],
                "prompt": f"p{i}",
            }
        )
    return rows


def is_bad(i: int) -> bool:
    """What the grader of these tests thinks of output i: too long or nameless."""
    return i % 3 == 0 or i % 5 == 0


@pytest.fixture
def make_project(workspace: Workspace, tmp_path: Path) -> Callable[..., GradingProject]:
    """A project over rows of a test's own."""

    def make(rows: list[dict[str, Any]], **options: Any) -> GradingProject:
        file = tmp_path / f"{uuid.uuid4().hex}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return workspace.import_outputs(file, "own", **options)

    return make


@pytest.fixture
def project(workspace: Workspace) -> GradingProject:
    """60 of `outputs_of`, ungraded, without criteria."""
    return workspace.grading("made")


@pytest.fixture
def judged(project: GradingProject) -> GradingProject:
    """The project with two criteria and an assertion for each, run over all outputs."""
    for name, text, code in (("Short", "At most 20 words.", SHORT), ("Named", "Uses the name.", NAMED)):
        criterion = project.add_criterion(name, text, by="ada")
        judge = project.add_judge(criterion.id, "assertion", name, {"code": code})
        project.wait(project.run_judge(judge.id))
    return project


def grade(project: GradingProject, grader: Judge, ask: GradeAsk, bad: bool | None = None) -> Any:
    """Give the overall grade that `is_bad` says, or the given one."""
    fails = is_bad(ask.output) if bad is None else bad
    return project.grade(
        output=ask.output,
        grader=grader,
        client_uuid=uuid.uuid4().hex,
        answer="fail" if fails else "pass",
        query_id=ask.query_id,
    )


def grade_many(project: GradingProject, grader: Judge, n: int) -> list[GradeAsk]:
    """Grade the next n outputs."""
    asks = []
    for _ in range(n):
        ask = project.next_output(grader)
        assert ask is not None
        grade(project, grader, ask)
        asks.append(ask)
    return asks
