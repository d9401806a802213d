"""LLM graders with probabilities, measured against grades on the sampling design's outputs, two in one run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.grades import GradingJudge
from plumbline_backend.grading import GradingProject
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import open_workspace

N = 60
N_GRADED = 50


def text(i: int) -> str:
    """Every third output is longer than the twelve words that are asked for; every fifth is impolite."""
    tone = "Thank you." if i % 5 else "Stupid question!"
    return f"{tone} Order {i} is on its way" + " to you and yours" * (3 if i % 3 == 0 else 1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GradingProject]:
    """Two scripted LLM graders over sixty outputs; fifty are graded as drawn, bad where long, by no criterion."""
    folder = tmp_path_factory.mktemp("graders")
    rows = [
        {"id": f"o{i}", "response": text(i), "system": "ab"[i % 2], "length": str(i % 3)} for i in range(N)
    ]
    (folder / "outputs.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    options = {"llm_base_url": "scripted"}
    with open_workspace(folder / "workspace", executor=InlineExecutor(), settings=options) as workspace:
        made = workspace.import_outputs(folder / "outputs.jsonl", "graded")
        for name, asked in (("short", "At most 12 words."), ("shorter", "At most 3 words.")):
            criterion = made.add_criterion(name.title(), asked, by="ada")
            judge = made.add_judge(criterion.id, "llm", name, {})
            made.wait(made.run_judge(judge.id))
        grader = made.grader("ada")
        for _ in range(N_GRADED):
            ask = made.next_output(grader)
            assert ask is not None
            answer = "fail" if ask.output % 3 == 0 else "pass"
            made.grade(
                output=ask.output,
                grader=grader,
                client_uuid=uuid.uuid4().hex,
                answer=answer,
                query_id=ask.query_id,
            )
        yield made


def judge_named(project: GradingProject, name: str) -> GradingJudge:
    return next(each for each in project.judges() if each.name == name)


def test_graders_are_listed_with_the_graded_outputs_they_gave_probabilities_for(
    project: GradingProject,
) -> None:
    found = project.trust.judges()
    assert [each.n for each in found] == [N_GRADED, N_GRADED]
    assert found[0].name == "short on Short"


def test_a_grader_ends_on_the_page_with_figures(project: GradingProject) -> None:
    """The scripted model states 0.92 or 0.08, so that the one confidence is 0.92 and the ECE |accuracy - 0.92|."""
    keys = [each.key for each in project.trust.judges()]
    project.wait(project.trust.start(keys, "half", ["temperature"]))
    first, second = project.trust.measured()
    assert (first["name"].split()[0], second["name"].split()[0]) == ("short", "shorter")
    for key, view in zip(keys, (first, second), strict=True):
        shown = project.trust.predictions(key).rows(np.arange(N_GRADED // 2, N_GRADED))
        accuracy = float((shown.proba.argmax(axis=1) == shown.targets).mean())
        assert shown.proba.max(axis=1) == pytest.approx(0.92)
        assert view["before"]["accuracy"]["value"] == pytest.approx(accuracy)
        assert view["before"]["ece"]["value"] == pytest.approx(abs(accuracy - 0.92), abs=1e-9)
        assert view["before"]["ece"]["n"] == N_GRADED // 2
        assert view["classes"] == ["pass", "fail"]
    assert first["before"]["accuracy"]["value"] > second["before"]["accuracy"]["value"]


def test_what_the_grader_was_shown_as_an_example_is_left_out(project: GradingProject) -> None:
    graded = [grade.output for grade in project.grades()][:4]
    examples = [{"output": output, "passed": output % 3 > 0, "note": ""} for output in graded]
    criterion = judge_named(project, "short").criterion_id
    judge = project.add_judge(criterion, "llm", "shown some", {"examples": examples})
    project.wait(project.run_judge(judge.id))
    try:
        (mine,) = [each for each in project.trust.judges() if each.name.startswith("shown some")]
        assert mine.n == N_GRADED - 4
    finally:
        project.bench.retire(judge.id)


def test_what_was_graded_by_hand_is_left_out(project: GradingProject) -> None:
    """An output that somebody chose to grade is no sample of anything."""
    by_design = {grade.output for grade in project.grades()}
    chosen = next(i for i in range(N) if i not in by_design)
    before = project.trust.judges()[0].n
    grader = project.grader("eve")
    project.grade(output=chosen, grader=grader, client_uuid="by-hand", answer="pass")
    assert project.trust.judges()[0].n == before
    assert project.undo(grader, "undo-by-hand") is not None


def test_slices_are_the_system_and_what_the_metadata_says(project: GradingProject) -> None:
    found = project.trust.predictions(project.trust.judges()[0].key)
    assert set(found.slices) == {"system", "length"}
    assert set(found.slices["length"]) == {"0", "1", "2"}
    np.testing.assert_array_equal(found.slices["length"] == "0", found.targets == 1)


def test_a_judge_without_probabilities_is_not_offered(project: GradingProject) -> None:
    code = "def check(output, context):\n    return True\n"
    judge = project.add_judge(None, "assertion", "always", {"code": code})
    project.wait(project.run_judge(judge.id))
    try:
        assert f"judge-{judge.id}" not in [each.key for each in project.trust.judges()]
        with pytest.raises(InputError, match="n = 0 items with people's answers is too small"):
            project.trust.start([f"judge-{judge.id}"], "half")
        with pytest.raises(NotFoundError, match="judge 'judge-999' gives no probabilities"):
            project.trust.predictions("judge-999")
    finally:
        project.bench.retire(judge.id)


def test_a_file_of_the_same_name_overwrites_nothing(project: GradingProject, tmp_path: Path) -> None:
    """The same file again is the same; another one of that name is kept beside it. Counts survive without the files'
    being read again."""
    draw = np.random.default_rng(0)
    for n, name in ((40, "a.npz"), (50, "b.npz")):
        np.savez(tmp_path / name, probs=draw.dirichlet([1, 1], n), labels=draw.integers(2, size=n))
    trust = project.trust
    first = trust.add_outside(tmp_path / "a.npz", "theirs.npz")
    assert trust.add_outside(tmp_path / "a.npz", "theirs.npz") == first
    second = trust.add_outside(tmp_path / "b.npz", "theirs.npz")
    assert (first.name, first.n, second.name, second.n) == ("theirs", 40, "theirs (2)", 50)
    assert trust.predictions(first.key).n == 40
    for path in trust.folder.glob("outside-*.npz"):
        path.write_bytes(b"no predictions any more")
    assert sorted(each.n for each in trust.judges() if each.name.startswith("theirs")) == [40, 50]
