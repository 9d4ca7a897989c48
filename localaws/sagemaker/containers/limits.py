"""What a container may use of this machine: its instance's memory, so many processes, its volume.

Where the server may make control groups, the kernel holds memory and processes (cgroups.py). What it doesn't hold, one
thread looks at, twice a second, and ends the container that has more.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from localaws.sagemaker.containers import cgroups

Exceeded = Literal["memory", "processes", "disk"]
MEMORY: Final = "memory"
PROCESSES: Final = "processes"
DISK: Final = "disk"

MAX_PROCESSES = 4096  # threads included: more than any library starts, less than a machine has
_LOOK_SECONDS = 0.5
# Looking at what a volume holds may take this share of the time.
_WALK_SHARE = 0.02
# Of the file system on which the state lies too; a container that has as much of it gives way.
KEPT_FREE = 512 * 1024 * 1024
_GIVES_WAY = 500  # to the kernel's choice of whom to end when the whole machine has no memory left (proc(5))


class SharedMemory:
    """The memory and the processes of one instance whose containers are several: each has what the others leave."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._group: cgroups.Cgroup | None = None
        self._joined = False
        self._pids: list[int] = []
        self._blamed = False

    def join(self, pid: int, limits: Limits) -> cgroups.Cgroup | None:
        """The group of all of them, which the first one makes."""
        with self._lock:
            if not self._joined:
                self._group, self._joined = cgroups.make(limits.memory, limits.processes), True
            self._pids.append(pid)
            return self._group

    def pids(self) -> list[int]:
        """Their first processes, without those of containers that are being ended."""
        with self._lock:
            return list(self._pids)

    def leave(self, pid: int) -> None:
        """A container is being ended: what it still holds must not be the end of another."""
        with self._lock:
            self._pids = [other for other in self._pids if other != pid]

    def blame(self) -> bool:
        """Whether the container that has ended is the one that the kernel ended. It counts for all of them together;
        theirs is the first end, and that of the others its consequence."""
        with self._lock:
            blamed, self._blamed = self._blamed, True
            return not blamed


@dataclass(frozen=True)
class Limits:
    """Bytes of memory and of what lies in its folders, and a number of processes; `shared` with other containers."""

    memory: int
    disk: int
    processes: int = MAX_PROCESSES
    shared: SharedMemory | None = None


class Killable(Protocol):
    """A container, as far as a watch is concerned."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None: ...


class Watch:
    """One container's limits, from its start to its end. `folders`: what it writes to, on one file system."""

    def __init__(self, container: Killable, limits: Limits, folders: Sequence[Path]) -> None:
        self._container = container
        self._limits = limits
        self._volume = _Volume(limits.disk, folders)
        self._exceeded: Exceeded | None = None
        self._went_well = False
        self._group = (
            limits.shared.join(container.pid, limits)
            if limits.shared
            else cgroups.make(limits.memory, limits.processes)
        )
        if self._group is not None:
            _take_in(self._group, container.pid)
        else:
            _limit_processes(container.pid, limits.processes)
        _give_way(container.pid)
        _watcher().add(self)

    def exceeded(self) -> Exceeded | None:
        """Which limit has ended it, or processes of it; asked when it has ended."""
        if self._exceeded is None and self._group is not None and self._group.out_of_memory and self._is_to_blame():
            self._exceeded = MEMORY
        return self._exceeded

    def _is_to_blame(self) -> bool:
        """One that ended well isn't, though its end may be seen before that of the one that the kernel ended."""
        shared = self._limits.shared
        return shared is None or (not self._went_well and shared.blame())

    def over(self, status: int) -> None:
        """The container has ended, with this exit status."""
        self._went_well = status == 0
        self.exceeded()
        _watcher().discard(self)
        if self._group is not None and not self._group.remove():
            _watcher().remove_later(self._group)

    def look(self) -> None:
        """End the container if it has more than it may."""
        found = self._volume.exceeded() or (self._sampled() if self._group is None else None)
        if found is not None and self._exceeded is None:
            self._exceeded = found
            if self._limits.shared:
                self._limits.shared.leave(self._container.pid)
            self._container.kill()

    def _sampled(self) -> Exceeded | None:
        pids = list(_tree(self._container.pid))
        if len(pids) > self._limits.processes:
            return PROCESSES
        firsts = self._limits.shared.pids() if self._limits.shared else [self._container.pid]
        # Forked processes share what none has written to since; to know how much takes longer.
        if sum(_of_all(_own_memory, firsts)) <= self._limits.memory:
            return None
        shares = _of_all(_share, firsts)
        is_largest = sum(map(_share, pids)) * len(firsts) >= sum(shares)
        return MEMORY if sum(shares) > self._limits.memory and is_largest else None


class _Volume:
    """What lies in folders of one file system, looked at only when so much was written there meanwhile."""

    def __init__(self, limit: int, folders: Sequence[Path]) -> None:
        self._limit = limit
        self._folders = folders
        self._free = _free(folders)
        self._held: int | None = None
        self._next = 0.0

    def exceeded(self) -> Exceeded | None:
        """DISK where they hold too much."""
        began, free = time.monotonic(), _free(self._folders)
        if self._free is None or free is None or began < self._next:
            return None
        if self._held is not None and self._free - free + self._held <= self._limit and free > KEPT_FREE:
            return None
        self._held, self._free = held(self._folders), free
        self._next = time.monotonic() + (time.monotonic() - began) / _WALK_SHARE
        return DISK if self._held > self._limit or free < KEPT_FREE < self._held else None


class _Watcher:
    """The thread that looks, and removes groups whose last processes take a moment to go."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._left: set[cgroups.Cgroup] = set()
        self._some = threading.Event()
        threading.Thread(target=self._work, name="container-limits", daemon=True).start()

    def add(self, watch: Watch) -> None:
        self._watches.add(watch)
        self._some.set()

    def discard(self, watch: Watch) -> None:
        self._watches.discard(watch)

    def remove_later(self, group: cgroups.Cgroup) -> None:
        self._left.add(group)
        self._some.set()

    def _work(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()  # before the look at what there is: what comes meanwhile wakes it again
            while self._watches or self._left:
                time.sleep(_LOOK_SECONDS)
                self._look()

    def _look(self) -> None:
        for watch in self._watches.copy():
            with contextlib.suppress(OSError):  # what it looked at went
                watch.look()
        self._left -= {group for group in self._left.copy() if group.remove()}


@functools.cache
def _watcher() -> _Watcher:
    return _Watcher()


def held(folders: Sequence[Path]) -> int:
    """Bytes on the disk that folders hold; links aren't followed, whatever becomes one meanwhile."""
    total, seen = 0, set()
    for top in folders:
        for _, _, names, descriptor in os.fwalk(top, follow_symlinks=False):
            for name in names:
                with contextlib.suppress(OSError):
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if status.st_nlink > 1 and (status.st_dev, status.st_ino) in seen:
                        continue
                    if status.st_nlink > 1:
                        seen.add((status.st_dev, status.st_ino))
                    if stat.S_ISREG(status.st_mode):
                        total += status.st_blocks * 512
    return total


def _free(folders: Sequence[Path]) -> int | None:
    if not folders:
        return None  # it writes to no disk
    try:
        found = os.statvfs(folders[0])
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _tree(pid: int) -> Iterator[int]:
    """A process and all that it started, by the kernel's own lists."""
    pending = [pid]
    while pending:
        found = pending.pop()
        yield found
        for path in Path(f"/proc/{found}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pending += map(int, path.read_text(encoding="ascii").split())


def _of_all(measure: Callable[[int], int], firsts: Sequence[int]) -> list[int]:
    """What each of some processes has, with all that it started."""
    return [sum(map(measure, _tree(pid))) for pid in firsts]


def _take_in(group: cgroups.Cgroup, pid: int) -> None:
    """Take in a process that has only just started, and whatever it has started meanwhile."""
    known: set[int] = set()
    while new := set(_tree(pid)) - known:
        for each in new:
            with contextlib.suppress(OSError):  # it has ended already
                group.add(each)
        known |= new


def _own_memory(pid: int) -> int:
    """Bytes of memory that a process has to itself."""
    with contextlib.suppress(OSError, ValueError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
        return (int(resident) - int(shared)) * resource.getpagesize()
    return 0


def _share(pid: int) -> int:
    """Bytes of memory of a process, what it shares with others divided among all (proc_pid_smaps(5))."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        found = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
        return found.get("Pss_Anon:", found["Pss:"]) * 1024
    return _own_memory(pid)


def _limit_processes(pid: int, processes: int) -> None:
    """RLIMIT_NPROC, where it counts a user namespace's own processes (from Linux 5.14 on), not all of the user's."""
    version = [int(number) for number in re.findall(r"\d+", os.uname().release)[:2]]
    if hasattr(resource, "prlimit") and version >= [5, 14]:
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_NPROC, (processes, processes))


def _give_way(pid: int) -> None:
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_GIVES_WAY), encoding="ascii")
