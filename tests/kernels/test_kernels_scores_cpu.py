"""Scores on the CPU against a sort of all probabilities, at any cut of rows and classes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import poisoned_memory, problem, whole_numbers

from plumbline_kernels import ClassScores, cpu_scores, score_classes


@pytest.fixture(params=["whole", "cut"])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All classes at once, or one class of four rows at a time."""
    if request.param == "cut":
        monkeypatch.setattr(cpu_scores, "ROWS", 4)
        monkeypatch.setattr(cpu_scores, "CHUNK_MIB", 0)


def assert_same(found: ClassScores, truth: ClassScores, tolerance: float) -> None:
    assert torch.equal(found.argmax, truth.argmax)
    for name in ("top1", "top2", "entropy", "logsumexp", "topm_values"):
        value, wanted = getattr(found, name), getattr(truth, name)
        if wanted is not None:
            torch.testing.assert_close(
                value.double(), wanted.double(), rtol=tolerance, atol=tolerance, msg=name
            )
    if truth.topm_index is not None:
        assert torch.equal(found.topm_index, truth.topm_index)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "options", [{}, {"bias": True, "scale": 2.0}, {"normalize": True, "scale": 20.0, "bias": True}], ids=str
)
@pytest.mark.parametrize("k", [1, 2, 17])
def test_agrees_with_a_sort(k: int, options: dict[str, object], dtype: torch.dtype) -> None:
    case = problem(11, 5, k, dtype, **options)
    call = {"bias": case.bias, "scale": case.scale, "normalize": options.get("normalize", False)}
    with poisoned_memory():
        found = score_classes(case.features, case.weight, **call, top_m=min(k, 4), path="cpu")
    truth = score_classes(case.features, case.weight, **call, top_m=min(k, 4), path="reference")
    assert found.top1.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_same(found, truth, 1e-12 if dtype == torch.float64 else 2e-5)


def test_by_hand() -> None:
    """Logits (ln 1, ln 2, ln 5): probabilities 1/8, 2/8, 5/8; H = 3 ln 2 - (2 ln 2 + 5 ln 5) / 8; lse ln 8."""
    bias = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64).log()
    zero = torch.zeros(1, 2, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.float64)
    found = score_classes(*zero, bias=bias, top_m=3)
    assert found.argmax.tolist() == [2]
    assert found.top1.item() == pytest.approx(5 / 8)
    assert found.top2.item() == pytest.approx(2 / 8)
    entropy = 3 * math.log(2) - (2 * math.log(2) + 5 * math.log(5)) / 8
    assert found.entropy.item() == pytest.approx(entropy)
    assert found.logsumexp.item() == pytest.approx(math.log(8))
    assert found.topm_index.tolist() == [[2, 1, 0]]
    assert found.topm_values.tolist()[0] == pytest.approx([5 / 8, 2 / 8, 1 / 8])


def test_one_class_has_no_second() -> None:
    found = score_classes(torch.ones(2, 3), torch.ones(1, 3))
    assert (found.top1.tolist(), found.top2.tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert found.entropy.tolist() == [0.0, 0.0]
    assert found.topm_values is None


@pytest.mark.usefixtures("cut")
def test_ties_go_to_the_lowest_class() -> None:
    weight = torch.zeros(30, 2)
    weight[[29, 15, 1]] = 3.0
    found = score_classes(torch.ones(6, 2), weight, top_m=3)
    assert found.argmax.tolist() == [1] * 6
    assert found.topm_index.tolist() == [[1, 15, 29]] * 6
    assert torch.equal(found.top1, found.top2)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits(size: float) -> None:
    bias = torch.where(torch.arange(30) % 7 == 3, size, 0.0)
    case = whole_numbers(problem(9, 3, 30))
    found = score_classes(case.features, case.weight, bias=bias)
    assert_same(found, score_classes(case.features, case.weight, bias=bias, path="reference"), 1e-5)
    assert all(torch.isfinite(part).all() for part in found if part is not None)


def test_certainty_and_ignorance() -> None:
    sure = score_classes(torch.ones(1, 1), torch.tensor([[500.0], [0.0], [0.0]]))
    assert (sure.top1.item(), sure.entropy.item()) == (1.0, 0.0)
    unsure = score_classes(torch.ones(1, 1), torch.zeros(1000, 1))
    assert unsure.entropy.item() == pytest.approx(math.log(1000), rel=1e-5)


def test_no_items() -> None:
    found = score_classes(torch.zeros(0, 3), torch.ones(4, 3), top_m=2)
    assert [tuple(part.shape) for part in found] == [(0,)] * 5 + [(0, 2)] * 2


@given(st.integers(0, 30), st.integers(1, 40), st.integers(1, 60), st.integers(1, 6), st.integers(0, 2**20))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_shape(n: int, d: int, k: int, m: int, seed: int) -> None:
    case = problem(n, d, k, torch.float64, seed=seed, bias=True)
    call = {"bias": case.bias, "top_m": min(m, k)}
    found = score_classes(case.features, case.weight, **call)
    assert_same(found, score_classes(case.features, case.weight, **call, path="reference"), 1e-11)
    assert (found.top1 >= found.top2).all()
    assert (found.entropy <= math.log(k) + 1e-9).all()


def test_inputs_are_left_alone_and_need_no_gradient() -> None:
    case = problem(7, 4, 6)
    before = case.features.clone(), case.weight.clone()
    found = score_classes(case.features, case.weight.requires_grad_(), normalize=True, scale=3.0)
    assert torch.equal(before[0], case.features)
    assert torch.equal(before[1], case.weight.detach())
    assert not found.top1.requires_grad
