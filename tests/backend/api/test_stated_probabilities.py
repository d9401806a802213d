"""An outside judge's probabilities of a labelling project's items, by the API, to the Calibration page's figures."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.testclient import TestClient

from plumbline_backend.domain.errors import InputError
from plumbline_backend.workspace import Workspace

THINGS = "/api/v1/projects/things"


def stated(item: int, **proba: float) -> dict[str, object]:
    return {"uuid": f"s{item}", "item": item, "proba": proba}


def test_a_grader_is_measured_where_people_answered(http: TestClient, workspace: Workspace) -> None:
    """Twenty items are answered, thirty have probabilities: 25 overlap would be wrong, 20 is right."""
    people = [{"uuid": f"p{i}", "item": i, "class_id": "c1" if i % 2 else "c2"} for i in range(20)]
    http.post(f"{THINGS}/judgements", json={"judgements": people})
    judge = http.post(f"{THINGS}/judges", json={"name": "grader"}).json()
    assert http.post(f"{THINGS}/judges", json={"name": "grader"}).json() == judge
    rows = [stated(i, c1=0.7, c2=0.3) for i in range(30)]
    acks = http.post(f"{THINGS}/judges/{judge['id']}/judgements", json={"judgements": rows}).json()["acks"]
    assert all(ack["ok"] for ack in acks)
    project = workspace.project("things")
    trust = project.desk.trust
    assert [(each.name, each.n) for each in trust.judges() if each.key != "head"] == [("grader", 20)]
    key = f"judge-{judge['id']}"
    before = trust.predictions(key)
    project.reorder_classes(["c2", "c1"], by="test")
    after = trust.predictions(key)
    for found in (before, after):
        column = found.classes.index(
            project.question().classes[-1].name if found is after else found.classes[0]
        )
        assert found.proba[:, column] == pytest.approx(0.7)
    np.testing.assert_array_equal(after.targets, 1 - before.targets)
    assert project.status().n_answered == 20


def test_it_is_never_learnt_from(workspace: Workspace) -> None:
    project = workspace.project("things")
    judge = project.outside_judge("grader")
    project.record(item=4, judge=judge, client_uuid="x", proba={"c1": 0.2, "c2": 0.8})
    row = project.current(4, judge)
    assert row is not None
    assert (row.answer, row.proba) == ("c2", (0.2, 0.8))
    labels, _ = project.loop.answers.training(project.question())
    assert 4 not in labels.items


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        ({"c1": 0.5, "c2": 0.4}, "the sum is 0.9; expected 1"),
        ({"c1": 1.0}, "nothing for c2; expected a probability of each of 2 classes"),
        ({"c1": 0.5, "c2": 0.5, "c9": 0.0}, "class 'c9' is not one of the question's"),
    ],
)
def test_what_is_no_probability_is_refused(http: TestClient, proba: dict[str, float], message: str) -> None:
    judge = http.post(f"{THINGS}/judges", json={"name": "grader", "kind": "rule"}).json()
    body = {"judgements": [{"uuid": "a", "item": 0, "proba": proba}]}
    (ack,) = http.post(f"{THINGS}/judges/{judge['id']}/judgements", json=body).json()["acks"]
    assert not ack["ok"]
    assert message in ack["error"]


def test_only_judges_that_are_no_people_are_written_for(http: TestClient, workspace: Workspace) -> None:
    person = workspace.project("things").person("ada")
    body = {"judgements": [stated(0, c1=1.0, c2=0.0)]}
    said = http.post(f"{THINGS}/judges/{person.id}/judgements", json=body)
    assert (said.status_code, "is a person" in said.json()["error"]) == (409, True)
    assert http.post(f"{THINGS}/judges/999/judgements", json=body).status_code == 404
    with pytest.raises(
        InputError, match="judge kind: found 'imported'; expected one of llm, rule, assertion"
    ):
        workspace.project("things").outside_judge("labels", "imported")


def test_a_merged_class_adds_its_probability(workspace: Workspace) -> None:
    project = workspace.project("things")
    project.add_class("neither", by="test")
    judge, person = project.outside_judge("grader"), project.person("ada")
    project.record(item=0, judge=judge, client_uuid="a", proba={"c1": 0.2, "c2": 0.3, "c3": 0.5})
    project.record(item=0, judge=person, client_uuid="b", answer="c1")
    project.merge_class("c3", "c1", by="test")
    found = project.desk.trust.predictions(f"judge-{judge.id}")
    assert dict(zip([c.id for c in project.question().active], found.proba[0], strict=True)) == {
        "c1": 0.7,
        "c2": 0.3,
    }
    project.add_class("another", by="test")
    assert project.desk.trust.predictions(f"judge-{judge.id}").n == 0
