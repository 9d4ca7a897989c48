"""Scripts that answer a line of JSON by another, each in an environment of its own, and answers that are kept."""

from __future__ import annotations

import json
import os
import queue
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

# Trials that run beside each other don't fight over a core.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Answering:
    """A script beside this one, in a process that runs until the context ends."""

    def __init__(self, process: subprocess.Popen[str], script: str) -> None:
        self._process, self._script = process, script

    def tell(self, line: Mapping[str, Any]) -> None:
        """A line that isn't answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def ask(self, line: Mapping[str, Any]) -> Any:
        """The answer to a line.

        Raises:
            SystemExit: the script ended instead.
        """
        with suppress(BrokenPipeError):
            self.tell(line)
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._script} ended at {json.dumps(line)}; what it said stands above")
        return json.loads(answer)


@contextmanager
def answering(python: Path, script: str, *arguments: str) -> Iterator[Answering]:
    """The script in a process of this Python."""
    # -P: platform.py beside the script must not stand for Python's own module of that name.
    command = [str(python), "-P", str(Path(__file__).with_name(script)), *arguments]
    variables = {**os.environ, **ONE_THREAD}
    process = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    try:
        yield Answering(process, script)
    finally:
        with suppress(BrokenPipeError):  # it has failed, as has been said
            process.stdin.close()
        process.wait()


class Remembered:
    """Answers of one script in several processes. Thread-safe; what was asked before isn't asked again."""

    def __init__(self, processes: list[Answering]) -> None:
        self._known: dict[str, Any] = {}
        self._free: queue.SimpleQueue[Answering] = queue.SimpleQueue()
        for process in processes:
            self._free.put(process)

    def ask(self, line: Mapping[str, Any]) -> Any:
        """The answer to a line, now or from before."""
        key = json.dumps(line, sort_keys=True)
        if key not in self._known:
            process = self._free.get()
            try:
                self._known.setdefault(key, process.ask(line))
            finally:
                self._free.put(process)
        return self._known[key]


@contextmanager
def remembered(python: Path, script: str, processes: int) -> Iterator[Remembered]:
    """The script in so many processes of this Python."""
    with ExitStack() as stack:
        yield Remembered([stack.enter_context(answering(python, script)) for _ in range(processes)])
