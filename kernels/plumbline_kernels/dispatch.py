"""Which code computes a call, and why."""

from __future__ import annotations

import os
from importlib.metadata import version
from importlib.util import find_spec
from typing import Literal, NamedTuple

import torch

Path = Literal["auto", "triton", "cpu", "reference"]
PATHS: tuple[str, ...] = ("auto", "triton", "cpu", "reference")
_TRITON = version("triton") if find_spec("triton") is not None else ""
MIN_CAPABILITY = (8, 0)  # Ampere: the oldest with bfloat16 matrix units


class PathChoice(NamedTuple):
    """name: "triton", "cpu" or "reference". reason: a clause that says why, for people."""

    name: str
    reason: str


def which_path(device: torch.device | str, dtype: torch.dtype, requested: str = "auto") -> PathChoice:
    """The path that a call with tensors of this device and type takes.

    Raises ValueError for an unknown name, and for "triton" where it cannot run.
    """
    if requested not in PATHS:
        raise ValueError(f"path is {requested!r}, expected one of {', '.join(PATHS)}")
    device = torch.device(device)
    obstacle = triton_obstacle(device, dtype)
    if requested == "triton" and obstacle:
        raise ValueError(f"path='triton' cannot run here: {obstacle}")
    if requested != "auto":
        return PathChoice(requested, "asked for")
    if device.type == "cpu":
        return PathChoice("cpu", "the tensors are on the CPU")
    if obstacle:
        return PathChoice("cpu", f"chunked PyTorch on {device}, as {obstacle}")
    return PathChoice("triton", f"{dtype_name(dtype)} on {torch.cuda.get_device_name(device)}")


def triton_obstacle(device: torch.device, dtype: torch.dtype) -> str:
    """Why the Triton kernels cannot take such a call; "" when they can."""
    if not triton_version():
        return "triton is not installed (pip install 'plumbline[gpu]')"
    if dtype == torch.float64:
        return "the Triton kernels accumulate in float32 and float64 was given"
    if device.type == "cpu":
        return "" if interpreter_is_on() else "the tensors are on the CPU and TRITON_INTERPRET is not set"
    if device.type != "cuda" or torch.version.hip is not None:
        return f"{device.type} is not an NVIDIA GPU"
    capability = torch.cuda.get_device_capability(device)
    if capability < MIN_CAPABILITY:
        return f"compute capability {capability[0]}.{capability[1]} is below 8.0"
    return ""


def explain(device: torch.device | str | None = None) -> str:
    """One sentence for `plumbline doctor`: what the kernels run on here, and why.

    device: by default the first GPU, or the CPU where there is none.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    choice = which_path(device, torch.float32)
    parts = [f"path {choice.name}: {choice.reason}", f"torch {torch.__version__}"]
    parts.append(f"triton {triton_version()}" if triton_version() else "no triton")
    if torch.device(device).type == "cpu":
        parts.append(f"{torch.get_num_threads()} threads")
    return ", ".join(parts)


def triton_version() -> str:
    """The version of the installed Triton, or "" when there is none; nothing is imported."""
    return _TRITON


def interpreter_is_on() -> bool:
    """Whether Triton's interpreter runs the kernels; decided by TRITON_INTERPRET when Triton is imported."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y")


def dtype_name(dtype: torch.dtype) -> str:
    """float32 rather than torch.float32."""
    return str(dtype).removeprefix("torch.")
