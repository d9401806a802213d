"""Small networks over features: trained in mini-batches, stopped by what calibration cannot mend."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checkpoints import Checkpoint
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.epochs import Goal, Layers, Rows, Trainer, refinement
from plumbline_backend.heads.program import Affine, Elementwise, Program, UnitRows, affine, run

HOLD_OUT = 0.15
LEAST_HELD_OUT = 30
"""With fewer items to hold out the stopping rule would follow noise; then the number of epochs is fixed."""
SHORT_EPOCHS = 60
PATIENCE = 12


class Network(ProgramHead):
    """Standardised columns, hidden layers (matrix, rows centred and scaled to length sqrt(h), relu), a last matrix.

    Without `vectors` the last matrix gives the logits. With them (K, m) it gives a place, and the logits are
    `scale` times its cosine with each class's vector, which stays fixed. Hidden matrices are brought back to the
    length they began with after every step (normalise-and-project, Lyle et al. 2024), so that a network that goes on
    from round to round keeps learning as fast as a new one. Training stops where the negative log-likelihood of
    held-out items, each time under its own best temperature, no longer falls (Berta et al. 2025).

    Many items: epochs leave out half of those that are learned already (see `epochs`). On a GPU the batches are
    computed in bfloat16. `checkpoint`, set by who can resume, is a file that a long training is gone on from.
    """

    checkpoint: Path | None = None
    nkd: float = 0.0
    dual: bool = False

    SETTINGS: Sequence[str] = ("widths", "adjust", "label_smoothing", "weight_decay", "max_epochs", "seed")
    FACTS = ("n_epochs_", "stopped_", "n_held_out_", "device_", "batch_", "left_out_", "note_")

    def __init__(
        self,
        widths: Sequence[int] = (256,),
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        weight_decay: float = 1e-2,
        max_epochs: int = 200,
        seed: int = 0,
    ) -> None:
        if len(widths) > 3 or any(width < 1 for width in widths):
            raise InputError(f"widths is {list(widths)}; expected up to three layers of one unit or more")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing is {label_smoothing}; expected 0 or more and less than 1")
        if not (0 <= adjust < float("inf") and 0 <= weight_decay < float("inf") and max_epochs >= 1):
            raise InputError(
                f"adjust is {adjust}, weight_decay {weight_decay}, max_epochs {max_epochs}; expected numbers of "
                "zero or more, and at least one epoch"
            )
        self.widths = list(widths)
        self.adjust = adjust
        self.label_smoothing = label_smoothing
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.seed = seed

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Network | None = None,
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses. A warm start of the same shape is gone on from."""
        items = labelled(features, targets, n_classes, sample_weight)
        rng = np.random.default_rng(self.seed)
        mean = np.average(items.features.astype(np.float64), axis=0, weights=items.weight)
        spread = np.sqrt(np.average((items.features - mean) ** 2, axis=0, weights=items.weight))
        self.mean_, self.spread_ = mean, np.where(spread > 1e-12, spread, 1.0)
        self.width_ = items.features.shape[1]
        present = np.flatnonzero(items.mass() > 0)
        vectors, scale = self.fixed(n_classes)
        fixed = None if vectors is None else torch.from_numpy(vectors[present]).float()
        prior = _prior(items, present, self.adjust)
        goal = Goal(fixed, scale, prior, self.label_smoothing, self.nkd if items.soft else 0.0)
        outputs = len(present) if vectors is None else vectors.shape[1]
        layers = _begin(self.width_, self.widths, outputs, rng, second=self.dual and items.soft)
        if warm_start is not None:
            layers = _gone_on(layers, warm_start, present if vectors is None else None)
        layers = self._train(items, present, goal, layers, rng)
        self._keep(layers, items, present, goal)
        return self

    def fixed(self, n_classes: int) -> tuple[NDArray[np.float64] | None, float]:  # noqa: ARG002 - for subclasses
        """The classes' fixed unit vectors (n_classes, m) and the scale of their cosines; None: the logits are free."""
        return None, 1.0

    def program(self) -> Program:
        """Standardising is part of the first matrix; sqrt(h) of the next one."""
        steps: list[Any] = []
        scale, shift = 1 / self.spread_, -self.mean_ / self.spread_
        factor = 1.0
        for i in range(self.n_hidden_):
            weight = getattr(self, f"hidden_{i}_").astype(np.float64)
            centred = (weight - weight.mean(axis=0)) * factor
            bias = centred @ shift if i == 0 else 0.0
            steps += [affine(centred * scale if i == 0 else centred, bias), UnitRows(), Elementwise("relu")]
            factor = float(np.sqrt(len(weight)))
        final = self.last_.astype(np.float64) * factor
        bias = self.last_bias_.astype(np.float64)
        if self.n_hidden_ == 0:
            final, bias = final * scale, bias + final @ shift
        if not hasattr(self, "vectors_"):
            return (*steps, affine(final, bias))
        return (*steps, affine(final, bias), UnitRows(), affine(self.vectors_, self.vectors_bias_))

    @property
    def ARRAYS(self) -> Sequence[str]:  # type: ignore[override]  # noqa: N802 - depends on the number of layers
        """Names of what was learned."""
        fixed = ("vectors_", "vectors_bias_") if hasattr(self, "vectors_") else ()
        return (
            "mean_",
            "spread_",
            "last_",
            "last_bias_",
            *(f"hidden_{i}_" for i in range(self.n_hidden_)),
            *fixed,
        )

    @property
    def n_hidden_(self) -> int:
        """Hidden layers."""
        return len(self.widths)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """About 40 epochs through one hidden layer of 256."""
        return Cost(0.3 + 40 * n * 256 * (d + k) * 6 / 2e10, (8 * n * d + 16 * 256 * (d + k)) / 2**20)

    def _train(
        self,
        items: Labelled,
        present: NDArray[np.int64],
        goal: Goal,
        layers: Layers,
        rng: np.random.Generator,
    ) -> Layers:
        """Find the number of epochs on held-out items, then train on all of them for as many."""
        x = torch.from_numpy(((items.features - self.mean_) / self.spread_).astype(np.float32))
        weight = torch.from_numpy((items.weight / items.weight.mean()).astype(np.float32))
        rows = Rows(x, _targets(items, present), weight)
        held = _held_out(items, rng)
        trainer = Trainer(goal, self.weight_decay, rng, self._kept(items, layers))
        memo = trainer.resumed("last") or {"n_epochs": 0, "stopped": "at the last epoch"}
        self.n_held_out_ = int(held.sum())
        if not memo["n_epochs"]:
            memo["n_epochs"] = min(self.max_epochs, SHORT_EPOCHS)
            if self.n_held_out_:
                memo |= self._best_epoch(trainer, rows, held, goal, layers.copied())
        for _ in trainer.epochs("last", rows, layers, memo["n_epochs"], memo):
            pass
        trainer.finished()
        self.n_epochs_, self.stopped_ = memo["n_epochs"], memo["stopped"]
        self.device_, self.batch_, self.note_ = trainer.device.type, trainer.batch, trainer.note or None
        self.left_out_ = round(trainer.n_left_out / max(1, trainer.n_seen), 3) or None
        return layers

    def _best_epoch(
        self, trainer: Trainer, rows: Rows, held: NDArray[np.bool_], goal: Goal, layers: Layers
    ) -> dict[str, Any]:
        """The epoch after which held-out items are fitted best; looks PATIENCE epochs further."""
        train, kept = rows.at(~held), rows.at(held)
        best = trainer.resumed("search") or {"epoch": 1, "loss": float("inf")}
        stopped = "at the last epoch"
        for epoch in trainer.epochs("search", train, layers, self.max_epochs, best):
            loss = refinement(layers, goal, kept)
            if loss < best["loss"] - 1e-4:
                best |= {"epoch": epoch, "loss": loss}
            elif epoch - best["epoch"] >= PATIENCE:
                stopped = "where held-out items were fitted best"
                break
        return {"n_epochs": best["epoch"], "stopped": stopped}

    def _kept(self, items: Labelled, layers: Layers) -> Checkpoint | None:
        """Where the training is gone on from: its key holds items, settings and where it began."""
        if self.checkpoint is None:
            return None
        key = hashlib.sha256(repr([getattr(self, name) for name in self.SETTINGS]).encode())
        for array in (items.features, items.targets, items.weight):
            key.update(np.ascontiguousarray(array).data)
        for tensor in layers.parameters():
            key.update(np.ascontiguousarray(tensor.detach().numpy()).data)
        return Checkpoint(self.checkpoint, key.hexdigest())

    def _keep(self, layers: Layers, items: Labelled, present: NDArray[np.int64], goal: Goal) -> None:
        for i, matrix in enumerate(layers.hidden):
            setattr(self, f"hidden_{i}_", matrix.detach().numpy())
        self.last_, self.last_bias_ = layers.weight.detach().numpy(), layers.bias.detach().numpy()
        if goal.vectors is not None:
            plain = affine(goal.scale * goal.vectors.numpy().astype(np.float64))
            self.vectors_, self.vectors_bias_ = plain.weight, plain.bias
        final: Affine = self.program()[-1]  # type: ignore[assignment]
        if len(present) == items.n_classes:
            return
        # The added rows are means of the others: they have the same factors as those, before and behind.
        hidden = run(self.program()[:-1], items.features)
        full = over_all_classes(final, present, items.n_classes, hidden)
        if goal.vectors is not None:
            self.vectors_, self.vectors_bias_ = full.weight, full.bias
            return
        rows = np.tile(self.last_.mean(axis=0), (items.n_classes, 1))
        rows[present] = self.last_
        self.last_, self.last_bias_ = rows, full.bias.astype(np.float32)


def _prior(items: Labelled, present: NDArray[np.int64], adjust: float) -> Tensor | None:
    mass = items.mass()[present]
    return torch.from_numpy(adjust * np.log(mass / mass.sum())).float() if adjust else None


def _begin(
    d: int, widths: Sequence[int], outputs: int, rng: np.random.Generator, second: bool = False
) -> Layers:
    """He's scale for the hidden matrices, zeros for the last one without fixed vectors to reach."""
    sizes = [d, *widths]
    hidden = [
        torch.from_numpy((rng.normal(size=(h, w)) * np.sqrt(2 / w)).astype(np.float32))
        for w, h in pairwise(sizes)
    ]
    last = (rng.normal(size=(outputs, sizes[-1])) * 0.1 / np.sqrt(sizes[-1])).astype(np.float32)
    more = (torch.from_numpy(last.copy()), torch.zeros(outputs)) if second else ()
    layers = Layers(hidden, torch.from_numpy(last), torch.zeros(outputs), more)
    for tensor in layers.parameters():
        tensor.requires_grad_()
    return layers


def _gone_on(layers: Layers, earlier: Network, present: NDArray[np.int64] | None) -> Layers:
    """The earlier network where its shapes fit; its lengths are those that a new one begins with."""
    hidden = [getattr(earlier, f"hidden_{i}_", None) for i in range(len(layers.hidden))]
    if earlier.n_hidden_ != len(layers.hidden) or any(
        old is None or old.shape != new.shape for old, new in zip(hidden, layers.hidden, strict=True)
    ):
        return layers
    with torch.no_grad():
        for old, new in zip(hidden, layers.hidden, strict=True):
            matrix = torch.from_numpy(np.array(old))
            new.copy_(matrix * (new.norm() / matrix.norm().clamp_min(1e-12)))
        rows = np.arange(len(layers.weight)) if present is None else present
        known = np.flatnonzero(rows < len(earlier.last_))
        if earlier.last_.shape[1] == layers.weight.shape[1]:
            layers.weight[known] = torch.from_numpy(earlier.last_[rows[known]])
            layers.bias[known] = torch.from_numpy(earlier.last_bias_[rows[known]])
    return layers


def _targets(items: Labelled, present: NDArray[np.int64]) -> Tensor:
    if items.soft:
        return torch.from_numpy(np.ascontiguousarray(items.targets[:, present], dtype=np.float32))
    return torch.from_numpy(np.searchsorted(present, items.targets))


def _held_out(items: Labelled, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A random share of the items, never a class's last one; none when there would be too few."""
    n = len(items.features)
    held = np.zeros(n, dtype=bool)
    if n * HOLD_OUT < LEAST_HELD_OUT:
        return held
    order = rng.permutation(n)
    classes = items.likeliest[order]
    _, first = np.unique(classes, return_index=True)
    free = np.setdiff1d(np.arange(n), first)
    held[order[free[: int(n * HOLD_OUT)]]] = True
    return held
