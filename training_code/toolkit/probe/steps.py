"""The steps of training and of evaluation: their count, and the tensors that belong to each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from toolkit.probe import layout
from toolkit.probe.batch import Batch, Item
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.probe.problems import Problems, harmless


class Steps:
    """Counts each mode's steps by themselves, and gathers a step's items until it ends. Thread-safe.

    Args:
        put: takes each step that has ended, if anything was saved in it; None: nothing can be saved.
    """

    def __init__(self, problems: Problems, put: Callable[[Batch], None] | None) -> None:
        self.problems, self._put = problems, put
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._counts = {TRAIN: 0, EVAL: 0}
        self._items: dict[str, list[Item]] = {TRAIN: [], EVAL: []}
        self._mode = TRAIN
        # `with` blocks in which the script itself says the mode.
        self._within = 0
        # In evaluation, whether the model was called in the open step.
        self._called = False
        # `with` blocks of which nothing is saved nor counted.
        self._paused = 0

    @property
    def open(self) -> bool:
        """Whether anything can be saved: not after the end, in a pause, or in a process that was forked off."""
        return self._put is not None and not self._paused and os.getpid() == self._process

    @property
    def current(self) -> tuple[str, int]:
        """The mode and the step to which tensors belong that are saved now."""
        return self._mode, self._counts[self._mode]

    def keep(self, item: Item) -> None:
        """Adds a tensor to the open step."""
        with self._lock:
            self._items[self._mode].append(item)

    def end(self) -> None:
        """Hands the step's tensors on; the next one begins."""
        with self._lock:
            self._flush(self._mode)
            self._called = False
            self._counts[self._mode] += 1

    def begin_forward(self, *, training: bool) -> None:
        """Follows a call of the model: its own mode counts unless the script says one; in evaluation, a step begins."""
        if self._paused:
            return
        if not self._within:
            self.enter(TRAIN if training else EVAL)
        if self._mode == EVAL:
            if self._called:
                self.end()
            self._called = True

    @contextmanager
    def within(self, mode: str) -> Iterator[None]:
        """Keeps to a mode for a `with` block, whatever the model says."""
        before = self._mode
        self.enter(mode)
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1
            self.enter(before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A `with` block in which calls of the model are no steps, and nothing is saved."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    @harmless("changing the mode")
    def enter(self, mode: str) -> None:
        """Changes the mode. A training step that is open stays so until it ends by itself."""
        mode = layout.mode_of(mode)
        if not self.open:  # before the lock, which another thread may have held when this process was forked off
            return
        with self._lock:
            if mode == self._mode:
                return
            if self._mode == EVAL and (self._called or self._items[EVAL]):
                self.end()
            self._mode = mode

    def close(self) -> None:
        """Hands on what both modes' open steps hold; from now on nothing is saved."""
        with self._lock:
            for mode in layout.MODES:
                self._flush(mode)
            self._put = None

    def counts(self) -> dict[str, int]:
        """The steps that have ended, by mode."""
        return dict(self._counts)

    def go_on_from(self, counts: Mapping[str, int]) -> None:
        """Goes on counting from these. Raises ValueError for a mode that there isn't."""
        with self._lock:
            self._counts.update({layout.mode_of(mode): int(step) for mode, step in counts.items()})

    def _flush(self, mode: str) -> None:
        if self._items[mode] and self._put is not None:
            # Of two of a name, the last.
            items = {(item.name, item.value is None): item for item in self._items[mode]}
            self._items[mode] = []
            train_step = self._counts[TRAIN] if mode == EVAL else None
            self._put(Batch(self._counts[mode], mode, time.time(), tuple(items.values()), train_step))
