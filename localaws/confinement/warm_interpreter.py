"""A warm interpreter: an image's own Python that has imported the framework, and is forked for each container.

Run by the server with `BOOTSTRAP`, as `python -c BOOTSTRAP ROOT CONTROL IMPORTS OPTION…`: CONTROL is the number of the
socket on which it is asked, IMPORTS the modules with commas between, the options those of options.py for what it sees
while it imports. It runs no byte of a user's: whom it forks reads on a socket of its own what it is to be, which this
process never sees. Such a process is the server's child, not this one's (clone(2), CLONE_PARENT), so containers are as
the server would have started them itself, and go on when this process has gone. It is the first of a process namespace
of its own, and waits with SIGTERM blocked: a container's first process.

Answers on CONTROL, a line each: first a document, of what its imports have read and made, or `{"failed": why}`; then a
process id for each byte that comes with a socket.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import socket
import sys

from localaws.confinement import linux, privileges, view
from localaws.confinement.kept_modules import Kept, Recording
from localaws.confinement.linux import PR_SET_PDEATHSIG
from localaws.confinement.options import Options
from localaws.confinement.warm_container import container

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    from localaws.confinement.warm_program import Program
else:
    import _signal as signal

# What is run at the last is run from here: there is nothing below a program's own frames but this one.
BOOTSTRAP = """\
import sys
known = frozenset(sys.modules)
sys.path.append(sys.argv[1])
from localaws.confinement.warm_interpreter import main
program = main(known, sys.argv[2:])
raised = None
try:
    exec(program.begin(), program.space)
except BaseException as error:
    raised = error
program.end(raised)
"""
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT = 0x8000
_PLACES = ("/tmp", "/opt/ml")  # noqa: S108 - a container's own


def main(known: frozenset[str], arguments: list[str]) -> Program:
    """Serve until nobody can ask; returns in a process that is to become a program."""
    control = socket.socket(fileno=int(arguments[0]))
    imports, options = arguments[1].split(",") if arguments[1] else [], Options(arguments[2:])
    linux.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != options.parent:
        os._exit(1)
    sys.path.pop()  # this package's own folder
    try:
        kept = _imported(known, imports, options.view)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises: containers start without it
        control.sendall(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    control.sendall(json.dumps(kept.document).encode() + b"\n")
    return container(_serve(control), kept)


def _imported(known: frozenset[str], imports: Sequence[str], seen: view.View) -> Kept:
    """Import these as a container would: with its files, and nothing else of this machine."""
    ours = frozenset(sys.modules) - known
    here = _enter(seen)
    recording = Recording(known, ours)
    for name in imports:
        importlib.import_module(name)
    kept = recording.end()
    _name_libraries()
    _end_threads()  # a process with threads can't change to other mounts (setns(2))
    # Held open, the mounts are there as long as this process: /proc/self/maps of its children names files by them.
    os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    linux.setns(here, linux.CLONE_NEWNS)
    os.close(here)
    sys.path_importer_cache.clear()  # which a program would begin with; a forked process would copy what it frees
    gc.collect()
    gc.freeze()
    return kept


def _enter(seen: view.View) -> int:
    """Take on the view; the namespace of mounts that was there before, in which containers begin."""
    if os.geteuid() != 0:
        privileges.enter_user_namespace(linux.CLONE_NEWNS)
    here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    linux.unshare(linux.CLONE_NEWNS)
    seen.places = _PLACES
    os.close(view.enter(seen, own_processes=False))
    return here


def _name_libraries() -> None:
    """Have the loader know libraries by the names that /proc/self/maps has, too, for whoever looks for them there.

    It tells files by their device, which in a container is that of its own layer, or by their names.
    """
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        paths = {line.rstrip("\n").partition("/")[2] for line in file if "/" in line}
    for path in paths:
        if ".so" in path:
            try:
                ctypes.CDLL(f"/{path}", os.RTLD_NOLOAD | os.RTLD_NOW)
            except OSError:
                pass  # nothing that the loader has loaded


def _end_threads() -> None:
    """Libraries end the threads of their pools before a fork, and start them again when they need them."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("its imports start threads, which a fork would lose")


def _serve(control: socket.socket) -> socket.socket:
    """Fork for whoever asks; returns in such a process, with the socket on which it learns what it is to be."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            os._exit(0)
        child = _fork_sibling()
        if child == 0:
            control.close()
            return socket.socket(fileno=descriptors[0])
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(b"%d\n" % child)


def _fork_sibling() -> int:
    """Fork a child of this process's parent; 0 in it, below 0 where there can't be one.

    There are no threads, so that nothing else need be told.
    """
    ctypes.pythonapi.PyOS_BeforeFork()
    call = [_CLONE[os.uname().machine], _CLONE_PARENT | linux.CLONE_NEWPID | signal.SIGCHLD, 0, 0, 0, 0]
    child: int = ctypes.PyDLL(None).syscall(*map(ctypes.c_long, call))
    if child == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return child
