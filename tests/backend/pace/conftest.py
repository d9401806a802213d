"""A project of four clouds of points, of which three have a class, answered as the truth says."""

from __future__ import annotations

import csv
import uuid

import numpy as np
import pytest

from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

CENTRES = np.array([[0, 0, 0], [6, 0, 0], [0, 6, 0], [6, 6, 6]], dtype=float)
NAMES = ("round", "flat", "tall")


class Clouds:
    """The project with its truth: class number 0 to 2, and 3 for the cloud that has no class yet."""

    def __init__(self, workspace, truth, spread):
        self.workspace, self.truth, self.spread = workspace, truth, spread
        self.project = workspace.project("clouds")
        self.me = self.project.person("me")

    @property
    def ids(self):
        return [c.id for c in self.project.question().active]

    def answer(self, item, number=None, **more):
        number = int(self.truth[item]) if number is None else number
        return self.project.record(
            item=int(item),
            judge=self.me,
            client_uuid=uuid.uuid4().hex,
            answer=self.ids[number],
            **more,
        )

    def ask(self, n, wrong=()):
        """Answer the next n asks rightly, those numbered in `wrong` wrongly; unknown clouds are skipped."""
        asks = []
        for number in range(n):
            (ask,) = self.project.next_items(self.me, "tab", 1)
            truth = int(self.truth[ask.item])
            if truth == 3:
                self.project.record(
                    item=ask.item, judge=self.me, client_uuid=uuid.uuid4().hex, state="skipped"
                )
            else:
                given = (truth + 1) % 3 if number in wrong else truth
                self.answer(ask.item, given, query_id=ask.query_id, stratum=ask.stratum)
            asks.append(ask)
        self.settle()
        return asks

    def settle(self):
        while (job := self.project.fit()) is not None:
            self.project.wait(job)


def make_clouds(folder, n=240, spread=0.8, fourth=0.0, seed=0, **settings):
    rng = np.random.default_rng(seed)
    share = [(1 - fourth) / 3] * 3 + [fourth]
    truth = rng.choice(4, size=n, p=share)
    points = CENTRES[truth] + rng.normal(0, spread, (n, 3))
    path = folder / "clouds.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "x", "y", "z"])
        writer.writerows([[f"p{i:04}", *(f"{v:.4f}" for v in row)] for i, row in enumerate(points)])
    workspace = open_workspace(folder / "ws", executor=InlineExecutor(), settings=settings)
    project = workspace.import_items(path, "clouds")
    for name in NAMES:
        project.add_class(name, by="test")
    return Clouds(workspace, truth, spread)


@pytest.fixture
def clouds(tmp_path):
    made = make_clouds(tmp_path)
    with made.workspace:
        yield made


@pytest.fixture
def with_fourth(tmp_path):
    made = make_clouds(tmp_path, n=300, fourth=0.2)
    with made.workspace:
        yield made
