"""LLM graders as judges of a project: verdicts in the ledger, a budget per run, resume, and no key anywhere."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_server import LlmServer, Turn, llm_server, refusal
from loops import run_aside
from plumbline_backend.domain.errors import InputError, JobFailedError
from plumbline_backend.domain.grades import Verdict
from plumbline_backend.domain.types import Job
from plumbline_backend.grading import GradingProject
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.judges import drafting, exporting, llm_judge
from plumbline_backend.workspace import Workspace, open_workspace

CANARY = "sk-canary-77d2e1"
N_OUTPUTS = 30


def verdict(text: str) -> Turn:
    """What the server says: long outputs fail."""
    word = "fail" if "long" in text.rsplit("<output", 1)[-1] else "pass"
    return Turn(json.dumps({"explanation": "looked at its length", "verdict": word}))


def within_a_loop(act: Callable[[], object]) -> object:
    """What `act` returns when the thread that calls it runs an event loop, as a page does."""

    async def inside() -> object:
        return act()

    return run_aside(inside())


def judging() -> LlmServer:
    """A server that judges by one word."""
    return LlmServer(lambda request: verdict(request["messages"][1]["content"]))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llm_judge")
    rows = [
        {"prompt": "Say it.", "response": f"{'long' if i % 3 == 0 else 'short'} {i}"}
        for i in range(N_OUTPUTS)
    ]
    (folder / "outputs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with open_workspace(folder / "workspace", executor=InlineExecutor()) as workspace:
        workspace.import_outputs(folder / "outputs.jsonl", "outputs").add_criterion(
            "Short", "It is short.", by="t"
        )
    return folder / "workspace"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.setattr("plumbline_backend.judges.llm.retries.FIRST_WAIT_S", 0.01)
    shutil.copytree(prepared, tmp_path / "workspace")
    return tmp_path / "workspace"


def opened(folder: Path, url: str, **settings: object) -> Workspace:
    given = {"llm_base_url": url, "llm_model": "m", "llm_key_env": "CANARY_KEY", **settings}
    return open_workspace(folder, executor=InlineExecutor(), settings=given)


def judge_of(project: GradingProject, **spec: object) -> int:
    (criterion,) = project.criteria()
    return project.add_judge(criterion.id, "llm", "grader", {"grader": "binary", **spec}).id


def run(project: GradingProject, judge_id: int, **options: object) -> Job:
    return project.wait(project.run_judge(judge_id, **options))  # type: ignore[arg-type]


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


def test_stress_tests_say_before_what_they_will_ask(folder: Path) -> None:
    """Of 20 passed and 10 failed outputs of two words, 5 each: one sentence cannot be shuffled nor respaced within,
    and "short 3" has no verb to turn round, so repeated, off-topic, empty, flattered, longer and respaced remain."""
    with judging() as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        run(project, judge_id)
        server.requests.clear()
        plan = project.plan_stress(judge_id, 5)
        assert plan.n_trials == 6 * 5
        assert plan.estimate is not None
        assert (plan.estimate.calls, plan.estimate.cached, len(server.requests)) == (30, 0, 0)
        job = project.wait(project.start_stress(judge_id, 5))
        told = (job.result or {})["llm"]
        assert told["calls"] + told["cached"] == 30
        assert len(server.requests) == told["calls"] <= 30
        rows = {row["name"]: row for row in (job.result or {})["changes"]}
        assert rows["added length"]["as_expected"]["value"] == 1.0
        assert rows["off-topic text"]["as_expected"]["value"] == 1.0  # a mole "1,200 metres long"
        assert rows["repeated text"]["as_expected"]["value"] == 0.0  # over-stable
        assert rows["shuffled sentences"]["as_expected"] is None
        assert project.plan_stress(judge_id, 5).estimate.cached == 30  # type: ignore[union-attr]


def test_all_stress_tests_together_stay_within_one_budget(folder: Path) -> None:
    prices = {"llm_price_in": 1.0, "llm_price_out": 2.0, "llm_max_tokens": 100}
    with judging() as server, opened(folder, server.url, **prices) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        run(project, judge_id)
        server.requests.clear()
        limit = 0.004
        llm_judge.set_budget(project, usd=limit, tokens=None)
        job = project.wait(project.start_stress(judge_id, 5))
        told = (job.result or {})["llm"]
        assert 0 < told["cost_usd"] <= limit
        assert len(server.requests) == told["calls"] < 30
        assert sum(row["n_errors"] for row in (job.result or {})["changes"]) > 0  # counted aloud, not guessed


def test_stress_tests_show_progress_and_stop_within_a_change(folder: Path) -> None:
    slow = LlmServer(lambda request: Turn(verdict(request["messages"][1]["content"]).text, delay_s=0.15))
    with slow as server, opened(folder, server.url, llm_concurrency=2) as workspace:
        project = workspace.grading("outputs")
        judge_id = judge_of(project)
        run(project, judge_id, outputs=range(10))
        server.requests.clear()
        job = project.start_stress(judge_id, 10)
        while not 0.1 < workspace.jobs.get(job.id).progress < 1:
            time.sleep(0.02)
        assert "of " in workspace.jobs.get(job.id).message
        workspace.jobs.cancel(job.id)
        with pytest.raises(JobFailedError, match="cancelled"):
            project.wait(job)
        asked = len(server.requests)
        assert asked < project.plan_stress(judge_id, 10).n_trials
        time.sleep(0.4)
        assert len(server.requests) <= asked + 2  # nothing new is begun


def test_a_reworded_criterion_is_asked_anew_and_old_verdicts_do_not_count(folder: Path) -> None:
    """The server fails "long" outputs; once "lengthy" stands in the criterion it fails the short ones."""

    def play(request: dict) -> Turn:
        text = request["messages"][1]["content"]
        long = "long" in text.rsplit("<output", 1)[-1]
        word = "fail" if long != ("lengthy" in text) else "pass"
        return Turn(json.dumps({"explanation": word, "verdict": word}))

    with LlmServer(play) as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        (criterion,) = project.criteria()
        judge_id, ada = judge_of(project), project.grader("ada")
        run(project, judge_id)
        for _ in range(12):
            ask = project.next_output(ada)
            assert ask is not None
            for asked in (criterion.id, None):
                word = "fail" if "long" in project.output(ask.output).response else "pass"
                project.grade(
                    output=ask.output,
                    grader=ada,
                    client_uuid=f"{ask.output}:{asked}",
                    criterion=asked,
                    answer=word,
                    query_id=ask.query_id,
                )
        project.edit_criterion(criterion.id, by="ada", text="It is lengthy.")
        table = project.verdict_table()
        assert (table.counts(judge_id)["not run"], table.n_stale(judge_id)) == (30, 30)
        assert table.state(0, judge_id) is None
        old = project.verdicts(judge_id, 0)[0]
        assert (old.state, old.criterion_version, old.stale) == ("fail", 1, True)
        found = project.alignment_report().criteria[0].judges[0]
        assert (found.n_not_run, found.n_stale, found.alignment.graded) == (30, 30, (0, 0, 0, 0))
        (version, of_old), *none = found.by_version
        assert (version, none) == (1, [])
        assert of_old.graded[1:3] == (0, 0)  # every old grade agrees with the old verdict

        assert (run(project, judge_id).result or {})["n_judged"] == 30
        assert len(server.requests) == 60
        counts = project.verdict_table().counts(judge_id)
        assert (counts["fail"], counts["pass"], counts["not run"]) == (20, 10, 0)
        for number in range(5):
            again = project.next_regrade(ada, criterion.id)
            assert again is not None
            word = "pass" if "long" in project.output(again.output).response else "fail"
            project.grade(
                output=again.output,
                grader=ada,
                client_uuid=f"again {number}",
                criterion=criterion.id,
                answer=word,
                query_id=again.query_id,
            )
        versions = dict(project.alignment_report().criteria[0].judges[0].by_version)
        assert {v: sum(each.graded) for v, each in versions.items()} == {1: 12, 2: 5}  # nothing of 1 is lost
        assert all(each.graded[1:3] == (0, 0) for each in versions.values())


def test_better_words_for_the_same_are_another_prompt_to_a_model(folder: Path) -> None:
    with judging() as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        (criterion,) = project.criteria()
        judge_id = judge_of(project)
        outside = project.add_judge(criterion.id, "imported", "outside", {})
        project.bench.save(outside, [Verdict(0, "pass")], "b")
        run(project, judge_id)
        project.edit_criterion(criterion.id, by="t", text="It is brief.", same_meaning=True)
        table = project.verdict_table()
        assert (table.n_stale(judge_id), table.n_stale(outside.id)) == (30, 0)
        project.edit_criterion(criterion.id, by="t", text="It is friendly.")
        assert project.verdict_table().n_stale(outside.id) == 1


def test_an_edit_during_a_run_does_not_give_old_verdicts_the_new_version(folder: Path) -> None:
    def play(request: dict) -> Turn:
        return Turn(verdict(request["messages"][1]["content"]).text, delay_s=0.05)

    with LlmServer(play) as server, opened(folder, server.url) as workspace:
        project = workspace.grading("outputs")
        (criterion,) = project.criteria()
        judge_id = judge_of(project)
        job = project.run_judge(judge_id)
        while not server.requests:
            time.sleep(0.01)
        project.edit_criterion(criterion.id, by="t", text="It is friendly.")
        project.wait(job)
        assert {v.criterion_version for v in project.verdicts(judge_id)} == {1}
        assert project.verdict_table().n_stale(judge_id) == 30
