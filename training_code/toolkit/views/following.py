"""Follows how far a training is, by the index of its first worker, without reading what the tensors are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from toolkit.probe import layout

# A line's beginning, and its training step (layout.Record.line): a regular expression takes a tenth of a JSON reader's
# time, and a step may have hundreds of lines, histograms among them.
_MOMENT = re.compile(rb'\{"step":(\d+),"mode":"([A-Z]+)"')
_TRAIN_STEP = re.compile(rb'"train_step":(\d+)')


class Following:
    """The first worker's steps as they are saved; of several that began one after the other, the last's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._index: Path | None = None
        self._read = 0
        self._rest = b""

    @property
    def finished(self) -> bool:
        """Whether the worker has ended; then what is read next is all there will be."""
        index = self._found()
        return index is not None and (self._directory / layout.END / f"{index.stem}.json").exists()

    def news(self) -> Iterator[tuple[str, int]]:
        """What was saved since the last time: (TRAIN, step), or (EVAL, the number of training steps before it)."""
        before = None
        for line in self._lines():
            found = _MOMENT.match(line)
            if found is None:
                continue
            mode = found.group(2).decode()
            if mode == layout.EVAL:
                found = _TRAIN_STEP.search(line)
            if found is not None and before != (moment := (mode, int(found.group(1)))):
                before = moment
                yield moment

    def _lines(self) -> list[bytes]:
        index = self._found()
        if index is None:
            return []
        with index.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        lines = (self._rest + new).split(b"\n")
        self._rest = lines.pop()
        return lines

    def _found(self) -> Path | None:
        if self._index is None:
            workers = (self._directory / layout.INDEX).glob("*.jsonl")
            self._index = max((path for path in workers if layout.rank_of(path.stem) == 0), default=None)
        return self._index
