"""Writing a file and taking it through inspection and import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from plumbline_backend.importers import OnProblem, Preview, inspect_file
from plumbline_backend.pool import Pool, PoolSummary, build_pool, with_roles


@dataclass(frozen=True)
class Imported:
    """A preview, and the pool that came of it."""

    preview: Preview
    summary: PoolSummary
    pool: Pool

    @property
    def roles(self) -> dict[str, str]:
        return {column.name: column.role for column in self.preview.columns}

    def values(self, name: str) -> list[object]:
        return self.pool.column_values(name, range(self.pool.n_items))


ImportFile = Callable[..., Imported]


@pytest.fixture
def import_file(tmp_path: Path) -> ImportFile:
    """import_file(name, bytes or writer, roles={}, on_problem="refuse")."""

    def run(
        name: str,
        content: bytes | str | Callable[[Path], object],
        roles: Mapping[str, str] | None = None,
        on_problem: OnProblem = "refuse",
    ) -> Imported:
        path = tmp_path / name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        preview = inspect_file(path)
        folder = tmp_path / "pool"
        columns = with_roles(preview.columns, roles or {})
        return Imported(preview, build_pool(path, folder, columns, on_problem=on_problem), Pool.open(folder))

    return run
