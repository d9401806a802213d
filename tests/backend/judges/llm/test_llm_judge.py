"""LLM graders as judges of a project: verdicts in the ledger, a budget per run, resume, and no key anywhere."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
from llm_judging import (
    CANARY,
    N_OUTPUTS,
    judge_of,
    judging,
    opened,
    run,
    verdict,
    within_a_loop,
)

from llm_server import LlmServer, Turn, llm_server, refusal
from plumbline_backend.domain.errors import InputError, JobFailedError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.judges import drafting, exporting, llm_judge
from plumbline_backend.workspace import open_workspace


def test_verdicts_go_into_the_ledger_with_their_reasons(folder: Path) -> None:
    with judging() as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        job = run(project, judge_id)
        assert project.verdict_table().counts(judge_id)["fail"] == 10
        assert project.verdicts(judge_id, 0)[0].note == "looked at its length"
        told = (job.result or {})["llm"]
        assert (told["calls"], told["unread"], told["cost_usd"]) == (30, 0, None)
        again = run(project, judge_id)
        assert (again.result or {})["n_judged"] == 0
        answered = run(project, judge_id, again=True)
        assert (answered.result or {})["llm"]["cached"] == 30
    assert len(server.requests) == 30


def test_an_unreadable_answer_is_an_error_that_is_counted_and_can_be_asked_again(folder: Path) -> None:
    broken = LlmServer(
        lambda request: (
            Turn("no idea") if "short 7" in request["messages"][1]["content"] else verdict("short")
        )
    )
    with broken as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        job = run(project, judge_id)
        assert project.verdict_table().state(7, judge_id) == "error"
        assert "could not be read" in project.verdicts(judge_id, 7)[0].note
        assert (job.result or {})["llm"]["unread"] == 1
        report = project.alignment_report()
        assert report.criteria[0].judges[0].n_errors == 1


def test_the_estimate_comes_before_the_run_and_the_budget_ends_it(folder: Path) -> None:
    prices = {"llm_price_in": 1.0, "llm_price_out": 2.0, "llm_max_tokens": 100}
    with judging() as server, opened(folder, server.url, **prices) as workspace:
        project = workspace.grading("outputs")
        judge = project.bench.get(judge_of(project))
        found = llm_judge.estimate(project, project.criteria()[0], judge.spec, project.outputs())
        assert (found.calls, len(server.requests)) == (30, 0)
        assert found == within_a_loop(
            lambda: llm_judge.estimate(project, project.criteria()[0], judge.spec, project.outputs())
        )
        assert found.most_usd is not None
        # A call reserves about $0.002 and uses 100 + 2 * 20 millionths: some fit into $0.004, not all
        limit = 0.004
        assert limit < found.most_usd
        llm_judge.set_budget(project, usd=limit, tokens=None)
        job = run(project, judge.id)
        spent = (job.result or {})["llm"]["cost_usd"]
        assert 0 < spent <= limit
        counts = project.verdict_table().counts(judge.id)
        assert (counts["error"], counts["not run"] > 0) == (0, True)  # not asked is no verdict
        assert len(server.requests) == 30 - counts["not run"]
        assert (job.result or {})["llm"]["unanswered"] == counts["not run"]
        left = project.outputs([o for o in range(30) if project.verdict_table().state(o, judge.id) is None])
        planned = llm_judge.estimate(project, project.criteria()[0], judge.spec, left)
        assert (planned.calls, planned.cached) == (counts["not run"], 0)
        llm_judge.set_budget(project, usd=None, tokens=None)
        resumed = run(project, judge.id)
        assert (resumed.result or {})["n_judged"] == counts["not run"]
        assert project.verdict_table().counts(judge.id)["not run"] == 0
    assert len(server.requests) == 30


def test_what_the_endpoint_failed_to_answer_is_asked_by_the_next_run(folder: Path) -> None:
    """ "short 4" meets a server that is down, "short 7" one that refuses it: only the first is asked again."""
    down = True

    def play(request: dict) -> Turn:
        text = request["messages"][1]["content"]
        if "short 4" in text and down:
            return refusal("overloaded", 503)
        return refusal("not of that kind") if "short 7" in text else verdict(text)

    with LlmServer(play) as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        first = run(project, judge_id)
        counts = project.verdict_table().counts(judge_id)
        assert (counts["error"], counts["not run"]) == (1, 1)
        assert (first.result or {})["llm"]["unanswered"] == 1
        again = run(project, judge_id, outputs=[0, 4], again=True)
        assert (again.result or {})["llm"]["unanswered"] == 1
        assert project.verdict_table().state(0, judge_id) == "fail"  # what was answered before stays
        down = False
        assert (run(project, judge_id).result or {})["n_judged"] == 1
        assert project.verdict_table().state(4, judge_id) == "pass"
        assert project.verdict_table().state(7, judge_id) == "error"


@pytest.mark.parametrize(("usd", "tokens"), [(-1.0, None), (None, -5), (float("nan"), None)])
def test_a_budget_that_is_none_is_refused(folder: Path, usd: float | None, tokens: int | None) -> None:
    with opened(folder, "scripted") as workspace, pytest.raises(InputError, match="expected 0 or more"):
        llm_judge.set_budget(workspace.grading("outputs"), usd, tokens)


def test_a_cancelled_run_keeps_its_verdicts_and_goes_on(folder: Path) -> None:
    slow = LlmServer(lambda request: Turn(verdict(request["messages"][1]["content"]).text, delay_s=0.15))
    with slow as server, opened(folder, server.url, llm_concurrency=4) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        job = project.run_judge(judge_id)
        while len(server.requests) < 8:
            time.sleep(0.02)
        workspace.jobs.cancel(job.id)
        with pytest.raises(JobFailedError, match="cancelled"):
            project.wait(job)
        n_kept = project.n_outputs - project.verdict_table().counts(judge_id)["not run"]
        assert 0 < n_kept < N_OUTPUTS
        run(project, judge_id)
        assert project.verdict_table().counts(judge_id)["not run"] == 0
    assert len(server.requests) <= N_OUTPUTS + 4  # only what was under way is asked twice


def test_the_key_is_nowhere_but_in_the_header(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def play(request: dict) -> Turn:
        if "short 4" in request["messages"][1]["content"]:
            return refusal(f"bad request with key {CANARY}")
        return verdict(request["messages"][1]["content"])

    with LlmServer(play) as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        run(project, judge_of(project))
        for what in exporting.SUFFIXES:
            if what != "pytest":
                project.wait(exporting.start(project, what))
        refused = LlmServer([refusal(f"key {CANARY} is wrong", 401)])
    with refused as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        with pytest.raises(JobFailedError, match="the key was refused"):
            project.wait(drafting.start_proposals(project))
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    holding = [p for p in folder.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    assert holding == []
    assert CANARY not in caplog.text


def test_without_a_model_the_run_says_what_to_set(folder: Path) -> None:
    with open_workspace(folder, executor=InlineExecutor()) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        with pytest.raises(JobFailedError, match="no language model is set up"):
            run(project, judge_id)
        with pytest.raises(InputError, match="no language model is set up"):
            drafting.start_assertion(project, project.criteria()[0])


def test_a_missing_key_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANARY_KEY")
    with llm_server(Turn("x")) as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        with pytest.raises(JobFailedError, match="CANARY_KEY: not set"):
            run(project, judge_id)
    assert server.requests == []


def test_examples_come_from_the_grades_and_never_for_the_output_itself(folder: Path) -> None:
    with judging() as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        examples = [
            {"output": 0, "passed": False, "note": "too long"},
            {"output": 1, "passed": True, "note": ""},
        ]
        run(project, judge_of(project, examples=examples), outputs=[0, 1, 2])
    shown = {r["messages"][1]["content"].count("A person graded example") for r in server.requests}
    assert shown == {1, 2}


def test_drafts_and_proposals_of_the_scripted_model(folder: Path) -> None:
    with opened(folder, "scripted") as workspace:
        project = workspace.grading("outputs")
        found = project.wait(drafting.start_proposals(project)).result or {}
        assert [each["name"] for each in found["criteria"]] == ["No refusal", "Finished"]
        draft = (project.wait(drafting.start_assertion(project, project.criteria()[0])).result or {})["draft"]
        (criterion,) = project.criteria()
        judge = project.add_judge(criterion.id, "assertion", "drafted", {"code": draft["code"]})
        assert judge.spec["code"] == draft["code"]


def test_proposals_are_asked_for_with_the_notes_of_the_grades(folder: Path) -> None:
    """Bad outputs with notes come first; a note is quoted beside its output and in the list of notes."""
    proposed = {
        "criteria": [
            {"name": "Short", "text": "Twice.", "why": ""},
            {"name": "True", "text": "No lie.", "why": "a note"},
        ]
    }
    with (
        LlmServer([Turn(json.dumps(proposed))]) as server,
        opened(folder, server.url) as workspace,
    ):
        project = workspace.grading("outputs")
        for output, answer, note in [
            (3, "fail", "it invents a <price>"),
            (4, "pass", ""),
            (5, "fail", "rude"),
        ]:
            project.grade(
                output=output,
                grader=project.grader("ada"),
                client_uuid=f"u{output}",
                answer=answer,
                note=note,
            )
        found = project.wait(drafting.start_proposals(project)).result or {}
    assert [each["name"] for each in found["criteria"]] == ["True"]  # "Short" is there already
    (request,) = server.requests
    asked = request["messages"][1]["content"]
    assert "each complaint in them deserves a criterion" in asked
    notes = asked.rsplit("<notes", 1)[1]
    assert "- bad: it invents a " in notes
    assert "- bad: rude" in notes
    assert "- good" not in notes
    assert asked.index("A person graded this output bad, and noted: it invents") < asked.index(
        "graded this output good."
    )
    assert "Short: It is short." in asked
