"""A container's own file system: a new root in memory, on which what it may see is mounted, and nothing else is.

Made in a mount namespace of its own, by a process that may mount there; `enter` leaves it as the process's root. What
was the root before is gone with it (pivot_root(2)), and so are the paths by which anything else could be reached.
"""

from __future__ import annotations

import errno
import os
import stat

from localaws.confinement import linux, system
from localaws.confinement.linux import ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY, MS_BIND, MS_NODEV, MS_NOSUID, MS_REC

TYPE_CHECKING = False  # `typing` would take as long to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Where the new root stands until it is the root; every machine has it, and it is the first thing to be laid out anew.
NEW = "/dev"
FIXED = ATTR_NOSUID | ATTR_NODEV
MOST_LINKS = 40
# What a container's root could change for the whole machine, and what it would learn of it, as in Docker.
_PROC_READ_ONLY = ("acpi", "asound", "bus", "fs", "irq", "sys", "sysrq-trigger")
_PROC_COVERED = ("kcore", "keys", "latency_stats", "sched_debug", "timer_list", "timer_stats")
# Devices that are directories, which a container without its own file system shares with the machine.
_SHARED = ("/dev/shm", "/dev/pts")  # noqa: S108
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
# Bounds what is written there, since it is memory; shared memory is bounded by the kernel, at half of it.
_ROOT_SIZE = "size=16m,mode=755"


class Overlay:
    """A directory that appears writable: what is written goes to `top`/upper; `under` lies between, topmost first."""

    def __init__(self, directory: str, top: str, under: Sequence[str]) -> None:
        self.directory, self.top, self.under = directory, top, under


class View:
    """What a container sees.

    binds: (directory, place) that are writable there. shows: (directory or file, place) that are read-only there.
    identities: of those of them that must be the same still, see Source.
    hidden: paths that don't appear, though a directory above them does. places: directories that are there, empty.
    """

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        binds: Sequence[tuple[str, str]],
        shows: Sequence[tuple[str, str]],
        hidden: Sequence[str] = (),
        *,
        overlay: Overlay | None = None,
        places: Sequence[str] = (),
        shared_memory: bool = True,
        identities: Mapping[str, str] | None = None,
    ) -> None:
        self.binds, self.shows, self.overlay = binds, shows, overlay
        self.places, self.shared_memory = places, shared_memory
        self.identities = identities or {}
        self.hidden = [os.path.realpath(path) for path in hidden]

    @property
    def writable(self) -> list[str]:
        """What can be written to in it, by its own paths."""
        laid_over = [self.overlay.directory] if self.overlay else []
        return [*(place for _, place in self.binds), *laid_over, "/dev", "/proc"]

    def as_it_lies(self) -> tuple[list[str], list[str]]:
        """What can be read and what can be written where nothing is mounted: the same, by this machine's paths."""
        readable = _found([*system.places(), *(source for source, _ in self.shows)], self.hidden, {})
        shared = [path for top in _SHARED for path in without(top, self.hidden, {})]
        return [*readable, "/proc"], [*(source for source, _ in self.binds), *system.devices(), *shared]


class Source:
    """A file or directory of this machine, held open while something is mounted over its path.

    identity: its device and inode, "DEV:INO", where its path may have become a link that another container made.
    """

    def __init__(self, path: str, identity: str | None = None) -> None:
        self._descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        if identity is not None and f"{found.st_dev}:{found.st_ino}" != identity:
            raise OSError(errno.ESTALE, "it isn't the directory that was to be shown", path)
        self.path = f"/proc/self/fd/{self._descriptor}"
        self.is_directory = stat.S_ISDIR(os.fstat(self._descriptor).st_mode)

    def close(self) -> None:
        os.close(self._descriptor)


def enter(view: View, *, own_processes: bool) -> int:
    """Make the view this process's file system; /proc/sys as it is still writable, opened with O_PATH."""
    lay_out(view)
    settings = mount_proc(NEW, of_machine=not own_processes)
    become(view)
    return settings


def lay_out(view: View) -> None:
    """Mount what the view has, but /proc, where it will be the root."""
    linux.mount("none", "/", None, MS_REC | linux.MS_PRIVATE)
    links: dict[str, str] = {}
    laid_over = _follow(view.overlay.directory, links) if view.overlay else None
    as_themselves = [source for source, place in view.shows if source == place]
    shown = open_all((path, path) for path in _found([*system.places(), *as_themselves], view.hidden, links))
    elsewhere = [(Source(path, view.identities.get(path)), place) for path, place in view.shows if path != place]
    binds, devices = open_all(view.binds), open_all((path, path) for path in system.devices())
    layers = open_layers(view.overlay)
    linux.mount("tmpfs", NEW, "tmpfs", MS_NOSUID | MS_NODEV, _ROOT_SIZE)
    # A container's own /tmp would cover what of its image lies in the machine's.
    in_tmp = [pair for pair in shown if _is_below(pair[1], "/tmp")]  # noqa: S108
    bind_all((pair for pair in shown if pair not in in_tmp), ATTR_RDONLY | FIXED)
    lay_out_devices(devices, shared_memory=view.shared_memory)
    bind_all(binds, FIXED)
    bind_all([*in_tmp, *elsewhere], ATTR_RDONLY | FIXED)
    for link, target in links.items():
        _make_link(link, target)
    if laid_over is not None:
        mount_overlay(laid_over, layers)


def become(view: View, *, with_proc: bool = False) -> None:
    """Make the view that is laid out the root, unchangeable but for its binds; with all of /proc if asked."""
    for place in ("/proc", "/root", *view.places):
        make_directory(place)
    if with_proc:
        linux.mount("proc", f"{NEW}/proc", "proc", MS_NOSUID | MS_NODEV)
    linux.set_attributes(NEW, ATTR_RDONLY | FIXED, and_below=False)
    linux.become_root(NEW)


def mount_proc(root: str, *, of_machine: bool = False) -> int:
    """The processes of this namespace, or all of the machine's, without what could change the machine; see `enter`."""
    place = f"{root.rstrip('/')}/proc"
    if not os.path.isdir(place):
        os.mkdir(place)
    if of_machine:
        linux.mount("/proc", place, None, MS_BIND | MS_REC)
    else:
        linux.mount("proc", place, "proc", MS_NOSUID | MS_NODEV)
    settings = os.open(f"{place}/sys", os.O_PATH | os.O_CLOEXEC)
    for name in _PROC_READ_ONLY:
        if os.path.exists(f"{place}/{name}"):
            linux.mount(f"{place}/{name}", f"{place}/{name}", None, MS_BIND | MS_REC)
            linux.set_attributes(f"{place}/{name}", ATTR_RDONLY | FIXED)
    for name in _PROC_COVERED:
        if os.path.exists(f"{place}/{name}"):
            linux.mount(f"{root.rstrip('/')}/dev/null", f"{place}/{name}", None, MS_BIND)
    return settings


def without(path: str, hidden: Sequence[str], links: dict[str, str]) -> Iterator[str]:
    """`path`, or what is in it besides `hidden` paths below it, as few paths as can be; its links go into `links`."""
    if not any(_is_below(other, path) and other != path for other in hidden):
        yield path
        return
    for name in sorted(os.listdir(path)):
        inside = f"{path}/{name}"
        target = link_of(inside)
        if target is not None:
            links[inside] = target
        elif inside not in hidden:
            yield from without(inside, hidden, links)


def _found(paths: Iterable[str], hidden: Sequence[str], links: dict[str, str]) -> list[str]:
    """Where paths lead, without what is hidden in them, none below another.

    A path that is asked for is there, also below a hidden one. The links on the ways go into `links`, since they must
    be there as well.
    """
    found: list[str] = []
    top, of_top = "", [""]
    for parts in sorted({tuple(_follow(path, links).split("/")) for path in paths}):
        path = "/".join(parts)
        if not os.path.lexists(path):
            continue
        if not top or not _is_below(path, top):
            top, of_top = path, []
        if not any(_is_below(path, piece) for piece in of_top):
            pieces = list(without(path, hidden, links))
            of_top += pieces
            found += pieces
    return found


def _follow(path: str, links: dict[str, str]) -> str:
    """Where a path leads; the links on its way go into `links`."""
    at, parts, followed = "", path.split("/")[::-1], 0
    while parts:
        part = parts.pop()
        if part == "..":
            at = os.path.dirname(at)
        elif part not in ("", "."):
            target = link_of(f"{at}/{part}")
            if target is None:
                at = f"{at}/{part}"
                continue
            links[f"{at}/{part}"] = target
            followed += 1
            if followed > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            parts += target.split("/")[::-1]
            at = "" if target.startswith("/") else at
    return at or "/"


def link_of(path: str) -> str | None:
    """What a link says; None for what is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def open_all(pairs: Iterable[tuple[str, str]]) -> list[tuple[Source, str]]:
    """Pairs of a path of this machine's and a place, the path held open."""
    return [(Source(source), place) for source, place in pairs]


def bind_all(pairs: Iterable[tuple[Source, str]], attributes: int) -> None:
    """Mount sources at their places in the new root."""
    for source, place in pairs:
        _bind(source, place, attributes)


def _bind(source: Source, place: str, attributes: int) -> None:
    if source.is_directory:
        make_directory(place)
    else:
        _make_file(place)
    linux.mount(source.path, NEW + place, None, MS_BIND | MS_REC)
    source.close()
    linux.set_attributes(NEW + place, attributes)


def make_directory(place: str) -> None:
    """Make a directory of the new root. A link on its way, which a container may have left, isn't followed."""
    at = NEW
    for part in place.split("/")[1:]:
        at = f"{at}/{part}"
        try:
            os.mkdir(at, 0o755)
        except FileExistsError:
            if os.path.islink(at):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), at) from None
        except OSError:
            if not os.path.isdir(at):
                raise


def _make_file(place: str) -> None:
    make_directory(os.path.dirname(place))
    if not os.path.lexists(NEW + place):
        os.close(os.open(NEW + place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _make_link(place: str, target: str) -> None:
    if not os.path.lexists(NEW + place):
        make_directory(os.path.dirname(place))
        os.symlink(target, NEW + place)


def lay_out_devices(devices: Sequence[tuple[Source, str]], *, shared_memory: bool) -> None:
    """Mount devices into the new root's /dev, and make what Docker has beside them."""
    bind_all(devices, ATTR_RDONLY | ATTR_NOSUID)
    for name, target in _DEVICE_LINKS.items():
        _make_link(f"/dev/{name}", target)
    make_directory("/dev/pts")
    linux.mount("devpts", f"{NEW}/dev/pts", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666,mode=620")
    if shared_memory:
        place = _SHARED[0]
        make_directory(place)
        linux.mount("tmpfs", NEW + place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")


def open_layers(overlay: Overlay | None) -> dict[str, list[Source]]:
    """An overlay's directories, held open, by their names in mount(8)'s options."""
    if overlay is None:
        return {}
    return {
        "lowerdir": [Source(path) for path in [*overlay.under, overlay.directory]],
        "upperdir": [Source(f"{overlay.top}/upper")],
        "workdir": [Source(f"{overlay.top}/work")],
    }


def mount_overlay(place: str, layers: dict[str, list[Source]]) -> None:
    """Mount an overlay's open directories at a place of the new root."""
    # By descriptor, since a path may hold what overlayfs takes for its own: a colon, a comma.
    wanted = [f"{name}={':'.join(layer.path for layer in found)}" for name, found in layers.items()]
    if _is_in_user_namespace():
        wanted.append("userxattr")
    make_directory(place)
    linux.mount("overlay", NEW + place, "overlay", MS_NOSUID | MS_NODEV, ",".join(wanted))
    # Made by the kernel for itself, closed to everyone; open, so that an ordinary user can remove it afterwards.
    os.chmod(f"{layers['workdir'][0].path}/work", 0o700)
    for found in layers.values():
        for layer in found:
            layer.close()


def _is_in_user_namespace() -> bool:
    """Whether trusted.* attributes, by which overlayfs marks what is gone, are refused to this process's root."""
    with open("/proc/self/uid_map", "rb") as file:
        return file.read().split() != [b"0", b"0", b"4294967295"]
