"""Which language model is asked, and within which limits. Keys stay in the environment: only their name is known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from plumbline_backend.domain.errors import InputError, did_you_mean

SCRIPTED = "scripted"
"""As `base_url`: the scripted model of this package answers, in this process and without a network."""
Structured = Literal["json_schema", "json_object", "text"]
UNKNOWN_PRICE = -1.0
NO_MODEL = (
    "no language model is set up; expected the settings llm_base_url and llm_model "
    "(in config.toml or as PLUMBLINE_LLM_BASE_URL and PLUMBLINE_LLM_MODEL), "
    "or llm_base_url = 'scripted' for a trial without one"
)


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint. Prices are in USD per million tokens; None: unknown."""

    base_url: str
    model: str
    key_env: str = ""
    """Name of the environment variable with the key; empty: the endpoint needs none."""
    structured: Structured = "json_schema"
    price_in: float | None = None
    price_out: float | None = None
    concurrency: int = 8
    deadline_s: float = 120.0
    """For one question to the model, retries and waiting included."""
    attempts: int = 5
    max_bytes: int = 2_000_000
    """Longest response that is read."""
    max_tokens: int = 1024
    """Longest answer that is asked for."""

    def __post_init__(self) -> None:
        wrong = [*self._wrong_address(), *self._wrong_rest()]
        if wrong:
            raise InputError("\n".join(wrong))

    @property
    def is_scripted(self) -> bool:
        """Whether the scripted model answers, which is no language model."""
        return self.base_url == SCRIPTED

    @property
    def prices_known(self) -> bool:
        """Whether a cost can be computed."""
        return self.price_in is not None and self.price_out is not None

    def key(self, environment: Mapping[str, str] | None = None) -> str | None:
        """The key, read now; None where none is needed. Raises InputError when its variable is not set."""
        if not self.key_env:
            return None
        found = (os.environ if environment is None else environment).get(self.key_env, "").strip()
        if not found:
            raise InputError(
                f"environment variable {self.key_env}: not set; expected the key of {self.base_url} "
                "(or llm_key_env = '' for an endpoint without keys)"
            )
        return found

    def with_model(self, model: str) -> Endpoint:
        """The same endpoint asking another of its models; empty keeps the present one."""
        return replace(self, model=model) if model else self

    def _wrong_address(self) -> list[str]:
        if self.is_scripted:
            return []
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return [f"llm_base_url: found {self.base_url!r}; expected an http(s) address, or 'scripted'"]
        if parts.username or parts.password or parts.query or parts.fragment:
            return [
                f"llm_base_url: found credentials, a query or a fragment in the address of {parts.hostname}; "
                "expected the bare address, and the key in an environment variable"
            ]
        if self.key_env and parts.scheme == "http" and not _is_loopback(parts.hostname):
            return [f"llm_base_url: {self.base_url!r} would send the key in the clear; expected https"]
        return []

    def _wrong_rest(self) -> list[str]:
        wrong = []
        if not self.model.strip():
            wrong.append("llm_model: empty; expected the model's name at the endpoint")
        if self.structured not in get_args(Structured):
            hint = did_you_mean(self.structured, get_args(Structured))
            wrong.append(f"llm_structured: {self.structured!r} does not exist; {hint}")
        for name in ("concurrency", "attempts", "max_bytes", "max_tokens", "deadline_s"):
            if not getattr(self, name) > 0:
                wrong.append(f"llm_{name}: found {getattr(self, name)!r}; expected more than 0")
        return wrong


def endpoint_from(settings: Mapping[str, Any]) -> Endpoint:
    """The endpoint that the settings describe. Raises InputError when there is none or it is not valid.

    Only settings name an address and a variable: were they a page's to choose, a visitor could have any variable
    of the server sent to an address of theirs.
    """
    base_url = str(settings["llm_base_url"]).strip()
    if not base_url:
        raise InputError(NO_MODEL)
    if base_url == SCRIPTED:
        return scripted_endpoint(concurrency=int(settings["llm_concurrency"]))
    return Endpoint(
        base_url=base_url,
        model=str(settings["llm_model"]).strip(),
        key_env=str(settings["llm_key_env"]).strip(),
        structured=settings["llm_structured"],
        price_in=_price(settings["llm_price_in"]),
        price_out=_price(settings["llm_price_out"]),
        concurrency=int(settings["llm_concurrency"]),
        deadline_s=float(settings["llm_deadline_s"]),
        max_tokens=int(settings["llm_max_tokens"]),
    )


def scripted_endpoint(**limits: Any) -> Endpoint:
    """The scripted model in this process; it costs nothing."""
    return Endpoint(base_url=SCRIPTED, model="scripted", price_in=0.0, price_out=0.0, **limits)


def _price(value: float) -> float | None:
    return None if value < 0 else float(value)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
