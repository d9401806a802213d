"""The scoring kernels, run by the interpreter, against a sort of all probabilities in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_close, outcome, poisoned_memory, problem, whole_numbers

from plumbline_kernels import ClassScores, score_classes

SHAPES = {
    "few": (70, 37, 5),
    "many": (130, 19, 140),
    "split": (3, 21, 700),
    "one": (1, 1, 1),
    "none": (0, 4, 3),
}


def assert_same(found: ClassScores, truth: ClassScores, tolerance: float) -> None:
    assert torch.equal(found.argmax, truth.argmax)
    for name in ("top1", "top2", "entropy", "logsumexp"):
        value, wanted = getattr(found, name).double(), getattr(truth, name).double()
        torch.testing.assert_close(value, wanted, rtol=tolerance, atol=tolerance, msg=name)
    if truth.topm_values is not None:
        assert torch.equal(found.topm_index, truth.topm_index)
        torch.testing.assert_close(
            found.topm_values.double(), truth.topm_values.double(), rtol=10 * tolerance, atol=tolerance
        )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options", [{}, {"bias": True, "scale": 2.0}, {"normalize": True, "scale": 20.0, "bias": True}], ids=str
)
def test_agrees_with_a_sort(shape: str, options: dict[str, object]) -> None:
    n, d, k = SHAPES[shape]
    case = problem(n, d, k, **options)
    call = {"bias": case.bias, "scale": case.scale, "normalize": options.get("normalize", False)}
    with poisoned_memory():
        found = score_classes(case.features, case.weight, **call, top_m=min(k, 4), path="triton")
    call["bias"] = None if case.bias is None else case.bias.double()
    truth = score_classes(
        case.features.double(), case.weight.double(), **call, top_m=min(k, 4), path="reference"
    )
    assert_same(found, truth, 3e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    case = problem(33, 20, 300, dtype)
    found = score_classes(case.features, case.weight, path="triton")
    truth = score_classes(case.features.double(), case.weight.double(), path="reference")
    assert_same(found, truth, 1e-4)


@pytest.mark.parametrize("k", [6, 300])
def test_ties_go_to_the_lowest_class_across_tiles_and_splits(k: int) -> None:
    weight = torch.zeros(k, 2)
    weight[[k - 1, k // 2, 1]] = 3.0
    found = score_classes(torch.ones(2, 2), weight, top_m=3, path="triton")
    assert found.argmax.tolist() == [1, 1]
    assert found.topm_index.tolist() == [[1, k // 2, k - 1]] * 2
    torch.testing.assert_close(found.top1, found.top2)


def test_more_ties_than_places_keep_the_lowest_classes() -> None:
    found = score_classes(torch.ones(1, 2), torch.zeros(300, 2), top_m=5, path="triton")
    assert found.topm_index.tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits(size: float) -> None:
    bias = torch.where(torch.arange(300) % 7 == 3, size, 0.0)
    case = whole_numbers(problem(5, 3, 300))
    found = score_classes(case.features, case.weight, bias=bias, path="triton")
    assert_same(found, score_classes(case.features, case.weight, bias=bias, path="reference"), 2e-5)


@given(st.integers(0, 20), st.integers(1, 70), st.integers(1, 200), st.integers(0, 2**20))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_any_shape(n: int, d: int, k: int, seed: int) -> None:
    case = problem(n, d, k, seed=seed, normalize=True, scale=5.0, bias=True)
    call = {"bias": case.bias, "scale": case.scale, "normalize": True}
    found = score_classes(case.features, case.weight, **call, path="triton")
    assert_same(found, score_classes(case.features, case.weight, **call, path="reference"), 3e-5)
    assert_close(outcome(case, "triton"), outcome(case, "reference", torch.float64), 1e-5)
