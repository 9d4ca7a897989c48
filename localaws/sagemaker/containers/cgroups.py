"""Control groups: where the server may make one, the kernel itself keeps a container to its memory and processes.

It may as root, and as a user to whom systemd has given a part of the tree (cgroups(7), both versions). What a server
that was killed left behind, the next one removes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "localaws-"
_CONTROLLERS = ("memory", "pids")
_numbers = itertools.count()


@dataclass(frozen=True)
class Parents:
    """Where groups are made: one directory for both controllers (version 2), or one for each (version 1)."""

    memory: Path
    pids: Path

    @property
    def is_unified(self) -> bool:
        """Whether this is version 2."""
        return self.memory == self.pids


class Cgroup:
    """A container's group."""

    def __init__(self, memory: Path, pids: Path) -> None:
        self._memory, self._pids = memory, pids
        self._ran_out = False

    def add(self, pid: int) -> None:
        """Take a process in, and whatever it will start."""
        for folder in {self._memory, self._pids}:
            _write(folder / "cgroup.procs", str(pid))

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has ended a process of it for want of memory. Once seen it stays known: of containers that
        share a group, one may remove it before the end of the one that was killed is looked at."""
        self._ran_out = self._ran_out or self._has_run_out()
        return self._ran_out

    def _has_run_out(self) -> bool:
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                lines = (self._memory / name).read_text(encoding="ascii").splitlines()
                return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)
        return False

    def remove(self) -> bool:
        """Remove it, once all its processes have ended; False where some haven't."""
        removed = True
        for folder in {self._memory, self._pids}:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                removed = False
        return removed


@functools.cache
def usable_parents() -> Parents | None:
    """Where this process may make groups that limit; tried once."""
    for parents in _candidates():
        _sweep(parents)
        with contextlib.suppress(OSError):
            _make(parents, 1 << 40, 1 << 15).remove()
            return parents
    return None


def make(memory: int, processes: int) -> Cgroup | None:
    """A group with these limits; None where none can be made."""
    parents = usable_parents()
    if parents is None:
        return None
    try:
        return _make(parents, memory, processes)
    except OSError:
        return None


def _make(parents: Parents, memory: int, processes: int) -> Cgroup:
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    group = Cgroup(parents.memory / name, parents.pids / name)
    try:
        for folder in {parents.memory / name, parents.pids / name}:
            folder.mkdir()
        limit, swap = ("max", "swap.max") if parents.is_unified else ("limit_in_bytes", "memsw.limit_in_bytes")
        _write(parents.memory / name / f"memory.{limit}", str(memory))
        with contextlib.suppress(OSError):  # where the kernel doesn't account for it; an instance has none
            _write(parents.memory / name / f"memory.{swap}", "0" if parents.is_unified else str(memory))
        _write(parents.pids / name / "pids.max", str(processes))
    except OSError:
        group.remove()
        raise
    return group


def _own(text: str) -> Mapping[str, str]:
    """This process's own groups, by controller; version 2's by the empty name."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    return {name: path for _, names, path in lines for name in names.split(",")}


def sweep() -> None:
    """Remove what servers left that are gone."""
    for parents in _candidates():
        _sweep(parents)


def _candidates() -> list[Parents]:
    try:
        own = _own(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    except OSError:
        return []
    if all(name in own for name in _CONTROLLERS):
        # In a container of Docker's the path is the machine's, and the tree begins further down.
        memory, pids = (_existing(_ROOT / name, own[name]) for name in _CONTROLLERS)
        return [Parents(memory, pids)]
    folder = _existing(_ROOT, own.get("", "/"))
    # A group with processes of its own can't limit others below it, so it's beside the server's.
    return [Parents(each, each) for each in (folder.parent, folder) if each.is_relative_to(_ROOT) and _limits(each)]


def _existing(tree: Path, path: str) -> Path:
    folder = tree / path.lstrip("/")
    return folder if folder.is_dir() else tree


def _limits(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return set(_CONTROLLERS) <= set((folder / "cgroup.subtree_control").read_text(encoding="ascii").split())
    return False


def _sweep(parents: Parents) -> None:
    for parent in {parents.memory, parents.pids}:
        for folder in parent.glob(f"{_PREFIX}*-*"):
            pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if not Path("/proc", pid).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write(text)
