"""What a function's process sees and may do: its code at /var/task, its layers at /opt, a /tmp of its own.

As in AWS, only /tmp can be written to (Lambda Developer Guide, "Lambda execution environment"). The forkserver takes on
most of this view once (`enter_template`), and a function's first process adds what is the function's (`enter`), so that
each begins in milliseconds. Where the kernel allows no namespaces, Landlock alone keeps a function to its files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.confinement import landlock, linux, privileges, seccomp, system, view
from localaws.confinement.linux import MS_BIND, MS_NODEV, MS_NOSUID, MS_RDONLY

TASK, _RUNTIME, _TMP = "/var/task", "/var/runtime", "/tmp"  # noqa: S108 - the function's own
# Layers would cover a Python that lies there.
_LAYERS = "/opt" if not sys.base_prefix.startswith("/opt/") else "/var/layers"
_WORKER = "/var/rapid/lambda_worker.py"
_BYTECODE = "/var/bytecode"
# Where the forkserver alone sees the code and the layers of all functions.
_FUNCTIONS = "/var/functions"
_NAMESPACES = linux.CLONE_NEWNS | linux.CLONE_NEWPID


@dataclass(frozen=True)
class Places:
    """Where a function finds its code, its layers, the runtime's packages and the program that runs it.

    bytecode: of its modules, where there is any (sys.pycache_prefix).
    """

    code: str
    layers: Sequence[str]
    runtime: str
    worker: str
    bytecode: str | None = None


@dataclass(frozen=True)
class Machine:
    """Where this machine keeps what functions see.

    runtime: the folder with links to the runtime's packages; code and layers are in folders beside it.
    worker: the program that runs a function. home: of this server's user.
    """

    runtime: Path
    worker: Path
    home: Path

    @property
    def functions(self) -> Path:
        """The folder of all functions' code and layers."""
        return self.runtime.parent

    @property
    def hidden(self) -> list[str]:
        """What no function sees: the state of this AWS, and the home of its user."""
        return [str(self.functions.parent), str(self.home)]

    @property
    def packages(self) -> list[tuple[str, str]]:
        """The runtime's packages: where they are, and their names."""
        return [(str(path.resolve()), path.name) for path in sorted(self.runtime.iterdir())]


@dataclass(frozen=True)
class Function:
    """What one function is made of, on this machine; its /tmp has so many megabytes."""

    code: str
    layers: Sequence[str]
    tmp_megabytes: int
    bytecode: str | None = None


def runtime_of(machine: Machine, *, is_confined: bool) -> str:
    """Where the runtime's packages are found."""
    return _RUNTIME if is_confined else str(machine.runtime)


def enter_template(machine: Machine) -> None:
    """Give this process what every function sees, in namespaces whose first process `enter_namespaces` has made."""
    shows = [
        *((path, path) for path in system.python()),
        *((path, f"{_RUNTIME}/{name}") for path, name in machine.packages),
        (str(machine.worker), _WORKER),
        (str(machine.functions), _FUNCTIONS),
    ]
    seen = view.View([], shows, machine.hidden, places=(TASK, _LAYERS, _TMP, _BYTECODE), shared_memory=False)
    view.lay_out(seen)
    view.become(seen, with_proc=True)


def enter_namespaces() -> None:
    """Namespaces of its own: the next process that this one forks is the first of them."""
    if os.geteuid() == 0:
        linux.unshare(_NAMESPACES)
    else:
        privileges.enter_user_namespace(_NAMESPACES)


def enter(machine: Machine, function: Function) -> Places:
    """Give this process, the first of its namespaces, what is the function's, and take every privilege."""
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC)
    _bind(machine, function.code, TASK)
    _lay_layers(machine, function.layers)
    if function.bytecode:
        _bind(machine, function.bytecode, _BYTECODE)
    linux.mount("tmpfs", _TMP, "tmpfs", MS_NOSUID | MS_NODEV, f"size={function.tmp_megabytes}m,mode=1777")
    settings = view.mount_proc("/")
    linux.mount("tmpfs", _FUNCTIONS, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV)  # to unmount it would take longer
    privileges.lock_mounts(settings)
    os.close(settings)
    privileges.drop()
    layers = [_LAYERS] if function.layers else []
    return Places(TASK, layers, _RUNTIME, _WORKER, _BYTECODE if function.bytecode else None)


def stay(machine: Machine, function: Function) -> Places:
    """Where a function finds its things on a machine without namespaces."""
    return Places(function.code, function.layers, str(machine.runtime), str(machine.worker))


def fence(machine: Machine, places: Places) -> None:
    """Keep this process to what a function may open."""
    if places.code == TASK:
        landlock.restrict(["/"], [_TMP, "/dev", "/proc"])
        seccomp.restrict()
        return
    privileges.drop()
    seccomp.restrict()
    seen = [*system.python(), places.code, *places.layers, places.worker, *(path for path, _ in machine.packages)]
    shows = [(path, path) for path in [*seen, str(machine.runtime)]]
    readable, writable = view.View([], shows, machine.hidden).as_it_lies()
    writable += view.without(_TMP, machine.hidden, {})
    landlock.restrict(readable, writable)


def _bind(machine: Machine, directory: str, place: str) -> None:
    linux.mount(_as_template_sees(machine, directory), place, None, MS_BIND)
    linux.set_attributes(place, linux.ATTR_RDONLY | linux.ATTR_NOSUID | linux.ATTR_NODEV)


def _lay_layers(machine: Machine, layers: Sequence[str]) -> None:
    """All layers at /opt, each over those before it."""
    if len(layers) == 1:
        _bind(machine, layers[0], _LAYERS)
    elif layers:
        lower = ":".join(_as_template_sees(machine, layer) for layer in reversed(layers))
        linux.mount("overlay", _LAYERS, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, f"lowerdir={lower}")


def _as_template_sees(machine: Machine, directory: str) -> str:
    return f"{_FUNCTIONS}/{directory.removeprefix(f'{machine.functions}/')}"
