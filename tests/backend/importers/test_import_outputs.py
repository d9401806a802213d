"""LLM outputs from files: tables with a mapping, promptfoo's results, Inspect's logs, and what is wrong with them."""

from __future__ import annotations

import json
import zipfile

import pytest

from plumbline_backend.domain.errors import ImportRefusedError, InputError
from plumbline_backend.importers.outputs import accepted, n_alike
from plumbline_backend.importers.outputs_formats import read_outputs
from plumbline_backend.importers.outputs_json import passed_of, state_of
from plumbline_backend.importers.outputs_mapping import GradeColumn, OutputMapping, VerdictColumn
from plumbline_backend.importers.outputs_table import inspect_table


def written(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_csv_by_its_column_names(tmp_path):
    text = 'id,Prompt,model,output,var_city,human\nk1,Where?,m1,"Paris, France",Paris,good\nk2,Where?,m2,Rome,Rome,\n'
    found = read_outputs(written(tmp_path, "o.csv", text), None, None)
    first, second = found.outputs
    assert (first.key, first.prompt, first.system, first.response) == ("k1", "Where?", "m1", "Paris, France")
    assert first.variables == {"city": "Paris"}
    assert [(g.grader, g.passed) for g in first.grades] == [("the file", True)]
    assert second.grades == ()
    assert first.metadata == {}


def test_jsonl_with_an_object_of_variables(tmp_path):
    lines = [
        {"completion": "a", "vars": {"x": 1, "y": [2]}, "seed": 3},
        {"completion": "b", "vars": '{"x": "q"}'},
    ]
    found = read_outputs(written(tmp_path, "o.jsonl", "\n".join(map(json.dumps, lines))), None, None)
    assert found.outputs[0].variables == {"x": "1", "y": "[2]"}
    assert found.outputs[1].variables == {"x": "q"}
    assert found.outputs[0].metadata == {"seed": 3}
    assert [o.key for o in accepted("o.jsonl", found, "refuse")] == ["", ""]  # the row's number stands in


def test_a_mapping_with_graders_judges_scores_and_explanations(tmp_path):
    row = {
        "a": "text",
        "ok": "no",
        "why": "rude",
        "tone_ok": True,
        "v": "PASS",
        "s": "0.8",
        "e": "calm",
        "w": "?",
    }
    mapping = OutputMapping(
        response="a",
        grades=(GradeColumn("ok", "eva", note="why"), GradeColumn("tone_ok", "eva", "tone")),
        verdicts=(
            VerdictColumn("v", "llm", "s", "e"),
            VerdictColumn("w", "odd"),
            VerdictColumn("missing", "none"),
        ),
    )
    path = written(tmp_path, "o.jsonl", json.dumps({**row, "missing": None}))
    (output,) = read_outputs(path, "table", mapping.to_dict()).outputs
    assert [(g.grader, g.criterion, g.passed, g.note) for g in output.grades] == [
        ("eva", None, False, "rude"),
        ("eva", "tone", True, ""),
    ]
    assert [(v.judge, v.state, v.score, v.explanation) for v in output.verdicts] == [
        ("llm", "pass", 0.8, "calm"),
        ("odd", "error", None, ""),
        ("none", "abstain", None, ""),
    ]
    assert OutputMapping.from_dict(json.loads(json.dumps(mapping.to_dict()))) == mapping


def test_preview_proposes_and_a_file_without_a_response_says_so(tmp_path):
    preview = inspect_table(written(tmp_path, "o.csv", "answer,model\nx,y\n"))
    assert preview.proposed == OutputMapping(response="answer", system="model")
    assert preview.n_rows == 1
    path = written(tmp_path, "p.csv", "foo,bar\n1,2\n")
    assert inspect_table(path).proposed is None
    with pytest.raises(InputError, match=r"no column looks like a response \(columns: foo, bar\)"):
        read_outputs(path, None, None)


def test_verdicts_are_proposed_with_their_scores_and_explanations(tmp_path):
    header = "output,human,note,gpt_ok,GPT_score,gpt_why,verdict,score,reason,free_ok,x_score"
    text = f"{header}\na,good,fine,yes,0.9,polite,PASS,0.5,short,maybe,0.2\n"
    proposed = inspect_table(written(tmp_path, "o.csv", text)).proposed
    assert proposed.grades == (GradeColumn("human", "the file", note="note"),)
    assert proposed.verdicts == (
        VerdictColumn("gpt_ok", "gpt", "GPT_score", "gpt_why"),
        VerdictColumn("verdict", "verdict", "score", "reason"),
    )  # free_ok says neither pass nor fail, and a score alone is no verdict


def test_ratings_are_good_from_a_limit_on(tmp_path):
    mapping = {
        "response": "output",
        "grades": [{"column": "stars", "grader": "eva", "pass_from": 4}],
        "verdicts": [{"column": "s", "judge": "llm", "pass_from": 0.7}],
    }
    text = "output,stars,s\na,4,0.7\nb,3,0.69\nc,,\nd,good,high\n"
    found = read_outputs(written(tmp_path, "o.csv", text), None, mapping)
    assert [[g.passed for g in o.grades] for o in found.outputs] == [[True], [False], []]
    assert [next((v.state, v.score) for v in o.verdicts) for o in found.outputs] == [
        ("pass", 0.7),
        ("fail", 0.69),
        ("abstain", None),
    ]
    (problem,) = found.problems
    assert str(problem) == "o.csv, row 4, column 'stars': found 'good'; expected a number"


def test_odd_text_comes_through(tmp_path):
    odd = "a\u2028b\x0bc\x00\U0001f600\u202e\x85"
    found = read_outputs(written(tmp_path, "o.csv", f'output\n"x\n{odd}"\n'), None, None)
    assert found.outputs[0].response == f"x\n{odd}"
    found = read_outputs(written(tmp_path, "o.jsonl", json.dumps({"output": odd})), None, None)
    assert found.outputs[0].response == odd
    latin = read_outputs(
        written(tmp_path, "l.csv", "output;model\ncaf\xe9;m\n".encode("latin-1")), None, None
    )
    assert latin.outputs[0].response == "caf\xe9"


@pytest.mark.parametrize(
    ("name", "content", "mapping", "message"),
    [
        ("o.txt", "x", None, "unknown kind of file '.txt'; expected one of .csv"),
        ("o.csv", "a,a\n1,2\n", None, r"no column looks like a response .columns: a, a .2.."),
        ("o.json", "{", None, "expected a JSON document in UTF-8"),
        ("o.json", {"rows": []}, None, "without results .promptfoo. or samples .Inspect."),
        ("o.json", {"results": {"results": 3}}, None, "found no list results.results"),
        (
            "o.csv",
            "output\nx\n",
            {"response": "outptu"},
            "column 'outptu' does not exist; did you mean 'output'",
        ),
        ("o.csv", "output\nx\n", {"answer": "x"}, "found unknown members answer"),
        ("o.csv", "output\nx\n", {}, "found no response column"),
        (
            "o.csv",
            "output\nx\n",
            {"response": "output", "grades": [{"colum": "x"}]},
            "expected an object with some of",
        ),
        (
            "o.csv",
            "output,g\nx,1\n",
            {"response": "output", "grades": [{"column": "g", "grader": "e", "pass_from": "4"}]},
            "pass_from of 'g' is '4'; expected a number",
        ),
        (
            "o.csv",
            "output,g\nx,1\n",
            {"response": "output", "grades": [{"column": "g"}]},
            "found no grader in",
        ),
        (
            "o.csv",
            "output,a,b\nx,1,1\n",
            {"response": "output", "verdicts": [{"column": c, "judge": "j"} for c in "ab"]},
            "judge 'j' has 2 columns; expected one column each",
        ),
        ("o.eval", "not a zip", None, "expected a JSON document"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, mapping, message):
    with pytest.raises(InputError, match=message):
        read_outputs(written(tmp_path, name, content), None, mapping)
    with pytest.raises(InputError, match="no such file"):
        read_outputs(tmp_path / "absent.csv", None, None)
    with pytest.raises(InputError, match="did you mean 'promptfoo'"):
        read_outputs(tmp_path / name, "promptfo", None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("o.csv", "output,model\nx\n", "row 1: found 'x'; expected 2 cells as in the header, not 1"),
        ("o.jsonl", '{"output": "x"}\n[1]\n', r"row 2: found '\[1\]'; expected a JSON object"),
        (
            "o.jsonl",
            '{"output": "x"}\n{\n',
            "row 2: found '{'; expected a JSON object .Expecting property name",
        ),
        (
            "o.jsonl",
            '{"output": "x"}\n{"output": null}\n',
            "row 2, column 'output': found 'nothing'; expected a response",
        ),
        ("o.csv", "id,output\na,x\na,y\n", r"row 2, column 'id': found 'a'; expected a unique id \(row 1"),
    ],
)
def test_bad_rows_are_named_and_can_be_skipped(tmp_path, name, content, message):
    found = read_outputs(written(tmp_path, name, content), None, None)
    with pytest.raises(ImportRefusedError, match=message):
        accepted(name, found, "refuse")
    if len(found.outputs) > 0:
        assert len(accepted(name, found, "skip")) == 1
    else:
        with pytest.raises(InputError, match="no output was found"):
            accepted(name, found, "skip")


def test_a_grade_that_is_neither_good_nor_bad_is_a_problem_of_its_row(tmp_path):
    path = written(tmp_path, "o.csv", "output,g\nx,good\ny,so-so\n")
    mapping = {"response": "output", "grades": [{"column": "g", "grader": "eva"}]}
    found = read_outputs(path, None, mapping)
    assert (
        str(found.problems[0])
        == "o.csv, row 2, column 'g': found 'so-so'; expected good or bad, true or false, 1 or 0"
    )


def test_alike_outputs_are_kept_and_counted(tmp_path):
    found = read_outputs(written(tmp_path, "o.csv", "id,output\na,x\nb,x\nc,y\n"), None, None)
    assert len(accepted("o.csv", found, "refuse")) == 3
    assert n_alike(found.outputs) == 1


PROMPTFOO = {"version": 3, "results": {
    "prompts": [{"raw": "Reply to {{name}}", "label": "p", "provider": "openai:x"}],
    "results": [
        {"id": "r1", "vars": {"name": "Ada"}, "prompt": {"raw": "Reply to Ada", "label": "p"},
         "provider": {"id": "openai:x", "label": ""}, "response": {"output": "Hi Ada"}, "success": True, "score": 1,
         "gradingResult": {"pass": True, "reason": "ok", "componentResults": [
             {"pass": True, "score": 1, "reason": "has it", "assertion": {"type": "contains", "value": "Ada"}},
             {"pass": False, "score": 0.2, "reason": "cold", "assertion": {"type": "llm-rubric", "metric": "tone"}}]}},
        {"id": "r2", "vars": {"name": "Bob"}, "prompt": {"raw": "Reply to Bob"}, "provider": "echo",
         "response": {"output": {"greeting": "Hi"}}, "success": False, "gradingResult": None},
        {"id": "r3", "vars": {}, "prompt": {"raw": "p"}, "provider": "echo", "response": {}, "error": "timeout"},
    ]}}  # fmt: skip


def test_promptfoo_results(tmp_path):
    found = read_outputs(written(tmp_path, "o.json", PROMPTFOO), None, None)
    first, second = found.outputs
    assert (first.key, first.response, first.system, first.prompt) == (
        "r1",
        "Hi Ada",
        "openai:x",
        "Reply to Ada",
    )
    assert first.variables == {"name": "Ada"}
    assert [(v.judge, v.state, v.score, v.explanation) for v in first.verdicts] == [
        ("promptfoo", "pass", 1.0, "ok"),
        ("contains: Ada", "pass", 1.0, "has it"),
        ("tone", "fail", 0.2, "cold"),
    ]
    assert second.response == '{"greeting": "Hi"}'
    assert [(v.judge, v.state) for v in second.verdicts] == [("promptfoo", "fail")]
    assert "row 3: found 'timeout'; expected response.output" in str(found.problems[0])
    assert found.template == "Reply to {{name}}"


SAMPLE = {
    "id": 7, "epoch": 1, "target": ["4", "four"], "metadata": {"level": 1},
    "input": [{"role": "system", "content": "Be brief."},
              {"role": "user", "content": [{"type": "text", "text": "2+2?"}]}],
    "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": "4"}}], "completion": "4"},
    "scores": {"match": {"value": "C", "answer": "4", "explanation": "same"},
               "rubric": {"value": {"tone": 1, "fact": 0}}, "odd": {"value": "partly"}},
}  # fmt: skip


def check_inspect(found):
    (output,) = found.outputs
    assert (output.key, output.response, output.system, output.reference) == ("7", "4", "m", "4\nfour")
    assert output.prompt == "system: Be brief.\n\nuser: 2+2?"
    assert [(v.judge, v.state, v.explanation) for v in output.verdicts] == [
        ("match", "pass", "same"),
        ("rubric: tone", "pass", ""),
        ("rubric: fact", "fail", ""),
        ("odd", "error", ""),
    ]


def test_inspect_logs_as_json_and_as_archive(tmp_path):
    check_inspect(
        read_outputs(written(tmp_path, "log.json", {"eval": {"model": "m"}, "samples": [SAMPLE]}), None, None)
    )
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": {"model": "m"}}))
        archive.writestr("samples/7_epoch_1.json", json.dumps(SAMPLE))
    check_inspect(read_outputs(path, None, None))


def test_inspect_epochs_and_broken_samples(tmp_path):
    samples = [SAMPLE, {**SAMPLE, "epoch": 2}, {"id": 8, "output": {}}, "text"]
    found = read_outputs(written(tmp_path, "log.json", {"samples": samples}), None, None)
    assert [o.key for o in found.outputs] == ["7", "7 (epoch 2)"]
    assert [p.row for p in found.problems] == [3, 4]
    empty = tmp_path / "empty.eval"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("header.json", "{}")
    with pytest.raises(InputError, match="the archive has no samples"):
        read_outputs(empty, None, None)


@pytest.mark.parametrize(
    ("value", "passed"),
    [(True, True), (False, False), (1, True), (0, False), (0.5, True), (0.49, False), ("GOOD", True),
     (" bad ", False), ("C", True), ("I", False), ("0.9", True), (7, None), ("maybe", None), (None, None), ("", None),
     (float("nan"), None)],
)  # fmt: skip
def test_what_values_mean(value, passed):
    assert passed_of(value) is passed
    if value not in (None, ""):
        assert state_of(value) == {True: "pass", False: "fail", None: "error"}[passed]
