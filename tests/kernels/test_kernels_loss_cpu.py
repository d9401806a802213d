"""The chunked CPU path of the loss: right, bounded in memory, and never in the way of a wrong answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import OPTIONS, Problem, assert_close, outcome, poisoned_memory, problem, whole_numbers
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, normalize

from plumbline_kernels import SparseTargets, cpu_loss, linear_cross_entropy


@pytest.fixture(params=["rows", "rows and classes"])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, cut by rows only or both ways."""
    if request.param == "rows and classes":
        monkeypatch.setattr(cpu_loss, "MAX_CHUNK_MIB", 0)
        monkeypatch.setattr(cpu_loss, "BLOCK_CLASSES", 7)
        monkeypatch.setattr(cpu_loss, "BLOCK_ROWS", 5)
    else:
        monkeypatch.setattr(cpu_loss, "chunk_shape", lambda n, k, _weight: (max(1, min(6, n)), k))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.usefixtures("cut")
def test_agrees_with_the_reference(name: str) -> None:
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 5e-6)):
        case = problem(17, 9, 20, dtype, **OPTIONS[name])
        with poisoned_memory():
            found = outcome(case, "cpu")
        assert_close(found, outcome(case, "reference", torch.float64), tolerance)


@pytest.mark.parametrize("path", ["cpu", "reference"])
@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_pass_gradcheck(path: str, name: str) -> None:
    case = problem(6, 4, 5, torch.float64, **OPTIONS[name])
    bias = torch.zeros(5, dtype=torch.float64) if case.bias is None else case.bias
    leaves = [part.clone().requires_grad_() for part in (case.features, case.weight, bias, case.scale)]

    def loss(x: Tensor, w: Tensor, b: Tensor, s: Tensor) -> Tensor:
        return linear_cross_entropy(x, w, case.targets, bias=b, scale=s, path=path, **case.keywords)

    assert torch.autograd.gradcheck(loss, leaves)


def plain_logits(case: Problem) -> tuple[Tensor, Tensor, Tensor]:
    x, w = case.features.clone().requires_grad_(), case.weight.clone().requires_grad_()
    bias = 0.0 if case.bias is None else case.bias
    return x, w, case.scale * linear(x, w) + bias


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_is_cross_entropy_over_linear(reduction: str, smoothing: float) -> None:
    case = problem(30, 6, 9, torch.float64, bias=True, scale=1.7, ignored=True, reduction=reduction)
    x, w, logits = plain_logits(case)
    truth = cross_entropy(logits, case.targets, reduction=reduction, label_smoothing=smoothing)
    found = linear_cross_entropy(
        x, w, case.targets, bias=case.bias, scale=1.7, reduction=reduction, label_smoothing=smoothing
    )
    torch.testing.assert_close(found, truth)
    for mine, theirs in zip(
        torch.autograd.grad(found.sum(), (x, w)), torch.autograd.grad(truth.sum(), (x, w)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_mean_divides_by_the_weights_of_the_kept_rows() -> None:
    """Losses ln 2 each (two equal logits); weights 1, 3 and an ignored 5: (1 + 3) ln 2 / (1 + 3)."""
    call: dict[str, Any] = {"sample_weight": torch.tensor([1.0, 3.0, 5.0])}
    targets = torch.tensor([0, 1, -100])
    x, w = torch.ones(3, 2), torch.ones(2, 2)
    ln2 = 0.6931472
    assert linear_cross_entropy(x, w, targets, **call).item() == pytest.approx(ln2)
    assert linear_cross_entropy(x, w, targets, reduction="sum", **call).item() == pytest.approx(4 * ln2)
    rows = linear_cross_entropy(x, w, targets, reduction="none", **call)
    assert rows.tolist() == pytest.approx([ln2, 3 * ln2, 0.0])


def test_the_margin_comes_off_the_targets_cosine() -> None:
    """Cosines (1, 0), margin 0.5, scale 2: logits (1, 0), loss ln(1 + e^-1)."""
    found = linear_cross_entropy(
        torch.tensor([[3.0, 0.0]]), torch.eye(2), torch.tensor([0]), normalize=True, scale=2.0, margin=0.5
    )
    assert found.item() == pytest.approx(0.3132617)


def test_the_prior_is_added_to_the_logits() -> None:
    """Equal logits and log prior (ln 0.9, ln 0.1): the loss of class 1 is -ln 0.1."""
    found = linear_cross_entropy(
        torch.zeros(1, 2), torch.ones(2, 2), torch.tensor([1]), class_prior=torch.tensor([0.9, 0.1]).log()
    )
    assert found.item() == pytest.approx(2.3025851)


def test_z_regularization_adds_the_squared_logsumexp() -> None:
    """Logits (0, 0): logsumexp ln 2, loss ln 2 + 0.5 (ln 2)^2."""
    found = linear_cross_entropy(torch.zeros(1, 2), torch.ones(2, 2), torch.tensor([1]), z_regularization=0.5)
    assert found.item() == pytest.approx(0.6931472 + 0.5 * 0.4804530)


def test_sparse_targets_are_the_dense_ones_written_short() -> None:
    case = problem(5, 3, 8, torch.float64)
    classes = torch.tensor([[0, 3], [2, 2], [7, -100], [1, 5], [-100, -100]])
    proba = torch.tensor([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0], [0.9, 0.1], [0.0, 0.0]], dtype=torch.float64)
    dense = torch.zeros(5, 8, dtype=torch.float64).scatter_add_(1, classes.clamp_min(0), proba)
    sparse = linear_cross_entropy(
        case.features, case.weight, SparseTargets(classes, proba), reduction="none", path="cpu"
    )
    full = linear_cross_entropy(case.features[:4], case.weight, dense[:4], reduction="none", path="cpu")
    torch.testing.assert_close(sparse[:4], full)
    assert sparse[4] == 0.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.usefixtures("cut")
def test_half_precision_is_no_worse_than_native(dtype: torch.dtype) -> None:
    case = problem(64, 48, 30, dtype)
    truth = outcome(case, "reference", torch.float64)
    found = outcome(case, "cpu")
    x, w, logits = plain_logits(case)
    native = cross_entropy(logits.to(dtype), case.targets)
    native.backward()
    for name, value in {"loss": native, "features": x.grad, "weight": w.grad}.items():
        native_error = (value.detach().double() - truth[name]).abs().max()
        allowed = native_error + torch.finfo(dtype).eps * truth[name].abs().max()
        assert (found[name] - truth[name]).abs().max() <= allowed, name


@given(
    st.integers(0, 40),
    st.integers(1, 33),
    st.integers(1, 90),
    st.sampled_from(sorted(OPTIONS)),
    st.integers(0, 2**20),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_shape(n: int, d: int, k: int, name: str, seed: int) -> None:
    case = problem(n, d, k, seed=seed, **OPTIONS[name])
    assert_close(outcome(case, "cpu"), outcome(case, "reference", torch.float64), 2e-5)


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.usefixtures("cut")
def test_extreme_logits(size: float) -> None:
    case = whole_numbers(problem(9, 4, 20, bias=True))
    case.bias = torch.where(torch.arange(20) % 2 == 0, size, 0.0)
    assert_close(outcome(case, "cpu"), outcome(case, "reference", torch.float64), 5e-6)


@pytest.mark.usefixtures("cut")
def test_nothing_to_average_is_zero_with_zero_gradients() -> None:
    case = problem(5, 3, 4, bias=True)
    case.targets = torch.full((5,), -100)
    assert all(not value.any() for value in outcome(case, "cpu").values())
    case.targets = torch.zeros(5, dtype=torch.int64)
    case.keywords["sample_weight"] = torch.zeros(5)
    assert all(not value.any() for value in outcome(case, "cpu").values())


def test_vectors_without_a_direction() -> None:
    case = problem(6, 5, 7, normalize=True, scale=7.0)
    case.features[2] = 0.0
    case.weight[3] = 0.0
    found = outcome(case, "cpu")
    assert_close(found, outcome(case, "reference", torch.float64), 5e-6)
    assert not found["features"][2].any()


def test_cosine_is_normalize_then_linear() -> None:
    case = problem(12, 5, 7, torch.float64)
    x, w = case.features.clone().requires_grad_(), case.weight.clone().requires_grad_()
    truth = cross_entropy(9.0 * linear(normalize(x), normalize(w)), case.targets)
    found = linear_cross_entropy(x, w, case.targets, normalize=True, scale=9.0)
    torch.testing.assert_close(found, truth)
    for mine, theirs in zip(
        torch.autograd.grad(found, (x, w)), torch.autograd.grad(truth, (x, w)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.usefixtures("cut")
def test_strided_inputs_and_inputs_left_alone() -> None:
    case = problem(20, 12, 9, bias=True)
    truth = outcome(case, "reference", torch.float64)
    case.features = case.features.repeat_interleave(2, dim=1)[:, ::2]
    case.weight = case.weight.T.contiguous().T
    before = case.features.clone(), case.weight.clone()
    assert_close(outcome(case, "cpu"), truth, 5e-6)
    assert torch.equal(before[0], case.features)
    assert torch.equal(before[1], case.weight)


def test_upstream_factor_and_second_backward() -> None:
    case = problem(8, 3, 4, torch.float64)
    w = case.weight.requires_grad_()
    loss = linear_cross_entropy(case.features, w, case.targets)
    (once,) = torch.autograd.grad(loss, w, retain_graph=True)
    (thrice,) = torch.autograd.grad(3.0 * loss, w)
    torch.testing.assert_close(thrice, 3.0 * once)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_double_backward_is_refused(reduction: str) -> None:
    case = problem(8, 3, 4)
    w = case.weight.requires_grad_()
    loss = linear_cross_entropy(case.features, w, case.targets, reduction=reduction).sum()
    (grad,) = torch.autograd.grad(loss, w, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        grad.sum().backward()


@pytest.mark.parametrize("k", [1, 10, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_chunks_stay_under_the_stated_size(k: int, dtype: torch.dtype) -> None:
    weight = torch.empty(1, dtype=dtype).expand(k, 16)
    rows, classes = cpu_loss.chunk_shape(1_000_000, k, weight)
    size = 8 if dtype == torch.float64 else 4
    assert rows * classes * size <= cpu_loss.MAX_CHUNK_MIB * 2**20
    assert rows >= min(cpu_loss.MIN_ROWS, 1_000_000)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak from Linux's /proc")
def test_a_call_with_many_classes_stays_under_256_mib() -> None:
    """(2048, 16, 60000) has 469 MiB of logits; the peak of the process is read before and after."""
    case = problem(2048, 16, 60_000)
    w = case.weight.requires_grad_()
    linear_cross_entropy(case.features[:4], w, case.targets[:4]).backward()
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_mib()
    linear_cross_entropy(case.features, w, case.targets).backward()
    assert peak_mib() - before < 256


def peak_mib() -> float:
    """The process's largest resident size since it was last reset."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024
