"""The kernel's calls that Python has no name for, by ctypes. Each raises OSError."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUTS = 0x20000000, 0x40000000, 0x04000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 0x20, 0x1000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2
# Of mount_setattr(2); the first three have the same values as the flags of mount(2).
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

# The same numbers on every architecture of today.
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

IS_HERE = sys.platform == "linux"
libc = ctypes.CDLL(None, use_errno=True)
if IS_HERE:
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def check(result: int, what: str) -> int:
    """The result of a call, or the OSError that it left."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def syscall(number: int, *arguments: object) -> int:
    """A call by its number; -1 where it failed, and on another kernel."""
    return int(libc.syscall(number, *arguments)) if IS_HERE else -1


def unshare(kinds: int) -> None:
    """unshare(2); refused on another kernel."""
    if not IS_HERE:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), "unshare")
    check(libc.unshare(kinds), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """setns(2)."""
    check(libc.setns(descriptor, kind), "setns")


def set_hostname(name: str) -> None:
    """sethostname(2)."""
    check(libc.sethostname(os.fsencode(name), len(os.fsencode(name))), "sethostname")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2)."""
    texts = [os.fsencode(text) if text else None for text in (source, target, kind)]
    check(libc.mount(*texts, flags, os.fsencode(options) if options else None), f"mount {target}")


def set_attributes(path: str, wanted: int, *, and_below: bool = True) -> None:
    """Set attributes of the mounts at and below `path`; without mount_setattr(2), before Linux 5.12, of `path`'s."""
    attributes = (ctypes.c_uint64 * 4)(wanted, 0, 0, 0)
    flags, size = _AT_RECURSIVE if and_below else 0, ctypes.sizeof(attributes)
    if syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, ctypes.byref(attributes), size) < 0:
        mount("none", path, None, MS_REMOUNT | MS_BIND | wanted)


def become_root(path: str) -> None:
    """pivot_root(2): the mount at `path` becomes the root, and what was it before is gone."""
    os.chdir(path)
    check(libc.pivot_root(b".", b"."), f"pivot_root {path}")
    check(libc.umount2(b".", MNT_DETACH), "umount the old root")
    os.chdir("/")


def prctl(option: int, value: int, third: int = 0) -> int:
    """prctl(2); -1 where the kernel hasn't got the option, or is another."""
    return int(libc.prctl(option, value, third, 0, 0)) if IS_HERE else -1


def read(path: str) -> str:
    """A file of /proc, as text."""
    with open(path, "rb") as file:
        return file.read().decode("ascii", "replace")  # in an image of one's own there is no codec to be looked up


def write(path: str, text: str, directory: int | None = None) -> None:
    """Write a file of /proc, in one call."""
    descriptor = os.open(path, os.O_WRONLY, dir_fd=directory)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
