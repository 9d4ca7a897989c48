"""The beginnings of files in S3, as far as Plan reads them: a few, not far, unzipped, as text."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from contract import held_out, held_out_bytes
from contract.held_out import HeldOutError
from planner.data import DataObject

MAXIMUM_BYTES = 1 << 20
# Of many files each is read this far, so that more than one of them is seen.
BYTES_OF_ONE = 1 << 16
# Each is a request, about 20 ms.
MAXIMUM_FILES = 32

# (key, from which byte, how many) -> these bytes of the object
Reader = Callable[[str, int, int], bytes]
# A file's name in its channel, and its object.
File = tuple[str, DataObject]


@dataclass(frozen=True)
class Text:
    """The beginning of a file, and whether it is the whole of it."""

    name: str
    text: str
    whole: bool

    @property
    def lines(self) -> Iterator[str]:
        return iter(io.StringIO(self.text, newline=""))


def texts(files: Sequence[File], read: Reader, most: int = MAXIMUM_BYTES) -> Iterator[Text]:
    """The files' beginnings, as many as the limit allows, the whole files where they fit.

    Raises:
        HeldOutError: one that is no text in UTF-8, not gzipped though its name says so, or cut off.
    """
    left = most
    each = max(BYTES_OF_ONE, most // len(files))
    for name, entry in files[:MAXIMUM_FILES]:
        size = min(entry.size, each)
        if size > left:
            return
        left -= size
        yield _text(name, beginning(entry, size, read), most, whole=size == entry.size)


def beginning(entry: DataObject, size: int, read: Reader) -> bytes:
    """An object's first bytes; S3 refuses the range of nothing."""
    return read(entry.key, 0, min(size, entry.size)) if min(size, entry.size) else b""


def _text(name: str, content: bytes, most: int, *, whole: bool) -> Text:
    if held_out.is_zipped(name):
        content, whole = _unzipped(name, content, most, whole=whole)
    wrong = held_out_bytes.no_text(name, content)
    if wrong:
        raise HeldOutError(wrong)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        return Text(name, decoder.decode(content, final=whole), whole)
    except UnicodeDecodeError as error:
        before, byte = error.object[: error.start], error.object[error.start]
        raise HeldOutError(held_out_bytes.undecodable(name, before, byte)) from error


def _unzipped(name: str, content: bytes, most: int, *, whole: bool) -> tuple[bytes, bool]:
    """As much of a gzipped file as the limit allows, whatever it would grow to."""
    unzip = zlib.decompressobj(wbits=31)  # gzip's header, 32 KiB of window
    try:
        text = unzip.decompress(content, most)
    except zlib.error as error:
        if held_out_bytes.is_gzip(content):
            raise HeldOutError(f"{name} is damaged: {error}; upload it again") from error
        raise HeldOutError(f"{name} is not gzipped: {error}; leave .gz out of its name") from error
    if whole and content and not unzip.eof and not unzip.unconsumed_tail and len(text) < most:
        raise HeldOutError(f"{name} is cut off: what is gzipped has no end; upload it again")
    # A file may hold several gzipped parts, one after another: only the first is read.
    return text, whole and (unzip.eof or not content) and not unzip.unused_data
