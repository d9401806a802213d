"""A prediction explained by the items that people labelled, for heads that decide by such; and how a page says it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline_app.components.reasons import reasons_view, weight_in_words
from plumbline_backend.domain.errors import InputError
from plumbline_backend.explanations import Explanation, Reason
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.build import with_roles
from plumbline_backend.project import Project
from plumbline_backend.workspace import open_workspace

N = 60


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Items along a line: the first thirty are low, the others high; every second one is labelled."""
    file = tmp_path / "line.csv"
    rows = [f"<b>i{i},{i + (100 if i >= N // 2 else 0)}" for i in range(N)]
    file.write_text("\n".join(["key,x", *rows]) + "\n")
    with open_workspace(tmp_path / "ws", executor=InlineExecutor()) as opened:
        found = opened.import_items(file, "line", with_roles(opened.inspect(file).columns, {"key": "id"}))
        for name in ("low", "high"):
            found.add_class(name, by="ann")
        ids = [c.id for c in found.question().active]
        for item in range(0, N, 2):
            if not found.loop.answers.in_reserve(item):
                found.record(
                    item=item,
                    judge=found.person("ann"),
                    client_uuid=uuid.uuid4().hex,
                    answer=ids[item >= N // 2],
                )
        yield found


def trained(project: Project, head: str, **settings: int) -> None:
    project.heads.choose(head, settings)
    while (job := project.fit()) is not None:
        project.wait(job)


def test_neighbours_that_voted_are_named_with_what_people_said(project: Project) -> None:
    trained(project, "k_nearest", k=3)
    found = project.heads.explained(N - 1)
    assert found is not None
    assert (found.head, found.answer, found.by_vote) == ("k_nearest", "high", True)
    labelled = [i for i in range(0, N, 2) if not project.loop.answers.in_reserve(i)]
    assert [reason.position for reason in found.reasons] == sorted(labelled, reverse=True)[:3]
    assert {reason.said for reason in found.reasons} == {"high"}
    assert sum(reason.weight for reason in found.reasons) == pytest.approx(1)
    assert found.reasons[0].weight == max(reason.weight for reason in found.reasons)


def test_prototypes_are_named_and_an_item_is_no_reason_for_itself(project: Project) -> None:
    trained(project, "prototypes", trivial=1, support=1)
    for position in range(N):
        found = project.heads.explained(position)
        assert found is not None
        assert found.answer == ("high" if position >= N // 2 else "low")
        assert not found.by_vote
        assert 3 <= len(found.reasons) <= 4
        assert position not in [reason.position for reason in found.reasons]
        weights = [abs(reason.weight) for reason in found.reasons]
        assert weights == sorted(weights, reverse=True)
        assert all(
            reason.said == ("high" if reason.position >= N // 2 else "low") for reason in found.reasons
        )


def test_nothing_is_made_up_for_heads_that_do_not_decide_by_items(project: Project) -> None:
    trained(project, "linear_softmax")
    assert project.heads.explained(0) is None
    with pytest.raises(InputError, match="item: found 60; expected 0 to 59"):
        project.heads.explained(N)


def test_a_page_links_each_item_and_reads_keys_as_text(project: Project) -> None:
    trained(project, "k_nearest", k=3)
    found = project.heads.explained(N - 1)
    assert found is not None
    shown = reasons_view(project, found).object  # type: ignore[attr-defined]
    nearest = found.reasons[0].position
    assert f'href="/p/line/data?page=2&amp;item={nearest}"' in shown
    assert f"&lt;b&gt;i{nearest}" in shown
    assert "answers &#x27;high&#x27; by the vote of your labelled items" in shown
    assert "high, " in shown


def test_weights_in_words() -> None:
    vote = Explanation(1, "k_nearest", "a", True, ())
    lead = vote._replace(head="prototypes", by_vote=False)
    assert weight_in_words(Reason(1, "i1", "a", 0.337), vote) == "34 % of the vote"
    assert weight_in_words(Reason(1, "i1", "a", 0.4), lead) == "speaks for it by 0.40"
    assert weight_in_words(Reason(1, "i1", "a", -1.25), lead) == "speaks against it by 1.25"
