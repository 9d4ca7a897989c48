"""A container whose processes are forked from a warm interpreter: what it is to be comes by a socket of its own.

The first line that comes is a document, with it the descriptors of its output and of what its program inherits:
`options` (options.py), `environment`, `descriptors` (the numbers that the program inherits them under), and what
`forks`: the "program" itself, the script of a program that is "train", or "scripts" that a `train` asks for, for which
the last descriptor is a socket that listens (warm_scripts.py). A byte that comes afterwards says that the container is
kept to its limits now: its program may begin. What goes back is the exit status, once nothing of the container is left
but its first process, whose own end takes as long as its interpreter is large.
"""

from __future__ import annotations

import json
import os
import socket

from localaws.confinement import first_process, linux, train_program, warm_program, warm_scripts
from localaws.confinement.first_process import Starts
from localaws.confinement.options import Options
from localaws.confinement.processes import all_reaped
from localaws.confinement.warm_program import BecomesError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any

    from localaws.confinement.kept_modules import Kept
    from localaws.confinement.warm_program import Program
else:
    import _signal as signal

_PART_BYTES, _MOST_DESCRIPTORS = 1 << 16, 16


def container(asked: socket.socket, kept: Kept) -> Program:
    """Make this process a container; returns in each process of it that is to become a program."""
    try:
        os._exit(_run(asked, kept))
    except BecomesError as becomes:
        return becomes.program


def _run(asked: socket.socket, kept: Kept) -> int:
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    message, more, descriptors = receive(asked)
    if not message:
        return first_process.SETUP_FAILED  # the server has gone
    document = json.loads(message)
    asked_on, listener = _take(asked, document, descriptors)
    os.environ.clear()
    os.environ.update(document["environment"])
    processes = _Processes(document, kept, asked_on, listener)
    starts = Starts(processes.become, processes.script, processes.beside)
    status = first_process.lead(Options(document["options"]), lambda: bool(more or os.read(asked_on, 1)), starts)
    if all_reaped():
        _tell(asked_on, status)
    return status


class _Processes:
    """How the container's processes begin, but for its first; none of them can say anything to who asks."""

    def __init__(self, document: Any, kept: Kept, asked_on: int, listener: int | None) -> None:
        self._forks: str = document["forks"]
        self._environment: dict[str, str] = document["environment"]
        self._kept, self._asked_on, self._listener = kept, asked_on, listener

    def become(self, options: Options) -> int:
        os.close(self._asked_on)
        program = None
        if self._forks == "program" and os.path.isdir(options.cwd):
            program = warm_program.found(options.program, self._environment, options.cwd, self._kept)
        if program is None:
            return first_process.execute(options, self._environment)
        first_process.begin(options)  # its folder is there: the program has been found from it
        raise BecomesError(program)

    def script(self, command: list[str], cwd: str, variables: dict[str, str]) -> None:
        os.close(self._asked_on)
        program = warm_program.found(command, variables, cwd, self._kept)
        if program is None:
            train_program.start(command, cwd, variables)
        os.chdir(cwd)
        raise BecomesError(program)

    def beside(self) -> None:
        if self._listener is None:
            return
        if os.fork() == 0:
            os.close(self._asked_on)
            raise BecomesError(warm_scripts.serve(socket.socket(fileno=self._listener), self._kept))
        os.close(self._listener)


def _tell(asked_on: int, status: int) -> None:
    os.closerange(1, 3)
    try:
        os.write(asked_on, b"%d" % status)
    except OSError:
        pass  # the server has gone


def receive(asked: socket.socket) -> tuple[bytes, bytes, list[int]]:
    """A document, what came after it, and the descriptors that came with it; nothing where nobody asks any more."""
    message, descriptors, _, _ = socket.recv_fds(asked, _PART_BYTES, _MOST_DESCRIPTORS)
    while message and b"\n" not in message:
        part = asked.recv(_PART_BYTES)
        message = message + part if part else b""
    document, _, more = message.partition(b"\n")
    return document, more, descriptors


def _take(asked: socket.socket, document: Any, descriptors: list[int]) -> tuple[int, int | None]:
    """Put the descriptors where they belong, and close all others; that of who asks, and of the socket for scripts."""
    listener = descriptors.pop() if document["forks"] == "scripts" else None
    places = [1, *document["descriptors"]]
    high = max([*places, *descriptors, asked.fileno()]) + _MOST_DESCRIPTORS
    moved = [os.dup2(descriptor, high + at, inheritable=False) for at, descriptor in enumerate(descriptors)]
    asked_on = os.dup2(asked.detach(), high + len(moved), inheritable=False)
    kept = None if listener is None else os.dup2(listener, high + len(moved) + 1, inheritable=False)
    os.closerange(3, high)
    for descriptor, place in zip(moved, places, strict=True):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.dup2(1, 2)
    return asked_on, kept
