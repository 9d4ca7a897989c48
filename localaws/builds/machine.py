"""A build's container, and the programs that are in it.

The shell's container is confined as a job's is. What builds images has its own, with the privileges that it needs, and
sees as little: this machine's programs, the build's folder, the images.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from localaws.builds import image_tool
from localaws.confinement import system
from localaws.sagemaker.containers import container, spawner
from localaws.sagemaker.containers.container import Container

HERE = Path(__file__).parent
# Where the build's folder and its programs are in a container; for what builds images, those, and files of its own.
PLACE = Path("/codebuild")
SOURCE = PLACE / "output" / "src"
SCRATCH = PLACE / "output" / "tmp"
PROGRAMS = Path("/opt/codebuild")
IMAGES, DOCKER = Path("/images"), Path("/docker")
SOCKET = PLACE / "docker.sock"
PATH = f"{PROGRAMS}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_CURL = "curl isn't on this machine; builds' commands use it: install it (apt-get install curl)"
NO_NAMESPACES = (
    "This machine's kernel allows no mount and process namespaces here, in which the embedded CodeBuild runs a build's "
    "commands; on Linux outside of a restricted container it does"
)
_PYTHON = os.path.realpath(sys.executable)
_LAUNCHER = (HERE / "launcher.py").read_text(encoding="utf-8")
# By which this machine reaches the registries of base images.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_CLEAN = {"LANG": "C.UTF-8", "HOME": f"{PLACE}/home", "PATH": PATH}


def missing(*, privileged: bool) -> str | None:
    """What a build lacks on this machine, in a sentence; None where it has all."""
    if container.isolation() != "processes and files":
        return NO_NAMESPACES
    if shutil.which("curl") is None:
        return NO_CURL
    return image_tool.missing() if privileged else None


def write_programs(folder: Path, aws: Path) -> None:
    """Put a container's programs into a folder: aws, by its interpreter, docker, and the agent."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for name in ("agent.py", "docker_client.py"):
        shutil.copyfile(HERE / name, folder / name)
    client = f"exec {_PYTHON} -I -S {PROGRAMS}/docker_client.py {SOCKET}"
    for name, command in {"docker": client, "aws": f"exec {aws} -m awscli"}.items():
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\n{command} "$@"\n')
        program.chmod(0o755)


def start_shell(
    folder: Path, aws: Path, hidden: Sequence[Path], environment: Mapping[str, str], events: int
) -> Container:
    """Start the container of a build's commands; what happens goes to the descriptor `events`. Raises OSError."""
    root = str(aws.parent.parent)
    options = ["--show", str(folder / "programs"), str(PROGRAMS), "--show", root, root]
    for path in hidden:
        options += ["--hide", str(path)]
    agent = [_PYTHON, "-I", "-S", str(PROGRAMS / "agent.py"), str(PLACE / "job.json")]
    return _start(folder, options, [*agent, str(events)], {**_CLEAN, **environment}, [events])


def start_beside(folder: Path, images: Path, cwd: str, command: Sequence[str], files: Sequence[int]) -> Container:
    """Start what builds images, with the files that are its input, output and errors. Raises OSError."""
    options = ["--trusted", "--bind", str(images), str(IMAGES), "--bind", str(folder / "docker"), str(DOCKER)]
    options += ["--bind", str(folder / "var"), "/var", "--bind", str(folder / "run"), "/run", "--cwd", cwd]
    user = "root" if os.geteuid() == 0 else "user"
    redirected = [_PYTHON, "-I", "-S", "-c", _LAUNCHER, *map(str, files), user]
    variables = {"HOME": str(DOCKER), "TMPDIR": "/tmp", "BUILDAH_ISOLATION": "chroot"}  # noqa: S108
    variables["CONTAINERS_REGISTRIES_CONF"] = f"{DOCKER}/registries.conf"
    variables["_CONTAINERS_USERNS_CONFIGURED"] = "done"
    variables |= {name: os.environ[name] for name in _PROXIES if name in os.environ}
    return _start(folder, options, [*redirected, *command], {**_CLEAN, **variables}, files)


def _start(
    folder: Path, options: list[str], command: list[str], environment: Mapping[str, str], descriptors: Sequence[int]
) -> Container:
    views = ["--mount", "--pid", "--bind", str(folder / "codebuild"), str(PLACE)]
    views += ["--bind", str(folder / "tmp"), "/tmp"]  # noqa: S108
    for path in system.python():
        views += ["--show", path, path]
    if "--cwd" not in options:
        views += ["--cwd", str(PLACE)]
    argv = container.first_process([*views, *options, "--parent", str(os.getpid()), "--", *command])
    return Container(spawner.start(argv, environment, descriptors), owns_processes=True)
