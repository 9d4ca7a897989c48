"""A container's command line: what `container.launch` tells its first process.

--mount            a file system of its own: the image and what --bind, --show and --overlay say (view.py)
--pid              own process namespace: when the program ends, the kernel ends whatever it started
--isolate-network  own network namespace with nothing but loopback
--network FDS      the private network whose namespaces are open under these numbers, "NETWORK" or "NETWORK,USER"
--bind SRC DST     the directory SRC appears, writable, as DST
--show SRC DST     the directory or file SRC appears, read-only, as DST
--same PATH ID     a --show of PATH is refused unless its device and inode are ID, "DEV:INO"
--hide PATH        PATH doesn't appear, though a directory above it does
--overlay DIR TOP  DIR appears writable: what is written goes to TOP/upper (overlayfs; TOP/work is its own)
--under DIR        a layer between the overlay's TOP and DIR; the first is the topmost
--root DIR TOP     the file system is an image's own, unpacked at DIR: what is written goes to TOP/upper; an empty TOP
                   says that DIR is a copy of the container's own (image_view.py)
--user IDS         as whom an image's program runs: UID:GID, and :GID for each further group
--hostname NAME    what the container calls itself (uts_namespaces(7))
--variables FD     its program's variables are read from this descriptor, each ended by a zero byte
--cwd PATH         where the program starts
--train            the program is the image's `train`: the first process runs it itself, if the others end with it
--process-1        SIGTERM comes to the program as to a process 1: only where it handles or blocks it
--parent PID       the server: when it is gone, by kill -9 too, the container goes
--trusted          the program is the server's own tool: it is not confined

Without --mount nothing can be mounted: --bind and --show are then what Landlock lets the program open, where it is.
"""

from __future__ import annotations

import os

from localaws.confinement.privileges import Identity
from localaws.confinement.view import Overlay, View


class Options:
    """The command line, see above."""

    def __init__(self, arguments: list[str]) -> None:
        self.flags: set[str] = set()
        self.hidden: list[str] = []
        self.under: list[str] = []
        self.pairs: dict[str, list[tuple[str, str]]] = {"--bind": [], "--show": [], "--overlay": [], "--root": []}
        self.identities: dict[str, str] = {}
        self.texts: dict[str, str] = {"--cwd": "/", "--user": "", "--hostname": "", "--variables": ""}
        self.network: list[int] = []
        self.parent = os.getppid()
        rest = list(arguments)
        while (option := rest.pop(0)) != "--":
            self._take(option, rest)
        self.program = rest
        self.variables = _read_variables(int(self.texts["--variables"])) if self.texts["--variables"] else {}

    def _take(self, option: str, rest: list[str]) -> None:
        if option in self.pairs:
            self.pairs[option].append((rest.pop(0), rest.pop(0)))
        elif option == "--same":
            path = rest.pop(0)
            self.identities[path] = rest.pop(0)
        elif option == "--hide":
            self.hidden.append(rest.pop(0))
        elif option == "--under":
            self.under.append(rest.pop(0))
        elif option in self.texts:
            self.texts[option] = rest.pop(0)
        elif option == "--network":
            self.network = [int(number) for number in rest.pop(0).split(",")]
        elif option == "--parent":
            self.parent = int(rest.pop(0))
        else:
            self.flags.add(option)

    @property
    def cwd(self) -> str:
        return self.texts["--cwd"]

    @property
    def hostname(self) -> str:
        return self.texts["--hostname"]

    @property
    def image_root(self) -> tuple[str, str] | None:
        """The image whose file system is the container's, and where its own goes; None for a view of this machine's."""
        return next(iter(self.pairs["--root"]), None)

    @property
    def identity(self) -> Identity | None:
        """As whom the program of an image runs; None: as who made the container."""
        user, *groups = [int(number) for number in self.texts["--user"].split(":") if number] or [0]
        return Identity(user, groups[0], groups[1:]) if groups else None

    @property
    def has_own_files(self) -> bool:
        return "--mount" in self.flags

    @property
    def has_own_processes(self) -> bool:
        return "--pid" in self.flags

    @property
    def writable(self) -> list[str]:
        """What can be written to in its own file system: an image's is its own, all that isn't mounted read-only."""
        return ["/"] if self.image_root else self.view.writable

    @property
    def view(self) -> View:
        """What the container sees."""
        overlay = next((Overlay(directory, top, self.under) for directory, top in self.pairs["--overlay"]), None)
        return View(
            self.pairs["--bind"], self.pairs["--show"], self.hidden, overlay=overlay, identities=self.identities
        )


def _read_variables(descriptor: int) -> dict[str, str]:
    """A program's variables, which the server has written to a file in memory; it is closed."""
    with os.fdopen(descriptor, "rb") as file:
        pairs = (line.partition(b"=") for line in file.read().split(b"\0") if line)
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
