"""The commands that others rely on: help, JSON where a machine reads it, an exit status that can be trusted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

from plumbline_app.cli import app, main
from plumbline_backend.workspace import Workspace, open_workspace

Run = Callable[..., int]
FOR_PEOPLE_ONLY = {"serve", "demo"}
"""They run until they are stopped: there is no result to read."""
COMMANDS = {"serve", "demo", "import", "export", "train", "simulate", "calibrate", "judges", "backup", "restore",
            "check-plugin", "doctor"}  # fmt: skip
ROOT = typer.main.get_command(app)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in this process, in a folder of its own; gives the exit status."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["plumbline", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return command


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    """A folder with a workspace with the demo of wines, closed again."""
    with opened(tmp_path) as workspace:
        workspace.create_demo("wine")
    return tmp_path


def opened(folder: Path) -> Workspace:
    return open_workspace(folder / "workspace", settings={"executor": "inline"})


def test_the_list_is_whole() -> None:
    assert set(ROOT.commands) == COMMANDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_json_where_a_machine_reads_it(
    name: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--help") == 0
    said = capsys.readouterr().out
    assert "Usage: " in said
    assert name in said
    command = ROOT.commands[name]  # type: ignore[attr-defined]
    for each in getattr(command, "commands", {name: command}).values():
        assert each.help, each.name
        offered = {option for parameter in each.params for option in parameter.opts}
        assert ("--json" in offered) == (name not in FOR_PEOPLE_ONLY), each.name


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("doctor", 0, ""),
        ("backup b.tar", 0, ""),
        ("train none", 1, "project 'none' does not exist"),
        ("train wine", 1, "has no model. Answer a few items"),
        ("train wine --head linear", 2, "did you mean 'linear_softmax'"),
        ("train wine --set l2=much", 2, "head setting 'l2' is 'much'; expected a number from 0 to 1e+09"),
        ("train wine --head lda --set l2=1", 2, "head 'lda' has no setting 'l2'"),
        ("train wine --set l2", 2, "--set: found 'l2'; expected NAME=VALUE, such as l2=0.1"),
        ("train wine --workspace", 2, ""),
        ("export none labels out.csv", 1, "project 'none' does not exist"),
        ("export wine classifier out", 1, "has no model to export yet"),
        ("export wine pictures out", 2, "what: found 'pictures'"),
        ("import none.csv", 2, "none.csv: no such file or folder"),
        ("import empty.csv", 2, "expected a file with rows"),
        ("serve --port 99999", 2, "setting 'port' is 99999"),
        ("demo --fresh --workspace workspace", 2, "was not made by `plumbline demo`"),
        ("simulate --data wine --strategy marginn", 2, "did you mean 'margin'"),
        ("simulate --data none.csv", 2, "none.csv"),
        ("calibrate none.npz", 2, "none.npz"),
        ("judges align none.jsonl", 2, "none.jsonl"),
        ("judges run none", 1, "project 'none' does not exist"),
        ("check-plugin none.py", 2, "none.py"),
        ("check-plugin empty.csv", 2, "empty.csv"),
        ("restore none.tar --workspace there", 2, "none.tar"),
        ("restore empty.csv --workspace there", 2, "empty.csv"),
        ("simulat", 2, ""),
    ],
)
def test_the_exit_status_tells_done_failed_and_refused(
    wine: Path,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    line: str,
    status: int,
    said: str,
) -> None:
    (wine / "empty.csv").touch()
    assert run(*line.split()) == status
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (wine / "there").exists()


def test_train_learns_now_and_says_what_it_is_worth(
    wine: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(wine) as workspace:
        project = workspace.project("wine")
        judge, classes = project.person("me"), [c.id for c in project.question().active]
        streamed = project.stream_order[:4].tolist()
        for item in [*streamed, *(i for i in range(0, 178, 7) if i not in project.stream_order)]:
            answer = classes[0 if item < 59 else 1 if item < 130 else 2]  # 59, 71 and 48 wines, in this order
            stratum = "stream" if item in streamed else "browse"
            project.record(item=item, judge=judge, client_uuid=f"{item}", answer=answer, stratum=stratum)
        n_train = project.status().n_train
    assert run("train", "wine", "--head", "mlp", "--set", "widths=16", "--set", "max_epochs=9", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["project"], result["head"], result["n_train"]) == ("wine", "mlp", n_train)
    assert result["trained"] is True
    assert result["version"] >= 1
    assert result["accuracy"]["n"] == 4
    assert 0 <= result["accuracy"]["low"] <= result["accuracy"]["value"] <= result["accuracy"]["high"] <= 1
    assert run("train", "wine") == 0
    said = capsys.readouterr().out
    assert f"Nothing new to learn: version {result['version']} (mlp), from {n_train} answers." in said
    assert f"Accuracy {result['accuracy']['value']:.3f} (" in said
    assert "n = 4 random-stream answers)" in said
    assert run("train", "wine", "--settings") == 0
    said = capsys.readouterr().out
    assert "Settings of mlp (set one with --set NAME=VALUE):\nwidths = 16\n    Hidden layers: Units" in said
    assert "    Default: 256. Expected: one to 3 layers, each of units from 1 to 4096." in said
    assert run("train", "wine", "--set", "widths=default", "--settings", "--json") == 0
    listed = {each["name"]: each["value"] for each in json.loads(capsys.readouterr().out)["settings"]}
    assert listed == {"widths": [16], "weight_decay": None, "max_epochs": 9}
    assert run("train", "wine", "--head", "nearest_mean", "--settings") == 0
    assert "It has none." in capsys.readouterr().out
