"""A project of four clouds of points, of which three have a class, answered as the truth says."""

from __future__ import annotations

import csv
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

CENTRES = np.array([[0, 0, 0], [6, 0, 0], [0, 6, 0], [6, 6, 6]], dtype=float)
NAMES = ("round", "flat", "tall")


class Clouds:
    """The project with its truth: class number 0 to 2, and 3 for the cloud that has no class yet."""

    def __init__(self, workspace, truth):
        self.workspace, self.truth = workspace, truth
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
        """Answer the next n asks rightly, those numbered in `wrong` wrongly; a model after every ten. The fourth cloud
        is skipped."""
        asks = []
        for start in range(0, n, 10):
            self.project.loop.fit_soon = lambda: None  # one fit for ten answers, as with a quick person
            for number in range(start, min(start + 10, n)):
                asks += [self._ask_one(number in wrong)]
            del self.project.loop.fit_soon
            self.settle()
        return asks

    def _ask_one(self, wrongly):
        (ask,) = self.project.next_items(self.me, "tab", 1)
        truth = int(self.truth[ask.item])
        if truth == 3:
            self.project.record(item=ask.item, judge=self.me, client_uuid=uuid.uuid4().hex, state="skipped")
        else:
            given = (truth + 1) % 3 if wrongly else truth
            self.answer(ask.item, given, query_id=ask.query_id, stratum=ask.stratum)
        return ask

    def settle(self):
        while (job := self.project.fit()) is not None:
            self.project.wait(job)


def build(folder, n=240, spread=0.8, fourth=0.0, seed=0):
    """Import the clouds as a project of a workspace in `folder`; returns the truth."""
    rng = np.random.default_rng(seed)
    share = [(1 - fourth) / 3] * 3 + [fourth]
    truth = rng.choice(4, size=n, p=share)
    points = CENTRES[truth] + rng.normal(0, spread, (n, 3))
    path = folder / "clouds.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "x", "y", "z"])
        writer.writerows([[f"p{i:04}", *(f"{v:.4f}" for v in row)] for i, row in enumerate(points)])
    with open_workspace(folder / "ws", executor=InlineExecutor()) as workspace:
        project = workspace.import_items(path, "clouds")
        for name in NAMES:
            project.add_class(name, by="test")
    return truth


@contextmanager
def opened(folder, truth):
    with open_workspace(folder / "ws", executor=InlineExecutor()) as workspace:
        yield Clouds(workspace, truth)


class Kept(NamedTuple):
    """A workspace that is copied for each test, so that it is labelled once."""

    folder: Path
    truth: np.ndarray


def copied(kept, tmp_path):
    shutil.copytree(kept.folder / "ws", tmp_path / "ws")
    return opened(tmp_path, kept.truth)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untouched")
    return Kept(folder, build(folder))


@pytest.fixture(scope="session")
def answered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answered")
    truth = build(folder)
    with opened(folder, truth) as clouds:
        clouds.ask(45)
    return Kept(folder, truth)


@pytest.fixture(scope="session")
def taken_up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taken_up")
    truth = build(folder)
    with opened(folder, truth) as clouds:
        clouds.ask(40)
        clouds.project.loop.pacing.choose("fixed")
        clouds.project.loop.pacing.switch(on=True)
        clouds.ask(10)
    return Kept(folder, truth)


@pytest.fixture
def clouds(untouched, tmp_path):
    with copied(untouched, tmp_path) as made:
        yield made


@pytest.fixture
def ready(answered, tmp_path):
    """45 answers and a model."""
    with copied(answered, tmp_path) as made:
        yield made


@pytest.fixture
def paced(taken_up, tmp_path):
    """40 answers, then the pace is switched on, then 10 more answers so that a round is taken up."""
    with copied(taken_up, tmp_path) as made:
        yield made


@pytest.fixture
def with_fourth(tmp_path):
    with opened(tmp_path, build(tmp_path, n=300, fourth=0.2)) as made:
        yield made
