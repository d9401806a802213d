"""What is simulated: a strategy, a pace, a head, how it starts, how far it goes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plumbline_backend
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.ports import Strategy
from plumbline_backend.plugins import PluginStrategy
from plumbline_backend.registry import HEADS, PACES, STRATEGIES
from plumbline_backend.simulation.baselines import BASELINES, Baseline

if TYPE_CHECKING:
    from plumbline_backend.simulation.data import Dataset

OWN, NO_PACE = "own", "none"
MOST_STRATEGIES = 6
"""As many as one picture tells apart."""
RUNS = ("simulation", "strategies", "pace", "heads", "calibrators", "domain")
"""Folders of the package whose code decides a curve."""


@dataclass(frozen=True)
class Setup:
    """One simulation. `first`: "own" starts by the strategy itself where it needs no model, "random" never does.

    `noise` is the share of wrong answers of the oracle; the test items' answers are always right. `test_share` of the
    items are never asked and give the accuracy.
    """

    data: str
    label: str | None = None
    strategy: str = "typical_then_margin"
    pace: str = NO_PACE
    head: str = "linear_softmax"
    start: int = 10
    batch: int = 5
    budget: int = 500
    seeds: int = 10
    noise: float = 0.0
    first: str = OWN
    test_share: float = 0.3

    def check(self) -> None:
        """Raises one InputError that lists every option that is wrong."""
        wrong = [_named("strategy", self.strategy, strategy_names())] if not self._is_plugin else []
        wrong.append(_named("head", self.head, HEADS.names()))
        wrong.append(_named("pace", self.pace, (NO_PACE, *PACES.names())))
        wrong.append(_named("first", self.first, (OWN, "random")))
        for option, low in (("start", 2), ("batch", 1), ("budget", 2), ("seeds", 1)):
            value = getattr(self, option)
            if value < low:
                wrong.append(f"--{option}: found {value}; expected at least {low}")
        if self.budget < self.start:
            wrong.append(f"--budget: found {self.budget}; expected at least --start, which is {self.start}")
        if not 0 <= self.noise < 1:
            wrong.append(f"--noise: found {self.noise}; expected a share from 0 up to but not including 1")
        if any(wrong):
            raise InputError("\n".join(filter(None, wrong)))

    @property
    def _is_plugin(self) -> bool:
        return self.strategy.endswith(".py")

    def make_strategy(self) -> Strategy:
        """Ours by name, a baseline by `skactiveml:NAME`, or a plug-in by its file."""
        if self._is_plugin:
            return PluginStrategy(Path(self.strategy))
        if self.strategy in BASELINES:
            return Baseline(self.strategy)
        made: Strategy = STRATEGIES.get(self.strategy)()
        return made

    def key(self, data: Dataset) -> str:
        """Tells whether seeds of an earlier run belong to this one: the options, the data's content and the code.

        Not how many seeds there are. The budget counts only with a pace, which it freezes at the end; without one the
        curve of a larger budget holds that of a smaller, and a smaller budget's seeds are run anew for a larger.
        """
        apart = ("seeds", "data", "label", *(("budget",) if self.pace == NO_PACE else ()))
        said: dict[str, Any] = {name: value for name, value in asdict(self).items() if name not in apart}
        if self._is_plugin:
            said["plugin"] = hashlib.sha256(Path(self.strategy).read_bytes()).hexdigest()
        said |= {"data": data.digest(), "code": code_digest()}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def several(setup: Setup) -> dict[str, Setup]:
    """One setup for each of the strategies that are named with commas. Raises InputError on none, many or doubles."""
    names = [name.strip() for name in setup.strategy.split(",")]
    if len(set(names)) != len(names) or len(names) > MOST_STRATEGIES:
        raise InputError(
            f"--strategy: found {len(names)} ({setup.strategy}); expected up to {MOST_STRATEGIES} different ones"
        )
    return {name: replace(setup, strategy=name) for name in names}


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Changes with any line that a simulated labelling runs: seeds of other code are no seeds of this one."""
    package = Path(plumbline_backend.__file__).parent
    found = hashlib.sha256()
    for folder in RUNS:
        for path in sorted((package / folder).glob("*.py")):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def strategy_names() -> tuple[str, ...]:
    """Every strategy that can be simulated by name."""
    return (*STRATEGIES.names(), *BASELINES)


def _named(option: str, value: str, valid: tuple[str, ...]) -> str:
    return "" if value in valid else f"--{option}: {value!r} does not exist; {did_you_mean(value, valid)}"
