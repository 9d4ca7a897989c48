"""The loop over the steps that are left, with checkpoints by steps and by time, and one when the job is told to end."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from contract import environment, names
from toolkit.checkpoint import peers
from toolkit.checkpoint.files import CheckpointError, read, write
from toolkit.checkpoint.parts import Part, part_of
from toolkit.container import base_folder

TOLD_TO_END = 128 + signal.SIGTERM
_FILES = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")
_RANDOM, _PARTS, _PEERS = "random", "parts", "peers"
# What the processes that train together agree on after a step: nothing, to save, or to save and end.
_SAVE, _END = 1, 2
# What may be lost where no SIGTERM comes: the host fails, or the script is killed for its memory.
FIVE_MINUTES = 300.0


class Checkpoints:
    """Saves the parts every so many steps or seconds, and when the job is told to end (SIGTERM).

    Two files take turns, so that one is whole whatever happens while the other is written.

    Of processes that train together (torch.distributed) the first writes, all end after the same step, and all read
    what it wrote. The parts are the first one's, but each has its own random state and generators back.

    Args:
        every: steps between two checkpoints; at most so many are trained again after an interruption. None: by time.
        seconds: time between two checkpoints at most, looked at after each step. None: by steps alone.
        folder: where; by default the job's checkpoint folder, which SageMaker copies to and from S3.
        finish: whether the loop just ends when the job is told to end, so that the script may save the model that it
            has (it has 120 seconds); otherwise the script ends there.
        parts: what is saved, by name; see the package.

    Raises:
        CheckpointError: a part is of a kind that can't be saved, or nothing says when to save.
    """

    def __init__(
        self,
        *,
        every: int | None = None,
        seconds: float | None = FIVE_MINUTES,
        folder: str | Path | None = None,
        finish: bool = False,
        **parts: Any,
    ) -> None:
        _check_when(every, seconds)
        if _RANDOM in parts:
            raise CheckpointError(f"{_RANDOM!r} is the name of the random state, which is saved anyway; choose another")
        self.every, self.seconds, self.finish = every, seconds, finish
        self._folder = Path(folder) if folder else None
        self.step = 0
        self._parts: dict[str, Part] = {name: part_of(name, value) for name, value in parts.items()}
        self._saved = 0
        self._saved_at = time.monotonic()
        self._told = False
        self._agreement = peers.Agreement()

    @property
    def folder(self) -> Path | None:
        """Where they lie; None where there is no place for them."""
        return self._folder or default_folder()

    def steps(self, total: int) -> Iterator[int]:
        """The steps that are left of `total`, each to be trained by the loop's body; from 0 in the first container.

        Raises:
            CheckpointError: a checkpoint can't be written, or is of other parts.
            SystemExit: the job was told to end; the last step is saved.
        """
        self.restore()
        self._saved_at = time.monotonic()
        with self._listening():
            for step in range(self.step, total):
                yield step
                self.step = step + 1
                agreed = self._agreement.on(_END if self._told else _SAVE if self._is_late() else 0)
                if agreed or self.step == total or self._is_due():
                    self.save()
                if agreed == _END:
                    print(f"checkpoint: told to end; step {self.step} of {total} is saved", flush=True)
                    if not self.finish:
                        raise SystemExit(TOLD_TO_END)
                    return

    def save(self) -> None:
        """Writes a checkpoint of `self.step` steps."""
        folder = self.folder
        if folder is None:
            return
        everybody = peers.of_all(self._own_state())
        if peers.number() == 0:
            state = {name: part.state() for name, part in self._parts.items()}
            tree = {"step": self.step, "saved": self._saved + 1, _PARTS: state, _RANDOM: everybody[0][_RANDOM]}
            folder.mkdir(parents=True, exist_ok=True)
            together = {_PEERS: everybody} if len(everybody) > 1 else {}
            write(folder / _FILES[self._saved % len(_FILES)], {**tree, **together})
        # Nobody goes on, or ends, before it is written: a host that has ended may end the others.
        peers.of_all(None)
        self._saved += 1
        self._saved_at = time.monotonic()

    def _own_state(self) -> dict[str, Any]:
        """What this process alone has."""
        parts = {name: part.state() for name, part in self._parts.items() if part.own}
        return {_RANDOM: random_state(), _PARTS: parts}

    def restore(self) -> bool:
        """Puts the parts and the random state back as the newest whole checkpoint has them; False where there is none.

        Raises:
            CheckpointError: it is of other parts than these.
        """
        found = self._newest()
        _check_alike(peers.of_all(None if found is None else found[1]["saved"]), self.folder)
        if found is None:
            return False
        path, tree = found
        own = _own_of(path, tree)
        theirs, ours = sorted(tree[_PARTS]), sorted(self._parts)
        if theirs != ours:
            raise CheckpointError(
                f"{path} holds the parts {', '.join(theirs) or 'none'}, but the script has "
                f"{', '.join(ours) or 'none'}; begin with an empty checkpoint folder"
            )
        for name, part in self._parts.items():
            _load(path, name, part, {**tree[_PARTS], **own[_PARTS]}[name])
        restore_random_state(own[_RANDOM])
        self.step, self._saved = tree["step"], tree["saved"]
        print(f"checkpoint: goes on after step {self.step}", flush=True)
        return True

    def _is_due(self) -> bool:
        return self.every is not None and self.step % self.every == 0

    def _is_late(self) -> bool:
        return self.seconds is not None and time.monotonic() - self._saved_at >= self.seconds

    def _newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The checkpoint that was saved last, of those that are whole."""
        found, folder = [], self.folder
        for path in [folder / name for name in _FILES if folder is not None]:
            if not path.exists():
                continue
            try:
                found.append((path, read(path)))
            except CheckpointError as error:
                print(f"checkpoint: {error}; it is left out", file=sys.stderr, flush=True)
        return max(found, key=lambda one: one[1]["saved"], default=None)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Has SIGTERM wait for the end of the step."""

        def told(_number: int, _frame: FrameType | None) -> None:
            self._told = True

        before = signal.signal(signal.SIGTERM, told)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def _check_when(every: object, seconds: object) -> None:
    if every is None and seconds is None:
        raise CheckpointError("nothing says when to save; give every=100 (steps) or seconds=300")
    if every is not None and (not isinstance(every, int) or every < 1):
        raise CheckpointError(f"every is {every!r}; it must be a number of steps, at least 1")
    if seconds is not None and (not isinstance(seconds, (int, float)) or not seconds > 0):
        raise CheckpointError(f"seconds is {seconds!r}; it must be a number above 0")


def _check_alike(saved: list[int | None], folder: Path | None) -> None:
    """Raises CheckpointError unless all processes have found the same checkpoint."""
    if len(set(saved)) == 1:
        return
    found = [f"process {number} {'none' if one is None else f'number {one}'}" for number, one in enumerate(saved)]
    raise CheckpointError(
        f"the processes that train together have found different checkpoints in {folder} ({', '.join(found)}); every "
        "host must have the same: begin with an empty checkpoint folder"
    )


def _own_of(path: Path, tree: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds for this process alone. Raises CheckpointError where it is of more of them, or fewer."""
    everybody = tree.get(_PEERS) or [{_RANDOM: tree[_RANDOM], _PARTS: {}}]
    if len(everybody) != peers.count():
        raise CheckpointError(
            f"{path} is of {len(everybody)} processes that trained together, and now there are {peers.count()}; begin "
            "with an empty checkpoint folder"
        )
    found: dict[str, Any] = everybody[peers.number()]
    return found


def _load(path: Path, name: str, part: Part, state: Any) -> None:
    try:
        part.load(state)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{path}: its {name} doesn't fit the script's ({type(error).__name__}: {error}); "
            "begin with an empty checkpoint folder"
        ) from error


def default_folder() -> Path | None:
    """The job's checkpoint folder; None outside of a job, where training goes on without checkpoints.

    Whether it is one, the job's name tells, which SageMaker gives every training container ("How Amazon SageMaker
    Provides Training Information"): there may be a `/opt/ml` on anybody's machine, and by hand no training shall take
    up another's checkpoints.

    The jobs of a tuning job are given one and the same: each takes up its own. So are the hosts of a job; those that
    don't train together have one each.
    """
    base, job = base_folder(), os.environ.get(environment.TRAINING_JOB, "")
    if not job or not base.is_dir():
        return None
    several = len(json.loads(os.environ.get("SM_HOSTS", "[]"))) > 1
    host = os.environ.get("SM_CURRENT_HOST", "") if several and peers.count() == 1 else ""
    return base / "checkpoints" / (job if names.run_of_trial(job) else "") / host


def random_state() -> dict[str, Any]:
    """The state of Python's own generator, and of NumPy's and PyTorch's global ones where they are loaded."""
    state: dict[str, Any] = {"python": random.getstate()}
    if (numpy := sys.modules.get("numpy")) is not None:
        state["numpy"] = numpy.random.get_state(legacy=False)
    if (torch := sys.modules.get("torch")) is not None:
        state["torch"] = torch.get_rng_state()
        state["cuda"] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Puts the state back that `random_state` gave."""
    random.setstate(state["python"])
    if "numpy" in state:
        import numpy as np

        np.random.set_state(state["numpy"])
    if "torch" in state:
        import torch

        torch.set_rng_state(state["torch"])
        if state["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])
