"""The checks of `ratchet doctor`: each a function that looks at one thing and says what to do about it."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from contract import names
from ratchet import deploying, errors, left_behind, tools
from ratchet.account import Account, connect, read_server
from ratchet.errors import UserError
from ratchet.project import Project

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20  # the oldest that jsii supports (aws-cdk-lib's runtime)
USUAL_PORT = 4566
FREE_GIB = 3  # of image environments, packages and data
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
    machine: list[Callable[[], Check]] = [lambda: _disk(project), _mount_namespaces, lambda: _port(project)]
    for check in [*around, *(machine if local else [])]:
        yield check()
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


def _mount_namespaces() -> Check:
    """Whether jobs can have a literal /opt/ml of their own."""
    for flags in (["-m"], ["-U", "-r", "-m"]):
        if _succeeds(["unshare", *flags, "true"]):
            return Check("mount namespaces", "ok", "jobs see their own /opt/ml")
    todo = "scripts that name /opt/ml find nothing there; SM_* variables work (Linux with `unshare` does better)"
    return Check("mount namespaces", "warning", "not for this user", todo)


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
