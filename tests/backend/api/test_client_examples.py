"""The three examples of docs/api.md, run as they stand there against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline_backend.client import ApiError, Client
from plumbline_backend.workspace import Workspace

ROOT = Path(__file__).parents[3]
EXAMPLES = re.findall(
    r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "docs" / "api.md").read_text("utf-8"), re.DOTALL
)


def test_there_are_three_examples() -> None:
    assert [name for name, _ in EXAMPLES] == ["label.py", "active.py", "follow.py"]


def test_the_examples_run_as_they_are_written(server: str, workspace: Workspace, tmp_path: Path) -> None:
    token = workspace.store.tokens.create("Ada", "examples").secret
    (tmp_path / "flowers.csv").write_text(
        "key,length,kind\n" + "".join(f"f{i},{i % 2 + i / 500},\n" for i in range(120)), encoding="utf-8"
    )
    said = ""
    for name, code in EXAMPLES:
        (tmp_path / name).write_text(code, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, name],
            cwd=tmp_path,
            env={"PLUMBLINE_URL": server, "PLUMBLINE_TOKEN": token, "PATH": ""},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout
    assert "120 items" in said
    assert re.search(r"model \d+: item \d+ is \w+ with probability 0\.\d+", said)
    assert re.search(r"\d+ rows of the ledger", said)


def test_the_client_pages_uploads_undoes_and_downloads(server: str, tmp_path: Path) -> None:
    with Client(server) as client:
        assert [item["position"] for item in client.items("things")] == list(range(60))
        first = client.record("things", item=1, class_id="c1")
        assert client.undo("things") == first
        assert client.undo("things") is None
        acks = client.record_many("things", [{"item": i, "class_id": "c2"} for i in range(3)])
        assert all(ack["ok"] for ack in acks)
        path = client.export("things", "labels", tmp_path / "labels.jsonl", format="jsonl")
        assert len(path.read_text().splitlines()) == 3
        with pytest.raises(ApiError, match="not in the schema") as refused:
            client.record("things", item=1, class_id="c9")
        assert refused.value.status == 422
        with pytest.raises(ApiError, match="did you mean 'things'"):
            client.project("thing")


def test_a_lost_answer_is_sent_again_and_recorded_once(server: str, workspace: Workspace) -> None:
    """The control is below: without the client's retry the same break is an error."""
    with Client(server) as client:
        client.record("things", item=1, class_id="c1", uuid="once")
        client._connection.sock.close()  # the connection broke before the answer came
        client.record("things", item=1, class_id="c1", uuid="once")
    history = workspace.project("things").history()
    assert [row.client_uuid for row in history] == ["once"]


def test_without_a_retry_the_broken_connection_is_an_error(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbline_backend.client.ATTEMPTS", 1)
    with Client(server) as client:
        client.record("things", item=1, class_id="c1")
        client._connection.sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            client.record("things", item=2, class_id="c1")
