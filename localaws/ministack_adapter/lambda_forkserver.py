"""A process that has boto3 imported, from which the processes of functions are forked: each begins in milliseconds.

Run by this server's interpreter as `lambda_forkserver.py CONTROL`, the number of the socket on which it is asked for
processes (see `lambda_processes`). There it is first told whether functions get namespaces of their own, the folder of
the packages that every function finds, and the home of the server's user, which none finds: on its command line a
function would see that. It has one thread, reads no variable that a function could set, and touches nothing that it was
not asked to. Standard library only, as `lambda_worker`, and what confines.

A function has two processes: one that watches, the first of its namespaces, and one that runs it. Both are forked
before they are asked for, so that a function needn't wait for that.
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
from typing import Any, NoReturn

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT))
from localaws.confinement import functions, linux, processes  # noqa: E402 - found by the line above
from localaws.confinement.functions import Function, Machine, Places  # noqa: E402

sys.path.remove(str(ROOT))

Document = dict[str, Any]

# The descriptors that come with a request: the function reads the first and writes the next two.
STREAMS = ("requests", "log", "answers", "status")
_PART_BYTES = 1 << 16
# Found now, since a function doesn't see where the server's own begins.
_PYTHON = os.path.realpath(sys.executable)
_ANSWERS = 3
# SageMaker's model alone is 8 MB, and takes a tenth of a second to read, in each process that reads its own.
_MOST_CALLED = ("dynamodb", "s3", "sagemaker")
# What these variables change is settled when a process begins, or when it imports boto3.
_READ_AT_THE_START = ("LD_", "LC_", "GLIBC_", "MALLOC_", "OPENSSL_", "SSL_", "BOTO_", "AWS_NEW_")


def main() -> None:
    gc.disable()  # nothing of what is imported is garbage
    control = socket.socket(fileno=int(sys.argv[1]))
    told = json.loads(_line(control))
    machine = Machine(Path(told["runtime"]), HERE / "lambda_worker.py", Path(told["home"]))
    sys.path.insert(0, str(HERE))
    importlib.import_module("lambda_worker")
    sys.path.pop(0)
    is_confined = told["confined"]
    if is_confined:
        _begin_namespaces(control)
        functions.enter_template(machine)
    _import_packages(functions.runtime_of(machine, is_confined=is_confined))
    asked = _serve(control, is_confined=is_confined)
    if asked is not None:
        _wait_and_become(machine, *asked, is_confined=is_confined)


def _line(control: socket.socket) -> bytes:
    """The first line, and nothing of what comes after it: that has descriptors."""
    line = b""
    while not line.endswith(b"\n"):
        line += control.recv(1) or b"null\n"
    return line


def _begin_namespaces(control: socket.socket) -> None:
    """Go on as the first process of new namespaces, with which all functions end; this one waits for it."""
    functions.enter_namespaces()
    child = os.fork()
    if child == 0:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    control.close()
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)


def _import_packages(runtime: str) -> None:
    """Import what most functions use, and leave no trace of it but the modules."""
    before = list(sys.path)
    sys.path[:] = [*before, runtime]
    _warm(importlib.import_module("boto3"))
    sys.path[:] = before
    gc.freeze()
    gc.enable()


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


def _serve(control: socket.socket, *, is_confined: bool) -> tuple[socket.socket, socket.socket] | None:
    """Hand each request to a process that is ready for one; None once nobody can ask.

    In such a process: where it is asked, and where its watcher learns whom to tell how it ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever watches a function tells how it ended
    own_processes = os.open("/proc/self/ns/pid", os.O_RDONLY) if is_confined else None
    while True:
        ours, its = socket.socketpair()
        told = _fork_spare(control, ours, own_processes)
        if told is not None:
            return its, told
        its.close()
        message, descriptors = _receive(control)
        if not descriptors:
            return None
        with ours, contextlib.suppress(ConnectionError):
            sent = socket.send_fds(ours, [message], descriptors)
            ours.sendall(message[sent:])
        for descriptor in descriptors:
            os.close(descriptor)


def _receive(asked: socket.socket) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(asked, _PART_BYTES, len(STREAMS))
    while message and not message.endswith(b"\n"):
        message += asked.recv(_PART_BYTES) or b"\n"
    return message, descriptors


def _fork_spare(control: socket.socket, ours: socket.socket, own_processes: int | None) -> socket.socket | None:
    """Fork a watcher, and by it a process for a function; in the latter: where its watcher is to be told."""
    if own_processes is not None:
        linux.unshare(linux.CLONE_NEWPID)
    if os.fork() != 0:
        if own_processes is not None:
            linux.setns(own_processes, linux.CLONE_NEWPID)
        return None
    for mine in (control, ours):
        mine.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told, its = socket.socketpair()
    child = os.fork()
    if child == 0:
        told.close()
        return its
    its.close()
    return _watch(child, told, is_confined=own_processes is not None)


def _watch(child: int, told: socket.socket, *, is_confined: bool) -> NoReturn:
    """Wait for the function's process, say how it ended, and end everything that it has started."""
    os.setsid()
    _close_others([told.fileno()])
    # Before the function runs, which waits for nobody here.
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    _, descriptors, _, _ = socket.recv_fds(told, 1, 1)
    if not descriptors:
        os._exit(0)  # it was never asked for
    ended = None
    while ended is None:
        pid, how = os.wait()
        ended = how if pid == child else None
    if not is_confined:  # else the kernel ends all with this process, the first of their namespace
        processes.end_descendants()
    with contextlib.suppress(OSError):  # the server has gone
        os.write(descriptors[0], f"ended {ended}".encode())
    os._exit(0)


def _wait_and_become(machine: Machine, asked: socket.socket, told: socket.socket, *, is_confined: bool) -> None:
    """Make this process that of the function that it is asked for."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    _close_others([asked.fileno(), told.fileno()])
    message, descriptors = _receive(asked)
    asked.detach()
    if not descriptors:
        return
    *streams, status = descriptors
    os.write(status, f"began {os.getpid()}\n".encode())
    socket.send_fds(told, [b"s"], [status])
    told.detach()
    request = json.loads(message)
    function = Function(request["code_dir"], request["layers"], request["tmp_megabytes"], request["bytecode"])
    os.setsid()
    _take(streams)
    places = functions.enter(machine, function) if is_confined else functions.stay(machine, function)
    functions.fence(machine, places)
    _become(places, request["environment"])


def _close_others(descriptors: list[int]) -> None:
    """Close everything that was the forkserver's, the server's log among it."""
    os.dup2(1, 2)
    last = 2
    for descriptor in [*sorted(descriptors), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]:
        os.closerange(last + 1, descriptor)
        last = descriptor


def _take(streams: list[int]) -> None:
    """Make the function's streams the standard ones, and close all others."""
    requests, log, answers = (os.dup(descriptor) for descriptor in streams)
    for number, descriptor in enumerate((requests, log, log, answers)):
        os.dup2(descriptor, number)
        os.set_inheritable(number, True)
    os.closerange(_ANSWERS + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _become(places: Places, environment: dict[str, str]) -> None:
    """Make this process the function's: its variables and folder, and nothing of the forkserver's."""
    environment = {**environment, "LAMBDA_TASK_ROOT": places.code, "HOME": places.code}
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(places.code)
    worker: Any = sys.modules["lambda_worker"]
    path = worker.search_path(places.code, places.layers, places.runtime)
    command = [_PYTHON, "-I", "-S", places.worker, str(_ANSWERS), *path]
    if _must_begin_anew(path[:-1], environment):
        os.execve(command[0], command, environment)  # noqa: S606 - itself, with these arguments
    _forget_confinement()
    sys.pycache_prefix = places.bytecode
    sys.argv[:] = command[3:]
    worker.main()


def _forget_confinement() -> None:
    """Leave no package of this server for the function to import."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "localaws"]:
        del sys.modules[name]


def _must_begin_anew(path: list[str], environment: dict[str, str]) -> bool:
    """Whether the function would find another module than is imported already, or boto3 other settings."""
    folders = [Path(folder) for folder in path]
    names = {inside.name.partition(".")[0] for folder in folders if folder.is_dir() for inside in folder.iterdir()}
    # "" is a name that begins with a dot, such as the .aws folder of a home.
    return bool(names & {"", *sys.modules}) or any(name.startswith(_READ_AT_THE_START) for name in environment)


if __name__ == "__main__":
    main()
