"""Keeps a model's process from the held-out files, from the judge's memory and from the other model.

A model is judged by what it answers, so it must not see what is right. Before the judge has read any of it:

    another user    where the container's root may become one, as in AWS's containers: the held-out folder is root's
                    alone, and so are the judge's memory and environment in /proc
    Landlock        where that isn't possible (a container of an ordinary user has one user): the process sees all files
                    but those, writes nowhere but into folders of its own, and reaches no process but its own

What neither can do is said in the log. Sources: setuid(2), landlock(7), ptrace(2).
"""

from __future__ import annotations

import ctypes
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

USER, LANDLOCK, NOTHING = "another user", "Landlock", ""
FIRST_USER = 60001

# The job is started without any (infra/workflow/steps/evaluate.py); this is for whoever starts it otherwise.
_CREDENTIAL = re.compile("AWS_.*(CREDENTIALS|KEY|TOKEN)")

_NO_NEW_PRIVILEGES, _SET_DUMPABLE, _DROP_CAPABILITY, _CAPABILITIES = 38, 4, 24, 64
_CAPABILITY_VERSION = 0x20080522
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 13, 1 << 14
_READS = _READ_FILE | _READ_DIR
_CHANGES = sum(1 << bit for bit in range(4, 13)) | _WRITE_FILE
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE
_NO_SIGNALS_AND_SOCKETS = 3

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


@dataclass(frozen=True)
class Confinement:
    """How models' processes are kept from `secret`, the folder of the held-out files."""

    way: str
    secret: Path

    @property
    def sentence(self) -> str:
        """For the log."""
        if self.way:
            return f"held-out data: the models answer without seeing it ({self.way})"
        return (
            "held-out data: nothing here keeps a model's code from reading it, since this container's user can't "
            "become another and its kernel has no Landlock; a model that means to can know what is right"
        )

    def give(self, number: int, folder: Path, scratch: Path) -> None:
        """Makes a model's folders its process's own; `number` is another for each model."""
        scratch.mkdir()
        if self.way != USER:
            return
        for place in (folder, scratch):
            for path in (place, *place.rglob("*")):
                os.chown(path, FIRST_USER + number, FIRST_USER + number, follow_symlinks=False)
            place.chmod(0o700)

    def enter(self, number: int, folder: Path, scratch: Path) -> None:
        """In the model's process: from here on it is confined. Raises OSError."""
        for name in [name for name in os.environ if _CREDENTIAL.match(name)]:
            del os.environ[name]
        os.environ.update(HOME=str(scratch), TMPDIR=str(scratch), USER="model", LOGNAME="model")
        tempfile.tempdir = None  # the judge's, which this process remembers
        os.chdir(folder)
        if self.way == USER:
            _become(FIRST_USER + number)
        elif self.way == LANDLOCK:
            _restrict(self.secret, [folder, scratch])


def confinement(secret: Path, needed: Sequence[Path]) -> Confinement:
    """The best that this container has.

    Args:
        needed: folders that a model's process must be able to read, besides its own; they are opened to it.
    """
    secret = secret.resolve()
    if _is_roots(secret, needed) and _answers(lambda: _try_user(secret, needed)):
        return Confinement(USER, secret)
    if _answers(lambda: _try_landlock(secret)):
        return Confinement(LANDLOCK, secret)
    return Confinement(NOTHING, secret)


def _is_roots(secret: Path, needed: Sequence[Path]) -> bool:
    """Whether this is root, and the held-out folder is closed to others by now, and what is needed open."""
    try:
        if os.geteuid() or secret.stat().st_uid:
            return False
        secret.chmod(0o700)
        for folder in needed:
            folder.chmod(folder.stat().st_mode | 0o055)
    except OSError:
        return False
    return not stat.S_IMODE(secret.stat().st_mode) & 0o077


def _answers(attempt: Callable[[], bool]) -> bool:
    """Whether an attempt succeeds, made in a process of its own."""
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if attempt() else 1)
        except BaseException:  # noqa: BLE001 - whatever it is, this way is none
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _try_user(secret: Path, needed: Sequence[Path]) -> bool:
    """Whether another user can do a model's work: Python and the code are there, the held-out files aren't."""
    _become(FIRST_USER)
    there = (Path(os.__file__).parent, *(Path(place) for place in sys.path if Path(place).is_dir()), *needed)
    return all(os.access(place, os.R_OK | os.X_OK) for place in there) and not os.access(secret, os.R_OK | os.X_OK)


def _try_landlock(secret: Path) -> bool:
    _restrict(secret, [])
    return not _opens(secret)


def _opens(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except PermissionError:
        return False
    return True


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    # Its own memory holds nothing that it mayn't see, and libraries look at themselves in /proc.
    _check(_libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0))


def _restrict(secret: Path, own: Sequence[Path]) -> None:
    """Everything may be read but `secret`, and nothing written but into `own` folders, devices and shared memory."""
    version = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    _check(version)
    handled = _READS | _CHANGES | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    asked = _Ruleset(handled, 0, _NO_SIGNALS_AND_SOCKETS if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _libc.syscall(_CREATE_RULESET, ctypes.byref(asked), size, 0)
    _check(ruleset)
    for place in _beside(secret):
        _allow(ruleset, place, _READS)
    for place in (*own, Path("/dev/shm")):  # noqa: S108
        _allow(ruleset, place, handled)
    _allow(ruleset, Path("/dev"), handled & (_READS | _WRITE_FILE))
    _drop_capabilities()
    _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _drop_capabilities() -> None:
    """Who may watch the whole system sees other processes' environments, Landlock or not (perf_event_open(2))."""
    for number in range(_CAPABILITIES):
        _libc.prctl(_DROP_CAPABILITY, number, 0, 0, 0)  # one that isn't there, or isn't its own to drop
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    _check(_libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())))


def _beside(secret: Path) -> list[Path]:
    """All that lies beside a folder, and beside each folder above it: what to allow, so that it alone is denied."""
    way = {secret, *secret.parents}
    return [Path(entry) for folder in secret.parents for entry in os.scandir(folder) if Path(entry) not in way]


def _allow(ruleset: int, place: Path, access: int) -> None:
    try:
        folder = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # it is gone
    try:
        mode = os.fstat(folder).st_mode
        if not stat.S_ISLNK(mode):
            rule = _Beneath(access if stat.S_ISDIR(mode) else access & _OF_FILES, folder)
            _check(_libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0))
    finally:
        os.close(folder)


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
