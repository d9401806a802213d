"""Which encoding a text file has: decided by its bytes, told to the person, never assumed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from plumbline_backend.importers.source import refuse

PIECE_BYTES = 16 * 2**20

_MAGIC = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive (NPZ, XLSX, ...)",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "gzip",
    b"SIMPLE  =": "FITS",
    b"%PDF": "PDF",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "Arrow IPC",
    b"SQLite format 3": "an SQLite database",
}

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


_WESTERN = "cp1252"
_LIKE_WESTERN = ("cp1250", "cp1254")
"""Share most letters with cp1252, so that a guess between them is worth nothing; cp1252 is the most common."""
_OLDER = (
    *(_WESTERN, *_LIKE_WESTERN, "cp1251", "cp1253", "cp1255", "cp1256", "koi8_r"),
    *("shift_jis", "gb18030", "big5", "euc_jp", "euc_kr"),
)

MAX_NUL_SHARE = 0.1
"""Text holds a stray NUL at most; numbers in binary are full of them."""


@dataclass(frozen=True)
class TextEncoding:
    """A codec's name, the bytes of the byte-order mark to skip, and a sentence when it was a guess."""

    name: str
    bom_bytes: int = 0
    note: str | None = None


def detect_encoding(path: Path) -> TextEncoding:
    """The file's encoding: by byte-order mark, else UTF-8 when that fits, else by evidence.

    Reads the whole file once (about 1 GB/s). A file with valid multi-byte UTF-8 in most places counts as
    UTF-8 with broken cells, which are reported one by one; a file with none is in an older encoding, which
    is guessed and noted. Raises ImportRefusedError for an empty file or one that is not text.
    """
    with path.open("rb") as stream:
        head = stream.read(PIECE_BYTES)
    if not head.strip():
        raise refuse(path.name, "a file with rows, not an empty one")
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise refuse(path.name, f"a text file; its content is {what}, whatever its name says")
    marked = _by_mark(head)
    if marked is not None:
        _check(path, marked)
        return marked
    if head.count(0) > MAX_NUL_SHARE * len(head):
        raise refuse(path.name, "a text file; its bytes are binary data")
    if _decodes(path, "utf-8"):
        return TextEncoding("utf-8")
    n_multibyte, n_broken, sample = _count_broken(path)
    if n_multibyte > n_broken:
        return TextEncoding("utf-8")
    return _older_encoding(path, sample)


def _by_mark(head: bytes) -> TextEncoding | None:
    """The encoding by a byte-order mark, or by zeros in every other place."""
    for bom, name in _BOMS:
        if head.startswith(bom):
            note = None if name == "utf-8" else f"read as {name.upper()}, as its byte-order mark says"
            return TextEncoding(name, len(bom), note)
    wide = _utf16_without_mark(head)
    if wide is None:
        return None
    return TextEncoding(wide, 0, f"read as {wide.upper()}: every other byte is zero and there is no mark")


def _check(path: Path, encoding: TextEncoding) -> None:
    """Refuse a file whose later bytes are not in the encoding that its first ones announce."""
    if encoding.name != "utf-8" and not _decodes(path, encoding.name, encoding.bom_bytes):
        raise refuse(path.name, f"text in {encoding.name.upper()} from beginning to end; some bytes are not")


def _utf16_without_mark(head: bytes) -> str | None:
    piece = head[:4096]
    if len(piece) < 4 or b"\0" not in piece:
        return None
    even, odd = piece[0::2], piece[1::2]
    if odd.count(0) > 0.6 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.6 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None


def _count_broken(path: Path) -> tuple[int, int, bytes]:
    """(multi-byte UTF-8 characters, bytes that are not UTF-8, lines that are not ASCII around the first)."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    n_multibyte = n_broken = 0
    lines: list[bytes] = []
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            text = decoder.decode(piece)
            strange = [character for character in text if character > "\x7f"]
            broken = sum("\udc80" <= character <= "\udcff" for character in strange)
            n_broken += broken
            n_multibyte += len(strange) - broken
            if broken and len(lines) < 200:
                lines += [line for line in piece.split(b"\n") if not line.isascii()][:200]
    return n_multibyte, n_broken, b"\n".join(lines)


def _older_encoding(path: Path, sample: bytes) -> TextEncoding:
    best = from_bytes(sample, cp_isolation=list(_OLDER)).best()
    name = best.encoding if best is not None else _WESTERN
    if name in _LIKE_WESTERN:
        name = _WESTERN
    for candidate in (name, "latin_1"):
        if _decodes(path, candidate):
            return TextEncoding(
                candidate,
                0,
                f"not UTF-8; read as {candidate}, a guess from its bytes: check the accents in the rows below, "
                "or save the file as UTF-8",
            )
    raise refuse(path.name, f"text in UTF-8, UTF-16 or a single-byte encoding; its bytes look like {name}")


def _decodes(path: Path, name: str, skip: int = 0) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        with path.open("rb") as stream:
            stream.seek(skip)
            while piece := stream.read(PIECE_BYTES):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
