"""Signing in and out, invitations, limits: the forms as a browser sends them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from team import BY, OWN, PASSWORD, Team, open_team

from plumbline_app.login import local_path
from plumbline_backend.domain.errors import InputError
from plumbline_backend.people.errors import SignInError
from plumbline_backend.people.keys import KEY_FILE, Cookies, derived, workspace_key
from plumbline_backend.people.limits import LIMITS, MAX_KEPT, SignInLimits
from plumbline_backend.people.passwords import checked_password, generate_password, hash_password, matches
from plumbline_backend.people.service import Caller


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with open_team(tmp_path_factory.mktemp("login")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def forgiven(team: Team) -> None:
    """No test's failures count for the next."""
    team.people._limits = SignInLimits()


def sign_in(client: TestClient, name: str, password: str = PASSWORD, **more: str) -> int:
    return client.post("/login", data={"name": name, "password": password, **more}).status_code


def test_a_person_signs_in_where_they_wanted_to_go(team: Team) -> None:
    client = team.client()
    sent = client.get("/p/things/data?page=2").headers["location"]
    assert sent == "/login?next=%2Fp%2Fthings%2Fdata%3Fpage%3D2"
    form = client.get(sent)
    assert 'name="next" value="/p/things/data?page=2"' in form.text
    answer = client.post(
        "/login", data={"name": "Reader", "password": PASSWORD, "next": "/p/things/data?page=2"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/p/things/data?page=2")
    assert client.get("/api/v1/projects").json()["projects"][0]["slug"] == "things"


def test_the_cookie_is_for_this_server_and_for_no_script(team: Team) -> None:
    answer = team.client().post("/login", data={"name": "reader", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(team.people.cookies.name)
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie  # over plain http on this machine it would not be sent back
    over_tls = TestClient(team.app, base_url="https://localhost", headers={"origin": "https://localhost"})
    over_tls.follow_redirects = False
    secure = over_tls.post("/login", data={"name": "reader", "password": PASSWORD})
    assert "Secure" in secure.headers["set-cookie"]


def test_the_form_runs_no_script_and_shows_names_as_text(team: Team) -> None:
    answer = team.client().post("/login", data={"name": "<script>alert(1)</script>", "password": "x"})
    assert answer.status_code == 401
    assert "<script" not in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


def test_a_wrong_name_is_told_as_a_wrong_password_is(team: Team) -> None:
    answers = [
        team.client().post("/login", data={"name": name, "password": "wrong"}).text.replace(name, "")
        for name in ("reader", "nobody")
    ]
    assert answers[0] == answers[1]
    assert "Name or password are wrong" in answers[0]


def test_signing_out_ends_the_session_on_the_server_too(team: Team) -> None:
    client = team.client("editor")
    stolen = client.cookies[team.people.cookies.name]
    asked = client.post("/api/projects/things/label/sync", json={"holder": "t", "want": 3}).json()["asks"]
    assert len(asked) == 3
    assert client.post("/logout").status_code == 303
    assert client.get("/").status_code == 303
    client.cookies.set(team.people.cookies.name, stolen)
    assert client.get("/").status_code == 303
    project = team.workspace.project("things")
    assert team.workspace.store.leases.live(project.question().id) == set()  # the work went back


@pytest.mark.parametrize("cookie", ["", "x", "a.b", "a" * 5000, "é", "secret.signature"])
def test_a_cookie_that_was_not_given_out_here_is_nobodys(team: Team, cookie: str) -> None:
    client = team.client()
    header = f"{team.people.cookies.name}={cookie}".encode()
    assert client.get("/", headers={b"cookie": header}).status_code == 303  # type: ignore[dict-item]


def test_a_cookie_of_another_workspace_is_nobodys() -> None:
    ours, theirs = Cookies(os.urandom(32)), Cookies(os.urandom(32))
    assert ours.open(ours.seal("secret")) == "secret"
    assert ours.open(theirs.seal("secret")) is None
    assert ours.open(ours.seal("secret")[:-1]) is None
    assert ours.name != theirs.name


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/p/x/label?a=1#b", "/p/x/label?a=1#b"),
        ("", "/"),
        ("p/x", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/\nSet-Cookie: a=b", "/"),
    ],
)
def test_a_login_leads_to_this_server_only(wanted: str, path: str) -> None:
    assert local_path(wanted) == path


@pytest.mark.parametrize("path", ["/login", "/logout", "/invite/x"])
def test_a_form_of_another_site_is_refused(team: Team, path: str) -> None:
    client = TestClient(team.app, base_url=OWN, follow_redirects=False)
    assert client.post(path, data={}, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post(path, data={}).status_code == 403  # a browser always says where a form comes from


def test_a_change_by_cookie_needs_its_origin_and_a_token_does_not(team: Team) -> None:
    signed_in = team.client("editor")
    bare = TestClient(team.app, base_url=OWN, cookies=dict(signed_in.cookies))
    body = {"holder": "t", "operations": [], "want": 0}
    assert bare.post("/api/projects/things/label/sync", json=body).status_code == 403
    foreign = {"origin": "http://evil.example"}
    assert bare.post("/api/projects/things/label/sync", json=body, headers=foreign).status_code == 403
    secret = team.workspace.store.tokens.create("editor", "script").secret
    by_token = TestClient(team.app, base_url=OWN, headers={"authorization": f"Bearer {secret}"})
    assert by_token.post("/api/projects/things/label/sync", json=body).status_code == 200


def test_a_large_form_is_not_read(team: Team) -> None:
    assert team.client().post("/login", data={"name": "x" * 20_000}).status_code == 413
    many = "&".join(f"a{n}=1" for n in range(50))
    header = {"content-type": "application/x-www-form-urlencoded"}
    assert team.client().post("/login", content=many, headers=header).status_code == 422


def test_who_fails_too_often_waits_even_with_the_right_password(team: Team) -> None:
    client = team.client()
    statuses = [sign_in(client, "reader", "wrong") for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    refused = client.post("/login", data={"name": "reader", "password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert sign_in(client, "editor") == 303  # others at this address go on


def test_attempts_at_one_moment_are_not_all_let_through() -> None:
    limits = SignInLimits()
    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(lambda _: limits.attempt("ada", "10.0.0.1"), range(64)))
    assert waits.count(0.0) == LIMITS["pair"].free


def test_waits_double_and_end() -> None:
    now = [0.0]
    limits = SignInLimits(lambda: now[0])
    waits = []
    for _ in range(9):
        while (wait := limits.attempt("ada", "10.0.0.1")) > 0:
            waits.append(wait)
            now[0] += wait
    assert waits == [2.0, 4.0, 8.0, 16.0]
    limits.succeeded("ada", "10.0.0.1")
    assert limits.attempt("ada", "10.0.0.1") == 0.0


def test_one_machine_cannot_try_many_names_nor_many_machines_one() -> None:
    limits = SignInLimits(lambda: 0.0)
    tries = [limits.attempt(f"name {n}", f"2001:db8::{n:x}") for n in range(40)]
    assert tries.count(0.0) == LIMITS["address"].free  # one /64 is one machine
    tries = [limits.attempt("ada", f"10.0.{n}.1") for n in range(200)]
    assert tries.count(0.0) == LIMITS["name"].free
    assert max(tries) <= LIMITS["name"].longest_s  # nobody can lock ada out for long


def test_the_limits_remember_so_much_and_no_more() -> None:
    limits = SignInLimits(lambda: 0.0)
    for n in range(MAX_KEPT):
        limits.attempt(f"name {n}", f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
    assert len(limits._failures) <= MAX_KEPT


def test_an_invitation_makes_an_account_with_its_role(team: Team) -> None:
    secret = team.people.invite("things", "annotator", Caller("owner"))
    client = team.client()
    page = client.get(f"/invite/{secret}")
    assert "owner invites you to the project &#39;things&#39; as annotator" in page.text
    short = client.post(f"/invite/{secret}", data={"how": "new", "name": "Zoë", "password": "short"})
    assert short.status_code == 422
    assert "expected 10 to 200" in short.text
    assert 'value="short"' not in short.text
    taken = client.post(f"/invite/{secret}", data={"how": "new", "name": "READER", "password": PASSWORD})
    assert "is taken" in taken.text
    made = client.post(f"/invite/{secret}", data={"how": "new", "name": "Zoë", "password": PASSWORD})
    assert (made.status_code, made.headers["location"]) == (303, "/p/things")
    assert client.get("/p/things/audit").status_code == 403
    again = team.client().post(f"/invite/{secret}", data={"how": "new", "name": "Yan", "password": PASSWORD})
    assert again.status_code == 404
    assert "ask for a new one" in again.text


def test_a_signed_in_person_accepts_as_they_are(team: Team) -> None:
    secret = team.people.invite("secret", "reader", Caller("boss"))
    client = team.client("stranger")
    assert "Accept as stranger" in client.get(f"/invite/{secret}").text
    assert client.post(f"/invite/{secret}", data={"how": "signed-in"}).status_code == 303
    assert client.get("/api/v1/projects/secret").status_code == 200
    team.people.remove_member("secret", "stranger", BY)


def test_an_invitation_that_was_withdrawn_says_so(team: Team) -> None:
    secret = team.people.invite(None, None, Caller("boss"), may_create=True)
    (first, *_) = team.people.invitations(None)
    team.people.withdraw_invitation(first.id, None, Caller("boss"))
    assert team.client().get(f"/invite/{secret}").status_code == 404
    assert team.client().get("/invite/%00%ff").status_code == 404


def test_a_new_password_ends_other_sessions_and_needs_the_old_one(team: Team) -> None:
    here, there = team.client("maker"), team.client("maker")
    access = team.people.access(here.cookies[team.people.cookies.name])
    assert access is not None
    with pytest.raises(SignInError, match="old password is wrong"):
        team.people.change_password(access, "wrong", "another password 1", BY)
    with pytest.raises(InputError, match="found 5 characters"):
        team.people.change_password(access, PASSWORD, "short", BY)
    team.people.change_password(access, PASSWORD, "another password 1", BY)
    assert here.get("/api/v1/projects").status_code == 200
    assert there.get("/api/v1/projects").status_code == 401
    reset = team.people.reset_password("maker", BY)
    assert here.get("/api/v1/projects").status_code == 401
    assert sign_in(team.client(), "maker", reset) == 303


def test_a_closed_account_cannot_sign_in(team: Team) -> None:
    team.people.close_account("annotator", BY)
    assert sign_in(team.client(), "annotator") == 401
    team.people.open_account("annotator", BY)
    assert sign_in(team.client(), "annotator") == 303


def test_what_happens_is_written_down_without_secrets(team: Team) -> None:
    sign_in(team.client(), "reader", "a canary password")
    sign_in(team.client(), "reader")
    secret = team.people.invite("things", "reader", Caller("owner"))
    lines = team.workspace.store.audit.page(limit=1000)
    assert {"signed in", "sign-in refused", "invited", "role set"} <= {line.action for line in lines}
    text = repr(lines)
    assert "a canary password" not in text
    assert PASSWORD not in text
    assert secret not in text


def test_secrets_are_in_no_table_and_no_file(team: Team) -> None:
    secret = team.people.invite("things", "reader", Caller("owner"))
    client = team.client("reader")
    cookie = client.cookies[team.people.cookies.name]
    stored = b"".join(
        path.read_bytes() for path in team.workspace.folder.rglob("*") if path.is_file() and "db" in path.name
    )
    assert b"$argon2id$" in stored
    for each in (secret, cookie, cookie.rpartition(".")[0], PASSWORD):
        assert each.encode() not in stored


def test_the_key_is_made_once_and_is_the_owners_alone(team: Team) -> None:
    path = team.workspace.folder / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert workspace_key(team.workspace.folder) == workspace_key(team.workspace.folder)
    assert derived(b"k", "a") != derived(b"k", "b")


def test_a_damaged_key_is_not_used(tmp_path: os.PathLike[str]) -> None:
    from pathlib import Path

    (Path(tmp_path) / KEY_FILE).write_text("")
    with pytest.raises(OSError, match="is damaged: found 0 characters; expected 64"):
        workspace_key(Path(tmp_path))


def test_passwords() -> None:
    hashed = hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert matches(hashed, PASSWORD)
    assert not matches(hashed, PASSWORD + " ")
    assert not matches(None, PASSWORD)
    assert not matches("not a hash", PASSWORD)
    assert not matches(hashed, "x" * 100_000)
    generated = {generate_password() for _ in range(100)}
    assert len(generated) == 100
    assert all(checked_password(each) for each in generated)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "found 5 characters; expected 10 to 200"),
        ("x" * 201, "found 201 characters"),
        ("aaaaaaaaaaaa", "expected at least 4 different"),
        ("annotator12", "found the name in it"),
    ],
)
def test_passwords_that_are_refused(password: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        checked_password(password, "annotator")
    assert password not in str(refused.value)


def test_no_second_owner_is_made(team: Team) -> None:
    assert team.people.ensure_owner() is None
