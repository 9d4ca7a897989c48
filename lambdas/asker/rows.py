"""The held-out files of a run as parts of requests: each file's rows, so many a part."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from contract import held_out, held_out_requests
from contract.held_out import HeldOutError, Reading
from contract.held_out_requests import Request

# A file's name in the channel -> all of its bytes.
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Part:
    """Rows that stand one after the other in one file."""

    name: str
    requests: Sequence[Request]

    @property
    def text(self) -> str:
        return "".join(f"{request.line}\n" for request in self.requests)

    @property
    def told(self) -> dict[str, Any]:
        """What the index says of it."""
        first, last = self.requests[0].place, self.requests[-1].place
        return {"name": self.name, "rows": len(self.requests), "first": first, "last": last}


def content_type(names: Sequence[str], how: Reading) -> str:
    """The content type of the requests that the channel's files make.

    Raises:
        HeldOutError: they are of two kinds, of an unknown one, or of one that has no lines.
    """
    format_ = held_out.format_of(held_out.data_files(names), how.format)
    held_out.check_asked(how, format_)
    held_out_requests.check_format(format_)
    return held_out_requests.CONTENT_TYPES[format_]


def parts(names: Sequence[str], how: Reading, read: Read) -> Iterator[Part]:
    """All rows of a channel's files in their order, one file after the other in memory.

    Raises:
        HeldOutError: a file can't be read as it is said.
    """
    kind, files, number = content_type(names, how), held_out.data_files(names), 0
    format_ = held_out.format_of(files, how.format)
    for name in files:
        content = read(name)
        rows = held_out_requests.requests(_lines(name, content), name, how, format_)
        while of_part := list(islice(rows, held_out_requests.ROWS)):
            yield Part(held_out_requests.part(number, kind), of_part)
            number += 1
    if not number:
        raise HeldOutError(f"no example in {held_out.some(files, 5)}")


def _lines(name: str, content: bytes) -> Iterator[str]:
    """A file's text in lines that keep their ends, gzipped or not."""
    try:
        plain = _unzipped(content) if held_out.is_zipped(name) else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise HeldOutError(f"{name} is not gzipped, or cut off: {error}") from error
    held_out_requests.check_size(name, len(plain))
    return iter(io.TextIOWrapper(io.BytesIO(plain), encoding="utf-8-sig", newline=""))


def _unzipped(content: bytes) -> bytes:
    """What an archive holds, or as much of it as says that it is too large: more than that may be more than memory."""
    with gzip.open(io.BytesIO(content)) as file:
        return file.read(held_out_requests.MOST_FILE_BYTES + 1)
