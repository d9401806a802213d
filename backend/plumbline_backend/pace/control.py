"""How fast the pace of each class may grow: decisions from audits and the random stream, in words. No side effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import comb
from typing import Any, Literal, NamedTuple

from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval
from plumbline_backend.pace.policy import LARGEST, SMALLEST, START

PRECISION = 0.97
"""Lower end that the audited precision must keep for the pace to rise."""
FASTER, SLOWER = 1.25, 0.5
FALL_P = 0.25
"""One-sided chance of a sign test below which pseudo-labels count as harmful: two random-stream answers lost and none
won is enough. Harm is worse than a chance missed, so this is far from the usual 0.05."""
REMEMBERED = 3
"""Comparisons on held-out human labels that count together: one alone, of a few dozen labels, says little."""
FREEZE_AT = 0.8
"""Share of the answers that are to be given after which the pace stays as it is."""

Mode = Literal["off", "on", "stopped"]
"""Off: nobody asked for it. Stopped: switched off by itself, with a reason."""


class Audit(NamedTuple):
    """Blind checks of proposals of one class: how many, and how many a person agreed with."""

    n: int
    right: int


class Paired(NamedTuple):
    """Random-stream answers that only one of two heads gets right: with pseudo-labels, or from human labels alone."""

    only_with: int
    only_without: int
    n: int


@dataclass(frozen=True)
class PaceState:
    """What a project's pace is between rounds. `lam` holds the pace of each class by id; absent: `START`."""

    mode: Mode = "off"
    lam: Mapping[str, float] = field(default_factory=dict)
    round: int = 0
    reason: str = "Pseudo-labels are off: only human answers are trained on."
    frozen: bool = False
    n_audited: int = 0
    n_human: int = -1
    """Human labels at the last round; -1 before the first."""
    since: int = 0
    """Ledger id at the switch-on: blind checks count from there."""
    held_out: tuple[tuple[int, int], ...] = ()
    """(only with, only without) of the newest comparisons on held-out human labels, the oldest first."""

    @property
    def waiting(self) -> bool:
        """Whether held-out human labels speak against pseudo-labels: none are trained on until they no longer do."""
        return self.mode == "on" and sum(a for a, _ in self.held_out) < sum(b for _, b in self.held_out)

    def of(self, class_id: str) -> float:
        """The pace of a class."""
        return float(self.lam.get(class_id, START))

    def as_json(self) -> dict[str, Any]:
        """As a project's settings keep it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> PaceState:
        """What `as_json` gave; the default for None."""
        if values is None:
            return cls()
        pairs = tuple((int(a), int(b)) for a, b in values.get("held_out", ()))
        return cls(**{**values, "held_out": pairs})


def switched(state: PaceState, on: bool, since: int = 0) -> PaceState:
    """What a person asked for. The pace starts anew with every switch-on, at ledger id `since`."""
    if not on:
        return replace(state, mode="off", reason=PaceState.reason)
    reason = "Pseudo-labels are on; their precision is not audited yet, so the pace stays where it starts."
    return PaceState(mode="on", reason=reason, since=since)


def next_round(
    state: PaceState,
    audits: Mapping[str, Audit],
    paired: Paired,
    share_done: float,
    class_ids: tuple[str, ...],
    held_out: Paired | None = None,
) -> PaceState:
    """The state after one more round of answers.

    audits: all blind checks since the switch-on by class id. share_done: how much of the labelling that is wanted
    has been done, in [0, 1]. The pace rises for all classes while the audited precision of all together has a lower
    bound of at least 97 % and new checks have come, falls for all while their precision itself is below that, and
    falls for a class whose own precision is; an interval too wide to tell leaves it where it is. held_out: what human
    labels that neither head had seen say of pseudo-labels; None where that was not asked.
    """
    if state.mode != "on":
        return state
    if harmful(paired):
        return replace(
            state,
            mode="stopped",
            reason=(
                f"Pseudo-labels were switched off: of {paired.n:,} random-stream answers, {paired.only_without:,} are "
                f"right only without them and {paired.only_with:,} only with them."
            ),
        )
    together = pooled(audits)
    if held_out is not None:
        pairs = (*state.held_out, (held_out.only_with, held_out.only_without))
        state = replace(state, held_out=pairs[-REMEMBERED:])
    after = replace(state, round=state.round + 1, n_audited=together.n)
    if after.waiting:
        return replace(after, frozen=False, reason=_why_waiting(after))
    if share_done >= FREEZE_AT:
        return replace(
            after,
            frozen=True,
            reason=f"The pace is frozen: {share_done:.0%} of the wanted answers are there.",
        )
    return _moved(after, audits, together, class_ids, fresh=together.n > state.n_audited)


def _why_waiting(state: PaceState) -> str:
    with_, without = (sum(pair[i] for pair in state.held_out) for i in (0, 1))
    return (
        "Pseudo-labels wait: of your own labels, held out in turn and predicted, "
        f"{without:,} are right only without pseudo-labels and {with_:,} only with them."
    )


def pooled(audits: Mapping[str, Audit]) -> Interval:
    """The audited precision of all classes together, with Wilson's interval."""
    return wilson(sum(a.right for a in audits.values()), sum(a.n for a in audits.values()))


def harmful(paired: Paired) -> bool:
    """Whether the answers that only one head gets right speak against pseudo-labels (exact one-sided sign test)."""
    k, n = paired.only_without, paired.only_without + paired.only_with
    if n == 0 or k <= n / 2:
        return False
    return sum(comb(n, i) for i in range(k, n + 1)) / 2**n <= FALL_P


def _moved(
    state: PaceState,
    audits: Mapping[str, Audit],
    together: Interval,
    class_ids: tuple[str, ...],
    fresh: bool,
) -> PaceState:
    bad = [c for c in class_ids if (a := audits.get(c)) is not None and a.right < PRECISION * a.n]
    says = f"{together.value:.1%} ({together.low:.1%} to {together.high:.1%}, n = {together.n:,})"
    if together.n == 0:
        return replace(
            state, frozen=False, reason="No proposal has been checked blindly yet: the pace waits."
        )
    if not fresh:
        return replace(state, frozen=False, reason=f"No new blind check since the last round; so far {says}.")
    if together.low >= PRECISION:
        lam = {c: state.of(c) * (SLOWER if c in bad else FASTER) for c in class_ids}
        reason = f"The pace rises: checked proposals were right in {says}."
    elif together.value < PRECISION:
        lam = {c: state.of(c) * SLOWER for c in class_ids}
        reason = (
            f"The pace falls: checked proposals were right in only {says}; expected at least {PRECISION:.0%}."
        )
    else:
        lam = {c: state.of(c) for c in class_ids}
        reason = (
            f"The pace waits: checked proposals were right in {says}, too few to be sure of {PRECISION:.0%}."
        )
    kept = {c: min(max(value, SMALLEST), LARGEST) for c, value in lam.items()}
    return replace(state, lam=kept, frozen=False, reason=reason)
