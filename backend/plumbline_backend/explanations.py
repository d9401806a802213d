"""Why the model answers an item as it does, by items that people labelled: for heads that decide by such items."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plumbline_backend.arrays import load_array
from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.making import load_head
from plumbline_backend.learn import TRAINED_ON

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MOST = 5
"""Items that are named; of nine neighbours or five prototypes per class the first few decide."""


class Reason(NamedTuple):
    """An item that the answer rests on: what people say of it, and its share of the vote, or what it adds to the
    answer's lead over the other classes (below zero: takes away)."""

    position: int
    key: str
    said: str
    weight: float


class Explanation(NamedTuple):
    """What a model version answers and the items that speak most for or against it. by_vote: weights are shares."""

    version: int
    head: str
    answer: str
    by_vote: bool
    reasons: tuple[Reason, ...]


def explained(project: Project, position: int) -> Explanation | None:
    """The newest model's answer to an item by labelled items; None without a model or where its head does not decide by
    items. Raises InputError for a position outside the pool."""
    if not 0 <= position < project.pool.n_items:
        raise InputError(f"item: found {position}; expected 0 to {project.pool.n_items - 1}")
    model = project.status().model
    folder = None if model is None else project.folders.models / model.folder
    if model is None or folder is None or not (folder / TRAINED_ON).exists():
        return None
    head = load_head(folder)
    features = project.pool.features.gather([position])
    pairs = head.explain(features[0].astype(np.float64))  # type: ignore[attr-defined]
    items = load_array(folder / TRAINED_ON)
    found = [(int(items[row]), weight) for row, weight in pairs if items[row] != position][:MOST]
    question = project.question()
    names = {c.id: c.name for c in question.classes}
    states = project.labelled_state([item for item, _ in found])
    answer = question.resolve(model.metrics["classes"][int(head.logits(features)[0].argmax())])
    return Explanation(
        model.version,
        head.name,
        names[answer],
        head.name != "prototypes",
        tuple(
            Reason(item, project.pool.item(item).key, names.get(state.class_id or "", "proposed"), weight)
            for (item, weight), state in zip(found, states, strict=True)
        ),
    )
