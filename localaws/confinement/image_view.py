"""An image's own file system as a container's: its root, with what Docker mounts on it, and nothing of this machine's.

The image itself stays as it is. What the container writes goes to a directory of its own, laid over the image's, or to
a copy where the kernel can't lay one over the other. Links in the image lead where they do for the container: an image
whose /etc or /opt is a link to somewhere else reaches nothing of this machine.
"""

from __future__ import annotations

import errno
import os
import stat

from localaws.confinement import linux, system, view
from localaws.confinement.linux import ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY, MS_BIND, MS_NODEV, MS_NOSUID, MS_REC
from localaws.confinement.view import FIXED, NEW, Overlay, Source, View

TYPE_CHECKING = False  # see view.py
if TYPE_CHECKING:
    from collections.abc import Iterable

# Of Docker's sizes; of /sys only mount points are written.
_DEVICES_SIZE, _HARDWARE_SIZE = "size=64m,mode=755", "size=1m,mode=755"
# Where the kernel's own files come; an image may have them as directories, or not at all.
_KERNELS = ("/dev", "/proc", "/sys")


def enter(root: tuple[str, str], seen: View, cwd: str, *, own_processes: bool) -> int:
    """Make the image this process's file system, with what `seen` binds and shows, and be in `cwd`, made as by Docker.

    root: the unpacked image, and the directory that keeps in `upper` what the container writes; where that is empty,
    the image is a copy of the container's own. The answer is /proc/sys as it is still writable, opened with O_PATH.
    """
    linux.mount("none", "/", None, MS_REC | linux.MS_PRIVATE)
    devices = view.open_all((path, path) for path in system.devices())
    hardware = view.open_all((path, path) for path in system.hardware())
    binds = view.open_all(seen.binds)
    shows = [(Source(path, seen.identities.get(path)), place) for path, place in seen.shows]
    _mount_root(*root)
    view.bind_all(_placed(binds), FIXED)
    view.bind_all(_placed(shows), ATTR_RDONLY | FIXED)
    view.make_directory(_place(cwd))
    for place in _KERNELS:
        _make_real(place)
    _mount_in_memory("/dev", _DEVICES_SIZE)
    view.lay_out_devices(devices, shared_memory=True)
    _mount_in_memory("/sys", _HARDWARE_SIZE)
    view.bind_all(hardware, ATTR_RDONLY | FIXED)
    linux.set_attributes(f"{NEW}/sys", ATTR_RDONLY | FIXED, and_below=False)
    settings = view.mount_proc(NEW, of_machine=not own_processes)
    linux.become_root(NEW)
    os.chdir(cwd)  # with every privilege: the program's user may have no right to enter it, and is there all the same
    return settings


def _mount_root(directory: str, top: str) -> None:
    if top:
        view.mount_overlay("", view.open_layers(Overlay(directory, top, [])))
        return
    copy = Source(directory)
    linux.mount(copy.path, NEW, None, MS_BIND)
    copy.close()
    linux.set_attributes(NEW, ATTR_NOSUID | ATTR_NODEV)


def _mount_in_memory(place: str, options: str) -> None:
    linux.mount("tmpfs", NEW + place, "tmpfs", MS_NOSUID | MS_NODEV, options)


def _placed(pairs: Iterable[tuple[Source, str]]) -> Iterable[tuple[Source, str]]:
    """Each place as it is found when its turn comes: one may lie in another."""
    return ((source, _place(place)) for source, place in pairs)


def _place(path: str) -> str:
    return resolved(NEW, path)


def resolved(root: str, path: str) -> str:
    """Where a path leads for who has `root` as its root: links are followed inside, and ``..`` ends at the top."""
    at: list[str] = []
    parts, followed = path.split("/")[::-1], 0
    while parts:
        part = parts.pop()
        if part == "..":
            at = at[:-1]
        elif part not in ("", "."):
            target = view.link_of("/".join([root, *at, part]))
            if target is None:
                at.append(part)
                continue
            followed += 1
            if followed > view.MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            at = [] if target.startswith("/") else at
            parts += target.split("/")[::-1]
    return "/" + "/".join(at)


def _make_real(place: str) -> None:
    """A directory at a place that is mounted over by its name: a link there would lead out of the new root."""
    try:
        if not stat.S_ISDIR(os.lstat(NEW + place).st_mode):
            raise OSError(errno.ENOTDIR, "the image has something else than a directory there", place)
    except FileNotFoundError:
        os.mkdir(NEW + place, 0o755)
