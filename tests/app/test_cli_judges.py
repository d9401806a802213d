"""`plumbline judges` as a person or a script calls it."""

from __future__ import annotations

import io
import json
import sys

import pytest

from plumbline_app import cli


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line in this process; returns exit status, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["plumbline", "judges", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def graded(tmp_path):
    path = tmp_path / "graded.jsonl"
    rows = [
        {"output": "x", "grade": i % 2 == 0, "verdicts": {"j": i % 2 == 0, "k": True, "n": None}}
        for i in range(8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_align_writes_the_promised_json(call, graded, tmp_path):
    out = tmp_path / "out.json"
    status, printed, _ = call("align", graded, "--json", out)
    found = json.loads(out.read_text())
    assert status == 0
    assert found["judges"]["j"]["coverage"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 4}
    assert found["judges"]["n"]["alignment"] == {"value": None, "low": None, "high": None, "n": 0}
    assert found["selected"]["judges"] == ["j"]
    assert set(found["selected"]["alignment"]) == {"value", "low", "high", "n"}
    assert "8 of 8 outputs graded: 4 good, 4 bad" in printed
    assert "unknown (n 0)" in printed
    assert "nan" not in printed.lower()


def test_align_prints_json_where_a_machine_reads(call, graded):
    status, printed, _ = call("align", graded, "--json", "-")
    assert status == 0
    assert json.loads(printed)["n_graded"] == 8


def test_align_refuses_with_status_2(call, tmp_path):
    status, _, errors = call("align", tmp_path / "absent.jsonl")
    assert status == 2
    assert "no such file" in " ".join(errors.split())
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"grade": 7, "verdicts": {}}\n')
    status, _, errors = call("align", bad)
    assert status == 2
    assert "found '7'; expected true, false or null" in " ".join(errors.split())


def test_from_a_file_to_exported_tests(call, tmp_path):
    from plumbline_backend.workspace import open_workspace

    file = tmp_path / "outputs.csv"
    file.write_text("id,output,human\na,short,good\nb,much too long for that,bad\nc,fine,good\nd,no,bad\n")
    home = ("--workspace", tmp_path / "ws")
    status, printed, errors = call("import", file, "--name", "Mine", "--json", *home)
    assert status == 0, errors
    assert json.loads(printed)["slug"] == "mine"
    with open_workspace(tmp_path / "ws") as opened:
        project = opened.grading("mine")
        assert project.alignment_report().n_graded == 4  # the grades came with the file
        project.add_from_library("max_words", by="eva", parameters={"n": 3})
    status, printed, _ = call("run", "mine", "--json", *home)
    assert status == 0
    assert json.loads(printed) == [
        {
            "judge": "At most 3 words",
            "kind": "assertion",
            "fail": 1,
            "pass": 3,
            "error": 0,
            "abstain": 0,
            "not run": 0,
        }
    ]
    rows = [{"traceId": each, "name": "tone", "value": 0.9, "source": "EVAL"} for each in ("a", "z")]
    (tmp_path / "scores.json").write_text(json.dumps(rows))
    scores = ("scores", "mine", tmp_path / "scores.json", "--criterion", "At most 3 words")
    status, _, errors = call(*scores, *home)
    assert status == 2
    assert "found 'z'; expected the id of an output" in " ".join(errors.split())
    status, printed, _ = call(*scores, "--skip-bad-rows", "--json", *home)
    assert (status, json.loads(printed)["n_verdicts"]) == (0, 1)
    status, printed, errors = call("export", "mine", "pytest", tmp_path / "checks", *home)
    assert status == 0, errors
    assert (tmp_path / "checks" / "test_outputs.py").is_file()
    status, printed, _ = call("export", "mine", "grades", tmp_path / "grades.csv", "--json", *home)
    assert json.loads(printed) == {"path": str(tmp_path / "grades.csv")}
    status, _, errors = call("export", "mine", "pytest", tmp_path / "checks", *home)
    assert status == 1
    assert "already exists" in " ".join(errors.split())


def test_what_does_not_exist_is_named(call, tmp_path):
    home = ("--workspace", tmp_path / "ws")
    assert call("run", "nothing", *home)[0] == 1
    mapping = tmp_path / "mapping.json"
    mapping.write_text("{")
    file = tmp_path / "o.csv"
    file.write_text("output\nx\n")
    status, _, errors = call("import", file, "--mapping", mapping, *home)
    assert status == 2
    assert "expected a JSON file" in " ".join(errors.split())


@pytest.fixture
def asking(tmp_path, monkeypatch):
    """A project with an assertion and an LLM judge whose endpoint nobody must ask: what asks ends the test."""
    from plumbline_backend.jobs.executors import InlineExecutor
    from plumbline_backend.judges import llm_judge
    from plumbline_backend.workspace import open_workspace

    file = tmp_path / "outputs.jsonl"
    file.write_text("".join(json.dumps({"output": f"text {i}"}) + "\n" for i in range(5)))
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        project = opened.import_outputs(file, "mine")
        project.add_judge(None, "assertion", "code", {"code": "def check(output, context):\n    return True"})
        project.add_judge(None, "llm", "asks", {"grader": "binary"})
    asked = []

    def ask(*_, **__):
        asked.append(1)
        return [], {"llm": {}}

    monkeypatch.setattr(llm_judge, "ask", ask)
    for name, value in {
        "BASE_URL": "http://127.0.0.1:9/v1",
        "MODEL": "m",
        "PRICE_IN": "1",
        "PRICE_OUT": "2",
    }.items():
        monkeypatch.setenv(f"PLUMBLINE_LLM_{name}", value)
    return ("--workspace", tmp_path / "ws"), asked


def test_models_are_not_asked_before_somebody_agreed_to_the_cost(call, asking):
    home, asked = asking
    status, printed, errors = call("run", "mine", *home)
    said = " ".join(errors.split())
    assert (status, printed, asked) == (2, "", [])
    assert "asks: 5 outputs: 5 calls; about" in said
    assert "at most $" in said
    assert "expected --yes, or --budget USD" in said
    assert call("run", "mine", "--judge", "code", *home)[0] == 0  # what asks nobody needs no consent
    assert asked == []


def test_yes_or_a_budget_is_consent(call, asking):
    from plumbline_backend.workspace import open_workspace

    home, asked = asking
    status, _, errors = call("run", "mine", "--judge", "asks", "--yes", *home)
    assert (status, len(asked)) == (0, 1), errors
    assert "5 calls; about" in " ".join(errors.split())
    status, _, errors = call("run", "mine", "--judge", "asks", "--budget", "0.25", *home)
    assert (status, len(asked)) == (0, 2), errors
    with open_workspace(home[1]) as opened:
        assert opened.grading("mine").kept.read()["llm_budget"]["usd"] == 0.25
    status, _, errors = call("run", "mine", "--budget", "-1", *home)
    assert (status, len(asked)) == (2, 2)
    assert "budget usd: found -1.0; expected 0 or more" in " ".join(errors.split())


def test_a_budget_in_money_needs_prices_and_is_not_kept_without(call, asking, monkeypatch):
    from plumbline_backend.workspace import open_workspace

    home, asked = asking
    monkeypatch.delenv("PLUMBLINE_LLM_PRICE_IN")
    status, _, errors = call("run", "mine", "--budget", "1", *home)
    assert (status, asked) == (2, [])
    assert "prices are not known; expected the settings llm_price_in" in " ".join(errors.split())
    with open_workspace(home[1]) as opened:
        assert opened.grading("mine").kept.read().get("llm_budget") is None


def test_the_scripted_model_is_free_and_runs_at_once(call, asking, monkeypatch):
    home, asked = asking
    monkeypatch.setenv("PLUMBLINE_LLM_BASE_URL", "scripted")
    assert call("run", "mine", *home)[0] == 0
    assert asked == [1]


@pytest.mark.parametrize(("answer", "status", "n_asked"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_at_a_terminal_the_question_is_put(call, asking, monkeypatch, answer, status, n_asked):
    home, asked = asking
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert call("run", "mine", *home)[0] == status
    assert len(asked) == n_asked
