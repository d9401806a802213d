"""Labels that the other items contradict lose their weight; clean labels keep theirs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.robust import robust_weights


def test_wrong_labels_weigh_less_and_the_head_is_better() -> None:
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    given = y[:900].copy()
    wrong = rng.permutation(900)[:300]
    given[wrong] = (given[wrong] + rng.integers(1, 10, 300)) % 10
    weight = robust_weights(x[:900] / 16, given, 10, rng)
    right = np.setdiff1d(np.arange(900), wrong)
    assert weight[right].mean() > 0.8 > 0.3 > weight[wrong].mean()
    plain, robust = (
        (
            LinearSoftmax(l2=0.1).fit(x[:900] / 16, given, 10, w).logits(x[900:] / 16).argmax(axis=1)
            == y[900:]
        ).mean()
        for w in (None, weight)
    )
    assert robust > plain + 0.03


def test_clean_labels_keep_their_weight() -> None:
    x, y = load_digits(return_X_y=True)
    weight = robust_weights(x[:600] / 16, y[:600], 10, np.random.default_rng(0))
    assert weight.mean() > 0.9
    assert weight.min() >= 0.02


def test_too_few_items_are_refused() -> None:
    with pytest.raises(InputError, match="4 items; robust weights need hard labels of 16 items or more"):
        robust_weights(np.eye(4), np.arange(4) % 2, 2, np.random.default_rng(0))
