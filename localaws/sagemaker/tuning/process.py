"""The strategies behind one call: those that need a model ask a process of the tuner's own, in its own environment.

The environment is made like an image's and kept among them, once a machine; the server imports none of its packages.
The process begins with the first Bayesian job, and ends with the server, however that ends: its input ends then.
"""

from __future__ import annotations

import contextlib
import json
import logging
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localaws.sagemaker.containers.image_table import pins
from localaws.sagemaker.containers.images import ImageBuildError, Images
from localaws.sagemaker.tuning import bayesian
from localaws.sagemaker.tuning.history import Study
from localaws.sagemaker.tuning.suggestion import Suggestion, suggest_grid, suggest_random

ENVIRONMENT = "tuner"
# What a Gaussian process needs: a sixth of what Optuna's would install, which need torch.
PACKAGES = (
    "numpy==2.4.6; python_version < '3.12'",
    "numpy==2.5.1; python_version >= '3.12'",
    "scipy==1.17.1; python_version < '3.12'",
    "scipy==1.18.0; python_version >= '3.12'",
)
_PROGRAM = Path(__file__).with_name("model_program.py")
# One thread: matrices are small, trials want the cores, and sums in another order would be other suggestions.
_VARIABLES = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
# For an answer that takes a tenth of a second.
_PATIENCE_SECONDS = 120.0

_log = logging.getLogger(__name__)


class TunerError(Exception):
    """The tuner's process can't answer; the message says why."""


class Tuner:
    """Suggests trials. Thread-safe; `suggest` may block for a tenth of a second, and once while the process begins."""

    def __init__(self, images: Images, progress: Callable[[str], None] = _log.info) -> None:
        self._images = images
        self._progress = progress
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._failure: TunerError | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def suggest(self, study: Study) -> Suggestion | None:
        """The next trial of a job; None where it must wait for a running one, or nothing is left to try.

        Raises TunerError.
        """
        if not study.has_room:
            return None
        if study.strategy == "Grid":
            return suggest_grid(study)
        return self._bayesian(study) if study.strategy == "Bayesian" else suggest_random(study)

    def _bayesian(self, study: Study) -> Suggestion:
        start = bayesian.starting_point(study)
        if start is None:
            return bayesian.chosen(study, self._ask(bayesian.question(study)))
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self.pid is None:  # it begins while the first trials train
            threading.Thread(target=self._begin_early, name="tuner-begins", daemon=True).start()
        return start

    def close(self) -> None:
        """End the process, if there is one, and begin no other."""
        self._closed = True
        process = self._process
        if process is not None:
            _end(process)

    def _begin_early(self) -> None:
        try:
            with self._lock:
                self._running()
        except TunerError as error:  # the next who asks is told
            self._failure = error

    def _ask(self, question: dict[str, Any]) -> list[list[float]]:
        line = json.dumps(question).encode() + b"\n"
        with self._lock:
            said = self._exchange(line) or self._exchange(line)  # once more if it was killed
        if not said:
            raise TunerError("The tuner's process ended before it answered.")
        found = json.loads(said)
        if "error" in found:
            raise TunerError(f"The tuner's model failed: {found['error']}")
        places: list[list[float]] = found["places"]
        return places

    def _exchange(self, line: bytes) -> bytes:
        """The process's answer to one line; nothing if it has ended."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - they are pipes
        said = b""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line)
            process.stdin.flush()
            if not _is_readable(process.stdout.fileno(), _PATIENCE_SECONDS):
                _end(process)
                raise TunerError(f"The tuner's process didn't answer for {_PATIENCE_SECONDS:.0f} s.")
            said = process.stdout.readline()
        if not said:
            _end(process)
        return said

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise TunerError("The tuner has been closed.")
        if self._process is None or self._process.poll() is not None:
            self._process = _begin(self._python())
        if self._closed:  # meanwhile
            self.close()
        return self._process

    def _python(self) -> Path:
        try:
            return self._images.tool(ENVIRONMENT, pins(PACKAGES, sys.version_info[:2]), self._progress)
        except ImageBuildError as error:
            raise TunerError(f"The tuner's environment can't be made: {error}") from error


def _begin(python: Path) -> subprocess.Popen[bytes]:
    # As important as the server itself: a slot is idle until it has answered.
    return subprocess.Popen(
        [python, "-I", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_VARIABLES,
        cwd="/",
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _is_readable(descriptor: int, seconds: float) -> bool:
    looking = select.poll()
    looking.register(descriptor, select.POLLIN)
    return bool(looking.poll(1000 * seconds))
