"""Long trainings: gone on from a checkpoint, in smaller batches where memory is short, leaving out what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads import checkpoints, epochs, memory
from plumbline_backend.heads.mlp import MLP


def items(n: int = 400, d: int = 8, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y = np.arange(n) % k
    return (draw.normal(size=(n, d)) + 2 * np.eye(k, d)[y]).astype(np.float32), y


def network() -> MLP:
    return MLP(widths=(16,), max_epochs=12)


@pytest.mark.parametrize("killed_at", [3, 16])
def test_a_killed_training_is_gone_on_from_to_the_same_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    """Stopped in the search for the number of epochs, or in the last training: the numbers are those of one go."""
    x, y = items()
    whole = network().fit(x, y, 3)
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints.Checkpoint, "due", lambda _: True)
    done: list[int] = []
    one_epoch = epochs.Trainer._epoch

    def killed(self: epochs.Trainer, *rest: Any) -> None:
        if len(done) == killed_at:
            raise KeyboardInterrupt
        done.append(1)
        one_epoch(self, *rest)

    monkeypatch.setattr(epochs.Trainer, "_epoch", killed)
    head = network()
    head.checkpoint = tmp_path / "training"
    with pytest.raises(KeyboardInterrupt):
        head.fit(x, y, 3)
    assert head.checkpoint.exists()
    monkeypatch.setattr(epochs.Trainer, "_epoch", one_epoch)
    resumed = network()
    resumed.checkpoint = tmp_path / "training"
    resumed.fit(x, y, 3)
    np.testing.assert_array_equal(resumed.logits(x), whole.logits(x))
    assert resumed.n_epochs_ == whole.n_epochs_
    assert "gone on from epoch" in str(resumed.note_)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_other_labels_is_not_taken_up(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    checkpoints.Checkpoint(tmp_path / "c", "one", 0).save({"phase": "last"}, rng)
    expected = rng.random()
    again = np.random.default_rng(5)
    assert checkpoints.Checkpoint(tmp_path / "c", "other").load(again) is None
    assert checkpoints.Checkpoint(tmp_path / "c", "one").load(again) is not None
    assert again.random() == expected


def test_batches_get_smaller_when_memory_runs_out_and_the_head_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = items()
    plain = epochs.loss_of

    def short(layers: Any, goal: Any, rows: epochs.Rows, reduction: str = "mean") -> torch.Tensor:
        if len(rows.x) > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return plain(layers, goal, rows, reduction)

    monkeypatch.setattr(epochs, "loss_of", short)
    head = network().fit(x, y, 3)
    assert (head.logits(x).argmax(axis=1) == y).mean() > 0.85
    assert head.batch_ <= 32
    assert head.facts()["note"] == f"batches of {head.batch_} instead of 128: memory was short"


def test_one_item_that_does_not_fit_is_refused_and_other_errors_are_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = items(40)

    def failing(error: BaseException) -> Any:
        def loss(*_: Any, **__: Any) -> Any:
            raise error

        return loss

    monkeypatch.setattr(epochs, "loss_of", failing(MemoryError()))
    with pytest.raises(InputError, match="one item does not fit into memory"):
        network().fit(x, y, 3)
    monkeypatch.setattr(epochs, "loss_of", failing(RuntimeError("another")))
    with pytest.raises(RuntimeError, match="another"):
        network().fit(x, y, 3)


def test_a_batch_takes_at_most_a_quarter_of_what_is_free() -> None:
    """1 MiB free, 1,024 cells of 4 bytes a row: a quarter holds 64 rows."""
    assert memory.rows_that_fit(128, 1024, 1.0) == 64
    assert memory.rows_that_fit(128, 1024, None) == 128
    assert memory.rows_that_fit(128, 10**9, 0.001) == 1
    free = memory.free_mib()
    assert free is None or free > 0


def test_little_free_memory_is_said_before_it_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "free_mib", lambda: 0.01)
    head = network().fit(*items(), 3)
    assert 1 <= head.batch_ < 128
    assert "instead of 128: 0 MiB were free" in str(head.note_)


def test_what_is_learned_is_left_out_of_epochs_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = items()
    test_x, test_y = items(3000)
    whole = network().fit(x, y, 3)
    monkeypatch.setattr(epochs, "PRUNE_FROM", 100)
    pruned = network().fit(x, y, 3)
    assert whole.left_out_ is None
    assert 0.1 < pruned.left_out_ < 0.5
    right = [(head.logits(test_x).argmax(axis=1) == test_y).mean() for head in (whole, pruned)]
    assert right[1] > right[0] - 0.03
    again = network().fit(x, y, 3)
    np.testing.assert_array_equal(again.logits(x), pruned.logits(x))
