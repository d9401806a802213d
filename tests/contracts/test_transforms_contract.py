"""What every transform in the registry keeps, on a column of its own kind."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from plumbline_backend.pool.transforms.embedding import EmbeddingTransform
from plumbline_backend.registry import TRANSFORMS

N = 40


class Encoder:
    """Stands for a sentence-transformers model: three numbers from a text's letters."""

    def get_embedding_dimension(self) -> int:
        return 3

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        counts = np.array([[1 + t.count("a"), t.count("e"), len(t)] for t in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def png(level: int) -> bytes:
    out = BytesIO()
    pixels = np.full((6, 6), level, np.uint8)
    pixels[:3] //= 2
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


COLUMNS: dict[str, pa.Array] = {
    "numeric": pa.array([None if i % 9 == 0 else i * 1.5 - 3 for i in range(N)]),
    "category": pa.array([["red", "blue", None, "green"][i % 4] for i in range(N)]),
    "text": pa.array([None if i % 9 == 0 else f"word{i % 5} and word{i % 3}, again" for i in range(N)]),
    "image": pa.array([None if i % 9 == 0 else png(6 * i) for i in range(N)], pa.binary()),
    "embedding": pa.array([None if i % 9 == 0 else "ae" * (i % 7) + "x" for i in range(N)]),
}


@pytest.fixture(params=TRANSFORMS.names())
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(EmbeddingTransform, "_loaded", lambda _: Encoder())
    return str(request.param)


def fitted(name: str, seed: int = 0) -> Any:
    return TRANSFORMS.get(name)().fit([COLUMNS[name]], ["c"], np.random.default_rng(seed))


def test_it_is_called_what_the_registry_calls_it_and_has_a_column_here(name: str) -> None:
    assert TRANSFORMS.get(name).name == name
    assert name in COLUMNS


def test_features_are_finite_float32_with_a_name_each(name: str) -> None:
    transform = fitted(name)
    block = transform.apply([COLUMNS[name]])
    assert block.dtype == np.float32
    assert block.shape == (N, len(transform.feature_names))
    assert np.isfinite(block).all()
    assert block.std(axis=0).max() > 0
    assert len(set(transform.feature_names)) == len(transform.feature_names)


def test_the_same_seed_gives_the_same_features(name: str) -> None:
    assert np.array_equal(fitted(name).apply([COLUMNS[name]]), fitted(name).apply([COLUMNS[name]]))


def test_an_item_has_its_features_whoever_stands_beside_it(name: str) -> None:
    transform, column = fitted(name), COLUMNS[name]
    whole = transform.apply([column])
    for i in (0, 1, N - 1):
        np.testing.assert_allclose(transform.apply([column.slice(i, 1)])[0], whole[i], rtol=1e-5, atol=1e-5)


def test_no_items_have_no_features_of_the_right_width(name: str) -> None:
    transform = fitted(name)
    assert transform.apply([COLUMNS[name].slice(0, 0)]).shape == (0, len(transform.feature_names))


def test_what_is_unknown_or_missing_has_features_too(name: str) -> None:
    transform = fitted(name)
    kind = COLUMNS[name].type
    assert np.isfinite(transform.apply([pa.array([None, None], kind)])).all()


def test_its_state_is_json_and_plain_arrays_and_makes_it_again(name: str) -> None:
    transform = fitted(name)
    state, arrays = transform.to_state()
    assert all(array.dtype.kind in "fiub" for array in arrays.values())
    again = TRANSFORMS.get(name).from_state(json.loads(json.dumps(state)), arrays)
    assert again.feature_names == transform.feature_names
    np.testing.assert_array_equal(again.apply([COLUMNS[name]]), transform.apply([COLUMNS[name]]))


def test_a_sample_without_anything_gives_no_failure(name: str) -> None:
    """One item, or only missing values: no features, or finite ones."""
    for column in (COLUMNS[name].slice(1, 1), pa.array([None, None], COLUMNS[name].type)):
        transform = TRANSFORMS.get(name)().fit([column], ["c"], np.random.default_rng(0))
        if transform.feature_names:
            assert np.isfinite(transform.apply([COLUMNS[name]])).all()
