"""Fused loss and one-pass scoring for linear and cosine classification heads.

Needs torch; uses triton where it is installed and a GPU is at hand.
"""

from plumbline_kernels.dispatch import PathChoice, explain, which_path
from plumbline_kernels.loss import linear_cross_entropy
from plumbline_kernels.problem import SparseTargets
from plumbline_kernels.scores import ClassScores, score_classes

__all__ = [
    "ClassScores",
    "PathChoice",
    "SparseTargets",
    "explain",
    "linear_cross_entropy",
    "score_classes",
    "which_path",
]
