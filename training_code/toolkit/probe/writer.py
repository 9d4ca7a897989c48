"""Writes steps to the folder, on a thread of its own: tensors first, then TensorBoard's events, then the index."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from toolkit.probe import event_files, layout, reductions, tensor_files
from toolkit.probe.batch import Batch, Item
from toolkit.probe.event_files import EventFile
from toolkit.probe.layout import IMAGE, IMPORTANCE, INPUT, TREE, Record
from toolkit.probe.problems import Problems
from toolkit.probe.tensor_files import Stored

# Training waits for the writer at most so long a step; then the step's whole tensors are dropped, and that is said.
PATIENCE_SECONDS = 5.0
# Steps of numbers alone that come within so long of the last write are written together: what a process that is killed
# outright may lose. Where steps take longer, each is written as it ends.
GATHER_SECONDS = 0.025
# TensorBoard's histogram of a larger tensor is one of a sample: a picture of 64 bins needs no more.
SAMPLE = 65_536


class Writer:
    """Takes batches, keeps at most `max_pending_bytes` of them, and writes them in order.

    Where the disk is slower than the training, training waits, which is counted, and said aloud once; where it stands
    still, whole tensors are dropped rather than waited for. Numbers are never dropped.
    """

    def __init__(self, directory: Path, worker: str, max_pending_bytes: int, problems: Problems) -> None:
        self._directory, self._worker = directory, worker
        self._most, self._problems = max_pending_bytes, problems
        self._pending: deque[tuple[Batch, str | None]] = deque()
        self._bytes = self._busy = 0
        self._change = threading.Condition()
        self._closing = False
        self._waiting = 0
        self._last_write = -GATHER_SECONDS
        self._events: dict[str, EventFile] = {}
        self.waited_seconds = 0.0
        self.dropped = 0
        for folder in (layout.INDEX, layout.TENSORS):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        # Kept open: to open a file takes longer than to append to it.
        self._index = (directory / layout.INDEX / f"{worker}.jsonl").open("ab", buffering=0)
        self._thread = threading.Thread(target=self._run, name="ratchet-probe-writer", daemon=True)
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Leaves a step to be written; returns at once unless too much waits already."""
        with self._change:
            dropped = None if self._room_for(batch.nbytes) else self._drop(batch)
            if dropped is None:
                self._bytes += batch.nbytes
            else:
                batch = _numbers_of(batch)
            self._pending.append((batch, dropped))
            self._busy += 1
            if self._busy == 1 or batch.nbytes:
                self._change.notify_all()

    def _room_for(self, nbytes: int) -> bool:
        """Waits for room. A step larger than the limit goes alone."""
        if not nbytes or not self._bytes or self._bytes + nbytes <= self._most:
            return True
        started = time.monotonic()
        free = self._change.wait_for(lambda: not self._bytes or self._bytes + nbytes <= self._most, PATIENCE_SECONDS)
        self.waited_seconds += time.monotonic() - started
        self._problems.warn(
            "back-pressure",
            f"training waits for the probe: {self._bytes / 2**20:.0f} MiB of tensors are not on the disk yet; "
            "save less, less often, or only reductions",
        )
        return free

    def _drop(self, batch: Batch) -> str:
        self.dropped += len(batch.wholes())
        reason = f"the disk was still busy after {PATIENCE_SECONDS:g} s"
        self._problems.warn("dropped", f"whole tensors of {batch.mode} step {batch.step} are dropped: {reason}")
        return reason

    def wait(self, timeout: float) -> bool:
        """Whether all that was put is written within `timeout` seconds."""
        with self._change:
            self._waiting += 1
            self._change.notify_all()
            try:
                return self._change.wait_for(lambda: not self._busy, timeout)
            finally:
                self._waiting -= 1

    def close(self, timeout: float) -> bool:
        """Writes what waits; False when that takes longer than `timeout` seconds."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batches := self._taken():
            lines = "".join(self._written(batch, dropped) for batch, dropped in batches)
            for doing, write in (("writing TensorBoard's events", self._flush), ("writing", self._append)):
                try:
                    write(lines)
                except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
                    self._problems.caught(doing, error)
            with self._change:
                self._bytes -= sum(batch.nbytes for batch, dropped in batches if not dropped)
                self._busy -= len(batches)
                self._change.notify_all()
        for file in (self._index, *self._events.values()):
            file.close()

    def _taken(self) -> list[tuple[Batch, str | None]]:
        """What is to be written next: steps of numbers that came shortly one after the other, or one with tensors."""
        with self._change:
            self._change.wait_for(lambda: self._pending or self._closing)
            patience = self._last_write + GATHER_SECONDS - time.monotonic()
            self._change.wait_for(lambda: self._closing or self._waiting or self._bytes, max(0.0, patience))
            self._last_write, taken = time.monotonic(), []
            while self._pending and not (taken and (taken[-1][0].nbytes or self._pending[0][0].nbytes)):
                taken.append(self._pending.popleft())
            return taken

    def _written(self, batch: Batch, dropped: str | None) -> str:
        """The step's lines for the index, once its tensors are in their file."""
        try:
            return "".join(record.line() for record in self._write(batch, dropped))
        except Exception as error:  # noqa: BLE001 - likewise
            self._problems.caught("writing", error)
            return ""

    def _write(self, batch: Batch, dropped: str | None) -> Iterable[Record]:
        file, tensors = None, batch.wholes()
        if tensors and dropped is None:
            file = layout.tensor_file(self._worker, batch.mode, batch.step)
            try:
                tensor_files.write(self._directory / file, tensors)
            except OSError as error:
                self.dropped += len(tensors)
                dropped = f"it couldn't be written: {error}"
                self._problems.caught("writing tensors", error)
        try:
            self._show(batch)
        except Exception as error:  # noqa: BLE001 - a picture that can't be made must not cost the tensors
            self._problems.caught("writing TensorBoard's events", error)
        return batch.records(file, dropped)

    def _show(self, batch: Batch) -> None:
        values = [value for item in batch.items for value in _shown(item)]
        if values:
            run = self._events.get(batch.mode)
            if run is None:
                folder = self._directory / layout.EVENTS / self._worker / batch.mode.lower()
                run = self._events[batch.mode] = EventFile(folder)
            run.add(batch.step, batch.at, values)

    def _flush(self, _lines: str) -> None:
        for run in self._events.values():
            run.flush()

    def _append(self, lines: str) -> None:
        """Appends all lines by one write, so that a reader sees whole lines."""
        self._index.write(lines.encode())


def _numbers_of(batch: Batch) -> Batch:
    """The batch without its whole tensors' data; their names stay."""
    import numpy as np

    nothing = Stored(np.zeros(0, np.uint8), "U8")
    items = [Item(**{**vars(item), "whole": item.whole and nothing}) for item in batch.items]
    return Batch(batch.step, batch.mode, batch.at, tuple(items), batch.train_step)


def _shown(item: Item) -> Iterator[bytes]:
    """A tensor's values for TensorBoard: numbers, histograms, pictures."""
    if item.value is not None:
        yield event_files.scalar(item.name, item.value)
    for reduction, value in item.reductions.items():
        if reduction == "histogram":
            yield event_files.histogram(item.name, value["edges"], value["counts"])
        else:
            yield event_files.scalar(f"{item.name}/{reduction}", value)
    if item.whole is not None and item.whole.array.size and "histogram" not in item.reductions:
        if item.kind in {IMAGE, INPUT} and (picture := event_files.strip(item.whole.numbers())) is not None:
            # A tag is either images or histograms to TensorBoard.
            tag = item.name if item.kind == IMAGE else f"{item.name}/images"
            yield event_files.image(tag, picture)
        if item.kind == TREE and item.whole.array.size == 1:
            # Of a round's only tree there is no distribution: a curve over the rounds.
            yield event_files.scalar(item.name, float(item.whole.array.reshape(-1)[0]))
        # Importances of single features are curves; how they are distributed over the features says nothing.
        elif item.kind not in {IMAGE, IMPORTANCE} and item.whole.dtype not in {"BOOL", "C64"}:
            found = reductions.histogram(_sample(item.whole))
            yield event_files.histogram(item.name, found["edges"], found["counts"])


def _sample(tensor: Stored) -> object:
    """All of a small tensor; of a large one, elements at random places, the same each time."""
    import numpy as np

    if tensor.array.size <= SAMPLE:
        return tensor.numbers()
    places = np.random.default_rng(0).integers(0, tensor.array.size, SAMPLE)
    return Stored(tensor.array.reshape(-1)[places], tensor.dtype).numbers()
