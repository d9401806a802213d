"""A disk that is full while a pool, a model or an export is written: said in words, nothing half-made stays, and the
same works once there is room. The disk is a small one in memory, mounted for the test; that needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace, open_workspace

N_ITEMS, N_FEATURES = 4_000, 64
DISK = "24m"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    # Lazily: a pool's memory mapping is let go with its last array.
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def workspace(small: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace on the small disk with its database elsewhere: what fills up is the disk of pools and models."""
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    with open_workspace(
        small / "workspace", database_url=url, executor=InlineExecutor(), settings={"worker_threads": 1}
    ) as opened:
        yield opened


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "numbers.npz"
    targets = np.arange(N_ITEMS) % 2
    features = rng.normal(size=(N_ITEMS, N_FEATURES)) + targets[:, None]
    np.savez(path, X=features.astype(np.float32), y=targets)
    return path


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        block = bytes(64 << 10)
        while len(block) >= 512:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]
    return path


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def refused(workspace: Workspace, start: Callable[[], Job]) -> str:
    job = start()
    with pytest.raises(JobFailedError) as failed:
        workspace.jobs.wait(job.id)
    return str(failed.value)


def labelled(workspace: Workspace, numbers: Path) -> Project:
    project = workspace.import_items(numbers, "numbers")
    project.loop.fit_soon = lambda: None  # type: ignore[method-assign]
    judge = project.person("Ada")
    names = [c.id for c in project.question().active]
    for item in range(60):
        project.record(item=item, judge=judge, client_uuid=f"u{item}", answer=names[item % 2])
    return project


def test_a_pool_that_does_not_fit_is_refused_and_nothing_of_it_stays(
    workspace: Workspace, numbers: Path, small: Path
) -> None:
    columns = workspace.inspect(numbers).columns
    filler = fill(small)
    before = files(small)
    words = refused(workspace, lambda: workspace.start_import(numbers, "numbers", columns))
    assert "No space left on device" in words, words
    assert workspace.projects() == []
    assert files(small) == before
    assert list((workspace.folder / "pool").iterdir()) == []
    filler.unlink()
    assert workspace.import_items(numbers, "numbers").pool.n_items == N_ITEMS


def test_a_model_and_an_export_that_do_not_fit_are_refused_and_the_old_ones_stay(
    workspace: Workspace, numbers: Path, small: Path
) -> None:
    project = labelled(workspace, numbers)
    while (job := project.fit()) is not None:
        project.wait(job)
    before, kept = project.models(), project.export_labels(workspace.folder / "kept.csv").read_bytes()
    judge = project.person("Ada")
    for item in range(60, 90):
        project.record(
            item=item, judge=judge, client_uuid=f"u{item}", answer=project.question().active[item % 2].id
        )
    filler = fill(small)

    def fit() -> Job:
        job = project.fit()
        assert job is not None
        return job

    assert "No space left on device" in refused(workspace, fit)
    assert project.models() == before
    assert project.predict([1]) is not None, "the old head serves on"
    assert "No space left on device" in refused(
        workspace, lambda: project.start_export("labels", format="jsonl")
    )
    assert project.exports() == []
    assert (workspace.folder / "kept.csv").read_bytes() == kept
    filler.unlink()
    job = project.fit()
    assert job is not None
    project.wait(job)
    assert len(project.models()) == len(before) + 1
    done = workspace.jobs.wait(project.start_export("labels", format="jsonl").id)
    assert done.state == "done"
    assert [each.name for each in project.exports()] == [(done.result or {})["file"]]


def test_the_disk_of_the_test_is_full(small: Path) -> None:
    """The control: the filler leaves no room, and taking it away gives it back."""
    filler = fill(small)
    with pytest.raises(OSError, match="No space left"), (small / "more").open("wb", buffering=0) as file:
        file.write(bytes(4096))
    filler.unlink()
    (small / "more").write_bytes(bytes(1 << 20))
    assert os.stat(small / "more").st_size == 1 << 20
