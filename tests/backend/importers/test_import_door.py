"""The door: which importer takes which file."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.importers import importer_for, inspect_file, supported_suffixes
from plumbline_backend.registry import IMPORTERS


def test_unknown_kind_of_file(tmp_path: Path):
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"^a.xlsx: unknown kind of file '.xlsx'; expected one of .csv, .tsv"
    ):
        inspect_file(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match=r"^b.csv: no such file or folder"):
        inspect_file(tmp_path / "b.csv")


def test_every_suffix_finds_its_importer(tmp_path: Path):
    for name in IMPORTERS.names():
        for suffix in IMPORTERS.get(name).suffixes:
            path = tmp_path / f"A{suffix.upper()}"
            path.write_bytes(b"x")
            assert importer_for(path).name == name
            assert suffix in supported_suffixes()
    assert importer_for(tmp_path).name == "images"
