"""What lies in the export folder, that it is whole, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from exporting_pools import Fitted, columns_of, fit
from safetensors import safe_open

from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.domain.types import Interval
from plumbline_backend.exporters.classifier.blocks import make_blocks
from plumbline_backend.exporters.classifier.bundle import TransformState
from plumbline_backend.exporters.classifier.card import figure, plain
from plumbline_backend.exporters.classifier.export import export_classifier
from plumbline_backend.exporters.classifier.onnx_head import build_model, input_name
from plumbline_backend.heads.program import affine, last

FILES = ["estimator.skops", "manifest.json", "model.onnx", "model_card.md", "predict.py", "requirements.txt",
         "weights.safetensors"]  # fmt: skip


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit([("numeric", ["height"]), ("category", ["colour"]), ("text", ["text"])], columns_of(200))


@pytest.fixture(scope="module")
def folder(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_classifier(fitted.bundle, tmp_path_factory.mktemp("exports") / "model")


def test_the_manifest_lists_every_other_file_with_its_sum(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert sorted(manifest["files"]) == [name for name in FILES if name != "manifest.json"]
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert manifest["data_hash"] == "ab" * 32
    assert [each["id"] for each in manifest["classes"]] == ["c0", "c1", "c2"]
    assert [path.name for path in folder.parent.iterdir()] == ["model"], "no unfinished folder stays behind"


def test_onnx_inputs_are_the_columns_and_outputs_are_named(folder: Path) -> None:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("height", "tensor(float)", ["N", 1]),
        ("colour", "tensor(string)", ["N", 1]),
        ("text", "tensor(string)", ["N", 1]),
    ]
    assert [(o.name, o.type, o.shape) for o in session.get_outputs()] == [
        ("class_id", "tensor(string)", ["N"]),
        ("probabilities", "tensor(float)", ["N", 3]),
    ]


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("height", "height"),
        ("__proto__", "__proto__"),
        ('a "quoted", column', 'a "quoted", column'),
        ("class_id", "input:class_id"),
        ("probabilities", "input:probabilities"),
        ("", "input:"),
        ("plumbline/1", "input:plumbline/1"),
        ("input:class_id", "input:input:class_id"),
    ],
)
def test_columns_that_onnx_could_not_have_get_another_name(column: str, name: str) -> None:
    assert input_name(column) == name


@pytest.mark.parametrize("column", ["class_id", "plumbline/1", "__proto__", "ü, \"'\n", "input:x"])
def test_any_column_name_works(column: str) -> None:
    values = columns_of(60)["height"]
    fitted = fit([("numeric", [column])], {column: values})
    model = build_model(fitted.bundle, make_blocks(fitted.bundle.transforms))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    numbers = values.to_numpy().astype(np.float32).reshape(-1, 1)
    (proba,) = session.run(["probabilities"], {input_name(column): numbers})
    np.testing.assert_allclose(proba, fitted.proba({column: values}), rtol=0, atol=1e-5)


def test_safetensors_hold_the_head_and_the_transforms(folder: Path, fitted: Fitted) -> None:
    with safe_open(folder / "weights.safetensors", framework="np") as file:
        np.testing.assert_array_equal(file.get_tensor("weight"), last(fitted.bundle.program).weight)
        np.testing.assert_array_equal(file.get_tensor("bias"), last(fitted.bundle.program).bias)
        assert file.get_tensor("temperature").tolist() == [1.7]
        np.testing.assert_array_equal(
            file.get_tensor("transform.2.components"), fitted.bundle.transforms[2].arrays["components"]
        )
        assert json.loads(file.metadata()["class_ids"]) == ["c0", "c1", "c2"]
        kinds = [each["kind"] for each in json.loads(file.metadata()["transforms"])]
        assert kinds == ["numeric", "category", "text"]


def test_the_card_says_what_it_must(folder: Path) -> None:
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    for line in [
        "license: other # choose one for your data and model; see Licence below",
        "# Sky \\*survey\\*: Which object?",
        f"- SHA-256 of the pool's data files: `{'ab' * 32}`",
        "- Trained on 120 labelled items; measured on 14 others",
        "| `c0` | galaxy | 70 | first \\| second |",
        "| uniform random stream (never trained on) | 14 |",
        "| Accuracy | 0.857 (0.600 to 0.960, n = 14) |",
        "| Expected calibration error | not known yet (n = 0) |",
        "| galaxy | 0.900 (0.600 to 0.980, n = 10) |",
        "Logits are divided by the temperature 1.7 before the softmax. Fitted on 14 items of the stream.",
        "| 0.800 | 0.750 (0.300 to 0.950, n = 4) |",
        "Answers by state: 134 answered, 3 skipped.",
        "| `height` | numeric | `float32 [N, 1]` |",
        "Plumbline 0.1.0, model version 4, trained 2026-11-20 09:30 UTC;",
        "## Licence",
    ]:
        assert line in card
    assert re.search(r"<(script|img)", card) is None, "text from outside is shown, never run"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Interval(0.5, 0.25, 0.75, 8), "0.500 (0.250 to 0.750, n = 8)"),
        (Interval(float("nan"), float("nan"), float("nan"), 0), "not known yet (n = 0)"),
        (Interval(0.5, float("nan"), float("nan"), 1), "0.500 (no interval, n = 1)"),
    ],
)
def test_a_figure_is_never_without_its_n(value: Interval, shown: str) -> None:
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[x](javascript:y)\n# <b>&amp;", "\\[x\\](javascript:y) # &lt;b&gt;\\&amp;"),
        ("# title", "\\# title"),
        ("- item", "\\- item"),
        ("a|b `c` *d* _e_ \\", "a\\|b \\`c\\` \\*d\\* \\_e\\_ \\\\"),
        ("scikit-learn, 1+1=2.", "scikit-learn, 1+1=2."),
    ],
)
def test_markdown_from_outside_is_plain_text(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_an_existing_folder_is_never_overwritten(folder: Path, fitted: Fitted) -> None:
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(ConflictError, match="already exists; choose another place"):
        export_classifier(fitted.bundle, folder)
    assert (folder / "manifest.json").read_bytes() == before


def test_a_failure_leaves_no_folder(tmp_path: Path, fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("plumbline_backend.exporters.classifier.export.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export_classifier(fitted.bundle, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_everything_that_does_not_fit_is_named_at_once(fitted: Fitted) -> None:
    with pytest.raises(InputError) as caught:
        replace(fitted.bundle, classes=fitted.bundle.classes[:1], temperature=0.0)
    assert str(caught.value) == (
        "the classifier cannot be exported: 1 classes; expected at least 2; 3 logits; expected 1, one for each class; "
        "temperature 0.0; expected a finite number above 0"
    )


def test_a_head_of_another_width_is_refused(fitted: Fitted, tmp_path: Path) -> None:
    d = fitted.bundle.width
    narrow = replace(fitted.bundle, width=d - 1)
    with pytest.raises(InputError, match=f"the head reads {d - 1} features; its transforms give {d}"):
        export_classifier(narrow, tmp_path / "model")


def test_transforms_that_cannot_be_exported_are_refused() -> None:
    with pytest.raises(InputError, match="transform 'numerc' cannot be exported; did you mean 'numeric'"):
        make_blocks([TransformState("numerc", ("a",), {}, {})])
    twice = TransformState("category", ("a",), {"mode": "one_hot", "values": ["x"], "n_buckets": 64}, {})
    with pytest.raises(InputError, match="column 'a' goes through two transforms"):
        make_blocks([twice, twice])


def test_an_embedding_stays_outside_and_the_card_says_so(fitted: Fitted, tmp_path: Path) -> None:
    """The model then takes the vectors: with identity weights, the softmax of the vector over 1.7."""
    state = TransformState("embedding", ("text",), {"column": "text", "model": "some/model", "d": 3}, {})
    bundle = replace(fitted.bundle, transforms=(state,), program=(affine(np.eye(3)),), width=3)
    folder = export_classifier(bundle, tmp_path / "model")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    vectors = np.array([[1.7, 0, 0], [0, 0, 3.4]], dtype=np.float32)
    ids, proba = session.run(None, {"text": vectors})
    assert ids.tolist() == ["c0", "c2"]
    e = np.e
    np.testing.assert_allclose(
        proba,
        [[e / (e + 2), 1 / (e + 2), 1 / (e + 2)], [1 / (e * e + 2), 1 / (e * e + 2), e * e / (e * e + 2)]],
        1e-6,
    )
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert "**the embedding is not inside the exported model.**" in card
    assert "`some/model`" in card
