"""Reads what a probe saved, while the job runs or after it, from a folder or from S3."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.probe import layout, tensor_files
from toolkit.probe.errors import NotSavedError, ProbeError
from toolkit.probe.explanations import Known, Question, why_not
from toolkit.probe.layout import TRAIN, Record, mode_of, rank_of
from toolkit.probe.settings import FURTHER, REDUCTIONS
from toolkit.probe.stores import store

if TYPE_CHECKING:
    import numpy as np

# A question to S3 about what is new is asked at most this often.
FAR_REFRESH_SECONDS = 1.0
# The first wait for a step; it doubles up to the second.
WAITS = 0.02, 1.0


class Trial:
    """A job's tensors.

    A name, step or value that isn't there is never None: it raises NotSavedError, whose message says why. Steps count
    from 0, by mode. Where several workers saved one tensor, the lowest rank's is given unless another is asked for;
    where a job was interrupted and repeated a step, the later one.

    Args:
        place: the folder, or its s3:// URI.
    """

    def __init__(self, place: str | Path) -> None:
        self._store = store(place)
        self._read: dict[str, int] = {}
        self._records: dict[tuple[str, str, str | None], dict[int, dict[int, Record]]] = defaultdict(dict)
        self._kinds: dict[str, str] = {}
        self._collections: dict[str, set[str]] = defaultdict(set)
        self._last: dict[str, int] = {}
        self._passes: dict[int, int] = {}
        self._ends: dict[str, dict[str, Any]] = {}
        self._known = Known()
        self._refreshed = 0.0

    @property
    def where(self) -> str:
        """The folder or URI it reads."""
        return self._store.where

    def refresh(self) -> None:
        """Reads what is new. Every question does so by itself; in S3 at most once a second."""
        if not self._store.near and time.monotonic() - self._refreshed < FAR_REFRESH_SECONDS:
            return
        self._refreshed = time.monotonic()
        # The ends first: what is indexed then is all there will be.
        ends = self._store.sizes(layout.END)
        for name in ends.keys() - self._ends.keys():
            self._ends[name] = json.loads(self._store.read(name))
        for name, size in self._store.sizes(layout.INDEX).items():
            if size > self._read.setdefault(name, 0):
                self._read_index(name)

    def _read_index(self, name: str) -> None:
        start = self._read[name]
        lines, newline, _unfinished = self._store.read(name, start).rpartition(b"\n")
        rank = rank_of(Path(name).stem)
        for number, line in enumerate(lines.splitlines() if newline else []):
            try:
                self._add(rank, Record.parse(line))
            except ValueError as error:
                raise ProbeError(f"{self.where}/{name}: line {number + 1} from byte {start}: {error}") from None
        self._read[name] = start + len(lines) + len(newline)

    def _add(self, rank: int, record: Record) -> None:
        steps = self._records[record.mode, record.name, record.reduction]
        steps.setdefault(record.step, {})[rank] = record
        self._kinds[record.name] = record.kind
        self._last[record.mode] = max(record.step, self._last.get(record.mode, -1))
        if record.train_step is not None:
            self._passes[record.step] = record.train_step
        for collection in record.collections:
            self._collections[collection].add(record.name)

    # What there is

    def names(self, regex: str | None = None, collection: str | None = None, kind: str | None = None) -> list[str]:
        """Names of the tensors saved so far, sorted; only those of an expression, of a collection, of a kind.

        A collection's are also those of its further ones (`gradients:norms`).
        """
        self.refresh()
        found = self._of_collection(collection) if collection else self._kinds
        pattern = re.compile(regex or "")
        return sorted(name for name in found if pattern.search(name) and kind in {None, self._kinds[name]})

    def _of_collection(self, collection: str) -> set[str]:
        further = f"{collection}{FURTHER}"
        return set().union(*(n for c, n in self._collections.items() if c == collection or c.startswith(further)))

    def kind(self, name: str) -> str:
        """A tensor's kind: weight, bias, gradient, output, loss … Raises NotSavedError."""
        self.refresh()
        if name not in self._kinds:
            raise self._not_saved(name, None, TRAIN)
        return self._kinds[name]

    def steps(
        self, name: str | None = None, mode: str = TRAIN, *, whole: bool = False, reduction: str | None = None
    ) -> list[int]:
        """The steps at which something, or this tensor, was saved in a mode, sorted; as any reduction alone, too.

        whole: only those at which `value` has it. reduction: only those at which `reduction` has this one of it.
        """
        self.refresh()
        mode, forms = mode_of(mode), {None, reduction}
        tables = [
            steps
            for (of, named, form), steps in list(self._records.items())
            if of == mode and name in {None, named} and (form in forms or not (whole or reduction))
        ]
        return sorted(
            {step for steps in tables for step, by in steps.items() if any(not r.dropped for r in by.values())}
        )

    def passes(self) -> dict[int, list[int]]:
        """The passes of evaluation: the number of training steps before each → its steps in mode EVAL, sorted."""
        self.refresh()
        found: dict[int, list[int]] = defaultdict(list)
        for step, train_step in sorted(self._passes.items()):
            found[train_step].append(step)
        return dict(found)

    def reductions(self, name: str, mode: str = TRAIN) -> list[str]:
        """The reductions that were saved as numbers of a tensor."""
        self.refresh()
        return sorted(r for of, named, r in self._records if r and (of, named) == (mode_of(mode), name))

    def workers(self, name: str, step: int, mode: str = TRAIN) -> list[int]:
        """Ranks of the workers that saved the whole tensor at the step."""
        self.refresh()
        return sorted(self._records.get((mode_of(mode), name, None), {}).get(step, {}))

    # What they hold

    def value(self, name: str, step: int, mode: str = TRAIN, worker: int | None = None) -> np.ndarray[Any, Any]:
        """The whole tensor (a scalar as an array without dimensions). Raises NotSavedError."""
        import numpy as np

        found = self._find(name, step, mode, None, worker)
        if found is None:
            raise self._not_saved(name, step, mode, worker)
        if found.file is None:
            return np.asarray(found.value)
        file = found.file
        try:
            return tensor_files.read(lambda start, n: self._store.read(file, start, n), name, f"{self.where}/{file}")
        except FileNotFoundError:
            raise NotSavedError(
                f"{name} at {mode_of(mode)} step {step}: its file {self.where}/{file} is gone"
            ) from None

    def reduction(self, name: str, step: int, reduction: str, mode: str = TRAIN, worker: int | None = None) -> Any:
        """A number of the tensor: as saved, else computed from the whole tensor. Raises NotSavedError.

        A float; of `histogram` {"edges": [n + 1], "counts": [n]}.
        """
        if reduction not in REDUCTIONS:
            raise ProbeError(f"there is no reduction {reduction!r}; there are {', '.join(REDUCTIONS)}")
        found = self._find(name, step, mode, reduction, worker)
        if found is not None:
            return found.value
        from toolkit.probe import reductions

        return reductions.of(self.value(name, step, mode, worker), reduction)

    def numbers(self, name: str, mode: str = TRAIN, reduction: str | None = None) -> dict[int, float]:
        """A number at every step at which it was saved as one, by step: a scalar, or a reduction of a tensor."""
        self.refresh()
        by_step = self._records.get((mode_of(mode), name, reduction), {})
        found = {step: by_rank[min(by_rank)].value for step, by_rank in sorted(by_step.items())}
        return {step: float(value) for step, value in found.items() if isinstance(value, (int, float))}

    def record(self, name: str, step: int, mode: str = TRAIN, worker: int | None = None) -> Record:
        """A tensor's line of the index, or one of its reductions': time, shape, training step. Raises NotSavedError."""
        for reduction in (None, *REDUCTIONS):
            found = self._find(name, step, mode, reduction, worker)
            if found is not None:
                return found
        raise self._not_saved(name, step, mode, worker)

    def _find(self, name: str, step: int, mode: str, reduction: str | None, worker: int | None) -> Record | None:
        key = (mode_of(mode), name, reduction)
        found = self._among(key, step, worker)
        if found is None:
            self.refresh()
            found = self._among(key, step, worker)
        return None if found is None or found.dropped else found

    def _among(self, key: tuple[str, str, str | None], step: int, worker: int | None) -> Record | None:
        by_rank = self._records.get(key, {}).get(step, {})
        if worker is not None:
            return by_rank.get(worker)
        return by_rank[min(by_rank)] if by_rank else None

    # How far it is

    @property
    def finished(self) -> bool:
        """Whether all workers have ended; of those that began again, the last."""
        self.refresh()
        latest = {rank_of(Path(name).stem): Path(name).stem for name in sorted(self._read)}
        ended = {Path(name).stem for name in self._ends}
        return bool(ended) and ended >= set(latest.values())

    @property
    def status(self) -> dict[str, Any] | None:
        """How the lowest rank ended: {"status", "at", "errors", "dropped", …}; None while it goes on."""
        if not self.finished:
            return None
        ranks = {rank_of(Path(name).stem): document for name, document in sorted(self._ends.items())}
        return ranks[min(ranks)]

    @property
    def last_written(self) -> float | None:
        """Seconds since 1970 of the newest record; None when there is none."""
        self.refresh()
        times = [r.at for steps in list(self._records.values()) for r in steps[max(steps)].values() if steps]
        return max(times, default=None)

    def last_step(self, mode: str = TRAIN) -> int | None:
        """The last step at which anything was saved; None before the first."""
        self.refresh()
        return self._last.get(mode_of(mode))

    def wait_for_step(self, step: int, timeout: float, mode: str = TRAIN) -> None:
        """Returns once something of this step, or of a later one, is there.

        Raises:
            NotSavedError: the job ended before it.
            TimeoutError: it isn't there after `timeout` seconds; the message says how far the job is.
        """
        deadline, wait = time.monotonic() + timeout, WAITS[0]
        while True:
            finished = self.finished
            last = self.last_step(mode)
            if last is not None and last >= step:
                return
            if finished:
                raise NotSavedError(
                    f"{mode_of(mode)} step {step} never came: the job ended at step {last} ({self.where})"
                )
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"no {mode_of(mode)} step {step} after {timeout:g} s; the last is {last} ({self.where})"
                )
            time.sleep(min(wait, max(0.0, deadline - time.monotonic())))
            wait = min(2 * wait, WAITS[1])

    def _not_saved(self, name: str, step: int | None, mode: str, worker: int | None = None) -> NotSavedError:
        self._read_known()
        mode = mode_of(mode)
        tables = {r: steps for (of, named, r), steps in list(self._records.items()) if (of, named) == (mode, name)}
        question = Question(
            name=name,
            step=step,
            mode=mode,
            saved=sorted(self._kinds),
            steps={reduction: sorted(steps) for reduction, steps in tables.items()},
            dropped=self._dropped(tables, step),
            last=self._last.get(mode, -1),
            ended=self.finished,
        )
        reason = why_not(question, self._known)
        who = "" if worker is None else f" of worker {worker}"
        return NotSavedError(f"{reason}{who} ({self.where})")

    @staticmethod
    def _dropped(tables: dict[str | None, dict[int, dict[int, Record]]], step: int | None) -> str | None:
        found = [r.dropped for steps in tables.values() for r in steps.get(-1 if step is None else step, {}).values()]
        return next(filter(None, found), None)

    def _read_known(self) -> None:
        self.refresh()
        for name in self._store.sizes(layout.COLLECTIONS):
            self._known.add(json.loads(self._store.read(name)))
