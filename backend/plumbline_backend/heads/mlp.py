"""A network of one to three hidden layers with free logits."""

from __future__ import annotations

from collections.abc import Sequence

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.network import Network


class MLP(Network):
    """Hidden layers of `widths` units, normalised, and softmax; see Network for how it is trained."""

    name = "mlp"
    explanation = (
        "A small neural network: finds curved borders and combinations of features; wants some hundred labels and a "
        "few seconds."
    )

    def __init__(
        self,
        widths: Sequence[int] = (256,),
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        weight_decay: float = 1e-2,
        max_epochs: int = 200,
        seed: int = 0,
    ) -> None:
        if not widths:
            raise InputError("widths is []; expected one to three layers (linear_softmax has none)")
        super().__init__(widths, adjust, label_smoothing, weight_decay, max_epochs, seed)
