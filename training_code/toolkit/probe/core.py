"""The probe: what a training script holds. Frameworks' watchers hand it tensors; it decides, copies and passes on."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from toolkit.environment import variable
from toolkit.probe import companion, debugger_hook, layout
from toolkit.probe.batch import Batch, Item
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.probe.numpy_arrays import NUMPY
from toolkit.probe.problems import Problems, harmless, log
from toolkit.probe.settings import Collection, Settings
from toolkit.probe.sync import Sync
from toolkit.probe.tensor_files import Stored
from toolkit.probe.writer import Writer

# At the end: for what waits to be written, and for the last copy to S3.
CLOSE_SECONDS = 60.0


class Arrays(Protocol):
    """What the probe needs of a framework's tensors."""

    def stored(self, tensor: Any) -> Stored:
        """A copy in the machine's memory, which later changes of the tensor don't reach."""

    def reduced(self, tensor: Any, reductions: tuple[str, ...]) -> dict[str, Any]:
        """Numbers of it (reductions.py), without a copy of the whole."""

    def described(self, tensor: Any) -> tuple[tuple[int, ...], str]:
        """Its shape, and its type in safetensors's words."""


class Probe:
    """Saves a training's tensors. One a process; thread-safe.

    After it is made it never raises: what goes wrong inside is logged once, counted, and told at the end.

    Args:
        settings: what to save; by default losses at every step, weights, biases and their gradients every 500.
        directory: where; made if need be.
        rank: of this process among the job's.

    Raises:
        ProbeError: by `Settings.parse` and `from_environment`, for a configuration that can't be used.
    """

    def __init__(self, settings: Settings | None = None, directory: Path | str | None = None, rank: int = 0) -> None:
        self.settings = settings or Settings.parse(None)
        self.directory = Path(directory) if directory else layout.directory()
        self.rank, self.worker = rank, layout.worker(rank)
        self.problems = Problems()
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._steps = {TRAIN: 0, EVAL: 0}
        self._mode, self._said = TRAIN, 0
        self._evaluating = False
        self._items: dict[str, list[Item]] = {TRAIN: [], EVAL: []}
        self._names: dict[str, str] = {}
        self._belonging: dict[tuple[str, str], tuple[Collection, ...]] = {}
        self._due: frozenset[str] = frozenset()
        self._watchers: list[Any] = []
        self._writer: Writer | None = None
        self._sync: Sync | None = None
        self._rules: companion.Companion | None = None
        self._open()

    @classmethod
    def from_environment(cls) -> Probe:
        """As the job was configured: RATCHET_PROBE, RATCHET_TENSORS, RATCHET_RULES, and the rank that launchers set.
        Without RATCHET_PROBE, as SageMaker Debugger's hook was, if the job has one (debugger_hook.py).

        Raises:
            ProbeError: RATCHET_PROBE or the hook's configuration can't be used; the message says what is wrong.
        """
        rank = companion.rank(os.environ)
        told = variable(layout.VARIABLE_SETTINGS)
        hook = debugger_hook.configuration() if told is None else None
        if hook is None:
            return cls(Settings.parse(told), rank=rank)
        return cls(debugger_hook.settings(hook), debugger_hook.directory(hook), rank)

    def _open(self) -> None:
        try:
            self._writer = Writer(self.directory, self.worker, self.settings.max_pending_bytes, self.problems)
        except OSError as error:
            self.problems.warn("opening", f"is off, since {self.directory} can't be written: {error}")
            return
        self._decide()
        self._tell_collections()
        if self.settings.output:
            self._sync = Sync(self.directory, self.settings.output, self.settings.sync_seconds, self.problems)
        if self.rank == 0:
            self._rules = companion.start_rules(self.directory, self.problems)
        atexit.register(self._at_exit)

    # Two lines

    @harmless("watching the model")
    def watch(self, model: Any, loss: Any = None, optimizer: Any = None) -> Any:
        """Watches a model: PyTorch module, Keras 3 model, XGBoost (returns the callback), or a fitted scikit-learn one.

        Args:
            loss: PyTorch: the loss module, whose values, labels and predictions are saved.
            optimizer: PyTorch: whose steps count; by default the first that steps on the model's parameters.

        Returns:
            Of Keras and XGBoost, the callback to train with; otherwise None.
        """
        from toolkit.probe import watchers

        watcher = watchers.watch(self, model, loss, optimizer)
        self._watchers.append(watcher)
        self._tell_collections()
        self._warn_of_empty_collections()
        return getattr(watcher, "callback", None)

    # By hand

    @harmless("saving a scalar")
    def scalar(self, name: str, value: Any) -> None:
        """Saves a number at this step, under its own name."""
        self.offer_number(name, layout.SCALAR, value)

    @harmless("saving a loss")
    def loss(self, name: str, value: Any) -> None:
        """Saves a loss that no module computes, as `loss/<name>`."""
        self.offer_number(f"loss/{name}", layout.LOSS, value)

    @harmless("saving a tensor")
    def tensor(self, name: str, array: Any) -> None:
        """Saves a tensor at this step, under its own name: an array, or a framework's tensor."""
        self._offer_by_hand(name, layout.TENSOR, array)

    @harmless("saving images")
    def image(self, name: str, images: Any) -> None:
        """Saves images, which TensorBoard shows: [n, height, width(, 1 or 3)] or [n, 1 or 3, height, width]."""
        self._offer_by_hand(name, layout.IMAGE, images)

    @harmless("saving labels")
    def labels(self, labels: Any, name: str = "labels") -> None:
        """Saves what is right, as `label/<name>`."""
        self._offer_by_hand(f"label/{name}", layout.LABEL, labels)

    @harmless("saving predictions")
    def predictions(self, predictions: Any, name: str = "predictions") -> None:
        """Saves what the model says (classes, or a score a class), as `prediction/<name>`."""
        self._offer_by_hand(f"prediction/{name}", layout.PREDICTION, predictions)

    @contextmanager
    def mode(self, mode: str) -> Iterator[None]:
        """What is saved within belongs to "train" or "eval". Steps of evaluation are counted by themselves."""
        before = self._mode
        self.enter(mode)
        self._said += 1
        try:
            yield
        finally:
            self._said -= 1
            self.enter(before)

    @harmless("ending a step")
    def step(self) -> None:
        """Ends a step. Watched optimizers and callbacks do it; a loop of one's own without them must."""
        if self._alive:
            for watcher in self._watchers:
                watcher.before_step_ends()
            self.end_step()

    @harmless("closing")
    def close(self, status: str = "finished", error: str | None = None) -> None:
        """Writes what waits and the end marker, waits for the rules' last verdicts, and copies the rest to S3."""
        if not self._alive:
            return
        with self._lock:
            for mode in layout.MODES:
                self._flush(mode)
            writer, self._writer = self._writer, None
        atexit.unregister(self._at_exit)
        for watcher in self._watchers:
            watcher.detach()
        if writer is not None:
            whole = writer.close(CLOSE_SECONDS)
            self._mark_end(status if whole else "unfinished", error, writer)
        if self._rules is not None:
            self._rules.wait()
        if self._sync is not None:
            self._sync.close(CLOSE_SECONDS)

    @harmless("waiting until all is written")
    def flush(self, timeout: float = CLOSE_SECONDS) -> None:
        """Waits until the steps that have ended are in the folder, for at most `timeout` seconds."""
        if self._writer is not None and not self._writer.wait(timeout):
            self.problems.warn("flush", f"not all tensors were written within {timeout:g} s")

    def state_dict(self) -> dict[str, int]:
        """Where it is, for a checkpoint: the steps by mode."""
        return dict(self._steps)

    @harmless("going on from a checkpoint")
    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes on counting from a checkpoint's steps."""
        with self._lock:
            self._steps.update({layout.mode_of(mode): int(step) for mode, step in state.items()})
            self._decide()

    # For watchers

    @property
    def _alive(self) -> bool:
        """Not after the end, and not in a process that was forked off."""
        return self._writer is not None and os.getpid() == self._process

    @property
    def current(self) -> tuple[str, int]:
        """Mode and step that what is offered now belongs to."""
        return self._mode, self._steps[self._mode]

    def declare(self, names: Mapping[str, str]) -> frozenset[str]:
        """Makes names known, with their kinds; returns the collections that any of them belongs to."""
        self._names.update(names)
        return frozenset(c.name for name, kind in names.items() for c in self._collections_of(name, kind))

    def is_due(self, collections: frozenset[str]) -> bool:
        """Whether any of the collections is saved at this step. Costs next to nothing."""
        return self._alive and not self._due.isdisjoint(collections)

    def begin_forward(self, *, training: bool) -> None:
        """A model is about to be called; says its own mode unless the script does. A call in evaluation is a step."""
        if not self._said:
            self.enter(TRAIN if training else EVAL)
        if self._mode == EVAL:
            if self._evaluating:
                self.end_step()
            self._evaluating = True

    @harmless("changing the mode")
    def enter(self, mode: str) -> None:
        """Training or evaluation from now on. A training step that is open stays so until it ends by itself."""
        mode = layout.mode_of(mode)
        with self._lock:
            if mode == self._mode or not self._alive:
                return
            if self._mode == EVAL and (self._evaluating or self._items[EVAL]):
                self.end_step()
            self._mode = mode
            self._decide()

    def end_step(self, *, counted: bool = True) -> None:
        """Hands the step's tensors to the writer; the next one begins."""
        with self._lock:
            self._flush(self._mode)
            self._evaluating = False
            self._steps[self._mode] += counted
            self._decide()

    def offer(self, name: str, kind: str, tensor: Any, arrays: Arrays = NUMPY) -> None:
        """Saves a tensor if one of its collections is due, as that says: copied now, or reduced now."""
        if self._alive:
            self._save(name, kind, tensor, arrays, self._collections_of(name, kind))

    def offer_number(self, name: str, kind: str, value: Any) -> None:
        """Saves one number, if it is due."""
        due = self._due_of(self._collections_of(name, kind))
        if self._alive and due:
            self._names.setdefault(name, kind)
            number = float(value.item() if hasattr(value, "item") else value)
            self._keep(Item(name, kind, tuple(c.name for c in due), value=number))

    def _offer_by_hand(self, name: str, kind: str, tensor: Any) -> None:
        from toolkit.probe import watchers

        collections = self._collections_of(name, kind)
        if not collections:  # labels and predictions without a collection of their own: they are meant all the same
            collections = tuple(c for c in self.settings.collections if c.name == "tensors")
        if self._alive:
            self._save(name, kind, tensor, watchers.arrays_of(tensor), collections)

    def _save(self, name: str, kind: str, tensor: Any, arrays: Arrays, collections: tuple[Collection, ...]) -> None:
        due = self._due_of(collections)
        if not due:
            return
        self._names.setdefault(name, kind)
        shape, dtype = arrays.described(tensor)
        wanted = tuple(dict.fromkeys(reduction for c in due for reduction in c.reductions))
        whole = arrays.stored(tensor) if any(c.values for c in due) else None
        numbers = arrays.reduced(tensor, wanted) if wanted else {}
        self._keep(Item(name, kind, tuple(c.name for c in due), whole, numbers, None, shape, dtype))

    def _keep(self, item: Item) -> None:
        with self._lock:
            self._items[self._mode].append(item)

    def _due_of(self, collections: tuple[Collection, ...]) -> list[Collection]:
        return [collection for collection in collections if collection.name in self._due]

    def _collections_of(self, name: str, kind: str) -> tuple[Collection, ...]:
        found = self._belonging.get((name, kind))
        if found is None:
            found = self._belonging[name, kind] = self.settings.collections_of(name, kind)
        return found

    def _decide(self) -> None:
        mode, step = self.current
        self._due = frozenset(c.name for c in self.settings.collections if c.due(mode, step))

    def _flush(self, mode: str) -> None:
        if self._items[mode] and self._writer is not None:
            # Of two of a name, the last.
            items = {(item.name, item.value is None): item for item in self._items[mode]}
            self._items[mode] = []
            train_step = self._steps[TRAIN] if mode == EVAL else None
            self._writer.put(Batch(self._steps[mode], mode, time.time(), tuple(items.values()), train_step))

    # What it says of itself

    def _tell_collections(self) -> None:
        document = {**self.settings.document(), "names": self._names}
        path = self.directory / layout.COLLECTIONS / f"{self.worker}.json"
        layout.write_atomically(path, json.dumps(document, indent=1).encode())

    def _warn_of_empty_collections(self) -> None:
        for collection in self.settings.collections:
            if collection.include and not any(collection.holds(name, kind) for name, kind in self._names.items()):
                log.warning(
                    "probe: collection %s: %s matches no tensor; there are %s",
                    collection.name,
                    " or ".join(map(repr, collection.include)),
                    ", ".join(list(self._names)[:5]) or "none yet",
                )

    def _mark_end(self, status: str, error: str | None, writer: Writer) -> None:
        self._tell_collections()
        document = {
            "status": status,
            "error": error,
            "at": time.time(),
            "steps": self._steps,
            "dropped": writer.dropped,
            "waited_seconds": round(writer.waited_seconds, 3),
            "problems": self.problems.counts(),
        }
        path = self.directory / layout.END / f"{self.worker}.json"
        layout.write_atomically(path, json.dumps(document).encode())
        if document["problems"]:
            log.warning("probe: ended with %s", json.dumps(document["problems"]))

    def _at_exit(self) -> None:
        error = getattr(sys, "last_value", None)  # what ended the script, if something did
        self.close("finished" if error is None else "failed", None if error is None else repr(error))
