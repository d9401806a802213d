"""Candidates for new classes among the items that fit none: clusters that become a class in one action."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, text_field, typed
from plumbline_app.components.job_row import JobRow
from plumbline_app.components.layout import card, fill, line, place, stack
from plumbline_app.components.tiles import Tiles, tile
from plumbline_app.components.undo import Steps
from plumbline_app.components.words import heading, sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job, Judge

if TYPE_CHECKING:
    from plumbline_backend.jobs.runner import Jobs
    from plumbline_backend.project import Project

SHOWN = 16
"""Items of a cluster that are shown, nearest to its centre: two rows on a wide screen."""


class NewClasses(Viewer):
    """Unclear items and their clusters."""

    def __init__(
        self,
        project: Project,
        judge: Judge,
        steps: Steps,
        on_open: Callable[[int], None],
        jobs: Jobs,
        person: str,
    ) -> None:
        super().__init__()
        self._project, self._judge, self._steps = project, judge, steps
        self._on_open, self._person = on_open, person
        self._suggest = button("Suggest classes", self._start, disabled=True)
        self._said = sentence("")
        self._clusters = place()
        self.job_row = JobRow(jobs, self._ended)

    def __panel__(self) -> Viewable:
        return card(
            "Candidates for new classes",
            "Items that are likely enough for no class. Clusters among them, beside the classes there are, may be "
            "classes that nobody has named yet.",
            line(self._suggest, self._said),
            self.job_row,
            self._clusters,
        )

    def show(self) -> None:
        """Say how many items are unclear."""
        n = len(self._project.desk.review.unclear())
        self._suggest.disabled = n == 0
        words = f"{n:,} unclear items" if n else "No item is unclear at the present pace."
        self._said.object = sentence(words).object

    def _start(self) -> None:
        fill(self._clusters)
        self.job_row.follow(self._project.desk.review.start_clusters(), "Clustering unclear items")

    def _ended(self, job: Job) -> None:
        if job.state != "done":
            return
        self.job_row.follow(None)
        result: Mapping[str, Any] = job.result or {}
        clusters = [self._cluster(number, items) for number, items in enumerate(result["clusters"], 1)]
        tried = ", ".join(f"{k}: {value:.2f}" for k, value in result["silhouette"].items())
        words = (
            f"{len(clusters)} clusters; {result['n_known']:,} unclear items lie nearest to a known class. "
            f"Mean silhouette by number of clusters: {tried or 'too few items to compare'}."
        )
        fill(self._clusters, sentence(words), *clusters)

    def _cluster(self, number: int, items: Sequence[int]) -> Viewable:
        shown = list(items[:SHOWN])
        tiles = Tiles(
            lambda action, index: self._on_open(shown[index]) if action == "open" else None,
            caption=f"Cluster {number}",
            markable=True,
            mark_word="left out",
            help=[["x", "leave this one out"], ["Enter", "open"]],
        )
        tiles.show([tile(self._project, item) for item in self._project.pool.items(shown)])
        name = text_field("Name of the class", width=240)
        made = place()
        make = button(
            f"Make a class of these {len(items):,}",
            lambda: self._make(typed(name), items, [shown[i] for i in tiles.marked_now()], made),
        )
        head = heading(f"Cluster {number}", f"{len(items):,} items; nearest to the centre first", level=2)
        return stack(head, tiles, line(name, make), made)

    def _make(self, name: str, items: Sequence[int], left_out: Sequence[int], said: Any) -> None:
        chosen = [item for item in items if item not in left_out]
        try:
            step = self._project.desk.review.make_class(name, chosen, self._judge, by=self._person)
        except PlumblineError as error:
            self._steps.refused(error)
            return
        self._steps.took(step)
        fill(said, sentence(f"{step.words}."))
