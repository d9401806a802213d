"""The operators under torch.compile, autocast and PyTorch's own operator checks."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import problem
from torch import Tensor

from plumbline_kernels import linear_cross_entropy, ops, score_classes


def arguments(n: int = 6, k: int = 5) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
    case = problem(n, 3, k, bias=True)
    inputs = (case.features, case.weight, case.bias, case.scale)
    rest = (None, case.targets, None, None, False, [0.0, 0.1, 0.0], "cpu", False, True)
    return tuple(part.clone().requires_grad_() for part in inputs), rest


CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")


def test_operators_pass_pytorchs_checks() -> None:
    inputs, rest = arguments()
    weight = torch.full((6,), 1 / 6)
    wanted = [True, True, True, True]
    torch.library.opcheck(ops.row_losses, (*inputs, *rest), test_utils=CHECKS)
    torch.library.opcheck(ops.total_with_gradients, (*inputs, *rest, weight, wanted), test_utils=CHECKS)
    frozen = tuple(part.detach() for part in inputs)
    lse = torch.zeros(6)
    torch.library.opcheck(ops.row_gradients, (*frozen, *rest, weight, lse, lse, wanted), test_utils=CHECKS)
    torch.library.opcheck(ops.scores, (*frozen, True, 2, "cpu"), test_utils=CHECKS)


def test_gradients_are_contiguous_whatever_the_strides_of_the_inputs() -> None:
    """What the fake kernels promise; a compiler lays memory out by it."""
    inputs, rest = arguments()
    turned = tuple(
        part.detach().T.contiguous().T.requires_grad_() if part.dim() == 2 else part for part in inputs
    )
    assert not turned[0].is_contiguous()
    weight, wanted = torch.full((6,), 1 / 6), [True, True, True, True]
    torch.library.opcheck(ops.total_with_gradients, (*turned, *rest, weight, wanted), test_utils=CHECKS)
    torch.library.opcheck(ops.row_losses, (*turned, *rest), test_utils=CHECKS)
    lse = torch.zeros(6)
    frozen = tuple(part.detach() for part in turned)
    torch.library.opcheck(ops.row_gradients, (*frozen, *rest, weight, lse, lse, wanted), test_utils=CHECKS)


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_compiles_into_one_graph_with_the_same_gradients(reduction: str) -> None:
    case = problem(12, 4, 7, bias=True)

    def step(x: Tensor, w: Tensor, targets: Tensor) -> Tensor:
        loss = linear_cross_entropy(2.0 * x, w, targets, label_smoothing=0.1, reduction=reduction)
        return (loss * 3.0).sum()

    results = []
    for run in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        x, w = case.features.clone().requires_grad_(), case.weight.clone().requires_grad_()
        loss = run(x, w, case.targets)
        loss.backward()
        results.append((loss.detach(), x.grad, w.grad))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.slow
def test_scores_compile_with_changing_sizes() -> None:
    @torch.compile(fullgraph=True, backend="aot_eager", dynamic=True)
    def uncertain(x: Tensor, w: Tensor) -> Tensor:
        found = score_classes(x, w, top_m=2)
        return found.top1 - found.top2 + found.entropy

    for n in (5, 9):
        case = problem(n, 4, 7)
        found = score_classes(case.features, case.weight)
        torch.testing.assert_close(
            uncertain(case.features, case.weight), found.top1 - found.top2 + found.entropy
        )


def test_autocast_takes_the_matrices_in_its_type_and_returns_float32() -> None:
    case = problem(20, 8, 6)
    x, w = case.features.requires_grad_(), case.weight.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(x, w, case.targets)
        found = score_classes(x, w)
    loss.backward()
    expected = linear_cross_entropy(x.bfloat16(), w.bfloat16(), case.targets)
    assert loss.dtype == found.top1.dtype == torch.float32
    assert loss.item() == expected.item()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


def test_autocast_leaves_float64_alone() -> None:
    case = problem(20, 8, 6, torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(case.features, case.weight, case.targets)
    assert loss.item() == linear_cross_entropy(case.features, case.weight, case.targets).item()


def test_no_gradient_is_computed_where_none_is_wanted() -> None:
    case = problem(5, 3, 4)
    with torch.no_grad():
        loss = linear_cross_entropy(case.features, case.weight.requires_grad_(), case.targets)
    assert not loss.requires_grad
