"""What a container's first process does for the others: passes SIGTERM on, reaps what ends, ends what is left."""

from __future__ import annotations

import errno
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # `signal` makes enums of these numbers, which takes as long as everything else here

# A program that has only just started has no handler yet: a signal waits so long for one (in AWS it would be lost).
_HANDLER_SECONDS, _LOOK_SECONDS = 2.0, 0.01
# So many looks in a row find a signal blocked that is meant to be: a shell blocks some whenever it starts a program.
_BLOCKED_LOOKS = 5
_REAP_SECONDS = 0.002


def supervise(child_main: Callable[[], int], *, as_process_1: bool = False, ends_it: bool = False) -> int:
    """Fork `child_main`, pass SIGTERM on to it, reap whatever ends; the child's exit status as a shell has it.

    ends_it: SIGUSR1 ends the child, which the child can't prevent; else it keeps its meaning.
    """
    child, wanted = 0, {signal.SIGTERM, signal.SIGUSR1} if ends_it else {signal.SIGTERM}
    processes = _open_processes() if as_process_1 else -1

    def forward(number: int, _frame: object) -> None:
        if not as_process_1 or _takes_soon(child, number, processes):
            _kill(child, number)

    def end(_number: int, _frame: object) -> None:
        _kill(child, signal.SIGKILL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What comes before somebody can take it waits: a process 1 that doesn't handle a signal never gets it.
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    child = os.fork()
    if child == 0:
        if processes >= 0:
            os.close(processes)  # a child that is forked from a warm interpreter executes nothing
        os._exit(child_main())
    signal.signal(signal.SIGTERM, forward)
    if ends_it:
        signal.signal(signal.SIGUSR1, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)
    code = reaped(child)
    return code if code >= 0 else 128 - code


def reaped(child: int) -> int:
    """Reap whatever ends until `child` has ended; its exit code, below 0 where a signal ended it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def end_descendants() -> None:
    """Kill all that is below this process, a child subreaper (prctl(2)), until nothing is.

    Of one that is ending the children aren't this process's yet: only when no child is left, nothing is.
    """
    while not all_reaped():
        for pid in _descendants(os.getpid()):
            _kill(pid, signal.SIGKILL)
        time.sleep(_REAP_SECONDS)


def all_reaped() -> bool:
    """Reap what has ended; whether there is no child left."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return True
    return False


def _takes_soon(pid: int, number: int, processes: int) -> bool:
    """Whether a process handles or blocks a signal: all that the kernel lets a process 1 get (pid_namespaces(7)).

    processes: the /proc that has it by this number, open; the process may have another one by now.
    """
    deadline, blocked = time.monotonic() + _HANDLER_SECONDS, 0
    while time.monotonic() < deadline:
        masks = _masks(pid, processes)
        handles, blocks = _has(masks, "SigCgt:", number), _has(masks, "SigBlk:", number)
        blocked = blocked + 1 if blocks else 0
        if handles or blocked == _BLOCKED_LOOKS:
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _open_processes() -> int:
    """/proc as it is now; -1 where there is none, as on macOS."""
    try:
        return os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def _masks(pid: int, processes: int) -> list[str]:
    """What a process's status says of signals (proc_pid_status(5)); nothing of one that has ended."""
    try:
        status = os.open(f"{pid}/status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=processes)
        with os.fdopen(status, "rb") as file:
            return [line.decode("ascii") for line in file if line.startswith(b"Sig")]
    except OSError:
        return []


def _has(masks: list[str], name: str, number: int) -> bool:
    return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in masks if line.startswith(name))


def _descendants(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := _parent_of(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    found, queue = [], [ancestor]
    while queue:
        below = children.get(queue.pop(), [])
        found.extend(below)
        queue.extend(below)
    return found


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # as text it would need a codec, see `linux.read`
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None  # it ended meanwhile


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended


def is_closed(descriptor: int) -> bool:
    try:
        return os.read(descriptor, 1) == b""
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EINTR)
