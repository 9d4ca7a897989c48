"""What a container's first process does for the others: passes SIGTERM on, reaps what ends, ends what is left."""

from __future__ import annotations

import errno
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
else:
    import _signal as signal  # `signal` makes enums of these numbers, which takes as long as everything else here

# A program that has only just started has no handler yet: a signal waits so long for one (in AWS it would be lost).
_HANDLER_SECONDS, _LOOK_SECONDS = 2.0, 0.01
# So many looks in a row find a signal blocked that is meant to be: a shell blocks some whenever it starts a program.
_BLOCKED_LOOKS = 5
_REAP_SECONDS = 0.002


def supervise(
    child_main: Callable[[], int], *, as_process_1: bool = False, at_usr1: Callable[[int], object] | None = None
) -> int:
    """Fork `child_main`, pass SIGTERM on to it, reap whatever ends; the child's exit status as a shell has it.

    at_usr1: what SIGUSR1 does, given the child; else it keeps its meaning.
    """
    processes = _open_processes() if as_process_1 else -1

    def forward() -> None:
        if not as_process_1 or _takes_soon(child, signal.SIGTERM, processes):
            _kill(child, signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What comes before somebody can take it waits: a process 1 that doesn't handle a signal never gets it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1} if at_usr1 else {signal.SIGTERM})
    child = os.fork()
    if child == 0:
        if processes >= 0:
            os.close(processes)  # a child that is forked from a warm interpreter executes nothing
        os._exit(child_main())
    actions: dict[int, Callable[[], object]] = {signal.SIGTERM: forward}
    if at_usr1 is not None:
        actions[signal.SIGUSR1] = lambda: at_usr1(child)
    code = attended(child, actions)
    return code if code >= 0 else 128 - code


def kill(pid: int) -> None:
    """End a process, which it can't prevent, unless it has ended."""
    _kill(pid, signal.SIGKILL)


def attended(child: int, actions: Mapping[int, Callable[[], object]]) -> int:
    """Reap whatever ends and do what signals ask for until `child` has ended; its exit code, see `reaped`.

    The signals are blocked: one that comes between two looks is found at the next. A handler would wait for a child's
    end where it comes just before the call that waits for one.
    """
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # or macOS wouldn't keep it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while (code := _found(child)) is None:
        number = signal.sigwait({signal.SIGCHLD, *actions})
        if number in actions:
            actions[number]()
    return code


def _found(child: int) -> int | None:
    """Reap what has ended; the child's exit code if that is among it."""
    while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
        if ended[0] == child:
            return os.waitstatus_to_exitcode(ended[1])
    return None


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
