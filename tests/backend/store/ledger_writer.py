"""Run by test_store_durability: judges from four threads, prints each client_uuid once it is acknowledged."""

from __future__ import annotations

import os
import sys
from itertools import count
from threading import Thread

from plumbline_backend.domain.types import NewJudgement
from plumbline_backend.store import Store, open_store


def judge(store: Store, question_id: int, judge_id: int, prefix: str) -> None:
    """Judges and revises items for ever."""
    for number in count():
        uuid = f"{prefix}-{number}"
        store.ledger.record(
            NewJudgement(number // 2, question_id, 1, judge_id, uuid, "answered", "cat", note="n" * 200)
        )
        os.write(1, f"{uuid}\n".encode())


def main() -> None:
    """Arguments: database URL, question, judge, round."""
    url, question_id, judge_id, round_ = sys.argv[1:]
    store = open_store(url)
    for thread in range(4):
        Thread(target=judge, args=(store, int(question_id), int(judge_id), f"{round_}-{thread}")).start()


main()
