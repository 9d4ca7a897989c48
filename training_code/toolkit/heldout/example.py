"""An example: a request to the model and the right answer; and many of them in one request."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ToolkitError

CSV, JSON_LINES, NPY = "text/csv", "application/jsonlines", "application/x-npy"


class DataError(ToolkitError):
    """The held-out data can't be used; the message names the file and the line."""


@dataclass(frozen=True)
class Example:
    """One held-out example.

    content: the request's body; a path stands for its file's bytes, which are read when the model is asked.
    label: the right answer; a list or an object as JSON.
    segment: the value of gate.segments' column.
    alone: whether it is a request of its own. Others are asked many at once: CSV rows, JSON lines, NPY arrays (n, …).
    """

    place: str  # file:line
    content: str | bytes | Path
    content_type: str
    label: str
    alone: bool = False
    segment: str | None = None

    @property
    def body(self) -> str | bytes:
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content

    @property
    def size(self) -> int:
        """In bytes, near enough for text."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


def joined(examples: Sequence[Example]) -> str | bytes:
    """The body of one request with all of these examples."""
    bodies = [example.body for example in examples]
    if len(bodies) == 1:
        return bodies[0]
    if examples[0].content_type == NPY:
        return _joined_arrays([body for body in bodies if isinstance(body, bytes)])
    return "\n".join(body for body in bodies if isinstance(body, str))


def _joined_arrays(bodies: Sequence[bytes]) -> bytes:
    import numpy as np

    whole = io.BytesIO()
    np.save(whole, np.concatenate([np.load(io.BytesIO(body), allow_pickle=False) for body in bodies]))
    return whole.getvalue()
