"""Labels as JSON lines: one object a line, every text exactly as it was entered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from plumbline_backend.exporters.labels import LabelRow


@dataclass(frozen=True)
class JsonlLabels:
    """Writes labels as JSON lines in UTF-8; missing is null, times are ISO 8601 in UTC.

    Characters beyond ASCII are written as they are, except in a line that holds half a surrogate pair:
    that line is written with escapes, so nothing is refused and nothing is lost.
    """

    suffix: str = ".jsonl"
    more: tuple[str, ...] = ()

    def write(self, path: Path, rows: Iterable[LabelRow]) -> int:
        """Stream the rows into `path`; returns their number."""
        n = 0
        with path.open("wb") as file:
            for n, row in enumerate(rows, 1):  # noqa: B007 (n is the count)
                file.write(_line(row))
        return n


def _line(row: LabelRow) -> bytes:
    record = asdict(row)
    record.update(record.pop("more"))
    record["time"] = None if row.time is None else row.time.isoformat()
    try:
        return (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n").encode()
