"""An image's layers, unpacked one over the other into a folder that a container can have as its root.

As the OCI image specification ("Image Layer Filesystem Changeset") has it: an entry replaces what lies at its place,
`.wh.NAME` removes NAME, `.wh..wh..opq` removes whatever lower layers have in a folder. Links that are on an entry's way
lead where they do for a container in it, so that nothing is ever written elsewhere. Left out: devices (a container has
the machine's few), setuid and setgid, which act on no mount of a container's, and all attributes but the user's own.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, cast

from localaws.confinement.image_view import resolved
from localaws.sagemaker.containers import archives
from localaws.sagemaker.containers.archives import BrokenArchiveError, UnsafeArchiveError
from localaws.sagemaker.containers.beneath import open_beneath

_WHITEOUT, _OPAQUE, _OTHERS = ".wh.", ".wh..wh..opq", ".wh..wh."
_MODE = 0o1777
_OURS = 0o700  # of a folder while it is being filled
_DEEPEST = 200  # folders one in another: who removes them opens as many
_LAST_ID = 2**32 - 2
_LATEST = 2.0**32  # seconds: what any file system can hold
_ATTRIBUTE = "SCHILY.xattr."
_GZIP = b"\x1f\x8b"
_OTHER_KINDS = {b"(\xb5/\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_CHUNK = 1024 * 1024


class ImageLayerError(Exception):
    """A layer can't be unpacked; the message names it, and what is wrong with it."""


class Layer(NamedTuple):
    """A layer's file, its place among the others for who reads of it, and its tar's digest by the configuration."""

    file: Path
    told: str
    content: str | None = None


def layers_of(files: Sequence[Path], contents: Sequence[str]) -> list[Layer]:
    """An image's layers, the lowest first, with the digests of its configuration, as far as it has some."""
    told = [f"layer {number} of {len(files)} (sha256:{file.name})" for number, file in enumerate(files, 1)]
    padded = [*contents, *[None] * len(files)]
    return [Layer(file, text, content) for file, text, content in zip(files, told, padded, strict=False)]


def unpack(
    layers: Sequence[Layer],
    root: Path,
    room: int,
    base: Path | None = None,
    keep_going: Callable[[], None] = lambda: None,
) -> None:
    """Unpack layers, the lowest first, into an empty folder; together they may have `room` bytes.

    base: what lies below them, unpacked before; its files are shared, which nobody ever changes. keep_going: called all
    the time; what it raises ends the work. Raises ImageLayerError, OSError.
    """
    tree = _Tree(root, os.geteuid() == 0, keep_going)
    if base is not None:
        tree.begin_with(base)
    for layer in layers:
        try:
            room -= _unpack_layer(layer, tree, room)
        except (UnsafeArchiveError, BrokenArchiveError) as error:
            raise ImageLayerError(f"{layer.told}: {error}") from error
    tree.finish()


def _unpack_layer(layer: Layer, tree: _Tree, room: int) -> int:
    """The bytes that it took."""
    tree.begin_layer()
    size = 0
    try:
        with _content(layer.file, room) as stream, archives.streamed(cast("IO[bytes]", stream)) as tar:
            for member in archives.members(tar, room):
                tree.add(tar, member)
                size += max(member.size, 0)
                tar.members = []  # type: ignore[attr-defined] # it remembers every one
            stream.to_the_end()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise BrokenArchiveError(f"it is damaged: {error}") from error
    if layer.content not in (None, stream.digest):
        told = f"it holds {stream.digest}, and the image's configuration {layer.content}"
        raise BrokenArchiveError(f"it is damaged: {told}")
    return size


class _Content:
    """A layer's tar, read once; its digest is known at the end."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._left = file, 2 * room + _CHUNK
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int = _CHUNK) -> bytes:
        """Some more bytes; none at the end. Raises UnsafeArchiveError where they are too many together."""
        found = self._file.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise UnsafeArchiveError("it unpacks to more than there is room for")
        self._hash.update(found)
        return found

    def to_the_end(self) -> None:
        """Read what is left, which is none of the tar's entries."""
        while self.read():
            pass


@contextlib.contextmanager
def _content(layer: Path, room: int) -> Iterator[_Content]:
    with layer.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        kind = next((name for magic, name in _OTHER_KINDS.items() if head.startswith(magic)), None)
        if kind is not None:
            raise UnsafeArchiveError(f"it is compressed with {kind}; push the image with gzip")
        if not head.startswith(_GZIP):
            yield _Content(file, room)
            return
        with gzip.GzipFile(fileobj=file) as unzipped:
            yield _Content(cast("IO[bytes]", unzipped), room)


@dataclass(frozen=True)
class _Finish:
    """What a folder is given once all layers are unpacked."""

    mode: int
    time: float


@dataclass
class _Tree:
    """The folder that layers are unpacked into; names are below it, without a slash before them.

    _real: where folders' names lead through links. _written: what the present layer has; _there: its folders that are.
    _folders: what folders are given in the end. Nobody else writes here.
    """

    root: Path
    keeps_owners: bool
    keep_going: Callable[[], None]
    _real: dict[str, str] = field(default_factory=dict)
    _written: set[str] = field(default_factory=set)
    _there: set[str] = field(default_factory=set)
    _folders: dict[str, _Finish] = field(default_factory=dict)

    def begin_with(self, base: Path) -> None:
        """Have all that another tree has: folders of its own, and links to its files."""
        self._folders[""] = _as_in(base.stat())
        folders = [""]
        while folders:
            above = folders.pop()
            self.keep_going()
            with os.scandir(base / above) as entries:
                for entry in entries:
                    name = f"{above}/{entry.name}" if above else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        self._make_like(name, entry.stat(follow_symlinks=False))
                        folders.append(name)
                    else:
                        os.link(entry.path, self.root / name, follow_symlinks=False)

    def _make_like(self, name: str, other: os.stat_result) -> None:
        (self.root / name).mkdir(_OURS)
        if self.keeps_owners and (other.st_uid, other.st_gid) != (0, 0):
            os.chown(self.root / name, other.st_uid, other.st_gid)
        self._folders[name] = _as_in(other)

    def begin_layer(self) -> None:
        """What is unpacked from now on is the next layer's."""
        self._written, self._there = set(), set()

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Unpack an entry. Raises UnsafeArchiveError or BrokenArchiveError, which name it."""
        self.keep_going()
        try:
            self._add(tar, member)
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            raise BrokenArchiveError(f"{member.name!r} can't be unpacked: {error.strerror}") from error

    def _add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = _parts(member.name, member.name)
        if not parts:
            self._folders[""] = _finish(member)
            return
        name = parts[-1]
        if name == _OPAQUE:
            self._clear(self._real_name("/".join(parts[:-1])))
        elif name.startswith(_WHITEOUT):
            self._white_out(member, parts)
        else:
            self._write(tar, member, self._place(parts))

    def finish(self) -> None:
        """Give the folders their own modes, which would have closed them before."""
        self._folders.setdefault("", _Finish(0o755, 0.0))
        with _opened(self.root) as root:
            for name, wanted in sorted(self._folders.items(), reverse=True):
                with contextlib.suppress(OSError), _opened_below(root, name or ".") as folder:
                    os.fchmod(folder, wanted.mode)
                    os.utime(folder, (wanted.time, wanted.time))

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        path = self.root / name
        self._written.add(name)
        there = _status(path)
        if there is not None and not (member.isdir() and stat.S_ISDIR(there.st_mode)):
            self._remove(path, there)
            there = None
        if member.isdir():
            if there is None:
                path.mkdir(_OURS)
            self._folders[name] = _finish(member)
        elif member.issym():
            path.symlink_to(member.linkname)
            self._real.clear()
        elif member.islnk():
            self._link(member, path)
            return
        elif member.isreg():
            _write_file(tar, member, path)
        elif member.isfifo():
            os.mkfifo(path, member.mode & _MODE)
        else:
            return  # a device
        self._own(member, path, (0, 0) if there is None else (there.st_uid, there.st_gid))

    def _own(self, member: tarfile.TarInfo, path: Path, owner: tuple[int, int]) -> None:
        """Give it the entry's owner, mode and time; `owner`: whose it is."""
        if not (0 <= member.uid <= _LAST_ID and 0 <= member.gid <= _LAST_ID):
            raise UnsafeArchiveError(f"{member.name!r} belongs to user {member.uid} and group {member.gid}")
        if self.keeps_owners and (member.uid, member.gid) != owner:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if member.isreg() or member.isfifo():
            path.chmod(member.mode & _MODE)
            os.utime(path, (_time(member), _time(member)))

    def _link(self, member: tarfile.TarInfo, path: Path) -> None:
        parts = _parts(member.linkname, member.name)
        target = self.root / self._place(parts) if parts else self.root
        there = _status(target)
        if there is None or stat.S_ISDIR(there.st_mode):
            raise BrokenArchiveError(f"{member.name!r} is a link to {member.linkname!r}, which is no file of the image")
        os.link(target, path, follow_symlinks=False)
        if stat.S_ISLNK(there.st_mode):
            self._real.clear()

    def _white_out(self, member: tarfile.TarInfo, parts: list[str]) -> None:
        name = parts[-1].removeprefix(_WHITEOUT)
        if parts[-1].startswith(_OTHERS):
            return  # notes of aufs'
        if name in ("", ".", ".."):
            raise UnsafeArchiveError(f"{member.name!r} removes what has no name")
        path = self.root / self._real_name("/".join(parts[:-1])) / name
        if (there := _status(path)) is not None:
            self._remove(path, there)

    def _clear(self, folder: str) -> None:
        """Remove what lower layers have in a folder."""
        path = self.root / folder
        there = _status(path)
        if there is None or not stat.S_ISDIR(there.st_mode):
            return
        for entry in list(path.iterdir()):
            inside = f"{folder}/{entry.name}" if folder else entry.name
            if inside not in self._written:
                self._remove(entry, entry.lstat())
            else:
                self._clear(inside)

    def _remove(self, path: Path, there: os.stat_result) -> None:
        if stat.S_ISDIR(there.st_mode):
            shutil.rmtree(path)
            self._there.clear()
        else:
            path.unlink()
        if not stat.S_ISREG(there.st_mode):
            self._real.clear()

    def _place(self, parts: list[str]) -> str:
        """Where an entry lies: its folder's links followed, itself not; folders that are missing are made."""
        folder = self._real_name("/".join(parts[:-1]))
        self._make(folder)
        return f"{folder}/{parts[-1]}" if folder else parts[-1]

    def _real_name(self, folder: str) -> str:
        if folder not in self._real:
            self._real[folder] = resolved(str(self.root), folder).lstrip("/")
        return self._real[folder]

    def _make(self, folder: str) -> None:
        if not folder or folder in self._there:
            return
        if folder.count("/") >= _DEEPEST:
            raise UnsafeArchiveError(f"{folder!r} lies more than {_DEEPEST} folders deep")
        self._make(folder.rpartition("/")[0])
        there = _status(self.root / folder)
        if there is None:
            (self.root / folder).mkdir(_OURS)
            self._folders[folder] = _Finish(0o755, 0.0)
        elif not stat.S_ISDIR(there.st_mode):  # no link either: nothing is ever written through one
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
        self._written.add(folder)
        self._there.add(folder)


def _parts(name: str, of: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise UnsafeArchiveError(f"{of!r} would be written outside the image: {name!r}")
    return parts


def _finish(member: tarfile.TarInfo) -> _Finish:
    if not member.isdir():
        raise UnsafeArchiveError("its root is no folder")
    return _Finish(member.mode & _MODE, _time(member))


def _as_in(other: os.stat_result) -> _Finish:
    return _Finish(other.st_mode & _MODE, other.st_mtime)


def _time(member: tarfile.TarInfo) -> float:
    return max(0.0, min(float(member.mtime), _LATEST))  # in this order also of what is no number: 0


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise BrokenArchiveError(f"{member.name!r} has no content")
    with content, path.open("xb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
    for name, value in member.pax_headers.items():
        attribute = name.removeprefix(_ATTRIBUTE)
        if attribute != name and attribute.startswith("user.") and not attribute.startswith("user.overlay."):
            with contextlib.suppress(OSError):
                os.setxattr(path, attribute, value.encode("utf-8", "surrogateescape"))


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_below(root: int, name: str) -> Iterator[int]:
    """A folder, by a way without links: what was a folder when it was unpacked may be one no more."""
    descriptor = open_beneath(root, name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
