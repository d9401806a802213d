"""AbeT: the energy of a head that learns a temperature for every item."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline_backend.calibrators.base import one_thread
from plumbline_backend.novelty.base import checked

EPOCHS, LEAST_STEPS, BATCH, RATE = 20, 800, 256, 0.01
CHUNK = 8192


class AbeT:
    """A head of its own: T(x) = sigmoid(BN(Linear h)), logits cos(h, w_c) / T(x), trained with cross-entropy.

    The score is -T logsumexp(logits). h is not centred: the angles are those of the features themselves. On MiniLM
    features of clinc150 the AUROC is .965, without the first T (`ablated`) .935; centred features gave .962 and .886.
    Source: Vojir et al. 2023.
    """

    name: ClassVar[str] = "abet"
    explanation: ClassVar[str] = "energy of a small head of its own that learns a temperature for every item"
    needs: ClassVar[str] = "features"

    def __init__(self, ablated: bool = False, seed: int = 0) -> None:
        self.ablated, self.seed = ablated, seed

    def fit(
        self, features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], n_classes: int
    ) -> Self:
        """Train by Adam on shuffled batches; the same items and seed give the same head."""
        x, y = checked(features, targets, n_classes)
        length = float(np.sqrt((x**2).sum(axis=1).mean()))
        self.scale_ = 1.0 / length if length > 0 else 1.0
        with one_thread():
            self._train(torch.from_numpy(self._input(x)), torch.from_numpy(y), n_classes)
        return self

    def score(
        self, features: NDArray[np.floating[Any]], logits: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """(n,), negative."""
        del logits
        x = torch.from_numpy(self._input(np.asarray(features, dtype=np.float64)))
        found = np.empty(len(x))
        with torch.no_grad():
            for start in range(0, len(x), CHUNK):
                cosines, temperature = self._forward(x[start : start + CHUNK], training=False)
                energy = -torch.logsumexp(cosines / temperature, dim=1)
                found[start : start + CHUNK] = (
                    energy if self.ablated else energy * temperature[:, 0]
                ).numpy()
        return found

    def program(self, width: int) -> None:
        """It is compared, and does not travel."""
        del width

    def _input(self, x: NDArray[np.float64]) -> NDArray[np.float32]:
        return (x * self.scale_).astype(np.float32)

    def _train(self, x: torch.Tensor, y: torch.Tensor, n_classes: int) -> None:
        draw = torch.Generator().manual_seed(self.seed)
        d = x.shape[1]
        self._classes = (torch.randn(n_classes, d, generator=draw) / d**0.5).requires_grad_()
        self._direction = torch.zeros(1, d).requires_grad_()
        self._norm = torch.nn.BatchNorm1d(1)
        parameters = [self._classes, self._direction, *self._norm.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=RATE)
        epochs = max(EPOCHS, -(-LEAST_STEPS * BATCH // len(x)) if len(x) > BATCH else LEAST_STEPS)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
        for _ in range(epochs):
            for rows in torch.randperm(len(x), generator=draw).split(BATCH):
                if len(rows) < 2:
                    continue  # batch normalisation has no spread in one item
                cosines, temperature = self._forward(x[rows], training=True)
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(cosines / temperature, y[rows]).backward()
                optimiser.step()
            schedule.step()

    def _forward(self, x: torch.Tensor, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        self._norm.train(training)
        temperature = torch.sigmoid(self._norm(x @ self._direction.T)).clamp_min(1e-3)
        unit = torch.nn.functional.normalize(x, dim=1)
        return unit @ torch.nn.functional.normalize(self._classes, dim=1).T, temperature
