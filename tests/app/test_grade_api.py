"""The Grade page's routes over a real project: a grade with its thumbs, undone, sent twice, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from plumbline_app.grade_api import grade_routes
from plumbline_app.grade_state import TEXT_LIMIT
from plumbline_backend.domain.errors import InputError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

N_OUTPUTS = 30
BIG = "long <b>text</b> \x07 " * 10_000


class Client:
    """The routes, without pages, as one person."""

    def __init__(self, workspace: Workspace, http: TestClient) -> None:
        self.workspace = workspace
        self.http = http
        self.criteria = [each["id"] for each in self.open()["criteria"]]

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/api/projects/outputs/grade/{path}", json=body)

    def get(self, path: str) -> Any:
        return self.http.get(f"/api/projects/outputs/grade/{path}").json()

    def open(self) -> Any:
        return self.post("open").json()

    def sync(self, *operations: dict[str, Any], **body: Any) -> Any:
        return self.post("sync", operations=list(operations), **body).json()


def grade(ask: dict[str, Any], uuid: str, answer: str | None = "pass", **more: Any) -> dict[str, Any]:
    return {
        "kind": "grade",
        "uuid": uuid,
        "output": ask["output"],
        "answer": answer,
        "query_id": ask["query_id"],
        **more,
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the project, to be copied by each test."""
    folder = tmp_path_factory.mktemp("grading")
    rows = [
        {
            "prompt": "Say {thing}.",
            "variables": {"thing": f"t{i}"},
            "response": BIG if i == 7 else f"reply {i}",
        }
        for i in range(N_OUTPUTS)
    ]
    (folder / "outputs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with open_workspace(folder / "workspace", executor=InlineExecutor()) as workspace:
        project = workspace.import_outputs(folder / "outputs.jsonl", "outputs")
        project.add_criterion("Short", "It is short.", by="test")
        project.add_criterion("Tone", "It is polite.", by="test", kind="rating")
    return folder / "workspace"


@pytest.fixture
def client(prepared: Path, tmp_path: Path) -> Iterator[Client]:
    shutil.copytree(prepared, tmp_path / "workspace")
    with open_workspace(tmp_path / "workspace", executor=InlineExecutor()) as workspace:
        app = FastAPI()
        app.include_router(grade_routes(workspace))
        yield Client(workspace, TestClient(app))


def test_an_output_comes_with_its_prompt_and_how_it_was_drawn(client: Client) -> None:
    opened = client.open()
    ask = opened["ask"]
    assert ask["reason"] == "drawn uniformly from all outputs"
    assert ask["variables"] == [
        {"name": "thing", "text": f"t{ask['output']}", "length": len(f"t{ask['output']}"), "cut": False}
    ]
    assert [each["answers"] for each in opened["criteria"]] == [["pass", "fail"], ["1", "2", "3", "4", "5"]]
    assert opened["history"] == []


def test_it_is_the_same_output_until_it_is_graded(client: Client) -> None:
    first = client.open()["ask"]
    assert client.sync()["ask"] == first
    done = client.sync(grade(first, "u1"))
    assert done["acks"] == [{"uuid": "u1", "ok": True}]
    assert done["ask"]["output"] != first["output"]
    assert (done["status"]["n_graded"], done["status"]["n_good"]) == (1, 1)


def test_thumbs_are_recorded_with_the_grade_and_taken_back_with_it(client: Client) -> None:
    short, tone = client.criteria
    ask = client.open()["ask"]
    thumbs = [{"criterion": short, "answer": "fail"}, {"criterion": tone, "answer": "4"}]
    status = client.sync(grade(ask, "u1", "fail", note="far too long", thumbs=thumbs))["status"]
    assert status["per_criterion"][str(short)] == {"n_pass": 0, "n_fail": 1, "n_stale": 0, "n_regrade": 1}
    assert status["per_criterion"][str(tone)]["n_pass"] == 1
    seen = client.open()["history"][0]
    assert (seen["answer"], seen["note"], seen["thumbs"]) == (
        "fail",
        "far too long",
        {str(short): "fail", str(tone): "4"},
    )
    undone = client.sync({"kind": "undo", "uuid": "u2", "count": 3})
    assert [each["answer"] for each in undone["acks"][0]["undone"]] == ["fail", "4", "fail"]
    assert undone["status"]["n_graded"] == 0
    assert undone["status"]["per_criterion"][str(short)]["n_fail"] == 0
    assert undone["ask"]["output"] in (ask["output"], client.open()["ask"]["output"])


def test_what_is_sent_twice_is_recorded_once(client: Client) -> None:
    ask = client.open()["ask"]
    operation = grade(ask, "same", "fail", thumbs=[{"criterion": client.criteria[0], "answer": "fail"}])
    for _ in range(2):
        status = client.sync(operation)["status"]
    assert (status["n_graded"], status["n_bad"]) == (1, 1)


@pytest.mark.parametrize("state", ["skipped", "unsure"])
def test_a_skip_goes_on_without_a_grade(client: Client, state: str) -> None:
    ask = client.open()["ask"]
    after = client.sync(grade(ask, "u1", None, state=state))
    assert after["ask"]["output"] != ask["output"]
    assert after["status"]["n_graded"] == 0
    assert after["status"][f"n_{state}"] == 1


def test_refusals_are_answers_in_words(client: Client) -> None:
    ask = client.open()["ask"]
    wrong = [
        grade(ask, "a", "perfect"),
        grade(ask, "b", None),
        {**grade(ask, "c"), "output": (ask["output"] + 1) % N_OUTPUTS},
        grade(ask, "d", thumbs=[{"criterion": client.criteria[1], "answer": "6"}]),
        {**grade(ask, "e"), "output": 999, "query_id": None},
    ]
    acks = client.sync(*wrong)["acks"]
    assert [ack["ok"] for ack in acks] == [False] * 5
    assert "perfect" in acks[0]["reason"]
    assert "did not ask for output" in acks[2]["reason"]
    assert client.open()["status"]["n_graded"] == 0


def test_an_earlier_output_keeps_its_draw_when_it_is_graded_again(client: Client) -> None:
    ask = client.open()["ask"]
    client.sync(grade(ask, "u1"))
    again = client.get(f"outputs/{ask['output']}")
    assert (again["query_id"], again["graded"]["answer"]) == (ask["query_id"], "pass")
    client.sync(grade(again, "u2", "fail"))
    project = client.workspace.grading("outputs")
    (held,) = project.grades()
    assert (held.answer, held.probability) == ("fail", pytest.approx(1 / N_OUTPUTS))
    assert project.designed()[ask["output"]]


def test_an_output_that_was_chosen_by_hand_has_no_draw(client: Client) -> None:
    drawn = client.open()["ask"]["output"]
    other = client.get(f"outputs/{(drawn + 1) % N_OUTPUTS}")
    assert (other["query_id"], other["graded"]) == (None, None)
    client.sync(grade(other, "u1"))
    assert not client.workspace.grading("outputs").designed()[other["output"]]


def test_grading_again_is_blind_and_closes_the_queue(client: Client) -> None:
    ask = client.open()["ask"]
    client.sync(grade(ask, "u1"))
    mode = {"kind": "regrade", "criterion": None}
    again = client.sync(mode=mode)["ask"]
    assert again["output"] == ask["output"]
    assert "graded" not in again
    after = client.sync(grade(again, "u2", "fail"), mode=mode)
    assert (after["ask"], after["status"]["n_regrade"]) == (None, 0)
    assert client.workspace.grading("outputs").regraded_pairs() == [(1, 0)]


def test_a_criterion_can_be_written_while_grading(client: Client) -> None:
    found = client.post("criteria", name="True", text="Nothing is invented.").json()
    assert [each["name"] for each in found["criteria"]] == ["Short", "Tone", "True"]
    assert client.sync()["criteria_version"].endswith(".True")
    with pytest.raises(InputError):
        client.post("criteria", name="", text="")


def test_a_huge_output_with_odd_characters_is_cut_and_told(client: Client) -> None:
    response = client.get("outputs/7")["response"]
    assert response["cut"] is True
    assert len(response["text"]) == TEXT_LIMIT
    assert response["length"] == len(BIG)


def test_every_output_can_be_graded_and_then_there_is_none(client: Client) -> None:
    after = client.open()
    for i in range(N_OUTPUTS):
        after = client.sync(grade(after["ask"], f"u{i}", "pass" if i % 2 else "fail"))
    assert after["ask"] is None
    assert after["status"]["n_graded"] == N_OUTPUTS
    assert client.get("outputs/0/verdicts") == []
