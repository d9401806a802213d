"""Signing in by OpenID Connect: the code flow with PKCE, state and nonce; the answer's signature is checked here.

Panel's own OAuth needs its Tornado server; pages here are served by FastAPI, so the flow is ours. An identity opens the
account that it came in with by an invitation; without an invitation nobody gets an account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import httpx2
import jwt
from itsdangerous import BadData, URLSafeTimedSerializer

from plumbline_backend.domain.errors import InputError
from plumbline_backend.net_guard import UnreachableError, guarded_transport
from plumbline_backend.people.errors import SignInError
from plumbline_backend.people.keys import derived, new_secret

ALGORITHMS = ("RS256", "ES256", "PS256")
"""Signatures by a key of the issuer's alone: "none" and shared-secret ones would let a client sign for itself."""
WITHIN_S = 600
LEEWAY_S = 60
TIMEOUT_S = 10.0
MAX_BYTES = 1_000_000


class Identity(NamedTuple):
    """Who the issuer says somebody is, and what they came for."""

    issuer: str
    subject: str
    name: str
    wanted: str
    invitation: str


@dataclass(frozen=True)
class Client:
    """What the issuer knows this server as."""

    issuer: str
    client_id: str
    redirect_uri: str
    secret_env: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
            raise InputError(
                f"oidc_issuer: found {self.issuer!r}; expected an address that begins with https://"
            )
        if not self.client_id:
            raise InputError("oidc_client_id: found nothing; expected what the issuer knows this server as")


class Oidc:
    """One issuer that people may sign in with."""

    def __init__(self, client: Client, key: bytes) -> None:
        self._client = client
        self._serializer = URLSafeTimedSerializer(derived(key, "oidc"), salt="oidc")

    def start(self, wanted: str, invitation: str) -> tuple[str, str]:
        """The issuer's address to send the browser to, and a sealed text to find again when it comes back."""
        state, nonce, verifier = new_secret(), new_secret(), new_secret()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = f"{self._known()['authorization_endpoint']}?{urlencode(query)}"
        kept = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "wanted": wanted,
            "invitation": invitation,
        }
        return address, str(self._serializer.dumps(kept))

    def finish(self, sealed: str, answer: Mapping[str, str]) -> Identity:
        """Who came back. Raises SignInError for anything that does not fit what was sent out."""
        try:
            kept = self._serializer.loads(sealed, max_age=WITHIN_S)
        except BadData as error:
            raise SignInError("this sign-in was not begun here, or took too long; begin again") from error
        if not hmac.compare_digest(kept["state"].encode(), answer.get("state", "").encode()):
            raise SignInError("the answer belongs to another sign-in; begin again")
        if "code" not in answer:
            raise SignInError(f"the issuer refused: {answer.get('error', 'no reason given')[:100]}")
        claims = self._claims(answer["code"], kept["verifier"])
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), kept["nonce"].encode()):
            raise SignInError("the answer belongs to another sign-in; begin again")
        name = str(claims.get("name") or claims.get("preferred_username") or claims["sub"])
        return Identity(self._client.issuer, str(claims["sub"]), name, kept["wanted"], kept["invitation"])

    def _claims(self, code: str, verifier: str) -> dict[str, Any]:
        known = self._known()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "client_id": self._client.client_id,
            "code_verifier": verifier,
        }
        if self._client.secret_env:
            form["client_secret"] = os.environ.get(self._client.secret_env, "")
        token = str(self._ask("POST", known["token_endpoint"], form).get("id_token", ""))
        keys = self._ask("GET", known["jwks_uri"])
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            found = [key for key in jwt.PyJWKSet.from_dict(keys).keys if kid is None or key.key_id == kid]
            if not found:
                raise SignInError("the issuer signed with a key that it does not publish")
            claims: dict[str, Any] = jwt.decode(
                token, found[0].key, algorithms=list(ALGORITHMS), audience=self._client.client_id,
                issuer=self._client.issuer, leeway=LEEWAY_S, options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise SignInError(f"the issuer's answer is not valid: {error}") from error
        return claims

    def _known(self) -> dict[str, Any]:
        """What the issuer says of itself; it must be about this very issuer."""
        found = self._ask("GET", self._client.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != self._client.issuer:
            raise SignInError(
                f"the issuer calls itself {found.get('issuer')!r}; expected {self._client.issuer!r}"
            )
        missing = {"authorization_endpoint", "token_endpoint", "jwks_uri"} - set(found)
        if missing:
            raise SignInError(f"the issuer does not say its {', '.join(sorted(missing))}")
        return found

    def _ask(self, method: str, address: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        transport = guarded_transport("private")
        try:
            with httpx2.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False) as client:
                answer = client.request(method, address, data=None if form is None else dict(form))
                found = (
                    answer.json() if answer.status_code == 200 and len(answer.content) <= MAX_BYTES else None
                )
        except (httpx2.HTTPError, UnreachableError, ValueError) as error:
            raise SignInError(f"the issuer cannot be asked: {error}") from error
        if not isinstance(found, dict):
            raise SignInError(f"the issuer answered {answer.status_code}; expected an object as JSON")
        return found
