"""The loop on SQLite and on Postgres alike: import, answer, learn, close, open again, export."""

from __future__ import annotations

import csv
import uuid

from sklearn.datasets import load_wine

from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace


def test_a_project_lives_on_in_its_database(database_url, tmp_path):
    with open_workspace(tmp_path / "ws", database_url=database_url, executor=InlineExecutor()) as workspace:
        project = workspace.create_demo("wine")
        me = project.person("me")
        names = {c.name: c.id for c in project.question().active}
        target = load_wine().target
        for _ in range(4):
            asks = _answer_ten(project, me, names, target)
            assert {ask.stratum for ask in asks} <= {"stream", "model", "random"}
        while (job := project.fit()) is not None:
            project.wait(job)
        before, accuracy = project.status(), project.report().evaluation.accuracy
        assert before.n_answered == 40
        assert before.n_stream == 4
        assert before.model is not None
    with open_workspace(tmp_path / "ws", database_url=database_url, executor=InlineExecutor()) as workspace:
        project = workspace.project("wine")
        after = project.status()
        assert (after.n_by_class, after.n_stream, after.model) == (before.n_by_class, 4, before.model)
        assert project.report().evaluation.accuracy == accuracy
        path = project.export_labels(tmp_path / "labels.csv")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert len({row["item_key"] for row in rows}) == 40


def _answer_ten(project, judge, names, target):
    """Answer ten asks rightly; returns them."""
    asks = project.next_items(judge, "tab", 10)
    for ask in asks:
        project.record(
            item=ask.item,
            judge=judge,
            client_uuid=uuid.uuid4().hex,
            answer=names[str(target[ask.item])],
            query_id=ask.query_id,
            stratum=ask.stratum,
        )
    return asks
