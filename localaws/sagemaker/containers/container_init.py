"""The first process of a container: gives it its own view of the machine, starts its program, leaves nothing behind.

Run by the server as ``python -I -S container_init.py OPTIONS -- PROGRAM ARGUMENTS`` with the container's environment.
It imports little, since it stands in front of every job (25 ms in all).

What the kernel lets root, or an ordinary user through a user namespace, do without Docker (mount_namespaces(7),
pid_namespaces(7), user_namespaces(7)):

--mount            own mount namespace: the --bind, --hide and --read-only options below
--pid              own process namespace: when the program ends, the kernel ends whatever it started
--isolate-network  own network namespace with nothing but loopback
--bind SRC DST     the directory SRC appears, writable, as DST, which is made on a memory file system if need be
--hide PATH        PATH appears as an empty directory
--read-only        everything but the binds, /dev and /dev/shm is read-only
--show SRC DST     the directory SRC appears, read-only, as DST; as itself where a --bind would cover it
--overlay DIR TOP  DIR appears writable: what is written goes to TOP/upper (overlayfs; TOP/work is its own)
--under DIR        a layer between the overlay's TOP and DIR; the first is the topmost
--cwd PATH         where the program starts
--process-1        SIGTERM comes to the program as to a process 1: only where it handles or blocks it
--parent PID       the server: when it is gone, by kill -9 too, the container goes

Exit status: the program's, 128 + the signal that ended it, 127 when it isn't there, 126 when it can't be run, 125 when
the container couldn't be set up (Docker's).
"""

# pathlib would take as long to import as everything else here:
# ruff: noqa: PTH101, PTH102, PTH112, PTH115, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import sys
import time
from collections.abc import Callable

SETUP_FAILED = 125
CANNOT_RUN = 126
NOT_FOUND = 127

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# A program that has only just started has no handler yet: a signal waits so long for one (in AWS it would be lost).
_HANDLER_SECONDS, _LOOK_SECONDS = 2.0, 0.01
# So many looks in a row find a signal blocked that is meant to be: a shell blocks some whenever it starts a program.
_BLOCKED_LOOKS = 5
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1

_libc = ctypes.CDLL(None, use_errno=True)


class Options:
    """The command line, see above."""

    def __init__(self, arguments: list[str]) -> None:
        self.flags: set[str] = set()
        self.binds: list[tuple[str, str]] = []
        self.hidden: list[str] = []
        self.shown: list[tuple[str, str]] = []
        self.overlay: tuple[str, str] | None = None
        self.under: list[str] = []
        self.cwd = "/"
        self.parent = os.getppid()
        rest = list(arguments)
        while (option := rest.pop(0)) != "--":
            if option == "--bind":
                self.binds.append((rest.pop(0), rest.pop(0)))
            elif option == "--hide":
                self.hidden.append(rest.pop(0))
            elif option == "--show":
                self.shown.append((rest.pop(0), rest.pop(0)))
            elif option == "--overlay":
                self.overlay = (rest.pop(0), rest.pop(0))
            elif option == "--under":
                self.under.append(rest.pop(0))
            elif option == "--cwd":
                self.cwd = rest.pop(0)
            elif option == "--parent":
                self.parent = int(rest.pop(0))
            else:
                self.flags.add(option)
        self.program = rest


def main(arguments: list[str]) -> int:
    """Run the container; its exit status."""
    options = Options(arguments)
    os.setsid()
    has_own_processes = "--pid" in options.flags
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if has_own_processes else signal.SIGUSR1)
    if os.getppid() != options.parent:
        return SETUP_FAILED  # the server went before the line above
    try:
        _enter_namespaces(options)
        if not has_own_processes:
            _change_view(options)
    except OSError as error:
        return _setup_failed(error)
    if has_own_processes:
        return _run_as_first_process(options)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGUSR1, _server_is_gone)
    status = _supervise(lambda: _exec(options), as_process_1="--process-1" in options.flags)
    _end_descendants()
    return status


def _run_as_first_process(options: Options) -> int:
    """Fork into the new process namespace; the child is its process 1, with which all others end."""
    alive_end, held_end = os.pipe()

    def first_process() -> int:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.set_blocking(alive_end, False)
        os.close(held_end)
        if _is_closed(alive_end):
            return SETUP_FAILED
        try:
            _change_view(options)
        except OSError as error:
            return _setup_failed(error)
        return _supervise(lambda: _exec(options), as_process_1="--process-1" in options.flags)

    return _supervise(first_process)


def _supervise(child_main: Callable[[], int], *, as_process_1: bool = False) -> int:
    """Fork `child_main`, pass SIGTERM on to it, reap whatever ends; the child's exit status as a shell has it."""
    child = 0

    def forward(number: int, _frame: object) -> None:
        if not as_process_1 or _takes_soon(child, number):
            _kill(child, number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What comes before somebody can take it waits: a process 1 that doesn't handle a signal never gets it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = os.fork()
    if child == 0:
        os._exit(child_main())
    signal.signal(signal.SIGTERM, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _exec(options: Options) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        os.chdir(options.cwd)
        os.execvp(options.program[0], options.program)  # noqa: S606 - no shell is the point
    except OSError as error:
        print(f"cannot start {options.program[0]!r}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN


def _enter_namespaces(options: Options) -> None:
    kinds = {"--mount": _CLONE_NEWNS, "--pid": _CLONE_NEWPID, "--isolate-network": _CLONE_NEWNET}
    wanted = sum(bit for flag, bit in kinds.items() if flag in options.flags)
    if not wanted:
        return
    if os.geteuid() == 0:
        _check(_libc.unshare(wanted), "unshare")
    else:
        _enter_user_namespace(wanted)
    if "--isolate-network" in options.flags:
        _raise_loopback()


def _enter_user_namespace(wanted: int) -> None:
    """As root of a user namespace of its own: containers run as root, files outside belong to the user."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(wanted | _CLONE_NEWUSER), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {user} 1")
    _write("/proc/self/gid_map", f"0 {group} 1")


def _change_view(options: Options) -> None:
    if "--mount" not in options.flags:
        return
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    sources = [(_open_directory(source), target) for source, target in [*options.binds, *options.shown]]
    layers = _open_layers(options)
    for path in options.hidden:
        if os.path.isdir(path):
            _mount("tmpfs", path, "tmpfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    for source, target in sources:
        _make_mount_point(target)
        _mount(f"/proc/self/fd/{source}", target, None, _MS_BIND | _MS_REC)
        os.close(source)
    written = _mount_overlay(options, layers)
    if os.path.isdir("/dev/shm"):  # noqa: S108 - shared memory of libraries that run several processes
        _mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV)  # noqa: S108
    if "--read-only" in options.flags:
        _set_read_only("/", True)
        for path in [*(target for _, target in options.binds), "/dev"]:
            _set_read_only(path, False)
        for _, path in options.shown:
            _set_read_only(path, True)
        for path in written:
            _set_read_only(path, False)
    if "--pid" in options.flags:
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)


def _open_layers(options: Options) -> dict[str, list[int]]:
    """The overlay's directories, opened before --hide may cover them; by their names in mount(8)'s options."""
    if options.overlay is None:
        return {}
    below, top = options.overlay
    return {
        "lowerdir": [_open_directory(path) for path in [*options.under, below]],
        "upperdir": [_open_directory(f"{top}/upper")],
        "workdir": [_open_directory(f"{top}/work")],
    }


def _mount_overlay(options: Options, layers: dict[str, list[int]]) -> list[str]:
    """Mount the overlay over its lowest directory; the paths that are written through it."""
    if options.overlay is None:
        return []
    # By descriptor, since a path may hold what overlayfs takes for its own: a colon, a comma.
    wanted = [f"{name}={':'.join(f'/proc/self/fd/{layer}' for layer in found)}" for name, found in layers.items()]
    if _is_in_user_namespace():
        wanted.append("userxattr")
    _mount("overlay", options.overlay[0], "overlay", _MS_NOSUID | _MS_NODEV, ",".join(wanted))
    # Made by the kernel for itself, closed to everyone; open, so that an ordinary user can remove it afterwards.
    os.chmod(f"/proc/self/fd/{layers['workdir'][0]}/work", 0o700)
    for found in layers.values():
        for layer in found:
            os.close(layer)
    return [options.overlay[0]]


def _is_in_user_namespace() -> bool:
    """Whether trusted.* attributes, by which overlayfs marks what is gone, are refused to this process's root."""
    with open("/proc/self/uid_map", "rb") as file:
        return file.read().split() != [b"0", b"0", b"4294967295"]


def _make_mount_point(target: str) -> None:
    """Make `target` a directory without writing to the disk: its parent's content moves onto a memory file system."""
    if os.path.isdir(target):
        return
    parent = os.path.dirname(target)
    old = _open_directory(parent)
    entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
    _mount("tmpfs", parent, "tmpfs", _MS_NOSUID | _MS_NODEV)
    for entry in entries:
        path, before = f"{parent}/{entry.name}", f"/proc/self/fd/{old}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(before), path)
        elif entry.is_dir():
            os.mkdir(path)
            _mount(before, path, None, _MS_BIND | _MS_REC)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
            _mount(before, path, None, _MS_BIND)
    os.close(old)
    os.mkdir(target)


def _set_read_only(path: str, wanted: bool) -> None:
    """mount_setattr(2), for all mounts at and below `path`; Linux before 5.12 hasn't got it, and goes without."""
    bits = (_MOUNT_ATTR_RDONLY, 0) if wanted else (0, _MOUNT_ATTR_RDONLY)
    attributes = (ctypes.c_uint64 * 4)(*bits, 0, 0)
    _libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes)
    )


def _raise_loopback() -> None:
    import fcntl  # noqa: PLC0415 - only isolated containers pay for these
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    set_flags, up_and_running = 0x8914, 0x1 | 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up_and_running))


def _server_is_gone(_number: int, _frame: object) -> None:
    _end_descendants()
    os._exit(128 + signal.SIGKILL)


def _end_descendants() -> None:
    """Kill whatever the program started and left; orphans come to this process, a child subreaper (prctl(2))."""
    while descendants := _descendants(os.getpid()):
        for pid in descendants:
            _kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, 0)[0]:
                pass
        except ChildProcessError:
            pass


def _takes_soon(pid: int, number: int) -> bool:
    """Whether a process handles or blocks a signal: all that the kernel lets a process 1 get (pid_namespaces(7))."""
    deadline, blocked = time.monotonic() + _HANDLER_SECONDS, 0
    while time.monotonic() < deadline:
        handles, blocks = _has_in(pid, "SigCgt:", number), _has_in(pid, "SigBlk:", number)
        blocked = blocked + 1 if blocks else 0
        if handles or blocked == _BLOCKED_LOOKS:
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _has_in(pid: int, mask: str, number: int) -> bool:
    """Whether a signal is in one of a process's masks (proc_pid_status(5)); in none of one that has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in file if line.startswith(mask))
    except OSError:
        return False


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
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None  # it ended meanwhile


def _open_directory(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [text.encode() if text else None for text in (source, target, kind)]
    _check(_libc.mount(*texts, flags, options.encode() if options else None), f"mount {target}")


def _prctl(option: int, value: int) -> None:
    _libc.prctl(option, value, 0, 0, 0)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_closed(descriptor: int) -> bool:
    try:
        return os.read(descriptor, 1) == b""
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EINTR)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _setup_failed(error: OSError) -> int:
    print(f"container: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return SETUP_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
