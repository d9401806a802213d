"""Refusals: everything wrong with a call, gathered into one ValueError that shows the numbers.

Shapes, types, devices and ranges of plain numbers are checked by the functions up to `constant_problems`,
without reading a tensor. What is inside the tensors is checked by `value_problems`, once per call, before
any kernel starts; on a GPU that waits for the device, and `check_values=False` leaves it out.

Policy for non-finite input: NaN and infinities in features, weight, bias, scale, class prior, sample weights
or target probabilities are refused; nothing is replaced or skipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
SUM_TOLERANCE = 1e-3  # rows of probabilities kept in half precision sum to 1 this well for m up to about 100
REDUCTIONS = ("mean", "sum", "none")


def refuse(problems: Iterable[str], call: str) -> None:
    """Raise one ValueError that lists the problems, if there are any."""
    found = list(problems)
    if found:
        raise ValueError(f"{call}: " + "; ".join(found))


def matrix_problems(features: Any, weight: Any) -> list[str]:
    """Whether features and weight are matrices at all; nothing else can be judged before."""
    found = []
    for name, value in (("features", features), ("weight", weight)):
        if not isinstance(value, Tensor):
            found.append(f"{name} is a {type(value).__name__}, expected a tensor")
        elif value.dtype not in FLOATS:
            found.append(f"{name} is {_dtype(value)}, expected float64, float32, bfloat16 or float16")
        elif value.dim() != 2:
            found.append(f"{name} has shape {_shape(value)}, expected two dimensions")
    return found


def head_problems(features: Tensor, weight: Tensor, bias: Any, scale: Any) -> list[str]:
    """What is wrong with what makes the logits, judged without reading it."""
    found = []
    if features.shape[1] != weight.shape[1]:
        found.append(
            f"features {_shape(features)} and weight {_shape(weight)} differ in their second size, "
            f"{features.shape[1]} against {weight.shape[1]}"
        )
    if features.dtype != weight.dtype:
        found.append(f"features are {_dtype(features)} and weight is {_dtype(weight)}, expected one type")
    if weight.shape[0] == 0:
        found.append(f"weight has shape {_shape(weight)}, expected at least one class")
    if bias is not None:
        found += _vector_problems("bias", bias, weight.shape[0], "weight has {} classes")
    if isinstance(scale, Tensor):
        if scale.dim() != 0 or scale.dtype not in FLOATS:
            found.append(
                f"scale is {_dtype(scale)} of shape {_shape(scale)}, expected a floating 0-dim tensor"
            )
    elif not _is_number(scale) or not 0 < scale < math.inf:
        found.append(f"scale is {scale!r}, expected a finite number above 0")
    return found + _device_problems(features, {"weight": weight, "bias": bias, "scale": scale})


def target_problems(features: Tensor, weight: Tensor, targets: Any, sparse: bool) -> list[str]:
    """What is wrong with the shape and type of the targets."""
    n, k = features.shape[0], weight.shape[0]
    if sparse:
        index, proba = targets
        if not isinstance(index, Tensor) or not isinstance(proba, Tensor):
            return ["sparse targets hold something else than two tensors (classes, probability)"]
        found = []
        if index.dim() != 2 or index.shape != proba.shape or index.shape[0] != n or index.shape[1] == 0:
            found.append(
                f"sparse targets have shapes {_shape(index)} and {_shape(proba)}, expected both ({n}, m), m >= 1"
            )
        if index.dtype != torch.int64:
            found.append(f"sparse target classes are {_dtype(index)}, expected int64")
        if proba.dtype not in FLOATS:
            found.append(f"sparse target probabilities are {_dtype(proba)}, expected a floating type")
        return found + _device_problems(features, {"index": index, "probability": proba})
    if not isinstance(targets, Tensor):
        return [f"targets are a {type(targets).__name__}, expected a tensor or SparseTargets"]
    found = []
    if targets.dtype in FLOATS:
        if tuple(targets.shape) != (n, k):
            found.append(f"target probabilities have shape {_shape(targets)}, expected ({n}, {k})")
    elif targets.dtype != torch.int64:
        found.append(f"targets are {_dtype(targets)}, expected int64 classes or floating probabilities")
    elif tuple(targets.shape) != (n,):
        found.append(f"targets have shape {_shape(targets)}, expected ({n},) as features have {n} rows")
    return found + _device_problems(features, {"targets": targets})


def option_problems(
    hard: bool,
    normalize: Any,
    margin: Any,
    label_smoothing: Any,
    z_regularization: Any,
    reduction: Any,
    ignore_index: Any,
) -> list[str]:
    """What is wrong with the plain numbers and choices."""
    found = []
    if not isinstance(normalize, bool):
        found.append(f"normalize is {normalize!r}, expected True or False")
    if not _is_number(margin) or not 0 <= margin < math.inf:
        found.append(f"margin is {margin!r}, expected a finite number >= 0")
    elif margin and not normalize:
        found.append(f"margin is {margin} without normalize=True; a margin is taken off a cosine")
    elif margin and not hard:
        found.append(f"margin is {margin} with probabilities as targets; a margin needs one class per row")
    if not _is_number(label_smoothing) or not 0 <= label_smoothing < 1:
        found.append(f"label_smoothing is {label_smoothing!r}, expected at least 0 and below 1")
    if not _is_number(z_regularization) or not 0 <= z_regularization < math.inf:
        found.append(f"z_regularization is {z_regularization!r}, expected a finite number >= 0")
    if reduction not in REDUCTIONS:
        found.append(f"reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}")
    if not isinstance(ignore_index, int) or isinstance(ignore_index, bool):
        found.append(f"ignore_index is {ignore_index!r}, expected an integer")
    return found


def constant_problems(features: Tensor, weight: Tensor, class_prior: Any, sample_weight: Any) -> list[str]:
    """What is wrong with the vectors that are held constant."""
    found = []
    if class_prior is not None:
        found += _vector_problems("class_prior", class_prior, weight.shape[0], "weight has {} classes")
    if sample_weight is not None:
        found += _vector_problems("sample_weight", sample_weight, features.shape[0], "features have {} rows")
    for name, value in (("class_prior", class_prior), ("sample_weight", sample_weight)):
        if isinstance(value, Tensor) and value.requires_grad:
            found.append(f"{name} requires a gradient, and none is computed for it: pass {name}.detach()")
    return found + _device_problems(features, {"class_prior": class_prior, "sample_weight": sample_weight})


def finite_problems(**tensors: Tensor | None) -> list[str]:
    """Name each tensor that holds NaN or an infinity, with how many and the first place."""
    found = []
    for name, value in tensors.items():
        if value is None or value.numel() == 0 or _surely_finite(value):
            continue
        bad = (~torch.isfinite(value)).nonzero()
        if len(bad):
            place = tuple(bad[0].tolist())
            at = f" at {place}" if place else ""
            found.append(f"{name} has {len(bad)} non-finite value(s), the first{at}: {value[place].item()}")
    return found


def overflow_problems(result: Tensor, features: Tensor, weight: Tensor, scale: Tensor) -> list[str]:
    """Finite inputs whose logits are not: how many rows of the result tell, and how long the vectors are."""
    if result.numel() == 0 or _surely_finite(result):
        return []
    bad = int((~torch.isfinite(result)).sum())
    if not bad:
        return []
    longest = [float(part.detach().abs().amax()) for part in (features, weight)]
    return [
        f"the logits overflow in {bad} of {result.numel()} result(s): entries of features reach {longest[0]:.3g}, "
        f"of weight {longest[1]:.3g}, scale is {float(scale):.3g}, "
        f"and sums above {torch.finfo(torch.float32).max:.3g} have no value"
    ]


def target_value_problems(
    hard: Tensor | None, index: Tensor | None, proba: Tensor | None, n_classes: int
) -> list[str]:
    """What is wrong inside the targets. Ignored rows and padding are -1 here."""
    found = []
    for name, classes in (("targets", hard), ("sparse target classes", index)):
        if classes is not None:
            outside = (classes < -1) | (classes >= n_classes)
            if bool(outside.any()):
                place = tuple(outside.nonzero()[0].tolist())
                found.append(
                    f"{name} hold {int(outside.sum())} value(s) outside 0..{n_classes - 1}, "
                    f"the first at {place}: {undo_shift(int(classes[place]))}"
                )
    return found if proba is None else found + _probability_problems(index, proba)


def scale_value_problems(scale: Tensor) -> list[str]:
    """A scale tensor that is not above 0."""
    value = float(scale)
    return [] if value > 0 else [f"scale is {value:g}, expected a finite number above 0"]


def weight_value_problems(class_prior: Tensor | None, sample_weight: Tensor | None) -> list[str]:
    """Negative sample weights, and a class prior that is a distribution where its logarithm belongs."""
    found = []
    if sample_weight is not None and bool((sample_weight < 0).any()):
        place = int((sample_weight < 0).nonzero()[0])
        n_bad = int((sample_weight < 0).sum())
        found.append(
            f"sample_weight has {n_bad} negative value(s), the first at {place}: {sample_weight[place].item():g}"
        )
    if class_prior is not None and len(class_prior) > 1 and bool((class_prior >= 0).all()):
        total = float(class_prior.sum(dtype=torch.float64))
        if abs(total - 1.0) < 1e-6:
            found.append(
                f"class_prior sums to {total:g} and looks like probabilities; it is added to the logits: "
                "pass class_prior.log()"
            )
    return found


SHIFT = -(2**62)  # moves classes that were out of range below -1 past any index that could be meant


def undo_shift(value: int) -> int:
    """The class as the caller wrote it; see `shift_ignored`."""
    return value - SHIFT if value < SHIFT // 2 else value


def shift_ignored(classes: Tensor, ignore_index: int) -> Tensor:
    """The classes with `ignore_index` as -1, and any other negative class kept out of range."""
    kept = torch.where(classes < 0, classes + SHIFT, classes)
    return torch.where(classes == ignore_index, -1, kept)


def _probability_problems(index: Tensor | None, proba: Tensor) -> list[str]:
    found = finite_problems(**{"target probabilities": proba})
    if found:
        return found
    if bool((proba < 0).any()):
        place = tuple((proba < 0).nonzero()[0].tolist())
        found.append(f"target probabilities are negative, the first at {place}: {proba[place].item():g}")
    sums = proba.sum(1, dtype=torch.float64)
    counted = torch.ones_like(sums, dtype=torch.bool)
    if index is not None:
        stray = (index < 0) & (proba != 0)
        if bool(stray.any()):
            place = tuple(stray.nonzero()[0].tolist())
            found.append(f"sparse targets give padding a probability, at {place}: {proba[place].item():g}")
        counted = (index >= 0).any(1)
    off = counted & ((sums - 1.0).abs() > SUM_TOLERANCE)
    if bool(off.any()):
        row = int(off.nonzero()[0])
        found.append(
            f"target probabilities do not sum to 1 in {int(off.sum())} row(s), the first is row {row}: "
            f"{sums[row].item():.6g}"
        )
    return found


def _surely_finite(value: Tensor) -> bool:
    """A finite sum proves finite entries at the price of one read; a sum may overflow, so False proves nothing."""
    return bool(torch.isfinite(value.sum(dtype=torch.float32 if value.dtype != torch.float64 else None)))


def _vector_problems(name: str, value: Any, size: int, why: str) -> list[str]:
    if not isinstance(value, Tensor):
        return [f"{name} is a {type(value).__name__}, expected a tensor"]
    if value.dtype not in FLOATS:
        return [f"{name} is {_dtype(value)}, expected a floating type"]
    if tuple(value.shape) != (size,):
        return [f"{name} has shape {_shape(value)}, expected ({size},) as {why.format(size)}"]
    return []


def _device_problems(features: Tensor, others: dict[str, Any]) -> list[str]:
    return [
        f"{name} is on {value.device} and features on {features.device}, expected one device"
        for name, value in others.items()
        if isinstance(value, Tensor) and value.device != features.device
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))
