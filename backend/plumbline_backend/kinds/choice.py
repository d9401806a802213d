"""One class per item: the kind of question that everything else is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plumbline_backend.domain.types import Labels, Question
from plumbline_backend.kinds.base import Kind


class Choice(Kind):
    """Exactly one of several classes."""

    def labels(
        self, rows: Sequence[tuple[int, str]], classes: tuple[str, ...], _question: Question
    ) -> Labels:
        """targets (n,): the place of each item's class, -1 where it is not among them."""
        index = {class_id: i for i, class_id in enumerate(classes)}
        return Labels(
            np.array([item for item, _ in rows], dtype=np.int64),
            np.array([index.get(class_id, -1) for _, class_id in rows], dtype=np.int64),
        )

    def waiting(self, labels: Labels, classes: tuple[str, ...], question: Question) -> str:
        """Two classes have to have an answer."""
        if len(labels.items) == 0:
            return "Answer a few items; the first model is trained as soon as two classes have an answer."
        if len(classes) < 2:
            name = self.words(question, classes[0])
            return (
                f"All {len(labels.items)} answers so far say {name!r}; a model needs answers of two classes."
            )
        return ""
