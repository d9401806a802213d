"""Images from outside: decoded once with limits, so that what is in a pool can be shown."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from plumbline_backend.importers.convert import Misfit

MAX_PIXELS = 100_000_000
"""A 10,000 x 10,000 image; decoded as RGB it takes 300 MB, the most an import may hold for one item."""

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


class ImageRefusedError(ValueError):
    """An image that cannot be decoded; the message completes "expected ..."."""


def check_images(images: pa.Array) -> Mapping[int, Misfit]:
    """What is wrong, by row; a missing image is fine."""
    bad: dict[int, Misfit] = {}
    for i, cell in enumerate(images):
        data = cell.as_py()
        if data is None:
            continue
        try:
            check_image(data)
        except ImageRefusedError as refused:
            bad[i] = Misfit(str(refused), f"{len(data)} bytes")
    return bad


def check_image(data: bytes) -> None:
    """Decode at the lowest resolution the format offers. Raises ImageRefusedError."""
    image = _open(data)
    try:
        image.draft("RGB", (64, 64))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageRefusedError(
            f"a whole image; this {image.format} is truncated or damaged ({error})"
        ) from error


def decode(data: bytes) -> Image.Image:
    """The first frame, upright by its EXIF orientation, as 8-bit "L" or "RGB" over white."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ImageOps.exif_transpose(_open(data))
    return _eight_bit(image)


def view(data: bytes) -> tuple[bytes, str]:
    """(bytes, mime) that every browser shows: PNG and JPEG as they are, anything else as PNG."""
    image = _open(data)
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        return data, "image/jpeg"
    if image.format == "PNG" and not getattr(image, "is_animated", False):
        return data, "image/png"
    out = io.BytesIO()
    decode(data).save(out, "PNG")
    return out.getvalue(), "image/png"


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageRefusedError("an image, not an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageRefusedError(f"an image of at most {MAX_PIXELS:,} pixels ({error})") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRefusedError(f"an image in one of the formats {', '.join(FORMATS)}") from error
    if image.width * image.height > MAX_PIXELS:
        raise ImageRefusedError(
            f"an image of at most {MAX_PIXELS:,} pixels, not {image.width:,} x {image.height:,}"
        )
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit greys keep their upper 8 bits; wider ones are stretched from their minimum to their maximum."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        span = values.max() - values.min()
        scaled = (values - values.min()) * (255.0 / span) if span > 0 else np.zeros_like(values)
        return Image.fromarray(np.round(scaled).astype(np.uint8))
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("LA", "RGBA", "PA") or (image.mode == "P" and "transparency" in image.info):
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        flat = Image.alpha_composite(white, over)
        return flat.convert("L" if image.mode == "LA" else "RGB")
    return image.convert("RGB")
