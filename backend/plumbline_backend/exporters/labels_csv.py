"""Labels as CSV: UTF-8, RFC 4180 quoting and line ends, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plumbline_backend.exporters.labels import COLUMNS, TEXT_COLUMNS, LabelRow, refuse_surrogates

FORMULA_STARTS = "=+-@＝＋－＠"
"""A spreadsheet runs a cell that begins with one of these (OWASP, CSV injection); some trim spaces first."""
CONTROL_STARTS = "\t\r\n"
ESCAPED_COLUMNS = "escaped_columns"


@dataclass(frozen=True)
class CsvLabels:
    """Writes labels as CSV. An empty cell is a missing value; times are ISO 8601 in UTC.

    spreadsheet_safe: text that a spreadsheet could run gets an apostrophe in front, and the file's last
    column, `escaped_columns`, names the columns of that row in which this was done (`restore_row` undoes
    it). Off: text is written as it is and the column is absent.
    """

    spreadsheet_safe: bool = True
    suffix: str = ".csv"
    more: tuple[str, ...] = ()

    def write(self, path: Path, rows: Iterable[LabelRow]) -> int:
        """Stream the rows into `path`; returns their number. Raises InputError for text UTF-8 cannot hold."""
        n = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self._header())
            for n, row in enumerate(rows, 1):
                refuse_surrogates(row, n, "csv")
                writer.writerow(self._cells(row))
        return n

    def _header(self) -> list[str]:
        if not self.spreadsheet_safe:
            return [*COLUMNS, *self.more]
        return [*COLUMNS, *("'" + name if could_run(name) else name for name in self.more), ESCAPED_COLUMNS]

    def _cells(self, row: LabelRow) -> list[str]:
        cells = {column: _cell(row.cell(column)) for column in (*COLUMNS, *self.more)}
        if not self.spreadsheet_safe:
            return list(cells.values())
        escaped = [column for column in TEXT_COLUMNS if could_run(cells[column])]
        for column in escaped:
            cells[column] = "'" + cells[column]
        return [*cells.values(), " ".join(escaped)]


def could_run(text: str) -> bool:
    """Whether a spreadsheet might take the cell for a formula."""
    return text[:1] in tuple(CONTROL_STARTS) or text.lstrip()[:1] in tuple(FORMULA_STARTS)


def restore_row(row: Mapping[str, str]) -> dict[str, str]:
    """A row as `csv.DictReader` gives it, with the apostrophes of escaping taken off again."""
    escaped = row.get(ESCAPED_COLUMNS, "").split()
    return {
        column: text[1:] if column in escaped else text
        for column, text in row.items()
        if column != ESCAPED_COLUMNS
    }


def _cell(value: object) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)
