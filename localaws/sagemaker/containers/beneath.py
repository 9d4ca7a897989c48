"""Files beneath a folder that a container may change at any time, opened so that no link leads out of the folder.

A container sees its folder as /opt/ml and puts into it what it likes: links to the server's files, pipes that nobody
writes to, folders that become links between two looks. So a folder is opened once, everything else is opened from its
descriptor, link by link on terms of ours, and what was opened is looked at before it is read.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

Refused = Callable[[str], None]

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_BENEATH = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Neither a pipe that nobody writes to nor a terminal holds the server up.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAX_LINKS = 40  # the kernel's own limit
_NO_OPENAT2 = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})
# What the kernel says of a path with a link in it, of one that is too long, and of one that is something else.
_NO_PLAIN_PATH = frozenset({errno.ELOOP, errno.EXDEV, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO, errno.EACCES})


class LeadsOutError(OSError):
    """A path leads out of its folder, or isn't a regular file; the message says which."""


class TooLargeError(Exception):
    """A folder's files are larger together than what they lie on: they have holes, or one has several names."""


@dataclass(frozen=True)
class Folder:
    """The folder `name` below `root`, which only the server can replace.

    seen_at: its path in the container. room: bytes that its files may have together.
    """

    root: Path
    name: str
    seen_at: str
    room: int

    @contextlib.contextmanager
    def open(self, refused: Refused) -> Iterator[OpenFolder | None]:
        """The folder as it is now; None where it isn't there, or is a link, which `refused` is told."""
        with _descriptor(os.open(self.root, _DIRECTORY | os.O_NOFOLLOW)) as root:
            try:
                opened = open_beneath(root, self.name, _DIRECTORY)
            except FileNotFoundError:
                yield None
                return
            except OSError as error:
                if error.errno not in _NO_PLAIN_PATH:
                    raise
                refused(f"{self.seen_at} is left alone: it is, or is reached through, a link or a file.")
                yield None
                return
            with _descriptor(opened) as folder:
                yield OpenFolder(folder, self.seen_at, self.room, refused)


@dataclass(frozen=True)
class File:
    """A regular file of a folder, by its name below it; links to it have been followed, inside the folder."""

    folder: int
    name: str
    path: str
    status: os.stat_result

    def open(self) -> BinaryIO:
        """Open it for reading. FileNotFoundError, or LeadsOutError where it has become something else."""
        return os.fdopen(_open_file(self.folder, self.path), "rb")


@dataclass(frozen=True)
class OpenFolder:
    """An open folder of a container's. `refused` is told what is passed over."""

    descriptor: int
    seen_at: str
    room: int
    refused: Refused

    def files(self) -> Iterator[File]:
        """Its regular files, by name, links to files inside it followed, those to folders not. TooLargeError."""
        left = self.room
        for file in self._walk():
            left -= file.status.st_size
            if left < 0:
                raise TooLargeError(self.seen_at)
            yield file

    def _walk(self) -> Iterator[File]:
        pending = list(reversed(self._names("")))
        while pending:
            name = pending.pop()
            status = _look(self.descriptor, name)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                pending.extend(reversed(self._names(name)))
            elif (found := self._file(name, status)) is not None:
                yield found

    def _names(self, folder: str) -> list[str]:
        """Names of a folder's entries, below this one."""
        try:
            with _descriptor(open_beneath(self.descriptor, folder or ".", _DIRECTORY)) as descriptor:
                names = sorted(os.listdir(descriptor))  # noqa: PTH208 - of a descriptor
        except FileNotFoundError:
            return []
        except OSError as error:
            self._refuse(folder, f"it can't be listed: {error.strerror}")
            return []
        return [f"{folder}/{name}" if folder else name for name in names]

    def _file(self, name: str, status: os.stat_result) -> File | None:
        """A regular file, or what a link leads to; None, which may be said, for everything else."""
        try:
            name.encode()
            if stat.S_ISLNK(status.st_mode):
                return self._linked(name)
            if stat.S_ISREG(status.st_mode):
                return File(self.descriptor, name, name, status)
            self._refuse(name, "it is no regular file")
        except FileNotFoundError:
            pass  # it went meanwhile, or a link leads nowhere
        except UnicodeEncodeError:
            self._refuse(name, "its name isn't UTF-8")
        except OSError as error:
            self._refuse(name, str(error.strerror or error))
        return None

    def _linked(self, name: str) -> File | None:
        path = resolved(self.descriptor, name, self.seen_at)
        status = _look(self.descriptor, path)
        if status is None or stat.S_ISDIR(status.st_mode):
            return None  # a folder's content is found where it is
        with _descriptor(_open_file(self.descriptor, path)) as opened:
            return File(self.descriptor, name, path, os.fstat(opened))

    def _refuse(self, name: str, why: str) -> None:
        shown = f"{self.seen_at}/{name}".encode("utf-8", "replace").decode()
        self.refused(f"{shown} is left out: {why}.")


def read_file(root: Path, name: str, limit: int) -> bytes | None:
    """The first `limit` bytes of a file below `root`, which only the server can replace; None where there is none.

    Raises LeadsOutError where the path holds a link, or isn't a regular file.
    """
    with _descriptor(os.open(root, _DIRECTORY | os.O_NOFOLLOW)) as folder:
        try:
            descriptor = _open_file(folder, name)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit)


def remove(directory: Path) -> None:
    """Remove a folder of a container that has ended, and all in it, also what was closed to its owner; best effort.

    No link is followed (`shutil.rmtree.avoids_symlink_attacks`), and what is opened again is a folder, not a link.
    """

    def open_again(function: Callable[..., object], path: str, _error: object) -> None:
        closed = Path(path) if function in (os.open, os.scandir) else Path(path).parent
        if closed.is_symlink() or closed == directory.parent:
            return
        with contextlib.suppress(OSError):
            closed.chmod(stat.S_IRWXU)
            if closed == Path(path):
                remove(closed)
            elif function is os.unlink:
                os.unlink(path)  # noqa: PTH108 - of the name, as rmtree does it

    shutil.rmtree(directory, onerror=open_again)


def open_beneath(folder: int, name: str, flags: int) -> int:
    """Open a path from a folder's descriptor; OSError for one that holds a link, or ``..`` out of the folder."""
    if not _has_openat2():
        return _open_by_parts(folder, name, flags)
    how = (ctypes.c_uint64 * 3)(flags, 0, _BENEATH)
    while True:
        opened: int = _libc().syscall(
            _SYS_OPENAT2, folder, os.fsencode(name), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        if opened >= 0:
            return opened
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # something was renamed meanwhile
            raise OSError(number, os.strerror(number), name)


def resolved(folder: int, name: str, seen_at: str) -> str:
    """Where a path leads through links, as a path below the folder. LeadsOutError where that isn't inside.

    An absolute link is one in the container, which sees the folder at `seen_at`.
    """
    todo, done, links = name.split("/")[::-1], list[str](), 0
    while todo:
        part = todo.pop()
        if part == ".." and not done:
            raise LeadsOutError(errno.EXDEV, f"it is a link that leads out of {seen_at}")
        if part == "..":
            done.pop()
        elif part not in ("", "."):
            target = _link_target(folder, "/".join([*done, part]))
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise LeadsOutError(errno.ELOOP, "it is a link that leads to itself")
            if target.startswith("/"):
                target, done = _inside(target, seen_at), []
            todo.extend(reversed(target.split("/")))
    return "/".join(done) or "."


def _inside(target: str, seen_at: str) -> str:
    if target != seen_at and not target.startswith(f"{seen_at}/"):
        raise LeadsOutError(errno.EXDEV, f"it is a link to {target}, outside {seen_at}")
    return target.removeprefix(seen_at)


def _link_target(folder: int, path: str) -> str | None:
    """What a link says; None for what is no link. FileNotFoundError."""
    parent, _, name = path.rpartition("/")
    with _descriptor(open_beneath(folder, parent or ".", _DIRECTORY)) as descriptor:
        try:
            return os.readlink(name, dir_fd=descriptor)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise


def _look(folder: int, path: str) -> os.stat_result | None:
    """What lies at a path, links not followed; None where nothing does."""
    parent, _, name = path.rpartition("/")
    try:
        with _descriptor(open_beneath(folder, parent or ".", _DIRECTORY)) as descriptor:
            return os.stat(name or ".", dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return None


def _open_file(folder: int, path: str) -> int:
    descriptor = open_beneath(folder, path, _FILE | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LeadsOutError(errno.EINVAL, "it is no regular file")
    return descriptor


def _open_by_parts(folder: int, name: str, flags: int) -> int:
    """As openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, for kernels without it: one component at a time."""
    *parents, last = [part for part in name.split("/") if part not in ("", ".")] or ["."]
    if name.startswith("/") or ".." in (*parents, last):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    at = os.dup(folder)
    try:
        for part in parents:
            below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(last, flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _has_openat2() -> bool:
    """Whether the kernel has openat2(2), from Linux 5.6 on, and nothing forbids it."""
    if not sys.platform.startswith("linux"):
        return False
    how = (ctypes.c_uint64 * 3)(_DIRECTORY, 0, _BENEATH)
    with _descriptor(os.open("/", _DIRECTORY)) as root:
        opened = _libc().syscall(_SYS_OPENAT2, root, b".", ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    if opened < 0:
        return ctypes.get_errno() not in _NO_OPENAT2
    os.close(opened)
    return True


@contextlib.contextmanager
def _descriptor(opened: int) -> Iterator[int]:
    try:
        yield opened
    finally:
        os.close(opened)
