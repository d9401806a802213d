"""Passwords: argon2id hashes, what is accepted, and generated ones."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from plumbline_backend.domain.errors import InputError

MIN_LENGTH = 10
MAX_LENGTH = 200
"""Longer ones would only make hashing a way to keep the server busy."""
GENERATED_GROUPS = 4
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without i, l, o, 0 and 1, which are misread. Four groups of five letters: 31^20, 99 bits."""
AT_ONCE = 2
"""Each hash takes 64 MiB; more at once would let sign-ins fill the memory."""

_hasher = PasswordHasher()
_slots = threading.BoundedSemaphore(AT_ONCE)


def generate_password() -> str:
    """A password that can be read aloud: four groups of five letters and digits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(GENERATED_GROUPS))
    return "-".join(groups)


def checked_password(password: str, name: str = "") -> str:
    """The password itself. Raises InputError, which never repeats it."""
    if not isinstance(password, str) or not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        found = len(password) if isinstance(password, str) else 0
        raise InputError(f"password: found {found} characters; expected {MIN_LENGTH} to {MAX_LENGTH}")
    if len(set(password)) < 4:
        raise InputError(
            "password: found the same few characters over and over; expected at least 4 different"
        )
    if name and name.casefold() in password.casefold() and len(password) < len(name) + 6:
        raise InputError("password: found the name in it; expected something that others cannot guess")
    return password


def hash_password(password: str) -> str:
    """The argon2id hash with its salt and parameters, as text."""
    with _slots:
        return _hasher.hash(_bytes(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is the hash's. Without a hash it takes as long and says no."""
    if len(password) > MAX_LENGTH:
        return False
    with _slots:
        try:
            return _hasher.verify(password_hash or _nobodys(), _bytes(password)) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(password_hash: str) -> bool:
    """Whether it was made with weaker parameters than those of today."""
    return _hasher.check_needs_rehash(password_hash)


_nobodys_hash: list[str] = []


def _nobodys() -> str:
    """A hash that no password belongs to, so that an unknown name takes as long as a known one."""
    if not _nobodys_hash:
        _nobodys_hash.append(_hasher.hash(secrets.token_bytes(32)))
    return _nobodys_hash[0]


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
