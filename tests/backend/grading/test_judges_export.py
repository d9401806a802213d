"""Exports of a grading project; the pytest file runs in an environment of its own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import venv
from importlib.metadata import distribution

import pytest
import yaml

from conftest import grade_many
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.exporters.judges import export_notes
from plumbline_backend.exporters.judges_pytest import identifier, indented
from plumbline_backend.judges import exporting


@pytest.fixture
def graded(judged):
    grade_many(judged, judged.grader("ada"), 24)
    return judged


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A fresh environment that has pytest and not Plumbline."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    for name in ("pytest", "pluggy", "packaging", "iniconfig", "pygments"):
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or () if file.parts[0] != ".."}:
            (site / top).symlink_to(installed.locate_file(top))
    return folder / "bin" / "python"


def run_tests(python, folder, **environment):
    clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean, cwd=folder)


def test_the_pytest_file_runs_green_without_plumbline(graded, tmp_path, bare_python):
    folder = graded.export("pytest", tmp_path / "checks")
    assert sorted(path.name for path in folder.iterdir()) == ["outputs.json", "test_outputs.py"]
    assert (
        subprocess.run([bare_python, "-I", "-c", "import plumbline_backend"], capture_output=True).returncode
        == 1
    )
    done = run_tests(bare_python, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "88 passed" in done.stdout  # 60 outputs x 2 checks, less 20 too long and 12 without their name
    assert "32 xfailed" in done.stdout


def test_new_outputs_turn_it_red(graded, tmp_path, bare_python):
    folder = graded.export("pytest", tmp_path / "checks")
    fresh = tmp_path / "fresh.json"
    fresh.write_text(json.dumps([{"id": "new", "output": "word " * 30, "vars": {"name": "word"}}]))
    done = run_tests(bare_python, folder, OUTPUTS=str(fresh))
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout


def test_a_known_failure_is_one_of_the_same_text_only(graded, tmp_path, bare_python):
    """o000 and o003 are too long at the export; o000 stays, o003 is made worse, o006 is mended under its old id."""
    folder = graded.export("pytest", tmp_path / "checks")
    rows = {row["id"]: row for row in json.loads((folder / "outputs.json").read_text())}
    changed = [rows["o000"], rows["o003"], rows["o006"]]
    changed[1]["output"] += " and more"
    changed[2]["output"] = f"Dear {changed[2]['vars']['name']}, soon."
    (tmp_path / "new.json").write_text(json.dumps(changed))
    done = run_tests(bare_python, folder, OUTPUTS=str(tmp_path / "new.json"))
    assert done.returncode == 1
    # Short: o000 expected, o003 red, o006 green. Named: o000 has no name (expected), o003 and o006 green.
    assert "1 failed, 3 passed, 2 xfailed" in done.stdout, done.stdout
    assert "test_short[o003]" in done.stdout


def test_an_expected_failure_is_still_run(graded, tmp_path, bare_python):
    folder = graded.export("pytest", tmp_path / "checks")
    file = folder / "test_outputs.py"
    file.write_text(file.read_text().replace("len(output.split()) <= 20", "len(output.split()) <= 2000"))
    done = run_tests(bare_python, folder)
    assert "20 xpassed" in done.stdout, done.stdout


def test_the_pytest_file_says_how_well_each_check_agrees(graded, tmp_path):
    text = (graded.export("pytest", tmp_path / "checks") / "test_outputs.py").read_text()
    assert "# Short, version 1: At most 20 words." in text
    assert "coverage " in text
    assert "(n = " in text


def test_odd_names_and_code_travel(project, tmp_path, bare_python):
    odd = project.add_criterion("Odd", 'No "quotes"\nbreak it \\', by="ada")
    code = (
        'TEXT = """a\nb"""\n\n\ndef check(output, context):\n    f"""x\n{1}"""\n    return TEXT == "a\\nb"\n'
    )
    for name in ('"""; import os #', "\u00e9t\u00e9 \u2764", "\u00e9t\u00e9 \u2765"):
        criterion = odd if name.startswith('"') else project.add_criterion(name, name, by="ada")
        project.add_judge(criterion.id, "assertion", name, {"code": code})
    done = run_tests(bare_python, project.export("pytest", tmp_path / "checks"))
    assert "180 passed" in done.stdout, done.stdout + done.stderr


def test_nothing_to_export_is_said(project, tmp_path):
    with pytest.raises(ConflictError, match="no chosen assertion"):
        project.export("pytest", tmp_path / "checks")
    with pytest.raises(InputError, match="did you mean 'pytest'"):
        project.export("pytests", tmp_path / "checks")
    assert list(tmp_path.glob("check*")) == []


def test_promptfoo_configuration(graded, tmp_path):
    graded.add_judge(
        graded.add_criterion("Kind", "The tone is kind.", by="ada").id, "imported", "outside", {}
    )
    warm = graded.add_criterion("Warm", "The tone is warm.", by="ada", guidelines="Not gushing.")
    graded.add_judge(warm.id, "llm", "warmth", {"grader": "binary"})
    config = yaml.safe_load(graded.export("promptfoo", tmp_path / "promptfoo.yaml").read_text())
    assert config["providers"] == ["echo"]
    assert [a["type"] for a in config["defaultTest"]["assert"]] == ["python", "python", "llm-rubric"]
    rubric = config["defaultTest"]["assert"][2]
    assert (rubric["metric"], rubric["value"]) == ("warmth", "The tone is warm. Not gushing.")
    assert len(config["tests"]) == 60
    first = config["tests"][0]
    assert first["vars"]["plumbline_output"] == graded.output(0).response
    body = "\n".join(f"    {line}" for line in config["defaultTest"]["assert"][0]["value"].splitlines())
    names: dict = {}
    exec(f"def get_assert(output, context):\n{body}", names)  # as promptfoo wraps it
    assert names["get_assert"]("word " * 30, {"vars": {}}) is False
    assert names["get_assert"]("word", {"vars": {}}) is True


def test_promptfoo_gets_what_a_grader_asks_and_the_rest_is_named(make_project, tmp_path):
    rows = [
        {
            "id": "a",
            "output": "x",
            "prompt": "Say it.",
            "reference": "y",
            "vars": {"tone": "calm"},
            "model": "m",
        }
    ]
    project = make_project(rows)

    def judge(name, **spec):
        criterion = project.add_criterion(
            name, "Is kind, not {{pushy}}.", by="ada", guidelines="Hard cases pass."
        )
        return project.add_judge(criterion.id, "llm", name, spec)

    judge(
        "levels", grader="rubric", levels=["L1", "L2", "L3", "L4", "L5"], pass_from=3, instructions="Be mild."
    )
    judge("points", grader="checklist", items=["Greets", "Thanks"], need_percent=50, show_prompt=False)
    judge("board", grader="committee", roles=["Facts?", "Reader?"], model="big")
    judge("duel", grader="pairwise")
    project.add_judge(None, "imported", "outside", {})
    path = project.export("promptfoo", tmp_path / "p.yaml")
    levels, points, board = yaml.safe_load(path.read_text())["defaultTest"]["assert"]
    assert levels["value"] == (
        "{% raw %}Is kind, not {{pushy}}. Hard cases pass.\nBe mild.\nScore 1: L1\nScore 2: L2\nScore 3: L3\n"
        "Score 4: L4\nScore 5: L5\nChoose the score that describes the output best. It passes from score 3 on."
        "{% endraw %}"
    )
    for placed in ("{{rubric}}", "{{output}}", "{{tone}}", "{{plumbline_prompt}}", "{{plumbline_reference}}"):
        assert placed in levels["rubricPrompt"]
    assert "1. Greets\n2. Thanks" in points["value"]
    assert "at least 50 %" in points["value"]
    assert "{{plumbline_prompt}}" not in points["rubricPrompt"]
    assert (board["type"], board["threshold"], len(board["assert"])) == ("assert-set", 0.5, 2)
    assert "Your part in the committee: Reader?" in board["assert"][1]["value"]
    told = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert told == [
        "# Not carried over from Plumbline:",
        "# outside: left out: promptfoo cannot run verdicts that were imported.",
        "# board: asks the model that promptfoo is set to, not 'big'; without its reviewers' discussion; where its "
        "reviewers are split in halves it passes.",
        "# duel: left out: promptfoo compares no output with another in both orders.",
    ]
    assert [f"# {note}" for note in export_notes(project, "promptfoo")] == told[1:]
    result = project.wait(exporting.start(project, "promptfoo")).result
    assert result["notes"] == export_notes(project, "promptfoo")


def test_the_pytest_export_tells_of_outputs_that_were_not_judged_yet(make_project):
    project = make_project([{"id": each, "output": each} for each in "abc"])
    criterion = project.add_criterion("Not b", "It is not b.", by="ada")
    code = "def check(output, context):\n    return output != 'b'"
    judge = project.add_judge(criterion.id, "assertion", "no b", {"code": code})
    note = "no b: was not run on 3 of 3 outputs; those that it fails are not marked as known"
    assert [each[: len(note)] for each in export_notes(project, "pytest")] == [note]
    project.wait(project.run_judge(judge.id))
    assert export_notes(project, "pytest") == []


def test_an_assertion_sees_in_promptfoo_what_it_sees_here(make_project, tmp_path):
    rows = [
        {
            "id": "a",
            "output": "x",
            "prompt": "Say it.",
            "reference": "y",
            "vars": {"tone": "calm"},
            "model": "m",
        }
    ]
    project = make_project(rows)
    wanted = {"prompt": "Say it.", "vars": {"tone": "calm"}, "reference": "y", "system": "m"}
    project.add_judge(
        None, "assertion", "all", {"code": f"def check(output, context):\n    return context == {wanted}"}
    )
    config = yaml.safe_load(project.export("promptfoo", tmp_path / "p.yaml").read_text())
    body = "\n".join(f"    {line}" for line in config["defaultTest"]["assert"][0]["value"].splitlines())
    names: dict = {}
    exec(f"def get_assert(output, context):\n{body}", names)  # as promptfoo wraps it
    assert names["get_assert"]("x", {"prompt": "x", "vars": config["tests"][0]["vars"]}) is True


def test_grades_carry_version_grader_time_and_probability(graded, tmp_path):
    with graded.export("grades", tmp_path / "grades.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 24
    assert {row["grader"] for row in rows} == {"ada"}
    assert {row["criterion_version"] for row in rows} == {"1"}
    assert {row["stratum"] for row in rows} == {"judged_fail", "judged_pass"}
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    assert all(row["at"].endswith("+00:00") for row in rows)
    lines = graded.export("grades", tmp_path / "grades.jsonl").read_text().splitlines()
    assert [json.loads(line)["output"] for line in lines] == [row["output"] for row in rows]


def test_cells_that_a_spreadsheet_would_run_are_made_harmless(project, tmp_path):
    project.grade(output=0, grader=project.grader("ada"), client_uuid="1", answer="pass", note="=cmd()")
    with project.export("grades", tmp_path / "grades.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["note"] == "'=cmd()"


def test_the_document_holds_everything_and_no_nan(graded, tmp_path):
    found = json.loads(graded.export("json", tmp_path / "all.json").read_text())
    assert [c["name"] for c in found["criteria"]] == ["Overall", "Short", "Named"]
    assert len(found["outputs"]) == 60
    assert len(found["grades"]) == 24
    assert found["judges"][0]["alignment"]["coverage"]["n"] > 0
    assert set(found["outputs"][0]["verdicts"].values()) <= {"pass", "fail"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("At most 20 words", "at_most_20_words"), ("\u2764", "judge"), ("a" * 99, "a" * 60), ("_x_", "x")],
)
def test_identifiers(name, expected):
    assert identifier(name) == expected


def test_texts_over_several_lines_keep_their_inside():
    assert indented('x = """a\n  b"""\n\ny = 1') == '    x = """a\n  b"""\n\n    y = 1'
    assert sys.version_info >= (3, 11)
