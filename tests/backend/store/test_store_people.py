"""Accounts, sessions, roles, invitations, comments and the audit log, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.people import Membership, Person
from plumbline_backend.domain.types import Ask
from plumbline_backend.store import Store
from plumbline_backend.store.memberships import NewPerson

HOUR = 3600.0


def account(store: Store, name: str = "Ada", **rights: bool) -> Person:
    return store.people.create(name, "hash", **rights)


def test_an_account_is_found_by_its_name_whatever_the_case(store: Store) -> None:
    ada = account(store, " Ada Łovelace ")
    found = store.people.find("ada łovelace")
    assert found == (ada, "hash")
    assert ada.name == "Ada Łovelace"
    assert store.people.list() == [ada]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "name is empty"),
        ("  ", "name is empty"),
        ("a" * 61, "61 characters; expected at most 60"),
        ("a\0b", "NUL"),
        ("a\u202eb", "expected characters that can be seen"),
        ("a\nb", "expected characters that can be seen"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_names_that_cannot_be_shown_are_refused(store: Store, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        account(store, name)
    assert store.people.find(name) is None
    assert store.people.access_by_name(name) is None


def test_a_name_is_taken_once_even_by_two_at_the_same_time(store: Store) -> None:
    def attempt(name: str) -> str:
        try:
            return account(store, name).name
        except Exception as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(attempt, ["Ada", "ADA", "ada", "Ａda"]))
    assert sum(not each.endswith("Error") for each in made) == 1
    assert len(store.people.list()) == 1


def test_a_session_gives_access_until_it_ends(store: Store) -> None:
    ada = account(store)
    store.people.start_session(ada.id, "digest", HOUR, "Browser\n1")
    access = store.people.access_by_session("digest")
    assert access is not None
    assert (access.person, access.ticket, access.memberships) == (ada, "digest", {})
    store.people.end_session("digest")
    assert store.people.access_by_session("digest") is None


def test_a_session_past_its_end_gives_nothing(store: Store) -> None:
    ada = account(store)
    store.people.start_session(ada.id, "old", 0.0, "")
    assert store.people.access_by_session("old") is None


def test_another_password_ends_the_other_sessions(store: Store) -> None:
    ada = account(store)
    for each in ("here", "elsewhere"):
        store.people.start_session(ada.id, each, HOUR, "")
    store.people.set_password(ada.id, "new", keep_session="here")
    assert store.people.access_by_session("here") is not None
    assert store.people.access_by_session("elsewhere") is None
    assert store.people.find("Ada") == (ada, "new")


def test_a_closed_account_can_do_nothing_and_keeps_its_name(store: Store) -> None:
    account(store, "Owner", is_owner=True)
    ada = account(store)
    store.people.start_session(ada.id, "digest", HOUR, "")
    store.people.disable(ada.id)
    assert store.people.access_by_session("digest") is None
    assert store.people.access_by_name("Ada") is None
    with pytest.raises(ConflictError, match="taken"):
        account(store)
    store.people.enable(ada.id)
    assert store.people.access_by_session("digest") is None
    assert store.people.access_by_name("Ada") is not None


def test_the_last_owner_stays(store: Store) -> None:
    owner = account(store, "Owner", is_owner=True)
    with pytest.raises(ConflictError, match="only owner"):
        store.people.disable(owner.id)
    with pytest.raises(ConflictError, match="only owner"):
        store.people.set_rights(owner.id, is_owner=False, may_create=True)
    second = account(store, "Second", is_owner=True)
    store.people.set_rights(owner.id, is_owner=False, may_create=True)
    assert store.people.count_owners() == 1
    with pytest.raises(ConflictError, match="only owner"):
        store.people.disable(second.id)


def test_two_owners_cannot_close_each_other_at_once(store: Store) -> None:
    owners = [account(store, f"Owner {n}", is_owner=True) for n in range(2)]

    def close(owner: Person) -> bool:
        try:
            store.people.disable(owner.id)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        closed = list(pool.map(close, owners))
    assert closed.count(True) == 1
    assert store.people.count_owners() == 1


def test_roles_are_per_project(store: Store, make_desk: Any) -> None:
    ada = account(store)
    animals, plants = make_desk(store).project, make_desk(store, "plants").project
    store.memberships.set_role(animals.id, ada.id, "annotator")
    store.projects.change_settings(animals.id, {"blind": True})
    access = store.people.access_by_name("Ada")
    assert access is not None
    assert dict(access.memberships) == {"animals": Membership("annotator", blind=True)}
    assert access.can("animals", "label")
    assert not access.can("animals", "read")  # blind: others' answers are not shown
    assert not access.can("plants", "read")
    store.memberships.set_role(animals.id, ada.id, "editor")
    assert [(m.person.name, m.role) for m in store.memberships.of_project(animals.id)] == [("Ada", "editor")]
    assert store.memberships.of_project(plants.id) == []
    with pytest.raises(InputError, match="did you mean 'owner'"):
        store.memberships.set_role(animals.id, ada.id, "ownr")  # type: ignore[arg-type]


def test_what_was_promised_goes_back_when_a_person_is_taken_out(store: Store, make_desk: Any) -> None:
    desk = make_desk(store)
    ada, bea = account(store), account(store, "Bea")
    for each in (ada, bea):
        store.memberships.set_role(desk.project.id, each.id, "annotator")
    bea_judge = store.judges.ensure(desk.project.id, "person", "Bea")
    plan = lambda _: (Ask(item, None, "random", item, None, "test") for item in range(10))  # noqa: E731
    mine = store.leases.claim(desk.question.id, "tab a", desk.judge.id, plan, 3, 60.0)
    store.leases.claim(desk.question.id, "tab b", bea_judge.id, plan, 3, 60.0)
    assert store.memberships.remove(desk.project.id, ada.id) == 3
    left = store.leases.live(desk.question.id)
    assert len(left) == 3
    assert not left & {ask.item for ask in mine}
    assert not store.people.access_by_name("Ada").sees("animals")  # type: ignore[union-attr]
    with pytest.raises(NotFoundError):
        store.memberships.remove(desk.project.id, ada.id)
    assert store.memberships.return_work(bea.id) == 3


def test_an_invitation_is_used_once(store: Store, make_desk: Any) -> None:
    desk = make_desk(store)
    store.memberships.invite("link", desk.project.id, "annotator", may_create=False, by="Ada", seconds=HOUR)
    found = store.memberships.find_invitation("link")
    assert found is not None
    assert (found.slug, found.role, found.created_by) == ("animals", "annotator", "Ada")

    def accept(name: str) -> bool:
        try:
            store.memberships.accept("link", NewPerson(name, "hash"))
        except NotFoundError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        accepted = list(pool.map(accept, ["Bea", "Cleo", "Dan", "Eve"]))
    assert accepted.count(True) == 1
    assert len(store.memberships.of_project(desk.project.id)) == 1
    (listed,) = store.memberships.invitations(desk.project.id)
    assert listed.used_by in ("Bea", "Cleo", "Dan", "Eve")


def test_a_taken_name_leaves_the_invitation_open(store: Store) -> None:
    account(store)
    store.memberships.invite("link", None, None, may_create=True, by="Ada", seconds=HOUR)
    with pytest.raises(ConflictError, match="taken"):
        store.memberships.accept("link", NewPerson("ada", "hash"))
    made = store.memberships.accept("link", NewPerson("Bea", "hash"))
    assert made.may_create


def test_an_account_joins_a_project_and_never_loses_a_better_role(store: Store, make_desk: Any) -> None:
    desk, ada = make_desk(store), account(store)
    for link, role in (("first", "editor"), ("second", "reader")):
        store.memberships.invite(link, desk.project.id, role, may_create=False, by="x", seconds=HOUR)  # type: ignore[arg-type]
        store.memberships.accept(link, ada)
    assert [m.role for m in store.memberships.of_project(desk.project.id)] == ["editor"]


@pytest.mark.parametrize("how", ["revoked", "late", "of another project"])
def test_an_invitation_that_has_ended_lets_nobody_in(store: Store, make_desk: Any, how: str) -> None:
    desk = make_desk(store)
    seconds = 0.0 if how == "late" else HOUR
    made = store.memberships.invite(
        "link", desk.project.id, "reader", may_create=False, by="x", seconds=seconds
    )
    if how == "of another project":
        with pytest.raises(NotFoundError):
            store.memberships.revoke_invitation(made.id, None)
        return
    if how == "revoked":
        store.memberships.revoke_invitation(made.id, desk.project.id)
    assert store.memberships.find_invitation("link") is None
    with pytest.raises(NotFoundError, match="ask for a new one"):
        store.memberships.accept("link", NewPerson("Bea", "hash"))


def test_comments_are_kept_as_said(store: Store, make_desk: Any) -> None:
    desk = make_desk(store)
    script = "<script>alert(1)</script>"
    said = store.comments.add(desk.project.id, 7, "Ada", script, "u1")
    assert store.comments.add(desk.project.id, 7, "Ada", script, "u1") == said
    store.comments.add(desk.project.id, 7, "Bea", "blurred", "u2")
    store.comments.add(desk.project.id, 8, "Bea", "elsewhere", "u3")
    assert [c.text for c in store.comments.of_item(desk.project.id, 7)] == [script, "blurred"]
    assert [c.text for c in store.comments.of_item(desk.project.id, 7, author="Bea")] == ["blurred"]
    settled = store.comments.resolve(desk.project.id, said.id, "Cleo")
    assert store.comments.resolve(desk.project.id, said.id, "Dan") == settled
    assert settled.resolved_by == "Cleo"
    assert [c.text for c in store.comments.open(desk.project.id)] == ["elsewhere", "blurred"]
    assert store.comments.count_open(desk.project.id) == 2


def test_comments_that_make_no_sense_are_refused(store: Store, make_desk: Any) -> None:
    desk = make_desk(store)
    with pytest.raises(InputError, match="item 1000 does not exist"):
        store.comments.add(desk.project.id, 1000, "Ada", "x", "u1")
    with pytest.raises(InputError, match="text is empty"):
        store.comments.add(desk.project.id, 1, "Ada", " ", "u1")
    with pytest.raises(NotFoundError):
        store.comments.add(99, 1, "Ada", "x", "u1")
    store.comments.add(desk.project.id, 1, "Ada", "x", "u1")
    with pytest.raises(ConflictError):
        store.comments.add(desk.project.id, 2, "Ada", "x", "u1")
    with pytest.raises(NotFoundError):
        store.comments.resolve(make_desk(store, "plants").project.id, 1, "Ada")


def test_a_project_goes_with_its_people_and_comments_but_not_its_log(store: Store, make_desk: Any) -> None:
    desk, ada = make_desk(store), account(store)
    store.memberships.set_role(desk.project.id, ada.id, "owner")
    store.memberships.invite("link", desk.project.id, "reader", may_create=False, by="x", seconds=HOUR)
    store.comments.add(desk.project.id, 1, "Ada", "x", "u1")
    store.audit.add("Ada", "project deleted", "animals", project="animals")
    store.projects.delete(desk.project.id)
    assert store.people.access_by_name("Ada").memberships == {}  # type: ignore[union-attr]
    assert store.memberships.find_invitation("link") is None
    assert [entry.action for entry in store.audit.page({"project": "animals"})] == ["project deleted"]


def test_the_log_is_read_by_page_and_by_allowed_fields(store: Store) -> None:
    for number in range(5):
        store.audit.add("Ada" if number % 2 else "Bea", "signed in", detail={"n": number}, address="10.0.0.1")
    newest = store.audit.page(limit=2)
    assert [entry.detail["n"] for entry in newest] == [4, 3]
    assert [entry.detail["n"] for entry in store.audit.page(before_id=newest[-1].id)] == [2, 1, 0]
    assert {entry.person for entry in store.audit.page({"person": "Ada", "action": "signed in"})} == {"Ada"}
    assert store.audit.actions() == ["signed in"]
    for field in ("detail", "address", "id", "person__password_hash", "people.password_hash"):
        with pytest.raises(InputError, match="Valid: action, person, project"):
            store.audit.page({field: "x"})


def test_a_line_of_the_log_is_written_whatever_it_says(store: Store) -> None:
    store.audit.add("a\0b\ud800", "sign-in refused", "x" * 1000)
    (entry,) = store.audit.page()
    assert entry.person == "a�b?"
    assert len(entry.subject) == 300


def test_the_log_offers_no_way_to_change_or_remove_a_line(store: Store) -> None:
    offered = {name for name in dir(store.audit) if not name.startswith("_")}
    assert offered == {"add", "page", "actions"}
