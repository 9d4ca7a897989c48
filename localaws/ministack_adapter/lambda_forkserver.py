"""A process that has boto3 imported, from which the processes of functions are forked: each begins in milliseconds.

Run by this server's interpreter as `lambda_forkserver.py CONTROL RUNTIME`: the number of the socket on which it is
asked for processes (see `lambda_processes`), and the folder of the packages that every function finds. It has one
thread, reads no variable that a function could set, and touches nothing that it was not asked to. Standard library
only, as `lambda_worker`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

Document = dict[str, Any]

HERE = Path(__file__).parent
WORKER = HERE / "lambda_worker.py"
# The descriptors that come with a request: the process reads the first and writes the others.
STREAMS = ("requests", "log", "answers", "status")
_PART_BYTES = 1 << 16
_ANSWERS = 3
_MOST_CALLED = ("dynamodb", "s3")
_SIGCHLD = {signal.SIGCHLD}
# What these variables change is settled when a process begins, or when it imports boto3.
_READ_AT_THE_START = ("LD_", "LC_", "GLIBC_", "MALLOC_", "OPENSSL_", "SSL_", "BOTO_", "AWS_NEW_")


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    _import_packages(sys.argv[2])
    request = _next_forked(control)
    if request is not None:
        _become(*request)


def _import_packages(runtime: str) -> None:
    """Import what most functions use, and leave no trace of it but the modules."""
    before = list(sys.path)
    sys.path[:] = [str(HERE), *before, runtime]
    importlib.import_module("lambda_worker")
    _warm(importlib.import_module("boto3"))
    sys.path[:] = before
    gc.collect()
    gc.freeze()


def _warm(boto3: Any) -> None:
    """Make clients of services that most functions call: that imports a good deal more, and reads the models.

    The session is thrown away: each function makes its own. Models that have been read are not read again, unless the
    function says where others are.
    """
    session = boto3.session.Session("none", "none", region_name="us-east-1")
    for service in _MOST_CALLED:
        session.client(service)
    botocore_session: Any = importlib.import_module("botocore.session")
    known, create = session._loader, botocore_session.create_loader
    botocore_session.create_loader = lambda elsewhere=None: create(elsewhere) if elsewhere else known


def _next_forked(control: socket.socket) -> tuple[Document, list[int]] | None:
    """Fork a process a request. In such a process: the request and its descriptors; None once nobody can ask."""
    status_of: dict[int, int] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _reap(status_of))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _PART_BYTES, len(STREAMS))
        while message and not message.endswith(b"\n"):
            message += control.recv(_PART_BYTES) or b"\n"
        if not descriptors:
            return None
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGCHLD)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGCHLD)
            control.detach()
            return json.loads(message), descriptors
        *others, status_of[child] = descriptors
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGCHLD)
        for descriptor in others:
            os.close(descriptor)


def _reap(status_of: dict[int, int]) -> None:
    """Say of each process that has ended how it did."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            pid, status = ended
            descriptor = status_of.pop(pid)
            with contextlib.suppress(OSError):  # the server has gone
                os.write(descriptor, f"ended {status}\n".encode())
            os.close(descriptor)


def _become(request: Document, descriptors: list[int]) -> None:
    """Make this new process the function's: its streams, variables and folder, and nothing of the forkserver's."""
    os.setsid()
    requests, log, answers, status = descriptors
    os.write(status, f"began {os.getpid()}\n".encode())
    for number, descriptor in enumerate((requests, log, log, answers)):
        os.dup2(descriptor, number)
        os.set_inheritable(number, True)
    os.closerange(_ANSWERS + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["code_dir"])
    command = [sys.executable, "-I", "-S", str(WORKER), str(_ANSWERS)]
    if _must_begin_anew(request):
        os.execve(command[0], command, request["environment"])  # noqa: S606 - itself, with these arguments
    sys.argv[:] = command[3:]
    sys.modules["lambda_worker"].main()


def _must_begin_anew(request: Document) -> bool:
    """Whether the function would find another module than is imported already, or boto3 other settings."""
    folders = [Path(request["code_dir"]), *map(Path, request["layer_paths"])]
    names = {path.name.partition(".")[0] for folder in folders if folder.is_dir() for path in folder.iterdir()}
    # "" is a name that begins with a dot, such as the .aws folder of a home.
    return bool(names & {"", *sys.modules}) or any(
        name.startswith(_READ_AT_THE_START) for name in request["environment"]
    )


if __name__ == "__main__":
    main()
