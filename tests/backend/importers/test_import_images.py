"""Folders and zips of images: layouts, damage, and archives that mean harm."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plumbline_backend.domain.errors import ImportRefusedError
from plumbline_backend.importers import inspect_file
from plumbline_backend.pool import Pool, build_pool
from plumbline_backend.pool.image_check import decode

WHERE = "photos, row 1, column 'image': found 'a.png, "


def encoded(
    mode: str = "RGB", size: tuple[int, int] = (40, 30), kind: str = "PNG", **options: object
) -> bytes:
    image = Image.new(mode, size, color=None if mode == "P" else 0)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def huge_png() -> bytes:
    """A PNG whose header says 30,000 x 30,000 and that holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 99)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def folder_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    root = tmp_path / "photos"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def import_path(path: Path, **options: str) -> Pool:
    preview = inspect_file(path)
    build_pool(path, path.parent / "pool", preview.columns, **options)  # type: ignore[arg-type]
    return Pool.open(path.parent / "pool")


def test_a_folder_per_class_is_a_proposed_label(tmp_path):
    png = encoded()
    root = folder_of(tmp_path, {"cat/1.png": png, "cat/2.png": png, "dog/1.png": png, "dog/notes.txt": b"x"})
    preview = inspect_file(root)
    assert [(c.name, c.role, c.reason) for c in preview.columns] == [
        ("path", "id", "where the image lies"),
        ("image", "image", "3 images"),
        ("folder", "label", "one level of 2 folders, read as classes"),
    ]
    assert preview.notes == ("1 files are not images and are left out: dog/notes.txt",)
    pool = import_path(root)
    assert pool.column_values("folder", range(3)) == ["cat", "cat", "dog"]
    assert pool.key(2) == "dog/1.png"
    assert pool.column_values("image", [2]) == [png]
    assert pool.image(2)[1] == "image/png"


def test_a_flat_folder_has_no_label(tmp_path):
    root = folder_of(tmp_path, {"1.png": encoded(), "2.jpg": encoded(kind="JPEG")})
    assert [column.name for column in inspect_file(root).columns] == ["path", "image"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", WHERE + "0 bytes'; expected an image, not an empty file", id="zero bytes"),
        pytest.param(
            b"<svg onload='alert(1)'/>",
            WHERE + "24 bytes'; expected an image in one of the formats PNG, JPEG, GIF, WEBP, BMP, TIFF",
            id="SVG",
        ),
        pytest.param(
            huge_png(),
            "expected an image of at most 100,000,000 pixels",
            id="30,000 x 30,000",
        ),
        pytest.param(
            encoded(kind="JPEG", size=(300, 300), quality=95)[:800],
            "expected a whole image; this JPEG is truncated or damaged",
            id="truncated JPEG",
        ),
        pytest.param(
            encoded(size=(300, 300))[:120],
            "expected a whole image; this PNG is truncated or damaged",
            id="truncated PNG",
        ),
    ],
)
def test_damaged_images_are_named_and_the_rest_is_offered(tmp_path, data, message):
    root = folder_of(tmp_path, {"a.png": data, "b.png": encoded()})
    with pytest.raises(ImportRefusedError) as refused:
        import_path(root)
    assert message in str(refused.value)
    assert str(refused.value).startswith(WHERE)
    assert import_path(root, on_problem="skip").key(0) == "b.png"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded("CMYK", kind="JPEG"), id="CMYK"),
        pytest.param(encoded("I;16"), id="16-bit"),
        pytest.param(encoded("F", kind="TIFF"), id="float TIFF"),
        pytest.param(encoded("P", kind="GIF"), id="palette"),
        pytest.param(encoded("LA"), id="grey with alpha"),
        pytest.param(encoded("RGBA"), id="alpha"),
        pytest.param(encoded("1"), id="one bit"),
        pytest.param(encoded(kind="WEBP"), id="WebP"),
        pytest.param(encoded(kind="BMP"), id="BMP"),
        pytest.param(
            encoded(kind="GIF", save_all=True, append_images=[Image.new("RGB", (40, 30), "red")]),
            id="animated",
        ),
        pytest.param(encoded(kind="PNG", size=(1, 1)), id="one pixel"),
    ],
)
def test_unusual_images_are_shown(tmp_path, data):
    pool = import_path(folder_of(tmp_path, {"wrong.jpg": data}))
    shown, mime = pool.image(0)
    assert mime in ("image/png", "image/jpeg")
    assert Image.open(io.BytesIO(shown)).mode in ("L", "RGB", "RGBA", "LA", "1", "I;16")


def test_an_image_turned_by_exif_is_learned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(size=(40, 30), kind="JPEG", exif=exif)).size == (30, 40)


def test_sixteen_bits_keep_their_upper_half():
    out = io.BytesIO()
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(out, "PNG")
    assert np.asarray(decode(out.getvalue())).tolist() == [[0, 1, 255]]


def zip_of(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_a_zip_with_one_folder_around_the_classes(tmp_path):
    png = encoded()
    files = {"set/cat/1.png": png, "set/dog/1.png": png, "__MACOSX/set/1.png": b"x", "set/.DS_Store": b"x"}
    zip_of(tmp_path / "a.zip", files)
    pool = import_path(tmp_path / "a.zip")
    assert pool.column_values("folder", [0, 1]) == ["cat", "dog"]
    assert pool.columns[2].role == "label"


def test_a_bomb_is_refused(tmp_path):
    zip_of(tmp_path / "a.zip", {"a.png": b"\0" * 200_000_000})
    size = zipfile.ZipFile(tmp_path / "a.zip").infolist()[0].compress_size
    with pytest.raises(ImportRefusedError) as refused:
        inspect_file(tmp_path / "a.zip")
    assert str(refused.value) == (
        "a.zip; expected a zip that unpacks to at most 100 times its size and 64 GiB, "
        f"not from {size:,} to 200,000,000 bytes"
    )


@pytest.mark.parametrize("name", ["/etc/a.png", "../a.png", "x/../../a.png", "C:/a.png"])
def test_paths_that_lead_out_are_refused(tmp_path, name):
    zip_of(tmp_path / "a.zip", {name: encoded()})
    with pytest.raises(ImportRefusedError) as refused:
        inspect_file(tmp_path / "a.zip")
    assert str(refused.value) == (
        f"a.zip, column 'path': found {name!r}; expected paths inside the zip's own folder"
    )


def test_links_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(
        ImportRefusedError, match=r"^a.zip, column 'path': found 'a.png'; expected files, not links$"
    ):
        inspect_file(tmp_path / "a.zip")
    root = folder_of(tmp_path, {"b.png": encoded()})
    (root / "a.png").symlink_to("/etc/hostname")
    with pytest.raises(
        ImportRefusedError, match=r"^photos, column 'path': found 'a.png'; expected files, not links$"
    ):
        inspect_file(root)


def test_a_folder_without_images_is_refused(tmp_path):
    root = folder_of(tmp_path, {"a.txt": b"x"})
    with pytest.raises(ImportRefusedError, match=r"^photos; expected at least one image \(.png, .jpg"):
        inspect_file(root)
