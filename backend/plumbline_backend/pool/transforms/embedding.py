"""Sentence embeddings by a model of the sentence-transformers library (the extra `text`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.importers.convert import to_text
from plumbline_backend.pool.transforms.base import Block

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
BATCH_TEXTS = 64
NOT_INSTALLED = (
    "embedding features need sentence-transformers, which is not installed; "
    "install it with: pip install 'plumbline[text]'"
)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_installed() -> bool:
    """Whether this machine can make sentence embeddings."""
    return find_spec("sentence_transformers") is not None


def found_model(model: str) -> str:
    """The model as it is to be stored: a folder by its whole path, a name on the hub as it is.

    Raises InputError without the extra, and for what is neither; a name's model is looked for when it is loaded.
    """
    if not is_installed():
        raise InputError(NOT_INSTALLED)
    folder = Path(model).expanduser()
    if model.strip() and folder.is_dir():
        if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
            raise InputError(
                f"embedding model {model!r} has neither modules.json nor config.json; "
                "expected the folder of a sentence-transformers model"
            )
        return str(folder.resolve())
    if not _HUB_NAME.fullmatch(model):
        raise InputError(
            f"embedding model {model!r} is no folder here; "
            f"expected the folder of a sentence-transformers model or its name on the hub, as {DEFAULT_MODEL}"
        )
    return model


class EmbeddingTransform:
    """out = unit-length embedding * sqrt(d); one text column, missing values as "".

    Not inside an ONNX export: an exported classifier takes the (n, d) float32 features of this transform as its
    input, and the model's folder goes along beside it.

    State (JSON): column (name), model (folder or hub name), d (int). No arrays.
    """

    name = "embedding"

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        self.model = model
        self.column_ = ""
        self.d_ = 0
        self._encoder: Any = None

    def fit(self, columns: Sequence[pa.Array], names: Sequence[str], rng: np.random.Generator) -> Self:
        """Load the model and ask for its width. Raises InputError without the extra or the model."""
        del rng, columns
        self.column_ = names[0]
        self.d_ = int(self._loaded().get_embedding_dimension())
        return self

    def apply(self, columns: Sequence[pa.Array]) -> Block:
        """(n, d) float32, finite."""
        texts = pc.fill_null(to_text(columns[0]).array, "").to_pylist()
        if not texts:
            return np.zeros((0, self.d_), dtype=np.float32)
        unit = self._loaded().encode(
            texts,
            batch_size=BATCH_TEXTS,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.nan_to_num(np.asarray(unit, dtype=np.float32) * np.float32(np.sqrt(self.d_)))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """ "COLUMN embedding 1", ..."""
        return tuple(f"{self.column_} embedding {i + 1}" for i in range(self.d_))

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See the class."""
        return {"column": self.column_, "model": self.model, "d": self.d_}, {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See the class."""
        del arrays
        made = cls(model=state["model"])
        made.column_, made.d_ = state["column"], int(state["d"])
        return made

    def _loaded(self) -> Any:
        if self._encoder is None:
            if not is_installed():
                raise InputError(NOT_INSTALLED)
            from sentence_transformers import SentenceTransformer

            try:
                self._encoder = SentenceTransformer(self.model, device="cpu")
            except (OSError, ValueError) as error:
                raise InputError(
                    f"embedding model {self.model!r} cannot be loaded; expected the folder of a "
                    f"sentence-transformers model or its name on the hub ({str(error).splitlines()[0]})"
                ) from error
        return self._encoder
