"""The kind of a file by its first bytes, where its name says otherwise: so that an error can say what would be right.

Sources of the signatures: the formats' own specifications; for Git LFS docs/spec.md of git-lfs.
"""

from __future__ import annotations

from typing import NamedTuple

# As many bytes as are enough to tell.
ENOUGH = 512


class Seeming(NamedTuple):
    """The kind that a file seems to be of, and what to do about it."""

    what: str
    remedy: str


_IMAGE = Seeming("an image", "images lie in a folder of their class, as cat/1.png")
_UTF_16 = Seeming("text in UTF-16", "save it as UTF-8")
_ZIP = Seeming("a zip archive (a workbook or npz, perhaps)", "save a workbook as CSV; the name of NumPy's ends in .npz")

_GZIP = b"\x1f\x8b"
# Long enough, or with bytes that no text has: no CSV begins so by chance.
_BEGINNINGS = {
    b"PAR1\x15": Seeming("Parquet", "its name must end in .parquet"),
    _GZIP: Seeming("gzipped", "the name of gzipped text ends in .gz, as rows.csv.gz"),
    b"PK\x03\x04": _ZIP,
    b"\x93NUMPY": Seeming("one NumPy array", "write numpy.savez(file, X=…, y=…), in a file that ends in .npz"),
    b"\x89PNG": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
    b"\x89HDF": Seeming("HDF5", "write one of the known kinds, or heldout_fn(folder) in serve.py"),
    b"ARROW1\0": Seeming("Arrow (Feather)", "write Parquet"),
    b"SQLite format 3\0": Seeming("an SQLite database", "write one of the known kinds"),
    b"%PDF-": Seeming("a PDF", "write one of the known kinds"),
    b"\x80\x04\x95": Seeming("a Python pickle", "write one of the known kinds: reading data must not run code"),
    b"\x80\x05\x95": Seeming("a Python pickle", "write one of the known kinds: reading data must not run code"),
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"version https://git-lfs": Seeming("a pointer of Git LFS", "get the file itself by `git lfs pull`"),
    b"<!DOCTYPE html": Seeming("an HTML page", "a download has failed, perhaps; upload the data themselves"),
}
_TAR = (257, b"ustar", Seeming("a tar archive", "upload the files that are in it"))
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_gzip(content: bytes) -> bool:
    return content.startswith(_GZIP)


def seeming(content: bytes) -> Seeming | None:
    """The kind of a file that begins so, if it is one of those taken for others; None for text, and unknown."""
    told = next((told for beginning, told in _BEGINNINGS.items() if content.startswith(beginning)), None)
    at, mark, tar = _TAR
    if told is None and content[at : at + len(mark)] == mark:
        return tar
    # Half of UTF-16's bytes are zero where the text is English.
    return _UTF_16 if told is None and 4 * content[:64].count(0) > len(content[:64]) else told


def no_text(name: str, content: bytes) -> str | None:
    """Why a file is no text, in a sentence; None where it may be."""
    told = seeming(content)
    return f"{name} is {told.what}, by its first bytes; {told.remedy}" if told else None


def undecodable(name: str, before: bytes, byte: int) -> str:
    """That a file is no UTF-8 where a byte follows the bytes before, in a sentence."""
    place = f"{name}:{before.count(10) + 1}"
    was = f"{bytes([byte]).decode('latin-1')!r} in Latin-1" if byte >= 0xA0 else "of another encoding"
    return f"{place} is no text in UTF-8: the byte 0x{byte:02x} is {was}; save the file as UTF-8"


def no_image(name: str, content: bytes) -> str | None:
    """Why a file is no image, in a sentence; None where it may be one, of a kind that isn't known here too."""
    if content.startswith(_IMAGES):
        return None
    told = seeming(content)
    if told:
        return f"{name} is {told.what}, not an image, by its first bytes; {told.remedy}"
    try:
        text = content[:64].decode("ascii")
    except UnicodeDecodeError:
        return None
    return f"{name} is text, not an image: it begins with {text[:40]!r}" if text.isprintable() or "\n" in text else None
