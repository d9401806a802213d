"""The loss's Triton kernels, run by the interpreter, against the float64 reference."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import OPTIONS, assert_close, outcome, poisoned_memory, problem, whole_numbers
from torch.nn.functional import cross_entropy, linear

from plumbline_kernels import linear_cross_entropy, tiles, triton_path
from plumbline_kernels.problem import Wanted

# few: one tile has all classes; many: tiles, several of each; split: the classes are divided among programs
SHAPES = {"few": (70, 37, 5), "many": (130, 19, 140), "split": (3, 21, 700)}


def test_the_shapes_reach_every_regime() -> None:
    for which, (n, _, k) in SHAPES.items():
        assert tiles.regime(n, k) == which
    assert tiles.splits(3, 700, tiles.TABLE["stats", "split", "single"][0], 4)[0] > 1


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_float32_agrees_with_the_reference(shape: str, name: str) -> None:
    given = problem(*SHAPES[shape], **OPTIONS[name])
    with poisoned_memory():
        found = outcome(given, "triton")
    assert_close(found, outcome(given, "reference", torch.float64), 5e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_half_precision_is_no_worse_than_native(shape: str, dtype: torch.dtype) -> None:
    n, d, k = SHAPES[shape]
    given = problem(n, d, k, dtype, seed=3)
    truth = outcome(given, "reference", torch.float64)
    found = outcome(given, "triton")
    x, w = (part.clone().requires_grad_() for part in (given.features, given.weight))
    native = cross_entropy(linear(x, w), given.targets)
    native.backward()
    native_values = {"loss": native, "features": x.grad, "weight": w.grad}
    for name, value in native_values.items():
        native_error = (value.detach().double() - truth[name]).abs().max()
        allowed = native_error + torch.finfo(dtype).eps * truth[name].abs().max()
        assert (found[name] - truth[name]).abs().max() <= allowed, name


@pytest.mark.parametrize("shape", SHAPES)
def test_frozen_parts_get_no_gradient_and_the_others_do(shape: str) -> None:
    given = problem(*SHAPES[shape], bias=True)
    truth = outcome(given, "reference", torch.float64)
    for name in ("features", "weight", "bias"):
        leaves = {"features": given.features, "weight": given.weight, "bias": given.bias}
        leaves = {key: value.clone().requires_grad_(key == name) for key, value in leaves.items()}
        loss = linear_cross_entropy(
            leaves["features"], leaves["weight"], given.targets, bias=leaves["bias"], path="triton"
        )
        loss.backward()
        torch.testing.assert_close(leaves[name].grad.double(), truth[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["cosine, margin", "everything"])
def test_atomic_sums_agree_too(shape: str, name: str) -> None:
    given = problem(*SHAPES[shape], **OPTIONS[name])
    found = outcome(given, "triton", deterministic=False)
    assert_close(found, outcome(given, "reference", torch.float64), 5e-6)


def test_the_same_call_gives_the_same_bits() -> None:
    given = problem(40, 9, 300, normalize=True, scale=9.0, bias=True)
    first, second = outcome(given, "triton"), outcome(given, "triton")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_rows_and_classes_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_path, "CHUNK_ROWS", 48)
    monkeypatch.setattr(triton_path, "CHUNK_MIB", 1 / 64)
    assert triton_path.chunk_shape(100, 300, 4) == (48, 128)
    given = problem(100, 17, 300, **OPTIONS["everything"])
    assert_close(outcome(given, "triton"), outcome(given, "reference", torch.float64), 5e-6)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 129])
def test_the_smallest_shapes(n: int, k: int) -> None:
    given = problem(n, 3, k, **OPTIONS["everything"])
    assert_close(outcome(given, "triton"), outcome(given, "reference", torch.float64), 5e-6)


@pytest.mark.parametrize("k", [5, 200])
def test_all_rows_ignored(k: int) -> None:
    given = problem(4, 6, k, bias=True)
    given.targets = torch.full((4,), -100)
    found = outcome(given, "triton")
    assert all(not value.any() for value in found.values())


@pytest.mark.parametrize("k", [7, 300])
def test_strided_inputs(k: int) -> None:
    given = problem(20, 12, k, bias=True)
    truth = outcome(given, "reference", torch.float64)
    given.features = given.features.repeat_interleave(2, dim=1)[:, ::2]
    given.weight = given.weight.T.contiguous().T
    assert not given.features.is_contiguous()
    assert not given.weight.is_contiguous()
    assert_close(outcome(given, "triton"), truth, 5e-6)


@pytest.mark.parametrize("k", [6, 400])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits(k: int, size: float) -> None:
    given = whole_numbers(problem(9, 4, k, bias=True))
    given.bias = torch.where(torch.arange(k) % 2 == 0, size, 0.0)
    assert_close(outcome(given, "triton"), outcome(given, "reference", torch.float64), 5e-6)


def test_vectors_without_a_direction() -> None:
    given = problem(8, 5, 200, normalize=True, scale=7.0)
    given.features[2] = 0.0
    given.weight[11] = 0.0
    found = outcome(given, "triton")
    assert_close(found, outcome(given, "reference", torch.float64), 5e-6)
    assert not found["features"][2].any()
    assert not found["weight"][11].any()


def test_gradient_filtering_stays_within_its_bound() -> None:
    """Only every third row's class lies near its features: whole blocks of the softmax are below 2^-12."""
    n, k = 96, 512
    weight = torch.nn.functional.one_hot(torch.arange(k) % 64, 64).float() * 8
    targets = torch.arange(n) % 64
    features = weight[targets] + 0.01 * torch.randn(n, 64, generator=torch.Generator().manual_seed(0))
    bias = torch.where(torch.arange(k) < 64, 0.0, -60.0)
    results = {}
    for filtered in (False, True):
        x, w = (part.bfloat16().requires_grad_() for part in (features, weight))
        linear_cross_entropy(
            x, w, targets, bias=bias, reduction="sum", filter_gradients=filtered, path="triton"
        ).backward()
        results[filtered] = (x.grad.float(), w.grad.float())
    threshold = triton_path.filter_threshold(torch.bfloat16)
    by_x, by_w = ((a - b).abs() for a, b in zip(results[True], results[False], strict=True))
    rounding = 2.0**-7 * results[False][1].abs().max()
    assert (by_x <= threshold * weight.abs().sum(0) + rounding).all()
    assert (by_w <= threshold * features.abs().sum(0) + rounding).all()


def test_filtering_passes_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = triton_path.add_product

    def spy(out, dlogits, other, alive, tile, transposed):  # type: ignore[no-untyped-def]
        seen.append(None if alive is None else alive.clone())
        original(out, dlogits, other, alive, tile, transposed)

    monkeypatch.setattr(triton_path, "add_product", spy)
    x, w = torch.ones(40, 8), torch.zeros(400, 8, requires_grad=True)
    bias = torch.where(torch.arange(400) < 30, 0.0, -100.0)
    call = {"bias": bias, "filter_gradients": True, "path": "triton"}
    targets = torch.arange(40) % 30
    linear_cross_entropy(x, w, targets, **call).backward()
    assert seen[-1] is not None
    assert 0 < seen[-1].float().mean() < 1
    linear_cross_entropy(x, w, targets, label_smoothing=0.1, **call).backward()
    assert seen[-1] is None, "label smoothing gives every class a gradient: nothing may be filtered"
    linear_cross_entropy(x, w, targets, sample_weight=torch.ones(40), **call).backward()
    assert seen[-1] is None, "weights may lift what lies below the threshold: nothing may be filtered"


def test_frozen_features_with_few_classes_compute_the_gradient_with_the_loss() -> None:
    from plumbline_kernels.paths import gradients_with_loss

    x, few, many = torch.ones(2, 3), torch.ones(5, 3), torch.ones(500, 3)
    assert gradients_with_loss(x, few, "triton", Wanted(False, True, True, False))
    assert not gradients_with_loss(x, few, "triton", Wanted(True, True, True, False))
    assert not gradients_with_loss(x, many, "triton", Wanted(False, True, True, False))


def test_double_backward_is_refused() -> None:
    given = problem(4, 3, 150)
    x = given.features.requires_grad_()
    loss = linear_cross_entropy(x, given.weight, given.targets, path="triton")
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        grad.sum().backward()


def test_places_past_two_to_the_31_are_read_where_they_are() -> None:
    """Three features of 64 rows, column by column with 2^30 places between; untouched pages cost nothing."""
    n = 64
    far = torch.empty(2**31 + n, dtype=torch.bfloat16).as_strided((n, 3), (1, 2**30))
    case = problem(n, 3, 130, torch.bfloat16)
    far.copy_(case.features)
    near = linear_cross_entropy(case.features, case.weight, case.targets, path="triton")
    assert linear_cross_entropy(far, case.weight, case.targets, path="triton").item() == near.item()


@pytest.mark.parametrize("k", [5, 140])
def test_labels_that_nobody_checked_read_nothing_outside(k: int) -> None:
    case = problem(7, 6, k)
    targets = case.targets.clone()
    targets[3] = 2**40
    rows = linear_cross_entropy(
        case.features, case.weight, targets, reduction="none", check_values=False, path="triton"
    )
    assert rows.isnan().tolist() == [i == 3 for i in range(7)]
