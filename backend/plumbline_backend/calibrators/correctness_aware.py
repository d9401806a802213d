"""Correctness-aware calibration: a temperature for each item, from how its largest probabilities lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.calibrators.base import PostHoc, State, one_thread
from plumbline_backend.calibrators.temperature import best_temperature
from plumbline_backend.heads.program import Clip, Elementwise, Program, RowWise, Smallest, Times, affine

MIN_ITEMS = 100
TOP, WIDTH = 4, 16
STEPS, RATE = 300, 0.02
LOW, HIGH = 0.1, 10.0


class CorrectnessAware(PostHoc):
    """softmax(logits / T(x)), T(x) = clamp(MLP(u), 0.1, 10) with u the item's four largest probabilities.

    Minimises the mean of (largest softmax(logits / T) - 1[prediction right])^2 over all items alike (weighting right
    and wrong alike, as the released code does, breaks calibration: ECE .20 instead of .0082 on a WideResNet). The paper
    reads u from several transformed views of an item; logits carry one view, the item itself. The logits are first
    divided by the best temperature, where the network starts from T = 1. Never changes the predicted class.
    Source: Liu et al. 2024, "Optimizing calibration by gaining aware of prediction correctness".

    Learned: `temperature_` and the network's `weights_`.
    """

    name: ClassVar[str] = "correctness_aware"
    most_items: ClassVar[int | None] = 20_000
    changes_predictions: ClassVar[bool] = False

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """The temperature before it, and the network's answer for a certain and for an undecided item."""
        if not self.fitted_:
            return {"temperature": 1.0, "factor_when_certain": 1.0, "factor_when_undecided": 1.0}
        certain, undecided = np.eye(1, TOP), np.full((1, TOP), 1 / TOP)
        return {
            "temperature": self.temperature_,
            "factor_when_certain": float(self._factor(certain)[0]),
            "factor_when_undecided": float(self._factor(undecided)[0]),
        }

    def _reset(self) -> None:
        self.temperature_ = 1.0
        self.weights_: dict[str, NDArray[np.float64]] = {}

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        self.temperature_ = best_temperature(logits, targets)
        with one_thread():
            self.weights_ = _trained(logits / self.temperature_, targets)

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        z = logits / self.temperature_
        return softmax(z / self._factor(_largest(z))[:, None], axis=1)

    def _factor(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        hidden = np.tanh(u @ self.weights_["in_weight"].T + self.weights_["in_bias"])
        answer = hidden @ self.weights_["out_weight"].T + self.weights_["out_bias"]
        return np.asarray(np.clip(answer[:, 0], LOW, HIGH), dtype=np.float64)

    def _program(self, n_classes: int) -> Program:
        """The largest probabilities are the smallest of their negatives, so the first weights change sign."""
        top = min(TOP, n_classes)
        factor: Program = (
            RowWise("softmax"),
            affine(-np.eye(n_classes)),
            Smallest(top),
            affine(-self.weights_["in_weight"][:, :top], self.weights_["in_bias"]),
            Elementwise("tanh"),
            affine(self.weights_["out_weight"], self.weights_["out_bias"]),
            Clip(LOW, HIGH),
            Elementwise("reciprocal"),
        )
        one = np.eye(n_classes)
        return affine(one / self.temperature_), Times(factor), affine(one)

    def _state(self) -> State:
        return {"temperature": np.array(self.temperature_), **self.weights_}

    def _restore(self, state: State) -> None:
        self.temperature_ = float(state["temperature"])
        self.weights_ = {name: array for name, array in state.items() if name != "temperature"}


def _largest(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, TOP) the largest probabilities in descending order; 0 where there are fewer classes."""
    proba = -np.sort(-softmax(z, axis=1), axis=1)[:, :TOP]
    return np.pad(proba, ((0, 0), (0, TOP - proba.shape[1])))


def _trained(z: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    u, shifted = torch.from_numpy(_largest(z)), torch.from_numpy(z)
    right = torch.from_numpy((z.argmax(axis=1) == targets).astype(np.float64))
    net = torch.nn.Sequential(
        torch.nn.Linear(TOP, WIDTH), torch.nn.Tanh(), torch.nn.Linear(WIDTH, 1)
    ).double()
    _initialise(net)
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE, eps=1e-3)
    for _ in range(STEPS):
        factor = net(u).clamp(LOW, HIGH)
        confidence = torch.softmax(shifted / factor, dim=1).amax(dim=1)
        optimiser.zero_grad()
        ((confidence - right) ** 2).mean().backward()
        optimiser.step()
    names = ("in_weight", "in_bias", "out_weight", "out_bias")
    return {name: value.detach().numpy().copy() for name, value in zip(names, net.parameters(), strict=True)}


def _initialise(net: torch.nn.Sequential) -> None:
    """Weights from a generator of their own, and an answer of exactly 1 before training."""
    draw = np.random.default_rng(0)
    with torch.no_grad():
        in_weight, in_bias, out_weight, out_bias = net.parameters()
        in_weight.copy_(torch.from_numpy(draw.normal(scale=TOP**-0.5, size=(WIDTH, TOP))))
        in_bias.zero_()
        out_weight.zero_()
        out_bias.fill_(1.0)
