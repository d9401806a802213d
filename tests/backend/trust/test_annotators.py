"""People compared on a real project: coefficients, who answers how, the queue, and the last word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace, open_workspace

SAID = {
    "Ada": "0001112220012012",
    "Ben": "0001112220012010",
    "Cleo": "0011112200012222",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "workspace", executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture
def project(workspace: Workspace) -> Project:
    """Wine with three people who answered sixteen items; Ada answered the first one twice, the same both times."""
    made = workspace.create_demo("wine")
    made.set_settings(overlap=3)
    ids = [c.id for c in made.question().active]
    for name, answers in SAID.items():
        judge = made.person(name)
        for item, answer in enumerate(answers):
            made.record(item=item, judge=judge, client_uuid=f"{name}{item}", answer=ids[int(answer)])
    made.record(item=0, judge=made.person("Ada"), client_uuid="again", answer=ids[0])
    return made


@pytest.mark.parametrize("method", ["majority", "dawid_skene", "mace", "glad"])
def test_the_report_of_three_people(project: Project, method: str) -> None:
    report = project.desk.trust.annotators(method)
    assert (report.n_items, report.n_shared, report.n_conflicts) == (16, 16, 5)
    assert 0.5 < report.alpha.value < 1
    assert report.alpha.low < report.alpha.value < report.alpha.high
    assert report.fleiss.n == 16
    by_name = {each.name: each for each in report.annotators}
    assert by_name["Ada"].with_self == pytest.approx((1.0, 0.2065, 1.0, 1), abs=1e-3)
    assert by_name["Ben"].with_self.n == 0
    assert by_name["Cleo"].with_others.value < by_name["Ada"].with_others.value
    assert by_name["Cleo"].confusion.sum() == 16
    kappas = {(pair.first, pair.second): pair.kappa for pair in report.pairs}
    assert kappas["Ada", "Ben"].value > kappas["Ben", "Cleo"].value
    assert kappas["Ada", "Ben"].n == 16


def test_the_queue_names_who_said_what_and_ends_with_a_last_word(project: Project) -> None:
    report = project.desk.trust.annotators()
    assert {each.item for each in report.conflicts} == {2, 8, 13, 14, 15}
    conflict = next(each for each in report.conflicts if each.item == 2)
    names = [c.name for c in project.question().active]
    assert conflict.said == (("Ada", names[0]), ("Ben", names[0]), ("Cleo", names[1]))
    assert conflict.likeliest == names[0]
    assert not conflict.settled
    project.record(
        item=2,
        judge=project.person("Dana"),
        client_uuid="last",
        answer=project.question().active[1].id,
        stratum="adjudication",
    )
    again = project.desk.trust.annotators()
    assert next(each for each in again.conflicts if each.item == 2).settled
    assert {each.name for each in again.annotators} == {"Ada", "Ben", "Cleo"}
    assert project.loop.answers.choice(2, project.question()) == project.question().active[1].id


def test_one_person_alone_is_unknown_not_zero(workspace: Workspace) -> None:
    project = workspace.create_demo("wine")
    project.record(
        item=0, judge=project.person("me"), client_uuid="a", answer=project.question().active[0].id
    )
    report = project.desk.trust.annotators()
    assert (report.n_shared, report.pairs, report.conflicts) == (0, (), ())
    assert np.isnan(report.alpha.value)
    assert np.isnan(report.fleiss.value)
    assert report.annotators[0].with_others.n == 0


def test_an_unknown_method_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="did you mean 'mace'"):
        project.desk.trust.annotators("maze")


def test_skill_has_its_interval_and_two_answers_their_confusion(project: Project) -> None:
    """Shares of right answers have Wilson's interval on the answers given; the others none."""
    report = project.desk.trust.annotators("dawid_skene")
    for each in report.annotators:
        expected = wilson(min(each.skill, 1.0) * each.n, each.n)
        assert each.skill_interval == pytest.approx(expected)
        assert each.skill_interval.low <= each.skill <= each.skill_interval.high
    assert all(each.confusion is not None and 0.5 < each.confusion < 1 for each in report.conflicts)
    two = project.desk.trust.annotators("top_two")
    assert all(each.skill_interval is None for each in two.annotators)
    for conflict in two.conflicts:
        assert conflict.certainty == pytest.approx(conflict.confusion)
        assert conflict.rival not in (None, conflict.likeliest)
