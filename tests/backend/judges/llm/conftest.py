"""A folder of outputs for LLM graders, made once a module and copied for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from llm_judging import copied, prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("llm_judge"))


@pytest.fixture
def folder(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(prepared, tmp_path, monkeypatch)
