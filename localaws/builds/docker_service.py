"""Does what a build's `docker` asks for, beside its container: buildah is started with the asker's own files.

One build, one service, one socket, which only that build's container sees.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from localaws.builds import docker_command, docker_images, machine
from localaws.builds.docker_command import Build, Command, Inspect, Login, Logout, Plain, Push, Say
from localaws.builds.docker_command import UnsupportedCommandError as Unsupported
from localaws.builds.layer_store import LayerStore
from localaws.builds.surroundings import Surroundings
from localaws.sagemaker.containers.container import Container

# Of podman, buildah and skopeo: a file with mirrors of registries, among others.
_REGISTRIES = "CONTAINERS_REGISTRIES_CONF"
_log = logging.getLogger(__name__)

_AUTH_FILE = machine.DOCKER / "auth.json"
_POLICY = machine.DOCKER / "policy.json"
_FAILED = 1
# What pulls and pushes: with the passwords of the build's logins, and images of any signature.
_TRUSTING = ("--authfile", str(_AUTH_FILE), "--signature-policy", str(_POLICY))
_LARGEST_REQUEST = 1 << 20


class DockerService:
    """The service of one build, in its `folder`, whose project's role this is."""

    def __init__(self, surroundings: Surroundings, folder: Path, role_arn: str) -> None:
        self._aws = surroundings
        self._folder = folder
        self._own = folder / "docker"
        self._store = LayerStore(surroundings.folder / "images", role_arn)
        self._running: set[Container] = set()
        self._pushed: dict[str, str] = {}
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def open(self, say: Callable[[str], None]) -> None:
        """Begin to answer; what the build's log is to tell goes to `say`."""
        self._store.open(say)
        registry = self._aws.registry
        self._write_auths({})
        (self._own / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self._own / "registries.conf").write_text(
            'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n'
            f'[[registry]]\nprefix = "{registry.host}"\nlocation = "{registry.address}"\ninsecure = true\n'
            f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n'
        )
        self._know_mirrors(say)
        # By its folder's descriptor: a socket's path may have no more than 107 bytes.
        descriptor = os.open(self._folder / "codebuild", os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._socket.bind(f"/proc/self/fd/{descriptor}/{machine.SOCKET.name}")
        finally:
            os.close(descriptor)
        self._socket.listen()
        threading.Thread(target=self._accept, name="docker-service", daemon=True).start()

    def _know_mirrors(self, say: Callable[[str], None]) -> None:
        """Let buildah read which registries this machine has configured (containers-registries.conf(5))."""
        if named := os.environ.get(_REGISTRIES):
            folder = self._own / ".config" / "containers" / "registries.conf.d"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(named, folder / "mirrors.conf")
            except OSError as error:
                say(f"{_REGISTRIES} is {named}, which can't be read: {error.strerror}; its registries aren't known.")

    def close(self) -> None:
        """Answer nobody any more, and end what is running."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for started in list(self._running):
            started.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(10)
        self._store.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), name="docker-command", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            text, files = _received(connection)
            try:
                status = self._done(json.loads(text), files) if len(files) == 3 else _FAILED
            except Unsupported as error:
                _write(files[2], f"ERROR: {error}\n")
                status = _FAILED
            except Exception as error:  # noqa: BLE001 - told to who asked
                _log.exception("a docker command of a build failed")
                _write(files[2], f"ERROR: {error}\n")
                status = _FAILED
            finally:
                for file in files:
                    os.close(file)
            with contextlib.suppress(OSError):
                connection.sendall(str(status).encode())

    def _done(self, asked: dict[str, Any], files: Sequence[int]) -> int:
        command = docker_command.read(asked["arguments"], self._aws.registry)
        return self._do(command, str(asked["folder"]), files)

    def _do(self, command: Command, folder: str, files: Sequence[int]) -> int:
        match command:
            case Login():
                return self._login(command, files)
            case Build():
                return self._build(command, folder, files)
            case Push():
                return self._push(command, files)
            case Inspect():
                return self._inspect(command, files)
            case Plain():
                verb, *rest = command.arguments
                return self._buildah([verb, *(_TRUSTING if verb == "pull" else []), *rest], folder, files)
        said = command.text if isinstance(command, Say) else self._logout(command)
        _write(files[1], f"{said}\n")
        return 0

    # ------------------------------------------------------------------------------------------------------- login

    def _logout(self, command: Logout) -> str:
        gone = self._names(command.server)
        self._write_auths({name: each for name, each in self._auths().items() if name not in gone})
        return f"Removing login credentials for {command.server}"

    def _login(self, login: Login, files: Sequence[int]) -> int:
        password = login.password if login.password is not None else _read(files[0]).rstrip("\r\n")
        registry = self._aws.registry
        names = self._names(login.server)
        known = registry.address in names or login.server == docker_command.PUBLIC
        if known and not self._aws.is_token(login.user, password):
            told = f"login attempt to https://{login.server}/v2/ failed with status: 401 Unauthorized"
            _write(files[2], f"Error response from daemon: {told}\n")
            return _FAILED
        if login.server == docker_command.PUBLIC:
            names = []  # its images are pulled without a password, which isn't one that AWS would take
        auth = {"auth": base64.b64encode(f"{login.user}:{password}".encode()).decode()}
        self._write_auths({**self._auths(), **dict.fromkeys(names, auth)})
        _write(files[1], "Login Succeeded\n")
        return 0

    def _names(self, server: str) -> list[str]:
        """By which names a registry's password is asked for: the embedded one's by its address, too."""
        return [server, self._aws.registry.address] if docker_command.is_of_ecr(server) else [server]

    def _auths(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._inside(_AUTH_FILE).read_text())["auths"]
        return found

    def _write_auths(self, auths: dict[str, Any]) -> None:
        self._inside(_AUTH_FILE).write_text(json.dumps({"auths": auths}))

    def _inside(self, place: Path) -> Path:
        return self._own / place.relative_to(machine.DOCKER)

    # ------------------------------------------------------------------------------------------- build, push, inspect

    def _build(self, build: Build, folder: str, files: Sequence[int]) -> int:
        """Docker's builds say what they do on standard error, and with --quiet the image alone on standard output."""
        text = self._dockerfile(build, folder)
        docker_command.refuse_others(docker_command.bases(text, build.values), self._aws.registry)
        fixed = ["--isolation", "chroot", "--format", "docker", "--layers", *_TRUSTING]
        fixed += ["--quiet"] if build.is_quiet else []
        said = files[1] if build.is_quiet else files[2]
        arguments = ["build", *fixed, *build.arguments, build.context]
        return self._buildah(arguments, folder, (files[0], said, files[2]))

    def _dockerfile(self, build: Build, folder: str) -> str:
        """The Dockerfile's text as the asker sees it, read in a container: its path is the asker's to choose."""
        status, text, errors = self._captured(["cat", "--", build.dockerfile], folder, program=True)
        if status != 0:
            raise Unsupported(f"failed to read dockerfile: {errors.strip().removeprefix('cat: ')}")
        return text

    def _push(self, push: Push, files: Sequence[int]) -> int:
        digest_file = self._inside(machine.DOCKER / "digest")
        options = [
            "--authfile",
            str(_AUTH_FILE),
            "--signature-policy",
            str(_POLICY),
            "--digestfile",
            f"{machine.DOCKER}/digest",
        ]
        _write(files[1], f"The push refers to repository [{push.image.rpartition(':')[0]}]\n")
        arguments = ["push", *options, push.image, f"docker://{push.target}"]
        status = self._buildah(arguments, "/", files)
        if status == 0:
            digest = digest_file.read_text().strip()
            self._pushed[push.image] = digest
            _write(files[1], f"{push.image.rpartition(':')[2]}: digest: {digest}\n")
        return status

    def _inspect(self, inspect: Inspect, files: Sequence[int]) -> int:
        for image in inspect.images:
            status, text, errors = self._captured(["inspect", "--type", "image", image], "/")
            if status != 0:
                _write(files[2], f"Error: No such image: {image}\n{errors}")
                return _FAILED
            described = json.loads(text)
            found = docker_images.document(described, self._tags(described["FromImageID"]), self._digests(image))
            _write(files[1], docker_images.formatted(found, inspect.format) + "\n")
        return 0

    def _tags(self, image_id: str) -> list[str]:
        _, text, _ = self._captured(["images", "--json", "--no-trunc"], "/")
        listed = [each for each in json.loads(text or "[]") if each["id"].removeprefix("sha256:") == image_id]
        return [name.removeprefix("localhost/") for each in listed for name in each.get("names") or []]

    def _digests(self, image: str) -> list[str]:
        digest = self._pushed.get(docker_command.with_tag(image))
        return [f"{docker_command.with_tag(image).rpartition(':')[0]}@{digest}"] if digest else []

    # ----------------------------------------------------------------------------------------------------- buildah

    def _buildah(self, arguments: Sequence[str], folder: str, files: Sequence[int]) -> int:
        """Run buildah; docker's exit status, which is 1 for all that fails."""
        started = machine.start_buildah(self._folder, self._store.folder, folder, arguments, files)
        return min(self._wait(started, files[2]), _FAILED)

    def _captured(self, arguments: Sequence[str], folder: str, *, program: bool = False) -> tuple[int, str, str]:
        """Run buildah, or another program there, for its output: its status, output and errors."""
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as errors,
            Path(os.devnull).open("rb") as nothing,
        ):
            files = (nothing.fileno(), out.fileno(), errors.fileno())
            start = machine.start_beside if program else machine.start_buildah
            status = self._wait(start(self._folder, self._store.folder, folder, arguments, files), files[2])
            out.seek(0)
            errors.seek(0)
            return status, out.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace")

    def _wait(self, started: Container, errors: int) -> int:
        self._running.add(started)
        try:
            # What the container's own first process says: why it couldn't be set up.
            while said := started.output.read(1 << 16):
                os.write(errors, said)
            return started.wait()
        finally:
            self._running.discard(started)


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """A line, and the files that came with it."""
    text, files, _, _ = socket.recv_fds(connection, _LARGEST_REQUEST, 3)
    while not text.endswith(b"\n") and len(text) < _LARGEST_REQUEST:
        more = connection.recv(_LARGEST_REQUEST)
        if not more:
            break
        text += more
    return text, files


def _write(file: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(file, text.encode())


def _read(file: int) -> str:
    found = b""
    while piece := os.read(file, 1 << 16):
        found += piece
    return found.decode("utf-8", "replace")
