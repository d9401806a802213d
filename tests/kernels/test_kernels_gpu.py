"""The Triton path on a real GPU: right beside float64, deterministic, small, and quick enough to be worth it."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import OPTIONS, Problem, assert_close, outcome, problem

from plumbline_kernels import SparseTargets, linear_cross_entropy, score_classes, which_path

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


def on_gpu(case: Problem) -> Problem:
    case.features, case.weight, case.scale = (
        part.cuda() for part in (case.features, case.weight, case.scale)
    )
    case.bias = None if case.bias is None else case.bias.cuda()
    sparse = isinstance(case.targets, SparseTargets)
    case.targets = SparseTargets(*(part.cuda() for part in case.targets)) if sparse else case.targets.cuda()
    case.keywords = {
        name: value.cuda() if isinstance(value, torch.Tensor) else value
        for name, value in case.keywords.items()
    }
    return case


SHAPES = {"few": (3000, 384, 10), "many": (4096, 200, 1500), "split": (20, 65, 30_000), "one": (1, 1, 1)}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_float32_agrees_with_float64(shape: str, name: str) -> None:
    case = on_gpu(problem(*SHAPES[shape], **OPTIONS[name]))
    assert which_path("cuda", torch.float32).name == "triton"
    assert_close(outcome(case, "triton"), outcome(case, "reference", torch.float64), 5e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_half_precision_is_close_to_float64(shape: str, dtype: torch.dtype) -> None:
    case = on_gpu(problem(*SHAPES[shape], dtype, scale=0.1))
    eps = torch.finfo(dtype).eps
    assert_close(outcome(case, "triton"), outcome(case, "reference", torch.float64), 2 * eps)


def test_the_same_bits_every_time() -> None:
    case = on_gpu(problem(4096, 200, 1500, torch.bfloat16, normalize=True, scale=10.0, bias=True))
    first, second = outcome(case, "triton"), outcome(case, "triton")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_agree_with_a_sort(shape: str) -> None:
    n, d, k = SHAPES[shape]
    case = on_gpu(problem(n, d, k, scale=0.2))
    m = min(5, k)
    found = score_classes(case.features, case.weight, scale=case.scale, top_m=m)
    truth = score_classes(
        case.features.double(), case.weight.double(), scale=case.scale.double(), top_m=m, path="reference"
    )
    for name in ("top1", "top2", "entropy", "logsumexp"):
        torch.testing.assert_close(
            getattr(found, name).double(), getattr(truth, name), rtol=1e-4, atol=1e-5, msg=name
        )
    assert (found.argmax == truth.argmax).float().mean() > 0.999


def test_no_matrix_of_rows_by_classes_is_ever_held() -> None:
    """(16384, 64, 200000) has 6.1 GiB of bfloat16 logits."""
    x = torch.randn(16384, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    w = torch.randn(200_000, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    targets = torch.randint(0, 200_000, (16384,), device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    linear_cross_entropy(x, w, targets).backward()
    score_classes(x.detach(), w.detach())
    assert torch.cuda.max_memory_allocated() - before < 600 * 2**20


def test_a_captured_graph_replays() -> None:
    case = on_gpu(problem(4096, 128, 100, torch.bfloat16))
    w = case.weight.requires_grad_()

    def step() -> torch.Tensor:
        loss = linear_cross_entropy(case.features, w, case.targets, check_values=False)
        (grad,) = torch.autograd.grad(loss, w)
        return grad

    expected = step()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, expected)
