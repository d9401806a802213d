"""Demo pools that need no download: scikit-learn's digits, wine and breast cancer data."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import Column
from plumbline_backend.importers import ProblemLog, SourceBatch
from plumbline_backend.pool.build import PoolSummary, Progress, write_pool
from plumbline_backend.pool.features import fit_features
from plumbline_backend.pool.pool import Pool


class Demo(NamedTuple):
    """A demo's title, the question it asks and how to answer it, where it is from, its columns with their values."""

    title: str
    question: str
    guidelines: str
    source: str
    licence: str
    load: Callable[[], tuple[tuple[Column, ...], pa.RecordBatch]]


def demo_names() -> tuple[str, ...]:
    """The demos there are."""
    return tuple(DEMOS)


def demo_named(name: str) -> Demo:
    """The demo called `name`. Raises InputError with the nearest name."""
    if name not in DEMOS:
        raise InputError(f"demo {name!r} does not exist; {did_you_mean(name, DEMOS)}")
    return DEMOS[name]


def build_demo(name: str, folder: str | Path, progress: Progress | None = None) -> PoolSummary:
    """Write a demo pool with its default features to `folder`.

    Raises InputError for an unknown name, ConflictError when there is something at `folder`.
    """
    demo = demo_named(name)
    columns, batch = demo.load()

    def read(log: ProblemLog) -> Iterator[SourceBatch]:
        log.note(f"{demo.source} ({demo.licence})")
        yield SourceBatch(batch, np.arange(1, batch.num_rows + 1, dtype=np.int64), 1.0)

    about = {"demo": name, "title": demo.title, "source": demo.source, "licence": demo.licence}
    summary = write_pool(name, read, Path(folder), columns, about, progress=progress)
    fit_features(Pool.open(folder), progress=progress)
    return summary


def _digits() -> tuple[tuple[Column, ...], pa.RecordBatch]:
    from sklearn import datasets  # a second to import, and only these need it

    data = datasets.load_digits()
    pixels = np.round(data.images * (255 / 16)).astype(np.uint8)
    columns = (
        Column("key", "string", "id", "made for the demo"),
        Column("image", "binary", "image", "8 x 8 pixels, 16 grey levels"),
        Column("digit", "string", "label", "the digit that was to be written"),
    )
    arrays = [
        pa.array([f"digit-{i:04d}" for i in range(len(pixels))]),
        pa.array([_png(image) for image in pixels], pa.binary()),
        pa.array([str(target) for target in data.target]),
    ]
    return columns, pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns])


def _wine() -> tuple[tuple[Column, ...], pa.RecordBatch]:
    from sklearn import datasets

    return _table(datasets.load_wine(), "wine", "cultivar", "class")


def _breast_cancer() -> tuple[tuple[Column, ...], pa.RecordBatch]:
    from sklearn import datasets

    return _table(datasets.load_breast_cancer(), "patient", "diagnosis", "")


def _table(data: Any, item: str, label: str, prefix: str) -> tuple[tuple[Column, ...], pa.RecordBatch]:
    names = [str(name) for name in data.feature_names]
    targets = [str(data.target_names[t]).removeprefix(f"{prefix}_") for t in data.target]
    keys = [f"{item}-{i:03d}" for i in range(len(targets))]
    columns = (
        Column("key", "string", "id", "made for the demo"),
        *(Column(name, "double", "numeric", "measured") for name in names),
        Column(label, "string", "label", "known answer"),
    )
    arrays = [pa.array(keys), *(pa.array(np.ascontiguousarray(c)) for c in data.data.T), pa.array(targets)]
    return columns, pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns])


def _png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


_UCI_LICENCE = "CC BY 4.0"

DEMOS: dict[str, Demo] = {
    "digits": Demo(
        "Handwritten digits",
        "Which digit is this?",
        "Choose the digit that the writer meant, even where it is written badly. Each picture is 8 by 8 pixels, so "
        "step back from the screen when in doubt; press u when you still cannot tell.",
        "Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI; test part, with scikit-learn",
        _UCI_LICENCE,
        _digits,
    ),
    "wine": Demo(
        "Wine",
        "Which cultivar is this wine from?",
        "Three cultivars from one region of Italy, told apart by chemistry alone. Put proline, flavanoids and colour "
        "intensity on the plots: cultivar 0 is high in proline, cultivar 2 low in flavanoids.",
        "Aeberhard and Forina 1992, Wine, UCI; with scikit-learn",
        _UCI_LICENCE,
        _wine,
    ),
    "breast_cancer": Demo(
        "Breast cancer",
        "Is this tumour malignant or benign?",
        "Each row describes the cell nuclei of one sample. Malignant nuclei are larger and more irregular: look at the "
        "worst radius and the worst concave points, and at where the item lies in the plots.",
        "Wolberg, Mangasarian, Street and Street 1993, Breast Cancer Wisconsin (Diagnostic), UCI; with scikit-learn",
        _UCI_LICENCE,
        _breast_cancer,
    ),
}
