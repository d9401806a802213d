"""The choice of head and its settings over the API: listed, set, taken back, and refused in words."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from plumbline_backend.client import Client
from plumbline_backend.workspace import Workspace

THINGS = "/api/v1/projects/things"


def settings_of(heads: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    (head,) = [each for each in heads["heads"] if each["name"] == name]
    return {each["name"]: each for each in head["settings"]}


def test_heads_are_listed_with_their_settings_and_set_until_they_are_taken_back(
    http: TestClient, workspace: Workspace
) -> None:
    listed = http.get(f"{THINGS}/heads").json()
    assert (listed["chosen"], listed["options"]) == ("linear_softmax", {})
    l2 = settings_of(listed, "linear_softmax")["l2"]
    assert (l2["title"], l2["default"], l2["value"]) == ("Penalty (L2)", None, None)
    assert l2["expected"] == "a number from 0 to 1e+09"
    assert settings_of(listed, "nearest_mean") == {}
    asked = {"head": "cosine", "settings": {"scale": 12, "margin": None}, "options": {"class_prior": 1.0}}
    said = http.post(f"{THINGS}/head", json=asked).json()
    assert (said["chosen"], said["options"]) == ("cosine", {"class_prior": 1.0})
    assert settings_of(said, "cosine")["scale"]["value"] == 12
    project = workspace.project("things")
    assert (project.loop.head, project.loop.head_settings) == ("cosine", {"scale": 12})
    said = http.post(f"{THINGS}/head", json={"head": "cosine"}).json()
    assert settings_of(said, "cosine")["scale"]["value"] is None
    assert said["options"] == {"class_prior": 1.0}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"head": "cosin"}, "did you mean 'cosine'?"),
        ({"head": "cosine", "settings": {"scale": "wide"}}, "'scale' is 'wide'; expected a number from 0 to 10000"),
        ({"head": "cosine", "settings": {"scale": [1]}}, "'scale' is [1]; expected a number"),
        ({"head": "cosine", "settings": {"adjust": 1}}, "'adjust' is an option of the training"),
        ({"head": "lda", "settings": {"shrinkage": -0.5}}, "shrinkage is -0.5; expected 0 to 1, or -1"),
        ({"head": "lda", "options": {"class_prior": 1}}, "cannot allow for how frequent classes are"),
        ({"head": "lda", "setings": {}}, "setings"),
        ({}, "head"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused_and_changes_nothing(
    http: TestClient, body: dict[str, Any], words: str
) -> None:
    before = http.get(f"{THINGS}/heads").json()
    refused = http.post(f"{THINGS}/head", json=body)
    assert refused.status_code == 422
    assert words in refused.json()["error"]
    after = http.get(f"{THINGS}/heads").json()
    assert (after["chosen"], after["options"]) == (before["chosen"], before["options"])
    assert settings_of(after, "cosine") == settings_of(before, "cosine")


def test_the_client_sets_a_head(server: str) -> None:
    with Client(server) as client:
        client.choose_head("things", "linear_softmax", l2=0.5)
        heads = client.heads("things")
        assert settings_of(heads, "linear_softmax")["l2"]["value"] == 0.5
