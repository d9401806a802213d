"""Score rows of other tools for the outputs of a project: choosing the file, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import checkbox
from plumbline_app.components.import_review import problems_grid
from plumbline_app.components.layout import card
from plumbline_app.components.upload import Upload
from plumbline_app.components.words import notice
from plumbline_backend.domain.types import Job
from plumbline_backend.importers.source import OnProblem
from plumbline_backend.judges import scores

if TYPE_CHECKING:
    from plumbline_backend.domain.grades import Criterion
    from plumbline_backend.grading import GradingProject

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv")
BELOW = (
    "Feedback of LangSmith, annotations of Phoenix or scores of Langfuse, as JSON, JSON Lines or CSV. Rows are joined "
    "to the outputs by their ids; what people said becomes grades, what judges said becomes imported judges."
)


class ScoresImport(Viewer):
    """Takes a file for one criterion. `find(upload_id)` gives its path; `start(job)` is called to follow the work."""

    def __init__(
        self,
        project: GradingProject,
        criterion: Criterion,
        find: Callable[[str], Path],
        start: Callable[[Callable[[], Job]], None],
    ) -> None:
        super().__init__()
        self._project = project
        self._criterion = criterion
        self._find = find
        self._start = start
        self._skip = checkbox("Leave out rows that fit no output or cannot be read", False)

    def __panel__(self) -> Viewable:
        title = f"Verdicts and grades of {self._criterion.name} from another tool"
        upload = Upload(self._uploaded, accept=",".join(SUFFIXES), kinds="JSON, JSON Lines or CSV")
        return card(title, BELOW, self._skip, upload)

    def _uploaded(self, upload_id: str, _: str) -> None:
        on_problem: OnProblem = "skip" if self._skip.value else "refuse"
        self._start(
            lambda: scores.start_scores(self._project, self._find(upload_id), self._criterion.id, on_problem)
        )


def scores_in_words(job: Job) -> list[Viewable]:
    """What an import of scores did, with the rows that it left out or that kept it from beginning."""
    result = dict(job.result or {})
    problems = result.get("problems", [])
    listed = [problems_grid(problems)] if problems else []
    if job.state != "done":
        words = (
            "Nothing was taken. Mend the rows below, or choose to leave them out."
            if problems
            else job.message
        )
        return [notice("These scores cannot be read", words, tone="bad"), *listed]
    told = f"{result['n_verdicts']:,} verdicts and {result['n_grades']:,} grades."
    if problems:
        told += f" {len(problems):,} rows were left out."
    if not result["n_verdicts"] + result["n_grades"]:
        told = "They were here already: nothing changed."
    return [notice("Taken", told, tone="good"), *listed]
