"""A network of one to three hidden layers with free logits."""

from __future__ import annotations

from collections.abc import Sequence

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.network import Network


class MLP(Network):
    """Hidden layers of `widths` units, normalised, and softmax; see Network for how it is trained.

    Soft labels: nkd > 0 learns them in two parts (see `nkd_loss`); dual: a second last matrix learns them, the head's
    own one learns their largest classes, and both teach the hidden layers (Yang et al. 2024, dual-head distillation).
    """

    name = "mlp"
    explanation = (
        "A small neural network: finds curved borders and combinations of features; wants some hundred labels and a "
        "few seconds."
    )

    SETTINGS = (*Network.SETTINGS, "nkd", "dual")

    def __init__(
        self,
        widths: Sequence[int] = (256,),
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        weight_decay: float = 1e-2,
        max_epochs: int = 200,
        seed: int = 0,
        nkd: float = 0.0,
        dual: bool = False,
    ) -> None:
        if not widths:
            raise InputError("widths is []; expected one to three layers (linear_softmax has none)")
        if not 0 <= nkd < float("inf") or (nkd and label_smoothing):
            raise InputError(f"nkd is {nkd}; expected zero or more, and 0 with label smoothing")
        super().__init__(widths, adjust, label_smoothing, weight_decay, max_epochs, seed)
        self.nkd = nkd
        self.dual = dual
