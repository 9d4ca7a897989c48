"""Scripts that programs of a container would start, forked from a warm interpreter instead.

A process of the container that waits beside its program, as confined as that. Whoever wants a script (`train`,
train_program.py) connects and sends a document, `words`, `environment`, `cwd` and what else a process hands on to one
that it starts, with its standard streams. The answer is `no`, or the script's process id; in the end its wait status. A
script is killed when whoever asked for it has gone.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket

from localaws.confinement import warm_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from localaws.confinement.kept_modules import Kept
    from localaws.confinement.warm_program import Program

_PART_BYTES, _STREAMS = 1 << 20, 3
_ASK_SECONDS = 5.0
# What of a process's status must be as here for a child of this one to be as a child of its own (proc_pid_status(5)).
_SAME = ("Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "CapEff:")


def serve(listener: socket.socket, kept: Kept) -> Program:
    """Serve as long as the container lives; returns in a process that is to become a script."""
    own = status_of(os.getpid())
    poll = select.poll()
    running: dict[int, Any] = {}
    poll.register(listener, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != listener.fileno():
                _ended(running, poll, ready)
                continue
            asked = listener.accept()[0]
            program, pid = _begun(asked, kept, own)
            if program is not None:
                for each in (listener, asked, *(entry[2] for entry in running.values())):
                    each.detach()  # closed already, with all others
                return program
            if pid is not None:
                ends = os.pidfd_open(pid)
                running[ends] = running[asked.fileno()] = (pid, ends, asked)
                poll.register(ends, select.POLLIN)
                poll.register(asked, select.POLLIN)


def status_of(pid: int) -> list[str]:
    """What of a process's status its children have, too."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return [line for line in file if line.startswith(_SAME)]


def _begun(asked: socket.socket, kept: Kept, own: list[str]) -> tuple[Program | None, int | None]:
    """Fork for who asks: the program in the new process; here its process id, None where there is none."""
    asked.settimeout(_ASK_SECONDS)
    try:
        message, streams, _, _ = socket.recv_fds(asked, _PART_BYTES, _STREAMS)
        while message and not message.endswith(b"\n"):
            message += asked.recv(_PART_BYTES) or b"\n"
        told = json.loads(message)
        program = warm_program.found(told["words"], told["environment"], told["cwd"], kept)
        if program is None or told["status"] != own:
            asked.sendall(b"no\n")
            return None, None
        pid = os.fork()
        if pid == 0:
            _take_on(told, streams)
            return program, None
        for stream in streams:
            os.close(stream)
        asked.sendall(b"%d\n" % pid)
    except (OSError, ValueError, KeyError):
        return None, None
    return None, pid


def _take_on(told: Any, streams: list[int]) -> None:
    """Take on what a process has from the one that starts it."""
    import resource  # noqa: PLC0415 - a built-in module, which others don't need

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(_STREAMS, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.setpgid(0, 0)
    os.chdir(told["cwd"])
    os.umask(told["umask"])
    os.setpriority(os.PRIO_PROCESS, 0, told["nice"])
    os.sched_setaffinity(0, told["processors"])
    for limit, values in told["limits"]:
        resource.setrlimit(limit, values)
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ) and number < 32:
            signal.signal(number, signal.SIG_IGN if number in told["ignored"] else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, told["blocked"])


def _ended(running: dict[int, Any], poll: select.poll, ready: int) -> None:
    """A script has ended, or nobody waits for it any more."""
    if ready not in running:
        return
    pid, ends, asked = running.pop(ready)
    poll.unregister(ready)
    if ready != ends:
        signal.pidfd_send_signal(ends, signal.SIGKILL)
        return
    status = os.waitpid(pid, 0)[1]
    if running.pop(asked.fileno(), None) is not None:
        poll.unregister(asked)
        try:
            asked.sendall(b"%d\n" % status)
        except OSError:
            pass  # nobody waits for it
    asked.close()
    os.close(ends)
