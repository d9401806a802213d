"""How sure a model was of its answer, from the log-probabilities of the tokens that carry it.

Source: Wu et al. 2024 (Q-Bench): the softmax over the answer tokens alone, not over the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from plumbline_backend.judges.llm.wire import Token


def answer_probabilities(
    tokens: Sequence[Token], field: str, answers: Sequence[str]
) -> dict[str, float] | None:
    """Probability of each of `answers` as the value of a JSON field, from the first token of the value.

    tokens: those of the whole reply. Returns None when the field or its alternatives are not there. An answer that
    is not among the listed alternatives has probability 0, which errs by less than the least likely of those.
    """
    text = "".join(token.token for token in tokens)
    at = text.rfind(f'"{field}"')
    if at < 0 or not tokens:
        return None
    start = at + len(field) + 2
    while start < len(text) and text[start] in ': \n\t"':
        start += 1
    token, offset = _token_at(tokens, start)
    if token is None:
        return None
    prefix = token.token[:offset]
    weights = dict.fromkeys(answers, 0.0)
    for option in token.top_logprobs or [token]:
        said = option.token.removeprefix(prefix).lstrip(' :"')
        meant = [
            answer for answer in answers if said and (answer.startswith(said) or said.startswith(answer))
        ]
        if len(meant) == 1:
            weights[meant[0]] += exp(option.logprob)
    total = sum(weights.values())
    return {answer: weight / total for answer, weight in weights.items()} if total > 0 else None


def _token_at(tokens: Sequence[Token], position: int) -> tuple[Token | None, int]:
    """The token that holds a character of the joined text, and the character's place in it."""
    seen = 0
    for token in tokens:
        if seen + len(token.token) > position:
            return token, position - seen
        seen += len(token.token)
    return None, 0
