"""Trainings that come out bit for bit the same, whatever was trained before and on however many threads."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.pool.build import with_roles
from plumbline_backend.training.reproducible import reproducible
from plumbline_backend.workspace import open_workspace

N = 120


def stopped_inside() -> None:
    with reproducible(True):
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        raise RuntimeError("stopped")


def test_it_holds_inside_and_is_taken_back_afterwards() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="stopped"):
            stopped_inside()
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
        with reproducible(False):
            assert torch.get_num_threads() == 2
            assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)


def weights(folder: Path, deterministic: bool, steps: tuple[int, ...]) -> np.ndarray:
    """The last head's weights after trainings at these numbers of answers."""
    draw = np.random.default_rng(0)
    file = folder / "cloud.csv"
    rows = [f"i{i}," + ",".join(f"{v:.4f}" for v in draw.normal(size=6) + i % 3) for i in range(N)]
    file.write_text("\n".join(["key,a,b,c,d,e,f", *rows]) + "\n")
    with open_workspace(
        folder / "ws", executor=InlineExecutor(), settings={"deterministic": deterministic}
    ) as opened:
        project = opened.import_items(file, "cloud", with_roles(opened.inspect(file).columns, {"key": "id"}))
        for name in ("one", "two", "three"):
            project.add_class(name, by="ann")
        ids = [c.id for c in project.question().active]
        items = [i for i in range(N) if not project.loop.answers.in_reserve(i)]
        for start, end in zip((0, *steps), steps, strict=False):
            for item in items[start:end]:
                project.record(
                    item=item,
                    judge=project.person("ann"),
                    client_uuid=uuid.uuid4().hex,
                    answer=ids[item % 3],
                )
            while (job := project.fit()) is not None:
                project.wait(job)
        model = project.models()[-1]
        assert model.metrics["deterministic"] is deterministic
        return load_head(project.folders.models / model.folder).weight_.copy()  # type: ignore[attr-defined]


def test_the_same_labels_give_the_same_bits_whatever_came_before(tmp_path: Path) -> None:
    found = {}
    for name, deterministic, steps in (
        ("a", True, (90,)),
        ("b", True, (30, 60, 90)),
        ("c", False, (30, 60, 90)),
    ):
        (tmp_path / name).mkdir()
        found[name] = weights(tmp_path / name, deterministic, steps)
    np.testing.assert_array_equal(found["a"], found["b"])
    np.testing.assert_allclose(found["c"], found["a"], atol=1e-3)
    assert (found["c"] != found["a"]).any()
