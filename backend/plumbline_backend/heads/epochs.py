"""How a network is trained: epochs of mini-batches, on a GPU in bfloat16, gone on from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.checkpoints import Checkpoint
from plumbline_backend.heads.distil import nkd_loss
from plumbline_backend.heads.memory import free_mib, out_of_memory, rows_that_fit
from plumbline_kernels import linear_cross_entropy

BATCH = 128
PRUNE_FROM = 20_000
"""Items from which on an epoch leaves some out: below, an epoch takes under a second."""
PRUNED = 0.5
"""Share of the items with a loss below the mean that an epoch leaves out; the others of them count for both."""
WHOLE_AGAIN = 0.875
"""Share of the epochs after which none is left out (Qin et al. 2024: an unbiased end)."""
_LEARNING_RATE = 3e-3
_ROWS = 8192


class Layers(NamedTuple):
    """What a network learns: hidden (h_i, h_(i-1)) matrices, the last matrix (m, h) with its bias (m,).

    second: matrix and bias of a second head that learns the soft labels, or nothing.
    """

    hidden: list[Tensor]
    weight: Tensor
    bias: Tensor
    second: tuple[Tensor, ...] = ()

    def parameters(self) -> list[Tensor]:
        """Everything that is learned."""
        return [*self.hidden, self.weight, self.bias, *self.second]

    def copied(self, device: torch.device | None = None) -> Layers:
        """The same numbers, to be trained apart, on the same or another device."""

        def copy(tensor: Tensor) -> Tensor:
            return tensor.detach().to(device, copy=True).requires_grad_()

        second = tuple(copy(tensor) for tensor in self.second)
        return Layers([copy(m) for m in self.hidden], copy(self.weight), copy(self.bias), second)


class Rows(NamedTuple):
    """Standardised features, classes or probabilities, and weights around 1, of the same items."""

    x: Tensor
    y: Tensor
    weight: Tensor

    def at(self, chosen: Tensor | NDArray[np.bool_]) -> Rows:
        """Some of the items."""
        places = torch.as_tensor(chosen)
        return Rows(self.x[places], self.y[places], self.weight[places])

    def to(self, device: torch.device) -> Rows:
        """The same items where they are computed with."""
        return Rows(*(part.to(device, non_blocking=True) for part in self))


class Goal(NamedTuple):
    """Fixed vectors (m classes) or None with their scale, log prior or None, label smoothing, and the weight of NKD."""

    vectors: Tensor | None
    scale: float
    prior: Tensor | None
    label_smoothing: float
    nkd: float = 0.0

    def to(self, device: torch.device) -> Goal:
        """The same goal where it is computed."""
        vectors, prior = (None if t is None else t.to(device) for t in (self.vectors, self.prior))
        return self._replace(vectors=vectors, prior=prior)


class Trainer:
    """Trains layers towards a goal. Facts of it: `batch`, `n_seen`, `n_left_out`, and `note` in words."""

    def __init__(
        self, goal: Goal, weight_decay: float, rng: np.random.Generator, checkpoint: Checkpoint | None = None
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._goal = goal.to(self.device)
        self._weight_decay = weight_decay
        self._rng = rng
        self._checkpoint = checkpoint
        self._resumed = None if checkpoint is None else checkpoint.load(rng)
        self.batch, self.n_seen, self.n_left_out, self.note = BATCH, 0, 0, ""

    def resumed(self, phase: str) -> dict[str, Any] | None:
        """What the caller kept in `memo` when a checkpoint of this phase was written; None without one."""
        state = self._resumed
        if state is None or state["phase"] != phase:
            return None
        memo: dict[str, Any] = state["memo"]
        return memo

    def epochs(
        self, phase: str, rows: Rows, layers: Layers, n_epochs: int, memo: dict[str, Any]
    ) -> Iterator[int]:
        """Train `layers` in place, and say after each epoch how many are done; memo is kept with the checkpoint."""
        on = layers.copied(self.device)
        lengths = [float(matrix.detach().norm()) for matrix in on.hidden]
        optimiser = torch.optim.AdamW(on.parameters(), lr=_LEARNING_RATE, weight_decay=self._weight_decay)
        losses = torch.full((len(rows.x),), float("nan"))
        done = self._take_up(phase, on, optimiser, losses)
        self._fit_batch(on)
        for epoch in range(done + 1, n_epochs + 1):
            prune = len(rows.x) >= PRUNE_FROM and 1 < epoch <= WHOLE_AGAIN * n_epochs
            self._epoch(rows, on, optimiser, lengths, losses, prune)
            with torch.no_grad():
                for mine, theirs in zip(layers.parameters(), on.parameters(), strict=True):
                    mine.copy_(theirs)
            yield epoch
            if self._checkpoint is not None and self._checkpoint.due():
                self._save(phase, epoch, on, optimiser, losses, memo)

    def finished(self) -> None:
        """Nothing is left to go on from."""
        if self._checkpoint is not None:
            self._checkpoint.remove()

    def _epoch(
        self,
        rows: Rows,
        layers: Layers,
        optimiser: torch.optim.Optimizer,
        lengths: Sequence[float],
        losses: Tensor,
        prune: bool,
    ) -> None:
        order = torch.from_numpy(self._rng.permutation(len(rows.x)))
        self.n_seen += len(order)
        factor = torch.ones(len(rows.x))
        if prune:
            easy = losses < losses.nanmean()
            left_out = easy & torch.from_numpy(self._rng.random(len(rows.x)) < PRUNED)
            factor[easy] = 1 / (1 - PRUNED)
            order = order[~left_out[order]]
            self.n_left_out += int(left_out.sum())
        waiting = list(order.split(self.batch))[::-1]
        while waiting:
            chosen = waiting.pop()
            batch = rows.at(chosen)
            batch = batch._replace(weight=batch.weight * factor[chosen]).to(self.device)
            try:
                found = self._step(optimiser, layers, batch, lengths, len(rows.x) >= PRUNE_FROM)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                waiting += self._smaller(chosen)
                continue
            if found is not None:
                losses[chosen] = found.cpu()

    def _step(
        self,
        optimiser: torch.optim.Optimizer,
        layers: Layers,
        batch: Rows,
        lengths: Sequence[float],
        each: bool,
    ) -> Tensor | None:
        """One mini-batch, then every hidden matrix back to its length. each: return the (n,) losses."""
        optimiser.zero_grad(set_to_none=True)
        found = None
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            if each:
                weighted = loss_of(layers, self._goal, batch, reduction="none")
                loss = weighted.sum() / batch.weight.sum()
                found = weighted.detach() / batch.weight
            else:
                loss = loss_of(layers, self._goal, batch)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for matrix, length in zip(layers.hidden, lengths, strict=True):
                matrix *= length / matrix.norm().clamp_min(1e-12)
        return found

    def _fit_batch(self, layers: Layers) -> None:
        """Before memory runs out: fewer rows where a batch would take more than its share of what is free."""
        if self.device.type == "cuda":
            free: float | None = torch.cuda.mem_get_info()[0] / 2**20
        else:
            free = free_mib()
        width = sum(len(m) for m in layers.hidden) * 4 + len(layers.weight) * 4 + layers.weight.shape[1]
        fits = rows_that_fit(self.batch, width, free)
        if fits < self.batch:
            self.note = f"batches of {fits} instead of {self.batch}: {free or 0:,.0f} MiB were free"
            self.batch = fits

    def _smaller(self, chosen: Tensor) -> list[Tensor]:
        """The batch in two halves, and smaller batches from here on."""
        if len(chosen) == 1:
            raise InputError("one item does not fit into memory; expected fewer features, units or classes")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        half = (len(chosen) + 1) // 2
        self.batch = min(self.batch, half)
        self.note = f"batches of {self.batch} instead of {BATCH}: memory was short"
        return list(chosen.split(half))[::-1]

    def _take_up(self, phase: str, layers: Layers, optimiser: torch.optim.Optimizer, losses: Tensor) -> int:
        """Epochs that are done already, their state in place."""
        state, self._resumed = self._resumed, None
        if state is None or state["phase"] != phase:
            return 0
        with torch.no_grad():
            for mine, kept in zip(layers.parameters(), state["layers"], strict=True):
                mine.copy_(kept)
        losses.copy_(state["losses"])
        optimiser.load_state_dict(state["optimiser"])
        self.batch, self.n_seen, self.n_left_out = state["batch"], state["n_seen"], state["n_left_out"]
        self.note = f"gone on from epoch {state['epoch']}"
        return int(state["epoch"])

    def _save(
        self,
        phase: str,
        epoch: int,
        layers: Layers,
        optimiser: torch.optim.Optimizer,
        losses: Tensor,
        memo: dict[str, Any],
    ) -> None:
        assert self._checkpoint is not None
        state = {
            "phase": phase,
            "epoch": epoch,
            "layers": [t.detach().cpu() for t in layers.parameters()],
            "optimiser": optimiser.state_dict(),
            "losses": losses,
            "memo": dict(memo),
            "batch": self.batch,
            "n_seen": self.n_seen,
            "n_left_out": self.n_left_out,
        }
        self._checkpoint.save(state, self._rng)


def hidden_of(layers: Layers, x: Tensor) -> Tensor:
    """(n, h) what the last matrix sees."""
    for matrix in layers.hidden:
        raw = x @ matrix.T
        centred = raw - raw.mean(dim=1, keepdim=True)
        x = torch.relu(centred * (len(matrix) ** 0.5 / centred.norm(dim=1, keepdim=True).clamp_min(1e-12)))
    return x


def loss_of(layers: Layers, goal: Goal, rows: Rows, reduction: str = "mean") -> Tensor:
    """The mean over weights, or with "none" (n,) losses times weights; with a second head the sum of both heads'."""
    hidden = hidden_of(layers, rows.x)
    soft = rows.y.dim() == 2
    if goal.nkd and soft and goal.vectors is None:
        logits = hidden @ layers.weight.T + layers.bias
        logits = logits if goal.prior is None else logits + goal.prior
        weighted = nkd_loss(logits.float(), rows.y, goal.nkd) * rows.weight
        return weighted if reduction == "none" else weighted.sum() / rows.weight.sum()
    common: dict[str, Any] = {"sample_weight": rows.weight, "reduction": reduction, "check_values": False}
    two = bool(layers.second) and soft
    y = rows.y.argmax(dim=1) if two else rows.y
    place, classes = hidden, layers.weight
    own_bias: Tensor | None = layers.bias
    if goal.vectors is not None:
        place, classes, own_bias = hidden @ layers.weight.T + layers.bias, goal.vectors, None
    loss = linear_cross_entropy(
        place,
        classes,
        y,
        bias=own_bias,
        normalize=goal.vectors is not None,
        scale=goal.scale,
        class_prior=goal.prior,
        label_smoothing=goal.label_smoothing,
        **common,
    )
    if not two:
        return loss
    matrix, bias = layers.second
    return loss + linear_cross_entropy(hidden, matrix, rows.y, bias=bias, **common)


@torch.no_grad()
def refinement(layers: Layers, goal: Goal, items: Rows) -> float:
    """Negative log-likelihood at the temperature that is best for these items: what calibration cannot mend."""
    parts = []
    for x in items.x.split(_ROWS):
        hidden = hidden_of(layers, x)
        if goal.vectors is None:
            parts.append(hidden @ layers.weight.T + layers.bias)
        else:
            place = torch.nn.functional.normalize(hidden @ layers.weight.T + layers.bias)
            parts.append(goal.scale * place @ goal.vectors.T)
    logits = torch.cat(parts).double()
    y, share = items.y, items.weight.double() / items.weight.double().sum()
    picked = torch.nn.functional.one_hot(y, logits.shape[1]).double() if y.dim() == 1 else y.double()

    def surprise(log_sharpness: float) -> float:
        sharpened = float(np.exp(log_sharpness)) * logits
        return float(share @ (torch.logsumexp(sharpened, dim=1) - (picked * sharpened).sum(dim=1)))

    found = minimize_scalar(surprise, bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-2})
    return float(found.fun)
