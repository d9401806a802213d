"""Telling other servers of new judgements and models: to hosts that the administrator allows, and nowhere else.

Each webhook remembers how far it has been told, so that nothing is missed across restarts: an event counts as told
when the host has answered with 2xx, and may come twice. Redirects are not followed. The name is resolved once and the
connection goes to that address, which must be public unless the allowed host is itself an address or localhost.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from plumbline_backend import net_guard
from plumbline_backend.domain.errors import InputError, PlumblineError, shorten
from plumbline_backend.net_guard import Reach, UnreachableError
from plumbline_backend.store import Store
from plumbline_backend.store.webhooks import Webhook

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
TIMEOUT_S = 10.0
MAX_WAIT_S = 600.0
"""Longest pause after failures, which double it each time."""
SIGNATURE = "X-Plumbline-Signature"


class Target(NamedTuple):
    """Where a delivery goes: parsed, allowed, and resolved to one address."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def checked_url(url: str, allowed: str) -> str:
    """The URL, where its host is allowed. allowed: comma-separated `host` or `host:port`. Raises InputError."""
    _parsed(url, allowed)
    return url


def resolve(url: str, allowed: str) -> Target:
    """Parse, check and resolve once. Raises InputError when the host is not allowed or its address is not public."""
    scheme, host, port, path = _parsed(url, allowed)
    reach: Reach = "private" if _is_literal(host) else "public"
    try:
        address = net_guard.resolve(host, port, reach)
    except UnreachableError as error:
        raise InputError(f"url: {error}") from error
    return Target(scheme, host, port, path, address)


def send(target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> int:
    """POST to the resolved address; the status. Raises OSError or HTTPException when there is none."""
    connection = _Pinned(target, timeout_s)
    try:
        connection.request("POST", target.path, body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


class Webhooks:
    """Delivers in a thread of its own until closed."""

    def __init__(self, store: Store, allowed: str, key_env: str) -> None:
        self._store = store
        self._allowed = allowed
        self._key_env = key_env
        self._not_before: dict[int, float] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        if allowed.strip():
            self._thread.start()

    def close(self) -> None:
        """Stop after the delivery that is under way."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S + 1)

    def deliver_due(self) -> int:
        """Tell every webhook what it does not know yet; how many were told."""
        told = 0
        slugs = {row.id: row.slug for row in self._store.projects.list()}
        for webhook in self._store.webhooks.list():
            due = time.monotonic() >= self._not_before.get(webhook.id, 0.0)
            if due and webhook.project_id in slugs and not self._closing.is_set():
                told += self._deliver(webhook, slugs[webhook.project_id])
        return told

    def _run(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                self.deliver_due()
            except PlumblineError:
                logger.exception("looking for webhooks to tell failed")

    def _deliver(self, webhook: Webhook, slug: str) -> bool:
        judgement, model = self._store.webhooks.newest(webhook.project_id)
        news = {}
        if "judgements" in webhook.events and judgement > webhook.judgement_id:
            news["judgements"] = {"after": webhook.judgement_id, "newest": judgement}
        if "model" in webhook.events and model > webhook.model_id:
            news["model"] = {"newest": model}
        if not news:
            return False
        body = json.dumps({"project": slug, "webhook": webhook.id, "news": news}).encode()
        try:
            status = send(resolve(webhook.url, self._allowed), body, self._headers(body))
            failure = "" if 200 <= status < 300 else f"the host answered {status}"
        except (InputError, OSError, http.client.HTTPException) as error:
            failure = f"{type(error).__name__}: {error}"
        if failure:
            wait = min(MAX_WAIT_S, LOOK_EVERY_S * 2 ** min(webhook.failures, 16))
            self._not_before[webhook.id] = time.monotonic() + wait
            self._store.webhooks.failed(webhook.id, failure)
            logger.warning("webhook %s was not told: %s", webhook.id, shorten(failure))
            return False
        self._store.webhooks.told(webhook.id, judgement, model)
        return True

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "plumbline"}
        key = os.environ.get(self._key_env, "") if self._key_env else ""
        if key:
            headers[SIGNATURE] = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        return headers


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was checked; the name is used for the certificate and the Host header."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self._target = target

    def connect(self) -> None:
        """Connect to the address, with TLS where the scheme says so."""
        plain = socket.create_connection((self._target.address, self._target.port), self.timeout)
        self.sock: Any = plain
        if self._target.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self._target.host)


def _parsed(url: str, allowed: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise InputError(f"url: found {shorten(repr(url))}; expected an http(s) address") from error
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
        raise InputError(f"url: found {shorten(repr(url))}; expected an http(s) address")
    if " " in url or parts.username or parts.password or parts.fragment:
        raise InputError("url: found blanks, credentials or a fragment; expected the bare address")
    hosts = [entry.strip().lower() for entry in allowed.split(",") if entry.strip()]
    shown = f"[{host}]" if ":" in host else host
    if host not in hosts and f"{shown}:{port}" not in hosts:
        listed = ", ".join(hosts) or "none"
        raise InputError(f"url: host {host!r} is not allowed; the setting webhook_hosts allows: {listed}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port, path


def _is_literal(host: str) -> bool:
    """Whether the administrator wrote an address or localhost, and so meant just that."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
