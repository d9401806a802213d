"""The workspace's own key, which signs sessions, and secrets that are given away once."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, Signer

KEY_FILE = "secret.key"
KEY_BYTES = 32
_SALT = "plumbline session"


def workspace_key(folder: Path) -> bytes:
    """The key of the workspace in `folder`, made on first use and readable by its owner alone."""
    path = folder / KEY_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return _read(path)


def derived(key: bytes, purpose: str) -> bytes:
    """A key for one purpose, from which neither the workspace's key nor another purpose's can be told."""
    return hmac.digest(key, purpose.encode(), "sha256")


def new_secret() -> str:
    """256 random bits, as text for a link or a cookie."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a secret. A plain hash suffices for 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Cookies:
    """Session secrets, signed: one that was not given out here is refused before the database is asked."""

    def __init__(self, key: bytes) -> None:
        self._signer = Signer(derived(key, "session cookies"), salt=_SALT, digest_method=hashlib.sha256)
        self.name = f"plumbline_session_{derived(key, 'cookie name').hex()[:8]}"
        """Of this workspace: cookies know no ports, and two servers on one machine must not end each other's."""

    def seal(self, secret: str) -> str:
        """The cookie's value."""
        return self._signer.sign(secret).decode()

    def open(self, value: str) -> str | None:
        """The secret in a cookie, or None when it was not signed here."""
        try:
            return self._signer.unsign(value).decode()
        except (BadSignature, UnicodeError):
            return None


def _read(path: Path) -> bytes:
    """The key; an emptied or shortened file is refused, since it would sign for anyone."""
    text = path.read_text(encoding="ascii").strip()
    if len(text) != 2 * KEY_BYTES:
        raise OSError(f"{path} is damaged: found {len(text)} characters; expected {2 * KEY_BYTES}")
    return bytes.fromhex(text)
