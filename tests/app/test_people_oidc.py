"""Signing in by OpenID Connect, with an issuer of the tests' own behind real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient
from team import Team, open_team

from plumbline_backend.domain.errors import InputError
from plumbline_backend.people.oidc import Client
from plumbline_backend.people.service import Caller

PUBLIC = "http://localhost:5006"


class Issuer:
    """An issuer whose tokens can be made wrong in every way."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.form: dict[str, str] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.calls_itself = self.url
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "one"})

    def answer(self, path: str) -> dict[str, Any]:
        if path.endswith("openid-configuration"):
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            return {"issuer": self.calls_itself, **{name: f"{self.url}/{name}" for name in names}}
        if path.endswith("jwks_uri"):
            public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return {"keys": [{**public, "kid": "one", "use": "sig"}]}
        now = int(time.time())
        standard = {
            "iss": self.url,
            "aud": "plumbline",
            "sub": "s1",
            "iat": now,
            "exp": now + 60,
            "name": "Zoë",
        }
        return {"id_token": self.sign({**standard, **self.claims})}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(issuer.answer(self.path)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                issuer.form = {name: values[0] for name, values in parse_qs(text).items()}
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def team(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    settings = {"oidc_issuer": issuer.url, "oidc_client_id": "plumbline", "public_url": PUBLIC}
    with open_team(tmp_path_factory.mktemp("oidc"), {**settings, "oidc_name": "the lab"}) as opened:
        yield opened


@pytest.fixture(autouse=True)
def honest(issuer: Issuer) -> None:
    issuer.claims, issuer.sign, issuer.calls_itself = {}, issuer.signed, issuer.url


def go(team: Team, issuer: Issuer, start: str = "/oidc/start", **changed: Any) -> tuple[TestClient, Any]:
    """Out to the issuer and back again; `changed` replaces parts of what comes back."""
    client = team.client()
    sent = client.get(start).headers["location"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(sent).query).items()}
    assert query["code_challenge_method"] == "S256"
    issuer.claims = {"nonce": query["nonce"], **changed.pop("claims", {})}
    back = {"state": query["state"], "code": "c", **changed}
    return client, client.get("/oidc/callback", params=back)


def test_an_invited_person_comes_in_and_comes_back(team: Team, issuer: Issuer) -> None:
    secret = team.people.invite("things", "annotator", Caller("owner"))
    assert "Come in with the lab" in team.client().get(f"/invite/{secret}").text
    client, answer = go(team, issuer, f"/oidc/start?invite={secret}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/api/v1/projects").json()["projects"][0]["slug"] == "things"
    assert len(issuer.form["code_verifier"]) >= 43
    again, answer = go(team, issuer, "/oidc/start?next=/p/things/data")
    assert answer.headers["location"] == "/p/things/data"
    assert again.get("/api/v1/projects").status_code == 200
    assert [m.person.name for m in team.people.members("things") if not m.person.has_password] == ["Zoë"]
    assert "Sign in with the lab" in team.client().get("/login").text


def test_nobody_gets_an_account_without_an_invitation(team: Team, issuer: Issuer) -> None:
    client, answer = go(team, issuer, claims={"sub": "nobody"})
    assert answer.status_code == 403
    assert "ask for an invitation" in answer.text
    assert client.get("/api/v1/projects").status_code == 401


def other_key(claims: dict[str, Any]) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "one"})


@pytest.mark.parametrize(
    ("claims", "sign", "words"),
    [
        ({"aud": "another"}, None, "Audience"),
        ({"iss": "https://evil.example"}, None, "issuer"),
        ({"exp": 1}, None, "expired"),
        ({"nonce": "of another sign-in"}, None, "another sign-in"),
        ({}, other_key, "Signature"),
        ({}, lambda c: jwt.encode(c, None, algorithm="none"), "not valid"),
        ({}, lambda c: jwt.encode(c, "x" * 32, algorithm="HS256", headers={"kid": "one"}), "not valid"),
        ({}, lambda _: "no token", "not valid"),
        (
            {},
            lambda c: jwt.encode(c, "x" * 32, algorithm="HS256", headers={"kid": "two"}),
            "does not publish",
        ),
    ],
)
def test_a_token_that_is_wrong_lets_nobody_in(
    team: Team, issuer: Issuer, claims: dict[str, Any], sign: Any, words: str
) -> None:
    issuer.sign = sign or issuer.signed
    client, answer = go(team, issuer, claims=claims)
    assert answer.status_code == 403
    assert words in answer.text
    assert client.get("/api/v1/projects").status_code == 401


def test_an_answer_to_another_sign_in_is_refused(team: Team, issuer: Issuer) -> None:
    assert go(team, issuer, state="made up")[1].status_code == 403
    assert team.client().get("/oidc/callback?state=x&code=y").status_code == 403
    _, refused = go(team, issuer, error="<script>")
    assert "<script>" not in refused.text


def test_an_issuer_must_call_itself_so(team: Team, issuer: Issuer) -> None:
    issuer.calls_itself = "https://evil.example"
    answer = team.client().get("/oidc/start")
    assert answer.status_code == 403
    assert "calls itself" in answer.text


@pytest.mark.parametrize("issuer_url", ["", "ftp://x", "http://issuer.example", "issuer.example"])
def test_an_issuer_is_reached_safely_or_not_at_all(issuer_url: str) -> None:
    with pytest.raises(InputError, match="expected an address that begins with https"):
        Client(issuer_url, "plumbline", PUBLIC)


def test_settings_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="public_url: found nothing"),
        open_team(tmp_path, {"oidc_issuer": PUBLIC}),
    ):
        pass
