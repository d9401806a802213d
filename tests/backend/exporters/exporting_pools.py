"""Real fitted transforms under random heads: what a trained model is, for the tests of exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from plumbline_backend.domain.types import Interval, LabelClass
from plumbline_backend.exporters.classifier.bundle import (
    ClassifierBundle,
    Provenance,
    Reliability,
    TransformState,
)
from plumbline_backend.heads.program import Program, affine, run
from plumbline_backend.registry import TRANSFORMS


@dataclass(frozen=True)
class Fitted:
    """Transforms fitted on columns, with a head: what a trained model is."""

    bundle: ClassifierBundle
    transforms: tuple[tuple[Any, tuple[str, ...]], ...]

    def proba(self, columns: Mapping[str, pa.Array]) -> np.ndarray:
        """Plumbline's own probabilities for these columns, (n, K) float64."""
        blocks = [made.apply([columns[name] for name in names]) for made, names in self.transforms]
        features = np.concatenate(blocks, axis=1).astype(np.float64)
        logits = run(self.bundle.program, features) / self.bundle.temperature
        logits -= logits.max(axis=1, keepdims=True)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def fit(
    parts: Sequence[tuple[str, Sequence[str]]], columns: Mapping[str, pa.Array], n_classes: int = 3
) -> Fitted:
    """Transforms (registry name, column names) fitted on the columns, under a random head."""
    rng = np.random.default_rng(5)
    made, states = [], []
    for kind, names in parts:
        transform = TRANSFORMS.get(kind)().fit([columns[n] for n in names], list(names), rng)
        made.append((transform, tuple(names)))
        states.append(TransformState(kind, tuple(names), *transform.to_state()))
    width = sum(len(transform.feature_names) for transform, _ in made)
    weight = rng.normal(size=(n_classes, width)) * min(1.0, 3 / np.sqrt(width))
    return Fitted(make_bundle(tuple(states), weight, rng.normal(size=n_classes)), tuple(made))


def make_bundle(
    states: tuple[TransformState, ...], weight: np.ndarray, bias: np.ndarray, program: Program = ()
) -> ClassifierBundle:
    names = ["galaxy", "star, or =1+1", "<script>alert(1)</script> | `x`", "Q 'quasar'"]
    classes = tuple(
        LabelClass(f"c{i}", names[i % 4], "#000000", description="first | second") for i in range(len(weight))
    )
    provenance = Provenance(
        project="Sky *survey*",
        data_hash="ab" * 32,
        n_items=5000,
        n_train=120,
        n_stream=14,
        label_counts={"c0": 70, "c1": 50},
        asked={"stream": 14, "model": 100, "random": 20},
        n_by_state={"answered": 134, "skipped": 3},
        strategy="margin",
        stream_share=0.1,
        model_version=4,
        ledger_id=137,
        trained_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        plumbline_version="0.1.0",
        source="sky.csv",
    )
    return ClassifierBundle(
        question="Which object?",
        guidelines="Look twice.\n<img src=x onerror=alert(1)>",
        question_version=2,
        classes=classes,
        transforms=states,
        program=program or (affine(weight, bias),),
        width=weight.shape[1],
        temperature=1.7,
        metrics={
            "accuracy": Interval(0.857, 0.6, 0.96, 14),
            "expected calibration error": Interval(float("nan"), 0, 0, 0),
        },
        provenance=provenance,
        per_class={"c0": {"precision": Interval(0.9, 0.6, 0.98, 10)}},
        reliability=(Reliability(0.8, Interval(0.75, 0.3, 0.95, 4)),),
        calibration_note="Fitted on 14 items of the stream.",
    )


def png(pixels: np.ndarray) -> bytes:
    """Pixels (h, w) or (h, w, 3) uint8 as PNG bytes."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


WORDS = ["hello", "world", "the", "of", "star", "galaxy", "red", "blue", "café", "Ünicode", "ÀÉÎ", "àéî", "naïve",
         "привет", "Привет", "中文", "don't", "x"]  # fmt: skip


def columns_of(n: int, seed: int = 0) -> dict[str, pa.Array]:
    """Every kind of column, n rows, with gaps."""
    rng = np.random.default_rng(seed)
    return {
        "height": pa.array(rng.normal(size=n) * 3 + 5),
        'gaps, or "none"': pa.array([None if i % 7 == 0 else float(rng.normal()) for i in range(n)]),
        "constant": pa.array([2.5] * n),
        "count": pa.array(rng.integers(0, 2**53, n)),
        "colour": pa.array([["red", "blue", "=1+1", None, "grün é"][rng.integers(5)] for _ in range(n)]),
        "place": pa.array([f"place {rng.integers(200)} ß" for _ in range(n)]),
        "text": pa.array([" ".join(rng.choice(WORDS, rng.integers(0, 12))) for _ in range(n)]),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=n * 5).astype(np.float32)), 5),
        "grey": pa.array([png(rng.integers(0, 255, (8, 8)).astype(np.uint8)) for _ in range(n)]),
        "photo": pa.array([png(rng.integers(0, 255, (40, 30, 3)).astype(np.uint8)) for _ in range(n)]),
    }


NUMBERS = ("numeric", ["height", 'gaps, or "none"', "constant", "count"])
