"""The Judges page without a browser: what a job brings stands where it was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from plumbline_app.pages.judges import JudgesPage
from plumbline_app.session import Session
from plumbline_backend.grading import GradingProject
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

CODE = "def check(output, context):\n    return len(output) < 20\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("judges_page")
    rows = [{"prompt": "Say it.", "response": f"number {i} is it"} for i in range(12)]
    (folder / "outputs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    scripted = {"llm_base_url": "scripted"}
    with open_workspace(folder / "ws", executor=InlineExecutor(), settings=scripted) as opened:
        opened.import_outputs(folder / "outputs.jsonl", "outputs")
        yield opened


@pytest.fixture
def project(workspace: Workspace) -> GradingProject:
    return workspace.grading("outputs")


@pytest.fixture
def shown(workspace: Workspace, project: GradingProject, monkeypatch: pytest.MonkeyPatch) -> JudgesPage:
    monkeypatch.setattr(JudgesPage, "every", lambda *_: None)
    found = JudgesPage(Session(workspace, None, "me", False, grading=project))
    found.__panel__()
    found.load()
    return found


def text_of(part: Any) -> str:
    """All words of a part of the page."""
    own = " ".join(str(getattr(part, name, "") or "") for name in ("object", "label", "name", "value"))
    return own + " ".join(text_of(each) for each in getattr(part, "objects", []))


def click(part: Any, label: str) -> None:
    """Press the button of this label."""
    found = [each for each in part.select() if getattr(each, "label", None) == label]
    assert len(found) == 1, f"{label}: {len(found)} buttons"
    found[0].clicks += 1


def ended(shown: JudgesPage, project: GradingProject) -> None:
    """Wait for the job that the page follows, and let the page hear of its end."""
    assert shown._jobs.job_id is not None
    project.wait(project._jobs.get(shown._jobs.job_id))
    shown._jobs.poll()


def test_a_draft_waits_while_another_kind_of_judge_is_open(
    shown: JudgesPage, project: GradingProject
) -> None:
    for output, answer in ((3, "pass"), (5, "fail")):
        project.grade(output=output, grader=project.grader("ada"), client_uuid=f"g{output}", answer=answer)
    shown._new_judge("assertion")
    shown._draft()
    shown._new_judge("head")
    ended(shown, project)
    assert shown._judge_editor._kind == "head"
    assert "draft is ready" in text_of(shown._said)
    click(shown._said, "Open the draft")
    assert shown._judge_editor._kind == "assertion"
    assert "def check" in shown._judge_editor._code.value
    assert "Drafted by the model" in text_of(shown._judge_editor._said)
    assert shown._judge_editor._spec()["drafted_from"] == [3, 5]  # the grades that the model saw


def test_a_draft_replaces_no_other_judges_code(shown: JudgesPage, project: GradingProject) -> None:
    first, second = (
        project.add_judge(None, "assertion", name, {"code": CODE}) for name in ("first", "second")
    )
    shown._open_judge(first.id)
    shown._draft()
    shown._open_judge(second.id)
    ended(shown, project)
    assert shown._judge_editor._code.value == CODE
    click(shown._said, "Open the draft")
    assert shown._judge_editor.shows(first.id)
    assert shown._judge_editor._code.value != CODE


def test_stress_tests_stand_under_the_judge_that_was_tried(
    shown: JudgesPage, project: GradingProject
) -> None:
    tried, other = (project.add_judge(None, "assertion", name, {"code": CODE}) for name in ("tried", "other"))
    project.wait(project.run_judge(tried.id))
    shown._open_judge(tried.id)
    shown._stress(tried.id)
    shown._open_judge(other.id)
    ended(shown, project)
    assert shown._judge_editor.shows(other.id)
    assert len(shown._judge_editor._verdicts.objects) == 0
    click(shown._said, "Show them")
    assert shown._judge_editor.shows(tried.id)
    assert len(shown._judge_editor._verdicts.objects) == 1
    shown._stress(tried.id)
    ended(shown, project)  # the same judge is open: it stands there at once
    assert "are done" not in text_of(shown._said)


def test_a_retired_judge_comes_back_on_the_page(shown: JudgesPage, project: GradingProject) -> None:
    judge = project.add_judge(None, "assertion", "old", {"code": CODE})
    shown._open_judge(judge.id)
    shown._judge_editor._retire()
    assert judge.id not in [each.id for each in project.judges()]
    assert "Retired, with their verdicts kept" in text_of(shown._judges)
    click(shown._judges, "Bring it back")
    assert judge.id in [each.id for each in project.judges()]
    assert shown._judge_editor.shows(judge.id)
    assert "Retired" not in text_of(shown._judges)


def test_what_is_typed_outlives_the_end_of_a_run(shown: JudgesPage, project: GradingProject) -> None:
    judge = project.add_judge(None, "assertion", "typed", {"code": CODE})
    shown._open_judge(judge.id)

    def guidelines() -> Any:
        return next(
            each for each in shown._editor.select() if "Guidelines" in str(getattr(each, "label", ""))
        )

    field, editor = guidelines(), shown._judge_editor
    field.value = field.value_input = "Half a sentence"
    editor._code.value = "def check(output, context):\n    return None\n"
    assert "12 not run yet" in editor._counts.object
    shown._run(judge.id, False)
    ended(shown, project)
    assert (guidelines(), shown._judge_editor) == (field, editor)
    assert field.value_input == "Half a sentence"
    assert "return None" in editor._code.value
    assert "Of 12 outputs: 12 pass." in editor._counts.object  # what is only read is new
    assert "Every output has a verdict" in editor._estimate.object
    click(shown._editor, "Save")  # the criterion is drawn anew, as saved; the judge's code stays
    assert project.overall().guidelines == "Half a sentence"
    assert guidelines() is not field
    assert shown._judge_editor is editor
    guidelines().value_input = "More of it"
    editor._save()  # and the other way round
    assert project.judges()[-1].spec["code"].endswith("return None\n")
    assert shown._judge_editor is not editor
    assert guidelines().value_input == "More of it"
