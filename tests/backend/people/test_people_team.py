"""A team over one project: overlap, disputes and their last word, agreement, progress."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.workspace import open_workspace


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    file = tmp_path / "things.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(
            [("key", "text"), *((f"k{i}", f"a text with number {i}") for i in range(12))]
        )
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        name = f"team_{tmp_path.name}".lower().replace("-", "_")
        server.psql(f"CREATE DATABASE {name}")
        url = server.get_uri(database=name)
    with open_workspace(tmp_path / "workspace", database_url=url, executor=InlineExecutor()) as workspace:
        made = workspace.import_items(file, "things")
        for label in ("left", "right"):
            made.add_class(label, by="test")
        yield made


def answer(project: Project, person: str, item: int, class_id: str) -> None:
    project.record(
        item=item, judge=project.person(person), client_uuid=f"{person}-{item}-{class_id}", answer=class_id
    )


def asked(project: Project, person: str, n: int) -> list[int]:
    return [ask.item for ask in project.next_items(project.person(person), f"tab of {person}", n)]


def test_each_item_is_asked_of_as_many_people_as_wanted(project: Project) -> None:
    team = project.desk.team
    assert team.overlap == 1
    team.share(overlap=2)
    first = asked(project, "ada", 12)
    assert sorted(first) == list(range(12))
    assert sorted(asked(project, "bea", 12)) == list(range(12))
    assert asked(project, "cleo", 12) == []  # two have each item
    for item in first:
        answer(project, "ada", item, "c1")
    project.release("tab of bea")
    assert sorted(asked(project, "cleo", 12)) == list(range(12))  # one answer each: one more is wanted
    assert asked(project, "ada", 12) == []
    for wrong in (0, 21):
        with pytest.raises(InputError, match="expected 1 to 20 people"):
            team.share(overlap=wrong)


def test_a_late_answer_that_went_to_somebody_else_is_refused_in_words(project: Project) -> None:
    (item,) = asked(project, "ada", 1)
    project.release("tab of ada")
    assert item in asked(project, "bea", 12)
    with pytest.raises(ConflictError, match="went to somebody else"):
        project.record(
            item=item, judge=project.person("ada"), client_uuid="late", answer="c1", stratum="random"
        )


def test_the_last_word_counts_and_the_answers_stay(project: Project) -> None:
    team, question = project.desk.team, project.question()
    for person, class_id in (("ada", "c1"), ("bea", "c1"), ("cleo", "c2")):
        answer(project, person, 3, class_id)
    answer(project, "ada", 4, "c1")
    answer(project, "bea", 4, "c1")
    (dispute,), n = team.disputes()
    assert (n, dispute.item, [s.class_id for s in dispute.said]) == (1, 3, ["c1", "c1", "c2"])
    assert project.loop.answers.choice(3, question) == "c1"  # by majority, until somebody decides
    team.adjudicate(3, "c2", "dana", "u1", "the guideline says so")
    project.loop.answers.refresh()
    assert project.loop.answers.choice(3, question) == "c2"
    assert team.disputes() == ([], 0)
    assert project.current(3, project.person("ada")).answer == "c1"  # type: ignore[union-attr]
    team.adjudicate(3, "c1", "dana", "u2")
    project.loop.answers.refresh()
    assert project.loop.answers.choice(3, question) == "c1"
    with pytest.raises(InputError, match="c9"):
        team.adjudicate(3, "c9", "dana", "u3")


def test_agreement_rests_on_items_that_several_answered(project: Project) -> None:
    team = project.desk.team
    assert math.isnan(team.agreement().value)
    assert team.agreement().n == 0
    for item in range(4):
        answer(project, "ada", item, "c1" if item < 2 else "c2")
    assert team.agreement().n == 0
    for item in range(4):
        answer(project, "bea", item, "c1" if item < 2 else "c2")
    assert team.agreement().value == 1.0
    assert team.agreement().n == 4
    answer(project, "bea", 0, "c2")
    # Coincidences: c1-c1 2, c1-c2 1, c2-c1 1, c2-c2 4; n_c = 3, 5; D_o = 2/8, D_e = 2*3*5/(8*7); alpha = 1 - 14/30.
    assert team.agreement().value == pytest.approx(1 - 14 / 30)
    team.adjudicate(0, "c1", "dana", "u1")
    assert team.agreement().value == pytest.approx(1 - 14 / 30)  # the last word is no annotator


def test_progress_is_by_person(project: Project) -> None:
    project.desk.team.share(overlap=2)
    asked(project, "ada", 3)
    answer(project, "bea", 1, "c1")
    project.record(item=2, judge=project.person("bea"), client_uuid="s", state="skipped")
    ada, bea = project.desk.team.progress()
    assert (ada.name, ada.n_answered, ada.n_held, ada.last_at) == ("ada", 0, 3, None)
    assert (bea.name, bea.n_by_state, bea.n_held) == ("bea", {"answered": 1, "skipped": 1}, 0)
    assert bea.last_at is not None


def test_comments_belong_to_an_item_of_the_pool(project: Project) -> None:
    team = project.desk.team
    said = team.comment(3, "ada", "blurred", "u1")
    assert team.comments(3) == [said]
    assert team.comments(3, only_by="bea") == []
    with pytest.raises(NotFoundError, match="item 12 does not exist"):
        team.comments(12)
    with pytest.raises(NotFoundError):
        team.require_comment(4, said.id)
    assert team.resolve(said.id, "bea").resolved_by == "bea"
    assert team.open_comments() == []
