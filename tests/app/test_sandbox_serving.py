"""What the serving process does with code of people: it probes the sandbox when it starts, and runs none itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

from plumbline_app import main
from plumbline_backend.judges.sandbox import Wall
from plumbline_backend.workspace import open_workspace

PROBE = sys.modules["plumbline_backend.judges.sandbox.probe"]
SERVED = """
import json, sys
from pathlib import Path

seen = []

def constants(code):
    for each in code.co_consts:
        yield from constants(each) if hasattr(each, "co_consts") else [each]

def listen(event, arguments):
    if event == "exec" and hasattr(arguments[0], "co_consts") and "PLUMBMARK" in constants(arguments[0]):
        seen.append(arguments[0].co_filename)

sys.addaudithook(listen)
from fastapi.testclient import TestClient
from plumbline_app.main import create_app
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.judges.sandbox import child
from plumbline_backend.workspace import open_workspace

CODE = "def check(output, context):\\n    return 'PLUMBMARK' in output\\n"
folder = Path(sys.argv[1])
(folder / "o.jsonl").write_text('{"output": "with PLUMBMARK"}\\n{"output": "without"}\\n')
with open_workspace(folder / "ws", executor=InlineExecutor()) as workspace:
    project = workspace.import_outputs(folder / "o.jsonl", "o")
    with TestClient(create_app(workspace), base_url="http://localhost") as http:
        judge = project.add_judge(None, "assertion", "marked", {"code": CODE})
        project.wait(project.run_judge(judge.id))
        answer = http.get(f"/api/v1/grading/o/judges/{judge.id}/verdicts")
    states = [each["state"] for each in answer.json()["verdicts"]]
by_the_product = list(seen)
child._compiled(CODE)
print(json.dumps({"states": states, "seen": by_the_product, "control": seen}))
"""


def test_the_web_process_never_runs_the_code_of_an_assertion(tmp_path):
    """An audit hook sees every code object that the process executes: the assertion's own is not among them, and is
    seen when it is run here on purpose."""
    done = subprocess.run(
        [sys.executable, "-c", SERVED, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"states": ["pass", "fail"], "seen": [], "control": ["validator"]}


@pytest.mark.parametrize(
    ("wall", "level"),
    [(Wall("fork server", "it holds"), "INFO"), (Wall("none", "Darwin on arm64"), "WARNING")],
)
def test_the_sandbox_is_probed_beside_the_start_of_the_server(tmp_path, monkeypatch, caplog, wall, level):
    """The server listens while the probe goes on, and the log says what it found."""
    may_end, asked = threading.Event(), threading.Event()

    def slowly():
        asked.set()
        assert may_end.wait(20)
        return wall

    def listen(_):
        assert asked.wait(20), "the probe was not begun"
        may_end.set()

    monkeypatch.setattr(PROBE, "probe", slowly)
    monkeypatch.setattr(main.uvicorn.Server, "run", listen)
    monkeypatch.setattr(main, "configure_logs", lambda _: None)
    monkeypatch.setattr(main, "close_on_sigterm", lambda: None)
    caplog.set_level("INFO")
    with open_workspace(tmp_path / "ws") as workspace:
        main.serve(workspace)
        for thread in threading.enumerate():
            if thread.name == "sandbox-probe":
                thread.join(20)
    (record,) = [each for each in caplog.records if "confined" in each.message]
    assert (record.levelname, record.message) == (
        level,
        f"code of assertions is confined by: {wall.kind} ({wall.reason})",
    )
