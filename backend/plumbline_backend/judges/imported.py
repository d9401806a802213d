"""Verdicts of a judge outside Plumbline: they come with a file and cannot be run here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.grades import Criterion
from plumbline_backend.judges.kinds import JudgeRun


class ImportedJudge:
    """An outside judge; measured like any other."""

    kind = "imported"
    explanation = "Verdicts of a judge outside Plumbline, brought by a file."

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> Mapping[str, Any]:
        """Whatever the file tells of it."""
        del criterion
        return dict(spec)

    def run(self, run: JudgeRun) -> Mapping[str, Any]:
        """Raises ConflictError: only the outside judge can judge more outputs."""
        raise ConflictError(
            f"judge {run.judge.name!r} was imported and cannot be run here; import its verdicts again instead"
        )
