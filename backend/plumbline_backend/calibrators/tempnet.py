"""Personalised temperature (TempNet): a small network reads an item's logits and answers with its temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from plumbline_backend.calibrators.base import PostHoc, State, one_thread
from plumbline_backend.calibrators.temperature import best_temperature
from plumbline_backend.heads.program import Elementwise, Program, RowWise, Times, UnitRows, affine

MIN_ITEMS = 100
WIDTH, DROPOUT = 256, 0.3
LOW, HIGH = 0.01, 2.0
EPOCHS, LOOK_EVERY, RATE = 30, 5, 1e-3
HELD_OUT = 5
_BATCH = 256
_NAMES = ("in_weight", "in_bias", "mid_weight", "mid_bias", "sharpness", "out_weight", "out_bias")


class TempNet(PostHoc):
    """softmax(logits / (T tau(x))): one temperature T for all, times the network's tau in (0.01, 2).

    x = logits / |logits|; u = Linear(Dropout(sigmoid(Linear x))) with 256 units; a = softmax(u / e^s);
    tau = 1.99 sigmoid(w . ((a - 1/256) u) + b) + 0.01, which starts at 1. Loss: mean of tau CE(logits / tau, y) +
    tau (rho - log K). Its slope in tau is the entropy at tau minus (log K - rho), so rho is set to log K minus the mean
    NLL that T reaches: the mean entropy is pulled to what is right on average. On every fifth item the NLL says when to
    stop, which may be at once: then tau is 1. Never changes the predicted class. Source: Qiu et al. 2024.

    Learned: `temperature_`; `weights_`, empty when the network did not help.
    """

    name: ClassVar[str] = "tempnet"
    most_items: ClassVar[int | None] = 20_000
    changes_predictions: ClassVar[bool] = False

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """The temperature, and how many epochs helped."""
        return {"temperature": self.temperature_, "epochs": float(self.epochs_)}

    def _reset(self) -> None:
        self.temperature_, self.epochs_ = 1.0, 0
        self.weights_: dict[str, NDArray[np.float64]] = {}

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        self.temperature_ = best_temperature(logits, targets)
        z = logits / self.temperature_
        held = np.arange(len(z)) % HELD_OUT == HELD_OUT - 1
        best = _nll(z[held], targets[held], np.ones(int(held.sum())))
        with one_thread():
            training = _Training(z[~held], targets[~held])
            for epoch in range(1, EPOCHS + 1):
                training.epoch()
                if epoch % LOOK_EVERY:
                    continue
                weights = training.weights()
                nll = _nll(z[held], targets[held], _tau(z[held], weights))
                if nll < best:
                    best, self.weights_, self.epochs_ = nll, weights, epoch

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        z = logits / self.temperature_
        tau = _tau(z, self.weights_) if self.weights_ else np.ones(len(z))
        return softmax(z / tau[:, None], axis=1)

    def _program(self, n_classes: int) -> Program:
        one = np.eye(n_classes)
        if not self.weights_:
            return (affine(one / self.temperature_),)
        w, unit = self.weights_, np.eye(WIDTH)
        attention: Program = (
            affine(unit / np.exp(w["sharpness"])),
            RowWise("softmax"),
            affine(unit, -1 / WIDTH),
        )
        tau: Program = (
            affine(one - 1 / n_classes),
            UnitRows(),
            affine(w["in_weight"], w["in_bias"]),
            Elementwise("sigmoid"),
            affine(w["mid_weight"], w["mid_bias"]),
            Times(attention),
            affine(w["out_weight"][None], w["out_bias"]),
            Elementwise("sigmoid"),
            affine(np.array([[HIGH - LOW]]), LOW),
            Elementwise("reciprocal"),
        )
        return affine(one / self.temperature_), Times(tau), affine(one)

    def _state(self) -> State:
        fixed = {"temperature": np.array(self.temperature_), "epochs": np.array(self.epochs_)}
        return {**fixed, **self.weights_}

    def _restore(self, state: State) -> None:
        self.temperature_, self.epochs_ = float(state["temperature"]), int(state["epochs"])
        self.weights_ = {name: array for name, array in state.items() if name in _NAMES}


class _Training:
    """The network and its optimiser; the same items give the same network."""

    def __init__(self, z: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        self._z, self._x = torch.from_numpy(z), torch.from_numpy(_unit(z))
        self._targets = torch.from_numpy(targets)
        self._draw = torch.Generator().manual_seed(0)
        k = z.shape[1]
        self._excess = -_nll(z, targets, np.ones(len(z)))
        start = np.random.default_rng(0)

        def parameter(*shape: int, scale: float) -> torch.Tensor:
            return torch.from_numpy(start.normal(size=shape) * scale).requires_grad_()

        self._parameters = [
            parameter(WIDTH, k, scale=k**-0.5),
            parameter(WIDTH, scale=0.0),
            parameter(WIDTH, WIDTH, scale=WIDTH**-0.5),
            parameter(WIDTH, scale=0.0),
            parameter(1, scale=0.0),
            parameter(WIDTH, scale=0.0),
            parameter(1, scale=0.0),
        ]
        self._optimiser = torch.optim.Adam(self._parameters, lr=RATE)

    def epoch(self) -> None:
        """One pass in batches of 256."""
        order = torch.randperm(len(self._z), generator=self._draw)
        for rows in order.split(_BATCH):
            w1, b1, w2, b2, sharpness, w3, b3 = self._parameters
            hidden = torch.sigmoid(self._x[rows] @ w1.T + b1)
            kept = torch.rand(hidden.shape, generator=self._draw, dtype=hidden.dtype) >= DROPOUT
            u = (hidden * kept / (1 - DROPOUT)) @ w2.T + b2
            a = torch.softmax(u / sharpness.exp(), dim=1)
            raw = ((a - 1 / WIDTH) * u) @ w3 + b3
            tau = (HIGH - LOW) * torch.sigmoid(raw) + LOW
            scaled = self._z[rows] / tau[:, None]
            loss = tau * torch.nn.functional.cross_entropy(scaled, self._targets[rows], reduction="none")
            self._optimiser.zero_grad()
            (loss + tau * self._excess).mean().backward()
            self._optimiser.step()

    def weights(self) -> dict[str, NDArray[np.float64]]:
        """A copy of the parameters by name."""
        return {
            name: value.detach().numpy().copy() for name, value in zip(_NAMES, self._parameters, strict=True)
        }


def _tau(z: NDArray[np.float64], weights: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """(n,) the network's answer without dropout."""
    hidden = _sigmoid(_unit(z) @ weights["in_weight"].T + weights["in_bias"])
    u = hidden @ weights["mid_weight"].T + weights["mid_bias"]
    a = softmax(u / np.exp(weights["sharpness"]), axis=1)
    raw = ((a - 1 / WIDTH) * u) @ weights["out_weight"] + weights["out_bias"]
    return np.asarray((HIGH - LOW) * _sigmoid(raw) + LOW, dtype=np.float64)


def _unit(z: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = z - z.mean(axis=1, keepdims=True)
    length = np.linalg.norm(middle, axis=1, keepdims=True)
    return np.asarray(middle / np.maximum(length, 1e-12), dtype=np.float64)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)


def _nll(z: NDArray[np.float64], targets: NDArray[np.int64], tau: NDArray[np.float64]) -> float:
    scaled = z / tau[:, None]
    return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(z)), targets]).mean())
