"""How many items are in which state: counted anew as answers come, but never for more than a share of the time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import NamedTuple

from plumbline_backend.answers import Answers
from plumbline_backend.domain.types import Question

LAG = 20.0
"""Counts are kept for so many times the processor time that they took: counting costs at most a twentieth of a core.

Fifty people send twenty answers a second, and each reply shows the counts; at 2,000 answers counting anew for each took
19 ms of 42, and more with every answer.
"""
FREE_S = 0.005
"""Counting that is quicker than this is done each time, so that one person always sees the answer just given."""


class Counts(NamedTuple):
    """Numbers of items. n_train: those that a head may learn from; n_stream: answers to the random stream."""

    by_state: Counter[str]
    by_class: Counter[str]
    n_train: int
    n_stream: int


class Counting:
    """The counts of one question's answers. Safe to use from several threads."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._found: Counts | None = None
        self._of: tuple[int, int] | None = None
        self._good_until = 0.0

    def now(self, question: Question) -> Counts:
        """The counts as of now, or of a moment ago where counting takes long."""
        self._answers.refresh()
        with self._lock:
            of = self._answers.seen, question.version
            recent = self._of is not None and self._of[1] == of[1] and time.monotonic() < self._good_until
            if self._found is None or not (recent or of == self._of):
                begun = time.thread_time()
                self._found, self._of = self._count(question), of
                took = time.thread_time() - begun
                self._good_until = time.monotonic() + (LAG * took if took > FREE_S else 0.0)
            return self._found

    def _count(self, question: Question) -> Counts:
        training, _ = self._answers.training(question)
        return Counts(
            self._answers.n_by_state(),
            self._answers.n_by_class(question),
            len(training.items),
            len(self._answers.stream(question, ()).items),
        )
