"""What a classifier export is made from: plain values, no workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Interval, LabelClass
from plumbline_backend.heads.program import Program, arrays, last

Array = NDArray[Any]


@dataclass(frozen=True)
class TransformState:
    """A fitted transform as its `to_state` gives it.

    kind: its name in registry.TRANSFORMS, or "vector" for feature vectors that are used as they are.
    columns: the pool columns that it reads, in its own order.
    """

    kind: str
    columns: tuple[str, ...]
    state: Mapping[str, Any]
    arrays: Mapping[str, Array]


class Reliability(NamedTuple):
    """One bin of the reliability diagram: mean confidence, and accuracy with its interval."""

    confidence: float
    accuracy: Interval


@dataclass(frozen=True)
class Refusal:
    """The open-set rule: an item is "none of these" when `program`, from features to (n, 1), gives more than threshold.

    score, explanation: its name and what it is; kept: the promised share of known items; n: those it rests on; note:
    what the files give away. The threshold is finite.
    """

    score: str
    explanation: str
    program: Program
    threshold: float
    kept: float
    n: int
    note: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where the classifier comes from.

    data_hash: SHA-256 of the pool's data files; label_counts: class id to the number of training labels;
    asked: how the items came to be asked (stratum to the number of labels); n_by_state: answers, skips...
    """

    project: str
    data_hash: str
    n_items: int
    n_train: int
    n_stream: int
    label_counts: Mapping[str, int]
    asked: Mapping[str, int]
    n_by_state: Mapping[str, int]
    strategy: str
    stream_share: float
    model_version: int
    ledger_id: int
    trained_at: datetime
    plumbline_version: str
    source: str = ""


@dataclass(frozen=True)
class ClassifierBundle:
    """A trained, calibrated head with everything that it needs and is known about it.

    transforms: in the order in which their features stand in the head's input; program: the head's steps over `width`
    features; classes: K of them, in the order of the logits; temperature: logits are divided by it; head: its name;
    metrics: name, as it is shown, to figure with interval (unknown: NaN value), measured on the random stream;
    per_class: class id to its figures; reliability: the bins of the diagram. link: how logits become probabilities:
    of classes that exclude each other, or of each class by itself. above: classes that stand for several of them, with
    the places of those; their probability is the sum, and follows the others'. refusal: None where every item gets
    a class; refusal_note says why, where a rule was chosen all the same.
    """

    question: str
    guidelines: str
    question_version: int
    classes: tuple[LabelClass, ...]
    transforms: tuple[TransformState, ...]
    program: Program
    width: int
    temperature: float
    metrics: Mapping[str, Interval]
    provenance: Provenance
    per_class: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    reliability: tuple[Reliability, ...] = ()
    calibration_note: str = ""
    head: str = "linear_softmax"
    link: Literal["softmax", "sigmoid"] = "softmax"
    refusal: Refusal | None = None
    refusal_note: str = ""
    above: tuple[tuple[LabelClass, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        """Raises InputError that lists everything in which the parts do not fit together."""
        K = len(self.classes)
        wrong = [
            message
            for bad, message in (
                (K < 2 and self.link == "softmax", f"{K} classes; expected at least 2"),
                (K < 1, "no classes; expected at least one"),
                (len({c.id for c in self.classes}) != K, "two classes with one id; expected distinct ids"),
                (not self.transforms, "no transforms; expected at least one"),
                (len(last(self.program).bias) != K,
                 f"{len(last(self.program).bias)} logits; expected {K}, one for each class"),
                (not all(np.isfinite(array).all() for array in arrays(self.program).values()),
                 "the head holds NaN or infinite values; expected finite numbers"),
                (not (np.isfinite(self.temperature) and self.temperature > 0),
                 f"temperature {self.temperature}; expected a finite number above 0"),
            )
            if bad
        ]  # fmt: skip
        if wrong:
            raise InputError("the classifier cannot be exported: " + "; ".join(wrong))
