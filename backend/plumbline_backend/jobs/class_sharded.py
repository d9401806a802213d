"""The linear head for very many classes, trained by several processes that each hold a part of the logits.

    torchrun --nproc-per-node 2 -m plumbline_backend.jobs.class_sharded labels.npz head-folder --l2 1.0

labels.npz holds `features` (n, d) and `targets` (n,). Each process computes the logits of its share of the classes, so
that (n, K) is never in one place; what is exchanged for each row is its largest logit, its sum of exponentials and the
logit of its own class. The result is the one process's, but for rounding; the folder is read like any other head's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.lbfgs import Evaluate, Solution, Stage, minimise
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.softmax_problem import SoftmaxProblem, build, precondition_at

TOLERANCE = 1e-9
"""Two searches agree no better than they converge: with 101 classes 1e-8 left weights 2e-6 apart, 1e-5 left 2e-5."""


def fit_sharded(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    n_classes: int,
    l2: float | None = None,
    tolerance: float = TOLERANCE,
) -> LinearSoftmax:
    """The head, the same in every process of the default group, which must be initialised.

    Every process gives the same arguments. Raises InputError as `LinearSoftmax.fit` does.
    """
    head = LinearSoftmax(l2=l2, tolerance=tolerance)
    problem = build(features, targets, n_classes, None, l2)
    head.take(_solve(problem, head.tolerance, head.max_iterations), problem, n_classes)
    return head


def share_of(n_classes: int, rank: int, world: int) -> slice:
    """The classes of one process: as even as can be, in order."""
    edges = np.linspace(0, n_classes, world + 1).round().astype(int)
    return slice(int(edges[rank]), int(edges[rank + 1]))


def _solve(problem: SoftmaxProblem, tolerance: float, max_iterations: int) -> Solution:
    start = torch.zeros(len(problem.present), len(problem.mean) + 1, dtype=torch.float64)
    features = problem.features.double()
    stage = Stage(_evaluate(problem, features), tolerance, noise=1e-13)
    return minimise(
        [stage], start, partial(precondition_at, problem, features, problem.share), max_iterations
    )


def _evaluate(problem: SoftmaxProblem, features: Tensor) -> Evaluate:
    """Value and gradient at (n_present, d + 1), each process doing its classes."""
    ours = share_of(len(problem.present), dist.get_rank(), dist.get_world_size())
    places = problem.targets - ours.start
    inside = (places >= 0) & (places < ours.stop - ours.start)
    rows = torch.nonzero(inside).squeeze(1)

    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        logits = torch.addmm(x[ours, -1], features, x[ours, :-1].T)
        largest = logits.amax(dim=1) if logits.shape[1] else torch.full((len(features),), -torch.inf).double()
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        own = torch.zeros(len(features), dtype=torch.float64)
        own[rows] = logits[rows, places[rows]]
        proba = logits.sub_(largest[:, None]).exp_()
        sums = torch.stack([proba.sum(dim=1), own])
        dist.all_reduce(sums)
        proba.div_(sums[0][:, None])
        proba[rows, places[rows]] -= 1.0
        proba.mul_(problem.share[:, None])
        gradient = torch.zeros_like(x)
        gradient[ours, :-1] = proba.T @ features
        gradient[ours, -1] = proba.sum(dim=0)
        dist.all_reduce(gradient)
        pull = problem.ridge * x[:, :-1]
        gradient[:, :-1] += pull
        loss = float(problem.share @ (largest + sums[0].log() - sums[1]))
        return loss + 0.5 * float((pull * x[:, :-1]).sum()), gradient

    return evaluate


def main(arguments: Sequence[str] | None = None) -> None:
    """What torchrun starts in every process; the first one writes the head."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--l2", type=float, help="default: by the features' spread")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="largest entry of the gradient")
    given = parser.parse_args(arguments)
    dist.init_process_group("gloo")
    try:
        with np.load(given.labels, allow_pickle=False) as file:
            missing = [name for name in ("features", "targets") if name not in file]
            if missing:
                raise InputError(f"{given.labels}: no array {missing[0]!r}; expected features and targets")
            features, targets = file["features"], file["targets"]
        head = fit_sharded(features, targets, int(targets.max()) + 1, given.l2, given.tolerance)
        if dist.get_rank() == 0:
            given.folder.mkdir(parents=True, exist_ok=True)
            head.save(given.folder)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
