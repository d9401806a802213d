"""predict.py reads picture files (where Pillow is installed) exactly as Plumbline does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exporting_pools import columns_of, fit
from PIL import Image

from plumbline_backend.exporters.classifier import predict
from plumbline_backend.exporters.classifier.export import export_classifier
from plumbline_backend.pool.transforms.image import image_tensor

RNG = np.random.default_rng(8)
COLOUR = RNG.integers(0, 255, (50, 40, 3)).astype(np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6

PICTURES = {
    "colour.png": (Image.fromarray(COLOUR), {}),
    "turned.jpg": (Image.fromarray(COLOUR), {"exif": TURNED}),
    "clear.png": (Image.fromarray(RNG.integers(0, 255, (30, 30, 4)).astype(np.uint8)), {}),
    "grey.png": (Image.fromarray(COLOUR[:, :, 0]), {}),
    "sixteen.png": (Image.fromarray(RNG.integers(0, 65535, (20, 20)).astype(np.uint16)), {}),
    "wide.tiff": (Image.fromarray(RNG.normal(size=(20, 20)).astype(np.float32)), {}),
    "palette.gif": (Image.fromarray(COLOUR).quantize(16), {}),
    "cmyk.jpg": (Image.fromarray(COLOUR).convert("CMYK"), {}),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("column", "side", "channels"), [("grey", 16, 1), ("photo", 32, 3)])
def test_the_same_pixels(tmp_path: Path, name: str, column: str, side: int, channels: int) -> None:
    picture, options = PICTURES[name]
    picture.save(tmp_path / name, **options)
    schema = {"shape": [side, side, channels]}
    place = predict.Place(str(tmp_path / "in.csv"), column, 1)
    (pixels,) = predict.CONVERTERS["image"]([name], schema, place)
    np.testing.assert_array_equal(pixels, image_tensor((tmp_path / name).read_bytes(), side, channels))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.png", None, "found 'none.png'; expected a picture file that can be read ("),
        ("empty.png", b"", "found 'empty.png'; expected a picture file that can be read ("),
        ("text.png", b"hello", "found 'text.png'; expected a picture file that can be read ("),
        ("", None, "found ''; expected a picture"),
    ],
)
def test_a_bad_picture_is_named(tmp_path: Path, name: str, content: bytes | None, expected: str) -> None:
    fitted = fit([("image", ["photo"])], columns_of(40))
    classifier = predict.Classifier(export_classifier(fitted.bundle, tmp_path / "model"))
    PICTURES["colour.png"][0].save(tmp_path / "colour.png")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (tmp_path / "in.csv").write_text(f'photo,n\ncolour.png,1\n"{name}",2\n')
    with pytest.raises(predict.InputError) as caught, (tmp_path / "out").open("w") as out:
        predict.write_predictions(classifier, tmp_path / "in.csv", out, [], raw=False)
    assert str(caught.value).startswith(f"{tmp_path / 'in.csv'}, row 2, column 'photo': {expected}")


def test_arrays_of_another_shape_or_type_are_refused() -> None:
    place = predict.Place("a.npy", "photo", 1)
    schema = {"shape": [32, 32, 3]}
    with pytest.raises(
        predict.InputError, match=r"an array of shape \(8, 8\); expected uint8 of shape \(32, 32, 3\)"
    ):
        predict.CONVERTERS["image"](np.zeros((2, 8, 8), np.uint8), schema, place)
    with pytest.raises(
        predict.InputError, match=r"an array of float64; expected uint8 of shape \(32, 32, 3\)"
    ):
        predict.CONVERTERS["image"](np.zeros((2, 32, 32, 3)), schema, place)
