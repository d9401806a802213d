"""The Label page's routes over a real workspace: sent twice, refused, and hidden labels."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from plumbline_app.label_api import label_routes
from plumbline_backend.domain.errors import InputError
from plumbline_backend.project import Project
from plumbline_backend.report import Prediction
from plumbline_backend.workspace import open_workspace

HEADER = ["key", "text", "size", "__proto__", "label"]
N_ITEMS = 30


class Client:
    """The routes, without pages, as one person."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/api/projects/things/label/{path}", json=body)

    def sync(self, *operations: dict[str, Any], want: int = 0) -> Any:
        return self.post("sync", holder="tab", operations=list(operations), want=want).json()

    def open(self) -> Any:
        return self.post("open", holder="tab").json()


def record(item: int, uuid: str, **more: Any) -> dict[str, Any]:
    return {"kind": "record", "uuid": uuid, "item": item, "class_id": "c1", **more}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    rows = [
        [
            f"k{i}",
            f"a text with several words, number {i}",
            "" if i == 3 else i / 7,
            f"p{i}",
            "odd" if i % 2 else "even",
        ]
        for i in range(N_ITEMS)
    ]
    with (tmp_path / "things.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    with open_workspace(tmp_path / "workspace") as workspace:
        workspace.import_items(tmp_path / "things.csv", "things")
        project = workspace.project("things")
        for name in ("left", "right"):
            project.add_class(name, by="test")
        app = FastAPI()
        app.include_router(label_routes(workspace))

        @app.exception_handler(InputError)
        def refuse(_: Request, error: InputError) -> JSONResponse:
            return JSONResponse({"error": str(error)}, status_code=422)

        yield Client(TestClient(app))


def test_the_same_answer_sent_twice_is_recorded_once(client: Client) -> None:
    first = client.sync(record(5, "a"))["acks"]
    again = client.sync(record(5, "a"))
    assert again["acks"] == first
    assert again["status"]["n_answered"] == 1
    assert len(client.open()["history"]) == 1


def test_an_answer_and_its_undo_in_one_request(client: Client) -> None:
    acks = client.sync(
        record(5, "a"), record(6, "b"), {"kind": "undo", "uuid": "c", "item": 5, "target_uuid": "a"}
    )["acks"]
    assert [ack["ok"] for ack in acks] == [True, True, True]
    assert [row["item"] for row in client.open()["history"]] == [6]


def test_a_refused_operation_does_not_stop_the_others(client: Client) -> None:
    acks = client.sync(record(5, "a", class_id="c99"), record(N_ITEMS, "b"), record(7, "c"))["acks"]
    assert [ack["ok"] for ack in acks] == [False, False, True]
    assert "is not in the schema" in acks[0]["reason"]
    assert f"expected 0 to {N_ITEMS - 1}" in acks[1]["reason"]


def test_unknown_fields_and_too_many_operations_are_refused(client: Client) -> None:
    assert client.post("sync", holder="tab", surprise=1).status_code == 422
    many = [record(1, str(i)) for i in range(201)]
    assert client.post("sync", holder="tab", operations=many).status_code == 422


def test_an_imported_label_is_never_shown(client: Client) -> None:
    opened = client.open()
    assert len(opened["asks"]) == 10
    assert "label" not in opened["layout"]["all"]
    assert all("label" not in ask["cells"] for ask in opened["asks"])
    assert '"even"' not in json.dumps(opened["asks"])


def test_missing_numbers_are_null_and_odd_column_names_are_plain_names(client: Client) -> None:
    item = client.http.get("/api/projects/things/label/items/3").json()
    assert item["cells"]["size"] is None
    assert item["cells"]["__proto__"] == "p3"
    sample = client.http.get("/api/projects/things/label/background?columns=size").json()
    assert len(sample["size"]) == N_ITEMS
    assert sample["size"].count(None) == 1
    assert client.http.get("/api/projects/things/label/background?columns=label").status_code == 422


def test_the_next_items_are_those_still_promised_to_the_tab(client: Client) -> None:
    first = [ask["item"] for ask in client.sync(want=10)["asks"]]
    assert [ask["item"] for ask in client.sync(want=10)["asks"]] == first
    rest = [ask["item"] for ask in client.sync(record(first[0], "a"), want=10)["asks"]]
    assert rest[:9] == first[1:]
    other = client.post("sync", holder="other tab", want=10).json()["asks"]
    assert not {ask["item"] for ask in other} & {*first, *rest}


def test_classes_are_edited_by_name_of_the_person(client: Client) -> None:
    path = "/api/projects/things/label/classes"
    headers = {"x-plumbline-person": "Zo%C3%AB"}
    added = client.http.post(path, json={"kind": "add", "name": "7"}, headers=headers).json()
    assert [c["key"] for c in added["classes"] if c["name"] == "7"] == ["7"]
    assert client.http.post(path, json={"kind": "add", "name": " LEFT "}).status_code == 422
    history = client.http.get(f"{path}/history").json()
    assert (history[0]["change"], history[0]["by"]) == ("added class '7'", "Zoë")


def test_the_opinion_says_none_of_these_where_the_project_refuses_items(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Null without a rule, and without a model."""
    url = "/api/projects/things/label/items/3/opinion"
    assert client.http.get(url).json() == {"model": None, "classes": [], "none_of_these": None}
    for said in (None, True, False):

        def predict(project: Project, _positions: list[int], said: bool | None = said) -> Any:
            outside = None if said is None else np.array([said])
            classes = project.question().active[:2]
            return Prediction(classes, np.array([[0.3, 0.7]]), SimpleNamespace(version=2), outside)  # type: ignore[arg-type]

        monkeypatch.setattr(Project, "predict", predict)
        opinion = client.http.get(url).json()
        assert opinion["none_of_these"] is said
        assert [each["proba"] for each in opinion["classes"]] == [0.7, 0.3]
