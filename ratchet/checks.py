"""The checks of `ratchet doctor`: each a function that looks at one thing and says what to do about it."""

from __future__ import annotations

import ctypes
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from contract import names
from ratchet import deploying, errors, left_behind, tools
from ratchet.account import Account, connect, read_server
from ratchet.errors import UserError
from ratchet.project import Project
from ratchet.warm_images import warm_images

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20  # the oldest that jsii supports (aws-cdk-lib's runtime)
USUAL_PORT = 4566
FREE_GIB = 3  # of image environments, packages and data
LANDLOCK_OF_SOCKETS = 6  # Linux 6.12
_GIB = 1024**3
_SECONDS = 15

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `todo` says what to do when it isn't ok."""

    name: str
    state: State
    found: str
    todo: str = ""

    def document(self) -> dict[str, str]:
        return asdict(self)


def run(project: Project, environment: str) -> Iterator[Check]:
    """All checks, in the order in which one needs the other."""
    local = project.environment(environment).name == names.LOCAL
    around: list[Callable[[], Check]] = [
        _python,
        lambda: _packages(project),
        lambda: _node(project),
        lambda: _cdk(project),
    ]
    port = partial(_port, project)
    machine: list[Callable[[], Check]] = [lambda: _disk(project), _containers, image_builds, port]
    for check in [*around, *(machine if local else [])]:
        yield check()
    if local:
        yield from _warm(project)
    yield from _aws(project, environment)


def _python() -> Check:
    found = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "missing", found, "install Python 3.11 or newer, then `make install PYTHON=python3.11`")


def _packages(project: Project) -> Check:
    if Path(sys.prefix).resolve() == (project.root / ".venv").resolve():
        return Check("virtual environment", "ok", ".venv of this checkout")
    return Check("virtual environment", "warning", sys.prefix, "`make install`, then use .venv/bin/ratchet")


def _node(project: Project) -> Check:
    folder = tools.node_folder()
    program = str(folder / "node") if folder else shutil.which("node")
    if program is None:
        return Check("Node", "missing", "none", "`make install` brings one through pip")
    version = _version([program, "--version"], project.root)
    major = int(version.lstrip("v").partition(".")[0] or 0)
    if major >= OLDEST_NODE:
        return Check("Node", "ok", version)
    return Check("Node", "missing", version or "doesn't run", f"`make install` brings a Node newer than {OLDEST_NODE}")


def _cdk(project: Project) -> Check:
    try:
        program = tools.cdk_program(project)
    except UserError as error:
        return Check("cdk command", "missing", "none", str(error))
    folder = tools.node_folder()
    command = [str(folder / "node")] if folder else []
    version = _version([*command, str(program.resolve()), "--version"], project.root)
    if version:
        return Check("cdk command", "ok", version)
    return Check("cdk command", "missing", "doesn't run", "`rm -r node_modules && make install`")


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free / _GIB
    if free >= FREE_GIB:
        return Check("disk", "ok", f"{free:.0f} GiB free")
    return Check("disk", "warning", f"{free:.1f} GiB free", f"free some: image environments need about {FREE_GIB} GiB")


def _containers() -> Check:
    """How far the kernel keeps apart what jobs, models and functions run; by the same steps as the embedded AWS."""
    ways: list[list[str]] = [[], ["--user", "--map-root-user"]]
    own_files = any(_succeeds(["unshare", *way, "--mount", "true"]) for way in ways)
    processes = ["--mount", "--pid", "--fork", "--mount-proc", "true"]
    own_processes = own_files and any(_succeeds(["unshare", *way, *processes]) for way in ways)
    return containers(own_files=own_files, own_processes=own_processes, landlock=_landlock())


def image_builds() -> Check:
    """What the embedded CodeBuild builds the image of a pipeline's `dockerfile` with."""
    if (system := platform.system()) != "Linux":
        todo = "use a Linux machine for pipelines with a `dockerfile`: their images are built, and run, on Linux alone"
        return Check("image builds", "warning", f"none on {system}", todo)
    tool = next((program for program in ("buildah", "podman") if shutil.which(program)), None)
    lacking = {} if tool else {"buildah": "buildah or podman"}
    lacking |= {} if shutil.which("curl") else {"curl": "curl"}
    if tool and not lacking:
        return Check("image builds", "ok", _version([tool, "--version"], Path("/")) or tool)
    todo = f"install {' and '.join(lacking)} (apt-get install {' '.join(lacking)}) to build images of `dockerfile` here"
    found = f"no {' and no '.join(lacking.values())}"
    docker_alone = not tool and shutil.which("docker") is not None
    return Check("image builds", "warning", found + (", and docker's daemon isn't used" if docker_alone else ""), todo)


def containers(*, own_files: bool, own_processes: bool, landlock: int) -> Check:
    """What isn't confined, plainly; `landlock` is the kernel's version of it, 0 without. Pure."""
    name, todo = "containers", "run only code that you trust here; Linux with namespaces and Landlock keeps it apart"
    if own_files and own_processes and landlock >= LANDLOCK_OF_SOCKETS:
        return Check(name, "ok", "jobs, models and functions see their own files and processes alone")
    if own_files and own_processes:
        found = (
            "own files and processes, but abstract Unix sockets of this machine can be reached (Landlock 6 closes them)"
        )
        return Check(name, "ok", found)
    if own_files:
        found = "jobs and models see their own files, but this machine's processes; functions "
        return Check(name, "warning", found + ("only open their own files" if landlock else "aren't confined"), todo)
    if landlock:
        found = "no namespaces: Landlock keeps all to their own files, but /opt/ml isn't literal and processes are seen"
        return Check(name, "warning", found, todo)
    found = "not confined: what jobs, models and functions run may read and write whatever you may"
    return Check(name, "warning", found, todo)


def _landlock() -> int:
    """The version of Landlock that the kernel has (landlock_create_ruleset(2)); 0 without it."""
    if sys.platform != "linux":
        return 0
    create_ruleset, asks_version = 444, 1
    return max(0, int(ctypes.CDLL(None).syscall(create_ruleset, None, ctypes.c_size_t(0), asks_version)))


def _port(project: Project) -> Check:
    try:
        server = read_server(project.aws_state)
    except UserError as error:
        return Check("port", "warning", "unknown", str(error))
    if server and server.answers:
        return Check("port", "ok", f"{server.port}, the embedded AWS's")
    try:
        with socket.create_connection(("127.0.0.1", USUAL_PORT), timeout=1):
            pass
    except OSError:
        return Check("port", "ok", f"{USUAL_PORT} is free")
    return Check(
        "port", "warning", f"{USUAL_PORT} is taken by another program", "nothing: `ratchet up` takes a free one"
    )


def _warm(project: Project) -> Iterator[Check]:
    """Which images the embedded AWS keeps warm, and what that takes of this machine's memory."""
    try:
        server = read_server(project.aws_state)
    except UserError:
        return  # the port's check has told
    for image in warm_images(server.pid) if server and server.answers else ():
        yield Check("warm image", "ok", f"{image.name} holds {image.mebibytes} MiB")


def _aws(project: Project, environment: str) -> Iterator[Check]:
    try:
        account = connect(project, environment)
        yield Check("AWS", "ok", account.endpoint_url or f"environment {environment}, {account.environment.region}")
        yield from _deployed(project, account)
    except UserError as error:
        yield Check("AWS", "missing", "not reached", str(error))
    except (BotoCoreError, ClientError) as error:
        yield Check("AWS", "missing", "not reached", errors.sentence(error))


def _deployed(project: Project, account: Account) -> Iterator[Check]:
    if deploying.is_bootstrapped(account):
        yield Check("bootstrap", "ok", deploying.BOOTSTRAP_STACK)
    else:
        how = "ratchet up" if account.is_local else f"cdk bootstrap -c environment={account.environment.name}"
        yield Check("bootstrap", "missing", "not done", f"`{how}`")
    for name in (names.SHARED, *project.pipelines):
        stack = account.stack(name)
        if account.stack_outputs(name) is not None:
            yield Check("stack", "ok", stack)
        else:
            # A pipeline may be left out on purpose (`-c pipelines=`); the others do without it.
            state: State = "missing" if name == names.SHARED else "warning"
            yield Check("stack", state, f"{stack} isn't deployed", f"`{account.deploy_command(name)}`")
    for name in left_behind.without_folder(project, account):
        yield Check("stack", "warning", f"{account.stack(name)} has no folder", left_behind.told(account, name))


def _version(command: list[str], folder: Path) -> str:
    """The first line that a program says; empty where it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
