"""Containers without Docker: processes with their own /opt/ml and environment, and an end that takes all with it.

What the kernel allows is found out once (`isolation`); what it doesn't allow is said in the job's log, not hidden.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, NamedTuple, Protocol

import localaws
from localaws.confinement import landlock, system
from localaws.sagemaker.containers import image_root, spawner
from localaws.sagemaker.containers.image_root import ImageRoot
from localaws.sagemaker.containers.limits import Exceeded, Limits, Watch
from localaws.sagemaker.containers.warm_start import Warm

OPT_ML = Path("/opt/ml")
TMP = Path("/tmp")  # noqa: S108 - the container's own
TOOLS = Path("/opt/image-tools")

Isolation = Literal["processes and files", "files", "none"]

# By its own import path alone, so that it is compiled once.
_FIRST_PROCESS = (
    f"import sys; sys.path.append({str(Path(localaws.__file__).parents[1])!r}); "
    "from localaws.confinement.first_process import main; sys.exit(main(sys.argv[1:]))"
)
# The first process itself, and every image's environment, runs on it.
_OWN_PYTHON = [word for path in system.python() for word in ("--show", path, path)]
_ISOLATION_OPTIONS: dict[Isolation, list[str]] = {
    "processes and files": ["--mount", "--pid"],
    "files": ["--mount"],
    "none": [],
}


@dataclass(frozen=True)
class Layer:
    """A container's own layer over a directory outside `base_dir`, which is as it was once the container has ended.

    under: the directory, which the container sees as its own to write to.
    directory: keeps what the container writes to it, in `upper`.
    below: what earlier containers wrote (their `upper`), the topmost first.
    """

    under: Path
    directory: Path
    below: tuple[Path, ...] = ()


class Shown(NamedTuple):
    """A directory that another container writes to, and its device and inode, "DEV:INO".

    What has its path when this container starts may be a link that was made there, and isn't shown then.
    """

    directory: Path
    identity: str


@dataclass(frozen=True)
class ContainerSpec:
    """A container that is to be started.

    command: program and arguments, looked up in PATH of `environment`.
    environment: all variables that it sees; nothing of the server's own.
    base_dir: the directory that appears as /opt/ml, where that is possible; see `ml_dir`. In an image's own file system
    what it holds appears there.
    tmp_dir: appears as /tmp.
    cwd: where the program starts, as the container sees it.
    hide: directories of the server's that it must not see, also where a directory above them is shown.
    needs: files and directories that it sees, read-only, besides the machine's programs: the image's environment.
    shows: directories outside `base_dir` that appear in it, by their place below it; read-only.
    as_process_1: SIGTERM comes to the program as to a container's process 1: only where it handles or blocks it.
    is_train: the program is the image's `train`, and process 1 itself, where the container has processes of its own.
    tools: a directory of programs that the image has and this machine lacks; appears as TOOLS, read-only.
    network: "host", "none", or the descriptors of a private one, see `networks.Network`.
    hostname: what it calls itself; None: as this machine does. etc_hosts: its /etc/hosts; None: this machine's.
    shared: folders outside `base_dir` that it writes to, by their places below it.
    descriptors: open files and sockets that the program inherits under their numbers.
    layer: its own layer over the image's environment, see `can_lay_over`.
    limits: what it may use of this machine; None: all of it.
    warm: how it may begin in a warm interpreter, see `warm.py`; None where it may not.
    image_root: the image's own file system, of which the container sees nothing else; None: a view of this machine's,
    by `needs`, `tools` and `layer`. The program is then process 1 itself, and `command` is looked up in the image.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    base_dir: Path
    tmp_dir: Path
    cwd: Path
    hide: Sequence[Path] = ()
    needs: Sequence[Path] = ()
    shows: Mapping[str, Shown] = field(default_factory=dict)
    as_process_1: bool = False
    is_train: bool = False
    tools: Path | None = None
    network: Literal["host", "none"] | Sequence[int] = "host"
    hostname: str | None = None
    etc_hosts: Path | None = None
    shared: Mapping[str, Path] = field(default_factory=dict)
    descriptors: Sequence[int] = ()
    layer: Layer | None = None
    limits: Limits | None = None
    warm: Warm | None = None
    image_root: ImageRoot | None = None


class Process(Protocol):
    """A child of this process's, as far as its container needs it: subprocess.Popen's members."""

    @property
    def pid(self) -> int: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Container:
    """A running container. `output` is its standard output and error, one pipe, open until all of it has ended."""

    def __init__(self, process: Process, *, owns_processes: bool) -> None:
        self._process = process
        self._owns_processes = owns_processes
        if process.stdout is None:
            raise ValueError("a container's output must be a pipe")
        self.output = process.stdout
        self._watch: Watch | None = None
        _running.add(self)

    @property
    def pid(self) -> int:
        """The process id of the container's first process, which leads a process group of its own."""
        return self._process.pid

    def limit(self, limits: Limits, folders: Sequence[Path]) -> None:
        """Keep it to its limits from now on; `folders` is what it writes to."""
        self._watch = Watch(self, limits, folders)

    @property
    def exceeded(self) -> Exceeded | None:
        """Which limit has ended it, or some of its processes; asked once it has ended."""
        return self._watch.exceeded() if self._watch else None

    def stop(self) -> None:
        """SIGTERM to the program, as Docker and SageMaker do."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End everything in the container, at once."""
        # Without a process namespace the first process has to find what the program started, so it must live a moment.
        self._signal(signal.SIGKILL if self._owns_processes else signal.SIGUSR1)

    def poll(self) -> int | None:
        """The exit status once it has ended: the program's, or 128 + the signal that ended it."""
        return self._status(self._process.poll())

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit status. Raises subprocess.TimeoutExpired."""
        status = self._status(self._process.wait(timeout))
        assert status is not None  # noqa: S101 - wait() returned
        return status

    def _status(self, returncode: int | None) -> int | None:
        if returncode is None:
            return None
        _running.discard(self)
        if self._watch is not None:
            self._watch.over(returncode)
        return returncode if returncode >= 0 else 128 - returncode

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


_running: set[Container] = set()


def launch(spec: ContainerSpec) -> Container:
    """Start a container. Raises OSError when the machine can't start processes."""
    options, command = options_of(spec), list(spec.command)
    if spec.image_root is None:
        started = _start(options, command, dict(spec.environment), inherited(spec))
    else:
        with image_root.in_memory(spec.environment) as variables:
            options += ["--variables", str(variables)]
            started = _start(options, command, {}, [*inherited(spec), variables])
    keep_to_limits(started, spec)
    return started


def inherited(spec: ContainerSpec) -> list[int]:
    """The descriptors that its first process inherits: its program's, and its network's."""
    return [*spec.descriptors, *([] if isinstance(spec.network, str) else spec.network)]


def options_of(spec: ContainerSpec) -> list[str]:
    """What its first process is told, see confinement/options.py, of a container that is to be started now."""
    _make_places(spec)
    return [*_ISOLATION_OPTIONS[isolation()], *_view_options(spec), "--cwd", str(spec.cwd)]


def keep_to_limits(started: Container, spec: ContainerSpec) -> None:
    """Keep a container that has only just been started to its limits."""
    if spec.limits is not None:
        written = [spec.base_dir, spec.tmp_dir, *([spec.layer.directory] if spec.layer else [])]
        written += spec.image_root.written if spec.image_root else []
        started.limit(spec.limits, written)


def interpreter_options(root: Path, hidden: Sequence[Path]) -> list[str]:
    """What a warm interpreter sees while it imports: what every container of the image sees."""
    options = [*_OWN_PYTHON, "--show", str(root), str(root)]
    for path in hidden:
        options += ["--hide", str(path)]
    return [*options, "--parent", str(os.getpid()), "--"]


def start(argv: list[str], environment: Mapping[str, str], descriptors: Sequence[int] = ()) -> Container:
    """Start a process of the server's own that must not outlive it. Raises OSError."""
    return Container(spawner.start(argv, environment, descriptors), owns_processes=False)


def run_tool(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> Container:
    """Start a tool of the server's own (pip) that must not outlive it: no isolation, the given environment."""
    return _start(["--trusted", "--cwd", str(cwd)], list(command), dict(environment))


def kill_all() -> None:
    """End every container of this process, at once."""
    for container in list(_running):
        container.kill()
        container.wait(10)


@functools.cache
def isolation() -> Isolation:
    """How much the kernel lets this process isolate; tried once, takes some 50 ms."""
    for kind, options in _ISOLATION_OPTIONS.items():
        probe = _start([*options, *_OWN_PYTHON], ["true"], {"PATH": os.defpath})
        probe.output.read()
        if probe.wait(10) == 0:
            return kind
    return "none"


def can_lay_over(directory: Path) -> bool:
    """Whether containers can have layers of their own that are kept below `directory`; tried once a file system."""
    if isolation() == "none":
        return False
    device = directory.stat().st_dev
    if device not in _overlays:
        _overlays[device] = _try_overlay(directory)
    return _overlays[device]


_overlays: dict[int, bool] = {}


def _try_overlay(directory: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=directory) as name:
        for part in ("image", "upper", "work"):
            (Path(name) / part).mkdir()
        layer = Layer(Path(name) / "image", Path(name))
        options = [*_ISOLATION_OPTIONS[isolation()], *_OWN_PYTHON, *_layer_options(layer)]
        probe = _start(options, ["true"], {"PATH": os.defpath})
        probe.output.read()
        return probe.wait(10) == 0


def ml_dir(base_dir: Path) -> Path:
    """Where a program in a container finds what lies in `base_dir`: the literal /opt/ml, or `base_dir` itself."""
    return base_dir if isolation() == "none" else OPT_ML


def tmp_view(tmp_dir: Path) -> Path:
    """Where a program in a container finds its temporary directory: /tmp, or `tmp_dir` itself."""
    return tmp_dir if isolation() == "none" else TMP


def tools_view(tools: Path) -> Path:
    """Where a program in a container finds the directory `tools` of its spec."""
    return tools if isolation() == "none" else TOOLS


def describe_isolation() -> str | None:
    """One line for the job's log on what isn't as in AWS or isn't kept apart on this machine, else None."""
    return describe(isolation(), has_landlock=landlock.version() > 0)


def describe(kind: Isolation, *, has_landlock: bool) -> str | None:
    """What a container isn't kept from, where the kernel lacks something. Pure."""
    if kind == "processes and files":
        return None
    if kind == "files":
        return "This machine's kernel allows no process namespaces: the container sees this machine's processes."
    place = "This machine's kernel allows no mount namespaces: /opt/ml is the directory in SAGEMAKER_BASE_DIR"
    if has_landlock:
        return f"{place}, and the container sees this machine's processes; Landlock keeps it to its own files."
    return f"{place}, and the container isn't kept from anything that the user of this AWS may read or write."


def _make_places(spec: ContainerSpec) -> None:
    """Make the places of `shows`: empty directories to mount on, or links where the kernel can't mount."""
    for place, shown in spec.shows.items():
        at = spec.base_dir / place
        if isolation() == "none":
            at.parent.mkdir(parents=True, exist_ok=True)
            at.symlink_to(shown.directory)
        else:
            at.mkdir(parents=True, exist_ok=True)


def _view_options(spec: ContainerSpec) -> list[str]:
    options = _network_options(spec.network)
    options += ["--process-1"] if spec.as_process_1 else []
    options += ["--train"] if spec.is_train else []
    for folder, seen in [*_ml_binds(spec), (spec.tmp_dir, TMP)]:
        options += ["--bind", str(folder), str(seen)]
    options += ["--hostname", spec.hostname] if spec.hostname else []
    options += ["--show", str(spec.etc_hosts), "/etc/hosts"] if spec.etc_hosts else []
    for place, folder in spec.shared.items():
        options += ["--bind", str(folder), str(OPT_ML / place)]
    options += spec.image_root.options if spec.image_root else _OWN_PYTHON
    for path in spec.needs:
        # pip's settings of this machine may name a folder that has more in it than packages.
        if not any(hidden.is_relative_to(path) for hidden in spec.hide):
            options += ["--show", str(path), str(path)]
    for place, shown in spec.shows.items():
        source = str(shown.directory)
        options += ["--show", source, str(OPT_ML / place), "--same", source, shown.identity]
    if spec.tools is not None:
        options += ["--show", str(spec.tools), str(TOOLS)]
    for hidden in spec.hide:
        options += ["--hide", str(hidden)]
    return options + (_layer_options(spec.layer) if spec.layer else [])


def _ml_binds(spec: ContainerSpec) -> list[tuple[Path, Path]]:
    """Where the folders of /opt/ml lie. What an image of one's own has beside them, such as code, stays."""
    if spec.image_root is None:
        return [(spec.base_dir, OPT_ML)]
    return [(folder, OPT_ML / folder.relative_to(spec.base_dir)) for folder in image_root.ml_folders(spec.base_dir)]


def _network_options(network: Literal["host", "none"] | Sequence[int]) -> list[str]:
    if isinstance(network, str):
        return ["--isolate-network"] if network == "none" else []
    return ["--network", ",".join(map(str, network))]


def _layer_options(layer: Layer) -> list[str]:
    below = [option for directory in layer.below for option in ("--under", str(directory))]
    return ["--overlay", str(layer.under), str(layer.directory), *below]


def _start(
    options: list[str], command: list[str], environment: dict[str, str], descriptors: Sequence[int] = ()
) -> Container:
    argv = first_process([*options, "--parent", str(os.getpid()), "--", *command])
    # An image's own program is process 1 itself, and could outlive a first process that is only killed.
    owns_processes = "--pid" in options and "--root" not in options
    return Container(spawner.start(argv, environment, descriptors), owns_processes=owns_processes)


def first_process(arguments: Sequence[str]) -> list[str]:
    """The command line of a container's first process, which is told this (confinement/options.py)."""
    return [sys.executable, "-I", "-S", "-c", _FIRST_PROCESS, *arguments]
