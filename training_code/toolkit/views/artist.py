"""A process that draws, as the one that watches it has it: asked for a picture, and killed when it takes too much."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import views
from contract.environment import TENSORS
from toolkit.views.configuration import Configuration

_PACKAGES = Path(__file__).resolve().parents[2]
# Such as libraries have without being watched at all: more isn't asked of /proc.
_ANONYMOUS = re.compile(rb"RssAnon:\s*(\d+) kB")
_ANSWER_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """What a drawing may take.

    seconds: of those in which it had a processor, or slept. last_seconds: all that are due when the training has ended,
    together.
    """

    seconds: float = views.DRAWING_SECONDS
    memory: int = views.DRAWING_BYTES
    last_seconds: float = views.LAST_PICTURES_SECONDS


@dataclass(frozen=True)
class Picture:
    """A drawing that went well. unfinished: the file, not yet under its own name."""

    ending: str
    size: int
    seconds: float
    unfinished: Path


@dataclass(frozen=True)
class Failure:
    """A drawing that went wrong.

    final: another step's would, too. absent: a tensor wasn't saved (yet). broke: it cost the process its life.
    """

    reason: str
    seconds: float
    final: bool = False
    absent: bool = False
    broke: bool = False


class Artist:
    """One such process: started when it is first needed, and again after it was killed.

    Args:
        place: the tensors, a folder or an s3:// prefix.
        code: the model's folder.
        output: the folder below which pictures are written.
    """

    def __init__(self, place: str, code: Path, output: Path, limits: Limits) -> None:
        self._place, self._code, self._output, self._limits = place, code, output, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._started = self._waited_before = 0.0
        self._unfinished: Path | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is due."""
        return self._unfinished is not None

    def ask(self, configuration: Configuration, step: int) -> None:
        """Asks for a picture. Raises OSError when no process can be started, or the folder not be made."""
        folder = self._output / views.picture(configuration.name, step, views.SVG)
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = folder.with_name(f".{step:012d}.{os.getpid()}.{time.monotonic_ns()}")
        request = {"view": configuration.view, "parameters": configuration.parameters, "step": step}
        process = self._process or self._start()
        self._unfinished, self._started, self._said = unfinished, time.monotonic(), b""
        self._waited_before = self._waited()
        with suppress(BrokenPipeError):  # it has died since: the answer will say so
            process.stdin.write(json.dumps({**request, "to": str(unfinished)}).encode() + b"\n")  # type: ignore[union-attr]

    def _start(self) -> subprocess.Popen[bytes]:
        module = "toolkit.views.drawing"
        arguments = ("--parent", str(os.getpid()), "--tensors", self._place, "--code", str(self._code))
        path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH", ""))))
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._code,
            # A probe that the model's code makes there is off: as another worker it would keep all from ending.
            env={**os.environ, "PYTHONPATH": path, TENSORS: f"{os.devnull}/tensors"},
            bufsize=0,
            start_new_session=True,  # so that whatever a view starts is killed with it
        )
        os.set_blocking(process.stdout.fileno(), False)  # type: ignore[union-attr]
        self._process = process
        return process

    def fileno(self) -> int:
        """Of the answers, for select."""
        return self._process.stdout.fileno()  # type: ignore[union-attr]

    def answer(self) -> Picture | Failure | None:
        """The answer, if there is one; None while it draws. Kills it when it has taken too much time or memory."""
        self._listen()
        seconds = time.monotonic() - self._started - (self._waited() - self._waited_before)
        if self._said.endswith(b"\n"):
            try:
                said = json.loads(self._said)
            except ValueError:  # a view that writes wherever it can
                return self._broke("the process that drew answered nothing that can be read, and was stopped", seconds)
            found = self._answered(said, seconds)
            if self._memory() > self._limits.memory / 2:  # it grows: a fresh one, before it is too late
                self.kill()
            return found
        if (status := self._process.poll()) is not None:  # type: ignore[union-attr]
            return self._broke(f"the process that drew ended by itself, {_ending(status)}", seconds)
        if seconds > self._limits.seconds:
            return self._broke(f"no picture after {self._limits.seconds:g} s; it was stopped", seconds)
        if (memory := self._memory()) > self._limits.memory:
            most = self._limits.memory / 2**20
            return self._broke(
                f"it took {memory / 2**20:.0f} MiB of memory, more than {most:.0f}, and was stopped", seconds
            )
        return None

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            while said := os.read(self.fileno(), _ANSWER_BYTES):
                self._said += said

    def _answered(self, document: Mapping[str, Any], seconds: float) -> Picture | Failure:
        unfinished, self._unfinished = self._unfinished, None
        if "reason" in document:
            self._discard(unfinished)
            return Failure(document["reason"], seconds, bool(document["final"]), bool(document["absent"]))
        ending = document["ending"]
        return Picture(ending, document["bytes"], document["seconds"], Path(f"{unfinished}.{ending}"))

    def _broke(self, reason: str, seconds: float) -> Failure:
        unfinished, self._unfinished = self._unfinished, None
        self.kill()
        self._discard(unfinished)
        return Failure(reason, seconds, broke=True)

    @staticmethod
    def _discard(unfinished: Path | None) -> None:
        for ending in views.CONTENT_TYPES if unfinished else ():
            with suppress(OSError):
                Path(f"{unfinished}.{ending}").unlink()

    def _memory(self) -> int:
        """Bytes that are in no file; 0 where that can't be known."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_bytes()  # type: ignore[union-attr]
        except (OSError, AttributeError):
            return 0
        found = _ANONYMOUS.search(status)
        return int(found.group(1)) << 10 if found else 0

    def _waited(self) -> float:
        """Seconds that it could have run and had no processor, which a training may need whole; 0 where nobody counts
        them."""
        try:
            numbers = Path(f"/proc/{self._process.pid}/schedstat").read_bytes().split()  # type: ignore[union-attr]
            return int(numbers[1]) / 1e9
        except (OSError, AttributeError, IndexError, ValueError):
            return 0.0

    def kill(self) -> None:
        """Ends the process, and all that it has started."""
        process, self._process = self._process, None
        unfinished, self._unfinished = self._unfinished, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]
        self._discard(unfinished)


def _ending(status: int) -> str:
    if status >= 0:
        return f"with exit code {status}"
    with suppress(ValueError):
        return f"by {signal.Signals(-status).name}"
    return f"by signal {-status}"
