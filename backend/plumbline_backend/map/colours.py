"""What colours the points: one small number per item and a legend that says what it stands for, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.types import Question
from plumbline_backend.store.current import CurrentArrays

ColourBy = Literal["label", "prediction", "confidence", "source", "error"]
COLOUR_BY: tuple[ColourBy, ...] = ("label", "prediction", "confidence", "source", "error")
UNKNOWN = "#9a978f"
"""Of everything that is not known; drawn first and smaller."""
OTHER = "#5c5c5c"
MOST_CLASSES = 250
"""Classes with an index of their own; a byte holds 256. Later ones share one."""
VIRIDIS = (
    "#440154",
    "#472d7b",
    "#3b528b",
    "#2c728e",
    "#21918c",
    "#28ae80",
    "#5ec962",
    "#addc30",
    "#d0e11c",
    "#fde725",
)
"""Ten steps of matplotlib's viridis: even in lightness, so that it reads without colour vision."""
SOURCES = (
    ("not answered", UNKNOWN),
    ("random stream", "#0072b2"),
    ("model's choice", "#d55e00"),
    ("drawn at random", "#009e73"),
    ("by hand or in bulk", "#cc79a7"),
    ("blind check", "#e69f00"),
    ("reviewed", "#8c6bb1"),
    ("imported", "#56b4e9"),
    ("pseudo-label", "#a6761d"),
)
STRATUM_SOURCE = {"stream": 1, "model": 2, "random": 3, "browse": 4, "audit": 5, "review": 6}


class LegendEntry(NamedTuple):
    """An index's meaning: words, colour as #rrggbb, and how many items have it."""

    words: str
    color: str
    n: int


@dataclass(frozen=True)
class Colours:
    """`index`: (n_items,) places in `legend`; place 0 is what is not known."""

    index: NDArray[np.uint8]
    legend: tuple[LegendEntry, ...]


class Answered(NamedTuple):
    """The newest answer of each answered item: positions, class place among the active (or beyond) plus 1, source."""

    items: NDArray[np.int64]
    place: NDArray[np.int64]
    source: NDArray[np.int64]


def newest_answers(rows: CurrentArrays, question: Question, imported: set[int]) -> Answered:
    """From the current judgements of people and imports, oldest first. imported: ids of judges that are imports."""
    answered = np.array([state == "answered" for state in rows.state], dtype=bool)
    places = class_places(question)
    codes = {answer: places[question.resolve(answer)] for answer in set(rows.answer[answered].tolist())}
    place = np.array([codes[answer] for answer in rows.answer[answered]], dtype=np.int64)
    source = np.array([STRATUM_SOURCE.get(s, 4) for s in rows.stratum[answered]], dtype=np.int64)
    source[np.isin(rows.judge_id[answered], sorted(imported))] = 7
    items, last = np.unique(rows.item[answered][::-1], return_index=True)
    last = answered.sum() - 1 - last
    return Answered(items, place[last], source[last])


def class_places(question: Question) -> dict[str, int]:
    """Each active class's index in the colours: 1 for the first, the last one shared by those beyond the limit."""
    return {c.id: min(i, MOST_CLASSES) + 1 for i, c in enumerate(question.active)}


def by_class(index: NDArray[np.uint8], question: Question, unknown: str) -> Colours:
    """Colours of classes by their place."""
    entries = [(c.name, c.color) for c in question.active[:MOST_CLASSES]]
    if len(question.active) > MOST_CLASSES:
        entries.append(("other classes", OTHER))
    return _counted(index, [(unknown, UNKNOWN), *entries])


def by_confidence(top1: NDArray[np.floating]) -> Colours:
    """Ten steps of the likeliest class's probability; NaN is not known."""
    known = np.isfinite(top1)
    step = np.clip((np.where(known, top1, 0) * 10).astype(np.int64), 0, 9)
    index = np.where(known, step + 1, 0).astype(np.uint8)
    words = [f"{10 * i} to {10 * (i + 1)} %" for i in range(10)]
    return _counted(index, [("not scored", UNKNOWN), *zip(words, VIRIDIS, strict=True)])


def by_source(n_items: int, answered: Answered, pseudo: Sequence[int]) -> Colours:
    """How each item came by its label."""
    index = np.zeros(n_items, dtype=np.uint8)
    index[np.array(pseudo, dtype=np.int64)] = 8
    index[answered.items] = answered.source
    return _counted(index, SOURCES)


def by_error(n_items: int, answered: Answered, predicted: NDArray[np.uint8]) -> Colours:
    """Where the model contradicts the newest answer."""
    index = np.zeros(n_items, dtype=np.uint8)
    agrees = predicted[answered.items] == answered.place
    index[answered.items] = np.where(agrees, 1, 2)
    return _counted(
        index, [("not answered", UNKNOWN), ("model agrees", "#0072b2"), ("model contradicts", "#d55e00")]
    )


def _counted(index: NDArray[np.uint8], entries: Sequence[tuple[str, str]]) -> Colours:
    counts = np.bincount(index, minlength=len(entries))
    return Colours(
        index, tuple(LegendEntry(words, color, int(counts[i])) for i, (words, color) in enumerate(entries))
    )
