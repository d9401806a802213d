"""The sampling design in the database: splits, draws in order, one draw per output."""

from __future__ import annotations

import pytest

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.store import Store


@pytest.fixture
def place(store: Store):
    """(project id, overall question id, judge id) of an empty grading project."""
    project = store.projects.create("replies", "Replies", 4)
    question = store.questions.create(project.id, "Good?", "pass_fail", "", (), "ada")
    return project.id, question.id, store.judges.ensure(project.id, "person", "ada").id


def test_draws_come_back_in_order_with_their_design(store: Store, place) -> None:
    project, question, judge = place
    split = store.draws.add_partition(project, [7, 8], "ffpp")
    first = store.draws.add(project, question, judge, 2, "judged_pass", split.id, 0.5)
    second = store.draws.add(project, question, judge, 2, "regrade")
    assert store.draws.list(project) == [first, second]
    assert (first.partition_id, first.probability, first.closed_at) == (split.id, 0.5, None)
    assert (second.partition_id, second.probability, second.question_id) == (None, None, question)
    assert store.draws.partitions(project) == [split]
    assert (split.judges, split.labels) == ((7, 8), "ffpp")
    assert store.queries.get(first.query_id).strategy == "judged_pass"


def test_a_draw_is_closed_and_opened_again(store: Store, place) -> None:
    project, question, judge = place
    draw = store.draws.add(project, question, judge, 1, "overlap")
    store.draws.set_open(draw.query_id, False)
    assert store.draws.list(project)[0].closed_at is not None
    store.draws.set_open(draw.query_id, True)
    assert store.draws.list(project)[0].closed_at is None
    with pytest.raises(NotFoundError, match="draw 999 does not exist"):
        store.draws.set_open(999, True)


def test_the_design_draws_no_output_twice(store: Store, place) -> None:
    project, question, judge = place
    split = store.draws.add_partition(project, [], "aaaa")
    store.draws.add(project, question, judge, 3, "random", split.id, 0.25)
    with pytest.raises(Exception, match=r"uq_draws_item|draws\.project_id"):
        store.draws.add(project, question, judge, 3, "random", split.id, 0.25)
    store.draws.add(project, question, judge, 3, "overlap")
    assert [draw.stratum for draw in store.draws.list(project)] == ["random", "overlap"]


def test_a_question_of_another_project_is_refused(store: Store, place) -> None:
    _, question, judge = place
    other = store.projects.create("other", "Other", 4)
    with pytest.raises(InputError, match="is not a question of project"):
        store.draws.add(other.id, question, judge, 0, "random")


def test_deleting_a_project_takes_its_design_along(store: Store, place) -> None:
    project, question, judge = place
    split = store.draws.add_partition(project, [judge], "fppp")
    store.draws.add(project, question, judge, 0, "judged_fail", split.id, 1.0)
    store.projects.delete(project)
    assert store.draws.list(project) == []
    assert store.draws.partitions(project) == []
