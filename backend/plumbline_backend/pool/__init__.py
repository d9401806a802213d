"""Items and features on disk: build a pool from a file, open it, search it, turn its columns into features."""

from __future__ import annotations

from plumbline_backend.pool.build import PoolSummary, build_pool, with_roles
from plumbline_backend.pool.features import (
    FeaturePart,
    FeatureSpec,
    FittedFeatures,
    default_spec,
    fit_features,
    load_features,
)
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.pool.pool import Pool
from plumbline_backend.pool.search import Between, Contains, Missing, OneOf, Page

__all__ = [
    "Between",
    "Contains",
    "FeatureMatrix",
    "FeaturePart",
    "FeatureSpec",
    "FittedFeatures",
    "Missing",
    "OneOf",
    "Page",
    "Pool",
    "PoolSummary",
    "build_pool",
    "default_spec",
    "fit_features",
    "load_features",
    "with_roles",
]
