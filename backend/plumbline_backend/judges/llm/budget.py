"""What a run may cost: reserved before each call by an upper bound, settled afterwards by what was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from plumbline_backend.domain.errors import InputError
from plumbline_backend.judges.llm.endpoint import Endpoint

BYTES_PER_TOKEN = 4
"""English text in today's vocabularies; used for what a run will probably cost."""
TOKENS_PER_MESSAGE = 16
"""More than the four or so that chat templates add to a message."""
TYPICAL_ANSWER_TOKENS = 120
"""A verdict with two sentences of explanation."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call or of many."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens - other.prompt_tokens, self.completion_tokens - other.completion_tokens
        )


def likely_usage(texts: Sequence[str]) -> Usage:
    """Tokens that a call with these messages will probably use."""
    prompt = sum(len(text.encode()) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE for text in texts)
    return Usage(prompt, TYPICAL_ANSWER_TOKENS)


def most_usage(texts: Sequence[str], max_tokens: int) -> Usage:
    """Tokens that a call with these messages cannot exceed: no byte-level vocabulary needs more than one a byte."""
    return Usage(sum(len(text.encode()) + TOKENS_PER_MESSAGE for text in texts), max_tokens)


def cost_usd(usage: Usage, endpoint: Endpoint) -> float | None:
    """The price of these tokens; None while the endpoint's prices are not known."""
    if endpoint.price_in is None or endpoint.price_out is None:
        return None
    return (usage.prompt_tokens * endpoint.price_in + usage.completion_tokens * endpoint.price_out) / 1e6


@dataclass
class Budget:
    """A limit in USD, in tokens, or in both; None: no limit of that kind."""

    endpoint: Endpoint
    limit_usd: float | None = None
    limit_tokens: int | None = None
    spent: Usage = field(default_factory=Usage)
    reserved: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if self.limit_usd is not None and not self.endpoint.prices_known:
            raise InputError(
                f"budget: the prices of {self.endpoint.model!r} are not known, so a limit in USD cannot be kept; "
                "expected the settings llm_price_in and llm_price_out, or a limit in tokens"
            )
        for name, limit in (("USD", self.limit_usd), ("tokens", self.limit_tokens)):
            if limit is not None and not limit >= 0:
                raise InputError(f"budget: found {limit!r} {name}; expected 0 or more")

    @property
    def spent_usd(self) -> float | None:
        """What was spent so far; None while prices are not known."""
        return cost_usd(self.spent, self.endpoint)

    def reserve(self, most: Usage) -> bool:
        """Set this much aside for a call. False, and nothing set aside, when it might break a limit."""
        after = self.spent + self.reserved + most
        if self.limit_tokens is not None and after.total > self.limit_tokens:
            return False
        if self.limit_usd is not None:
            cost = cost_usd(after, self.endpoint)
            if cost is None or cost > self.limit_usd:
                return False
        self.reserved = self.reserved + most
        return True

    def settle(self, most: Usage, used: Usage) -> None:
        """Give back what was set aside and book what was used."""
        self.reserved = self.reserved - most
        self.spent = self.spent + used

    def in_words(self) -> str:
        """The limit as a person reads it."""
        limits = [] if self.limit_usd is None else [f"${self.limit_usd:,.2f}"]
        limits += [] if self.limit_tokens is None else [f"{self.limit_tokens:,} tokens"]
        return " and ".join(limits) or "no limit"
