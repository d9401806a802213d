"""The export folder: model, estimator, weights, card, script and a manifest, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import save_file

from plumbline_backend.exporters.atomic import folder_written_whole
from plumbline_backend.exporters.classifier.blocks import Block, make_blocks
from plumbline_backend.exporters.classifier.bundle import ClassifierBundle
from plumbline_backend.exporters.classifier.card import model_card
from plumbline_backend.exporters.classifier.embedding_block import EmbeddingBlock
from plumbline_backend.exporters.classifier.onnx_head import build_model, refusal_words
from plumbline_backend.exporters.classifier.sklearn_estimator import (
    BuiltEstimator,
    build_estimator,
    build_refusal,
    save_estimator,
)
from plumbline_backend.heads.program import arrays, described
from plumbline_backend.pool.transforms.embedding import is_installed

MANIFEST_FORMAT = 1
VERSIONS_OF = ("numpy", "onnx", "onnxruntime", "safetensors", "scikit-learn", "skops")
ENCODER_NEEDS = "sentence-transformers"
PREDICT_SCRIPT = Path(__file__).with_name("predict.py")


def export_classifier(bundle: ClassifierBundle, folder: Path) -> Path:
    """Write the classifier to `folder`, which must not exist yet; returns it.

    Raises InputError when the bundle cannot be exported, ConflictError when the folder exists.
    """
    blocks = make_blocks(bundle.transforms)
    encoders = [block for block in blocks if isinstance(block, EmbeddingBlock)]
    model = build_model(bundle, blocks)
    built = build_estimator(bundle, blocks)
    with folder_written_whole(folder) as unfinished:
        onnx.save(model, unfinished / "model.onnx")
        trusted = save_estimator(built, unfinished / "estimator.skops")
        if bundle.refusal is not None:
            refusing = build_refusal(bundle.refusal, bundle.width, blocks)
            trusted = sorted({*trusted, *save_estimator(refusing, unfinished / "none_of_these.skops")})
        _save_weights(bundle, unfinished / "weights.safetensors")
        copyfile(PREDICT_SCRIPT, unfinished / "predict.py")
        _write(unfinished / "requirements.txt", requirements(bool(encoders)))
        for block in encoders:
            if block.encoder is not None:
                copytree(block.encoder, unfinished / block.encoder_name, dirs_exist_ok=True)
        limits = [sentence for block in blocks for sentence in block.limits()]
        card = model_card(bundle, _input_lines(blocks), limits, _columns(built), trusted, _versions())
        _write(unfinished / "model_card.md", card)
        manifest = _manifest(bundle, built, trusted, unfinished)
        _write(unfinished / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return folder


def requirements(with_embeddings: bool = False) -> str:
    """requirements.txt: what predict.py needs, and in comments what the other files and embeddings need."""
    found = _versions()
    needed = [f"{name}=={found[name]}" for name in ("onnxruntime", "numpy")]
    extra = [f"{name}=={found[name]}" for name in ("scikit-learn", "skops", "safetensors")]
    return "\n".join(
        [
            "# For predict.py: the versions that the model was checked with; later ones should do.",
            *needed,
            "# For estimator.skops and weights.safetensors, if you use them:",
            *(f"# {line}" for line in extra),
            *(["# To give predict.py texts instead of their embeddings:"] if with_embeddings else []),
            *([f"# {ENCODER_NEEDS}=={version(ENCODER_NEEDS)}"] if with_embeddings and is_installed() else []),
            "",
        ]
    )


def _save_weights(bundle: ClassifierBundle, path: Path) -> None:
    """The head's arrays (weight and bias of its last step), temperature (1,), and the arrays of every transform."""
    learned = arrays(bundle.program)
    tensors = {
        name: np.array(array, order="C") for name, array in learned.items()
    }  # copies: no shared memory
    tensors["temperature"] = np.array([bundle.temperature])
    states = []
    for i, transform in enumerate(bundle.transforms):
        for name, array in transform.arrays.items():
            if array.dtype.kind in "fiub":
                tensors[f"transform.{i}.{name}"] = np.ascontiguousarray(array)
        states.append({"kind": transform.kind, "columns": transform.columns, "state": dict(transform.state)})
    metadata = {
        "format": "plumbline classifier 1",
        "class_ids": json.dumps([each.id for each in bundle.classes]),
        "transforms": json.dumps(states),
        "head": bundle.head,
        "steps": json.dumps(described(bundle.program)),
    }
    save_file(tensors, path, metadata=metadata)


def _manifest(
    bundle: ClassifierBundle, built: BuiltEstimator, trusted: list[str], folder: Path
) -> dict[str, Any]:
    made_by = bundle.provenance
    return {
        "format": MANIFEST_FORMAT,
        "project": made_by.project,
        "question": bundle.question,
        "question_version": bundle.question_version,
        "model_version": made_by.model_version,
        "data_hash": made_by.data_hash,
        "classes": [{"id": each.id, "name": each.name} for each in bundle.classes],
        "classes_above": [
            {"id": each.id, "name": each.name, "of": [bundle.classes[k].id for k in parts]}
            for each, parts in bundle.above
        ],
        "head": bundle.head,
        "link": bundle.link,
        "temperature": bundle.temperature,
        "none_of_these": refusal_words(bundle.refusal),
        "inputs": list(built.inputs),
        "estimator_columns": _columns(built),
        "estimator_trusted_types": trusted,
        "versions": {"plumbline": made_by.plumbline_version, **_versions()},
        "files": {
            str(file.relative_to(folder)): _sha256(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        },
    }


def _columns(built: BuiltEstimator) -> list[dict[str, Any]]:
    return [{"column": each["column"], "places": int(np.prod(each["shape"]))} for each in built.inputs]


def _input_lines(blocks: Sequence[Block]) -> list[tuple[str, str, str]]:
    """Per raw column: its name, its kind, the ONNX type and shape."""
    return [
        (each["column"], each["kind"], f"{each['element']} [N, {', '.join(map(str, each['shape']))}]")
        for block in blocks
        for each in block.inputs()
    ]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS_OF}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
