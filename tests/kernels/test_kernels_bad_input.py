"""Bad calls and the exact words they are refused with."""

# ruff: noqa: E501 (one case is one line)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from plumbline_kernels import SparseTargets, linear_cross_entropy, score_classes, which_path

X, W, Y = torch.ones(3, 2), torch.ones(4, 2), torch.tensor([0, 1, 3])
NAN, INF = float("nan"), float("inf")
SOFT = torch.full((3, 4), 0.25)

LOSS: list[tuple[dict[str, Any], str]] = [
    ({"features": [[1.0]]}, "features is a list, expected a tensor"),
    ({"features": torch.ones(3, 2, dtype=torch.int64)}, "features is int64, expected float64, float32, bfloat16 or float16"),
    ({"features": torch.ones(3)}, "features has shape (3,), expected two dimensions"),
    ({"weight": torch.ones(4, 3)}, "features (3, 2) and weight (4, 3) differ in their second size, 2 against 3"),
    ({"weight": torch.ones(4, 2, dtype=torch.float64)}, "features are float32 and weight is float64, expected one type"),
    ({"weight": torch.ones(0, 2)}, "weight has shape (0, 2), expected at least one class"),
    ({"weight": torch.ones(4, 2, device="meta")}, "weight is on meta and features on cpu, expected one device"),
    ({"bias": torch.ones(3)}, "bias has shape (3,), expected (4,) as weight has 4 classes"),
    ({"bias": torch.ones(4, dtype=torch.int32)}, "bias is int32, expected a floating type"),
    ({"bias": torch.tensor([0.0, NAN, 0.0, INF])}, "bias has 2 non-finite value(s), the first at (1,): nan"),
    ({"scale": 0.0}, "scale is 0.0, expected a finite number above 0"),
    ({"scale": "big"}, "scale is 'big', expected a finite number above 0"),
    ({"scale": torch.ones(2)}, "scale is float32 of shape (2,), expected a floating 0-dim tensor"),
    ({"scale": torch.tensor(-2.0)}, "scale is -2, expected a finite number above 0"),
    ({"scale": torch.tensor(NAN)}, "scale has 1 non-finite value(s), the first: nan"),
    ({"targets": [0, 1, 2]}, "targets are a list, expected a tensor or SparseTargets"),
    ({"targets": torch.tensor([0, 1])}, "targets have shape (2,), expected (3,) as features have 3 rows"),
    ({"targets": Y.int()}, "targets are int32, expected int64 classes or floating probabilities"),
    ({"targets": torch.tensor([0, 4, 1])}, "targets hold 1 value(s) outside 0..3, the first at (1,): 4"),
    ({"targets": torch.tensor([-1, -7, 1])}, "targets hold 2 value(s) outside 0..3, the first at (0,): -1"),
    ({"targets": SOFT[:, :3]}, "target probabilities have shape (3, 3), expected (3, 4)"),
    ({"targets": SOFT * 2}, "target probabilities do not sum to 1 in 3 row(s), the first is row 0: 2"),
    ({"targets": torch.tensor([[1.5, -0.5, 0.0, 0.0]] * 3)}, "target probabilities are negative, the first at (0, 1): -0.5"),
    ({"targets": SOFT * NAN}, "target probabilities has 12 non-finite value(s), the first at (0, 0): nan"),
    ({"targets": SparseTargets(Y[:, None], torch.ones(3, 2))}, "sparse targets have shapes (3, 1) and (3, 2), expected both (3, m), m >= 1"),
    ({"targets": SparseTargets(Y[:, None].int(), torch.ones(3, 1))}, "sparse target classes are int32, expected int64"),
    ({"targets": SparseTargets(Y[:, None] + 1, torch.ones(3, 1))}, "sparse target classes hold 1 value(s) outside 0..3, the first at (2, 0): 4"),
    ({"targets": SparseTargets(Y[:, None] * 0 - 100, torch.ones(3, 1))}, "sparse targets give padding a probability, at (0, 0): 1"),
    ({"features": X * NAN}, "features has 6 non-finite value(s), the first at (0, 0): nan"),
    ({"weight": W / 0}, "weight has 8 non-finite value(s), the first at (0, 0): inf"),
    ({"sample_weight": torch.tensor([1.0, -2.0, 1.0])}, "sample_weight has 1 negative value(s), the first at 1: -2"),
    ({"sample_weight": torch.ones(4)}, "sample_weight has shape (4,), expected (3,) as features have 3 rows"),
    ({"sample_weight": torch.ones(3).requires_grad_()}, "sample_weight requires a gradient, and none is computed for it: pass sample_weight.detach()"),
    ({"class_prior": torch.ones(3)}, "class_prior has shape (3,), expected (4,) as weight has 4 classes"),
    ({"class_prior": torch.full((4,), 0.25)}, "class_prior sums to 1 and looks like probabilities; it is added to the logits: pass class_prior.log()"),
    ({"margin": 0.2}, "margin is 0.2 without normalize=True; a margin is taken off a cosine"),
    ({"margin": -0.2, "normalize": True}, "margin is -0.2, expected a finite number >= 0"),
    ({"margin": 0.2, "normalize": True, "targets": SOFT}, "margin is 0.2 with probabilities as targets; a margin needs one class per row"),
    ({"label_smoothing": 1.0}, "label_smoothing is 1.0, expected at least 0 and below 1"),
    ({"z_regularization": INF}, "z_regularization is inf, expected a finite number >= 0"),
    ({"normalize": "yes"}, "normalize is 'yes', expected True or False"),
    ({"reduction": "average"}, "reduction is 'average', expected one of mean, sum, none"),
    ({"ignore_index": 1.5}, "ignore_index is 1.5, expected an integer"),
    ({"path": "gpu"}, "path is 'gpu', expected one of auto, triton, cpu, reference"),
]  # fmt: skip

SCORES: list[tuple[dict[str, Any], str]] = [
    ({"top_m": 5}, "top_m is 5, expected 0 to 4 (of 4 classes)"),
    ({"top_m": True}, "top_m is True, expected 0 to 4 (of 4 classes)"),
    ({"normalize": 1}, "normalize is 1, expected True or False"),
    ({"top_m": -1}, "top_m is -1, expected 0 to 4 (of 4 classes)"),
    ({"features": X.long()}, "features is int64, expected float64, float32, bfloat16 or float16"),
    ({"features": X * NAN}, "features has 6 non-finite value(s), the first at (0, 0): nan"),
    ({"scale": -1.0}, "scale is -1.0, expected a finite number above 0"),
    ({"scale": torch.tensor(0.0)}, "scale is 0, expected a finite number above 0"),
    ({"weight": torch.ones(4, 5)}, "features (3, 2) and weight (4, 5) differ in their second size, 2 against 5"),
]  # fmt: skip


def message_of(call: Callable[..., object], arguments: dict[str, Any]) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        call(**arguments)
    return str(caught.value)


@pytest.mark.parametrize(("change", "words"), LOSS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_loss_refuses(change: dict[str, Any], words: str) -> None:
    message = message_of(linear_cross_entropy, {"features": X, "weight": W, "targets": Y} | change)
    assert message.removeprefix("linear_cross_entropy: ") == words


@pytest.mark.parametrize(
    ("change", "words"), SCORES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_scoring_refuses(change: dict[str, Any], words: str) -> None:
    message = message_of(score_classes, {"features": X, "weight": W} | change)
    assert message.removeprefix("score_classes: ") == words


def test_all_mistakes_come_in_one_message() -> None:
    message = message_of(
        linear_cross_entropy,
        {
            "features": X,
            "weight": W,
            "targets": Y[:2],
            "bias": torch.ones(3),
            "margin": 0.1,
            "reduction": "x",
        },
    )
    for words in ("bias has shape (3,)", "margin is 0.1 without", "reduction is 'x'"):
        assert words in message, message


def test_values_are_not_looked_at_when_told() -> None:
    loss = linear_cross_entropy(X * NAN, W, Y, check_values=False)
    assert loss.isnan()


def test_a_large_finite_input_is_not_mistaken_for_an_infinite_one() -> None:
    """The quick sum of 1e38 four times overflows; the entries are finite."""
    loss = linear_cross_entropy(torch.full((2, 2), 1e38), torch.zeros(4, 2), Y[:2])
    assert loss.item() == pytest.approx(1.3862944)


@pytest.mark.parametrize("path", ["cpu", "reference"])
def test_finite_inputs_whose_logits_overflow_are_refused_in_words(path: str) -> None:
    x, w = torch.full((2, 2), 1e30), torch.tensor([[1e30, 1.0], [0.0, 1.0]])
    if path == "reference":
        x, w = x.double() * 1e170, w.double() * 1e170
    tail = r"the logits overflow in \d of \d result\(s\): entries of features reach"
    with pytest.raises(ValueError, match=tail):
        linear_cross_entropy(x, w, Y[:2] * 0, path=path)
    with pytest.raises(ValueError, match=tail):
        score_classes(x, w, path=path)
    assert score_classes(x, w, path=path, check_values=False).top1.isnan().all()


@pytest.mark.parametrize("outside", [4, 900, -3])
def test_a_class_outside_that_nobody_looked_for_makes_the_loss_nan(outside: int) -> None:
    y = torch.tensor([0, outside, 3])
    weight = W.clone().requires_grad_()
    rows = linear_cross_entropy(X, weight, y, reduction="none", check_values=False)
    assert rows.isnan().tolist() == [False, True, False]
    assert linear_cross_entropy(X, W, y, check_values=False).isnan()
    sparse = SparseTargets(y[:, None], torch.ones(3, 1))
    assert linear_cross_entropy(X, W, sparse, reduction="none", check_values=False).isnan().tolist() == [
        False,
        True,
        False,
    ]


def test_a_path_that_cannot_run_says_why() -> None:
    with pytest.raises(ValueError, match=r"float64 was given|not installed"):
        which_path("cpu", torch.float64, "triton")
