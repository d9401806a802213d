"""Stress tests of LLM graders within one budget, and what a reworded criterion does to their verdicts."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from llm_judging import judge_of, judging, opened, run, verdict

from llm_server import LlmServer, Turn
from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.domain.grades import Verdict
from plumbline_backend.judges import llm_judge


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
