"""Does what a build's `docker` asks for, beside its container: buildah or podman is started with the asker's own files.

One build, one service, one socket, which only that build's container sees. Whoever has got out of their chroot can
make links of the files that they share with this service: they are read and written without following any.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import secrets
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
from localaws.builds.image_tool import ImageTool
from localaws.builds.layer_store import LayerStore
from localaws.builds.surroundings import Surroundings
from localaws.sagemaker.containers import beneath
from localaws.sagemaker.containers.container import Container

# Of podman, buildah and skopeo: a file with mirrors of registries, among others.
_REGISTRIES = "CONTAINERS_REGISTRIES_CONF"
_log = logging.getLogger(__name__)

_AUTH_FILE = machine.DOCKER / "auth.json"
# Where buildah and podman look for what is theirs, below their home.
_SETTINGS = Path(".config") / "containers"
_FAILED = 1
# What pulls and pushes: with the passwords of the build's logins.
_WITH_LOGINS = ("--authfile", str(_AUTH_FILE))
_LARGEST_REQUEST, _LARGEST_FILE = 1 << 20, 1 << 20


class DockerService:
    """The service of one build, in its `folder`, whose project's role this is."""

    def __init__(self, surroundings: Surroundings, folder: Path, role_arn: str, tool: ImageTool) -> None:
        self._aws = surroundings
        self._folder = folder
        self._tool = tool
        self._own = folder / "docker"
        self._store = LayerStore(surroundings.folder / "images", role_arn)
        self._running: set[Container] = set()
        self._pushed: dict[str, str] = {}
        self._closed = False
        # Guards what starts and ends, and the passwords.
        self._changing = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def open(self, say: Callable[[str], None]) -> None:
        """Begin to answer; what the build's log is to tell goes to `say`."""
        self._store.open(say)
        registry = self._aws.registry
        self._write_auths({})
        settings = self._own / _SETTINGS
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
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
        """Let the tool read which registries this machine has configured (containers-registries.conf(5))."""
        if named := os.environ.get(_REGISTRIES):
            folder = self._own / _SETTINGS / "registries.conf.d"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(named, folder / "mirrors.conf")
            except OSError as error:
                say(f"{_REGISTRIES} is {named}, which can't be read: {error.strerror}; its registries aren't known.")

    def close(self) -> None:
        """Answer nobody any more, and end what is running."""
        with self._changing:
            self._closed = True
            running = list(self._running)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for started in running:
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
                return self._by_tool([verb, *(_WITH_LOGINS if verb == "pull" else []), *rest], folder, files)
        said = command.text if isinstance(command, Say) else self._logout(command)
        _write(files[1], f"{said}\n")
        return 0

    # ------------------------------------------------------------------------------------------------------- login

    def _logout(self, command: Logout) -> str:
        gone = self._names(command.server)
        with self._changing:
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
        with self._changing:
            self._write_auths({**self._auths(), **dict.fromkeys(names, auth)})
        _write(files[1], "Login Succeeded\n")
        return 0

    def _names(self, server: str) -> list[str]:
        """By which names a registry's password is asked for: the embedded one's by its address, too."""
        return [server, self._aws.registry.address] if docker_command.is_of_ecr(server) else [server]

    def _auths(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._told(_AUTH_FILE.name))["auths"]
        return found

    def _write_auths(self, auths: dict[str, Any]) -> None:
        new = self._own / f"auth.{secrets.token_hex(4)}"
        with new.open("x") as file:
            json.dump({"auths": auths}, file)
        new.replace(self._own / _AUTH_FILE.name)

    def _told(self, name: str) -> str:
        """What a file says that the tool may have written. Raises OSError."""
        return (beneath.read_file(self._own, name, _LARGEST_FILE) or b"").decode("utf-8", "replace")

    # ------------------------------------------------------------------------------------------- build, push, inspect

    def _build(self, build: Build, folder: str, files: Sequence[int]) -> int:
        """Docker's builds say what they do on standard error, and with --quiet the image alone on standard output."""
        text = self._dockerfile(build, folder)
        docker_command.refuse_others(docker_command.bases(text, build.values), self._aws.registry)
        fixed = [*self._tool.build, *_WITH_LOGINS]
        fixed += ["--quiet"] if build.is_quiet else []
        said = files[1] if build.is_quiet else files[2]
        arguments = ["build", *fixed, *build.arguments, build.context]
        return self._by_tool(arguments, folder, (files[0], said, files[2]))

    def _dockerfile(self, build: Build, folder: str) -> str:
        """The Dockerfile's text as the asker sees it, read in a container: its path is the asker's to choose."""
        read = ["head", "-c", str(_LARGEST_FILE + 1), "--", build.dockerfile]
        status, text, errors = self._captured(read, folder)
        if status != 0:
            why = errors.strip().rpartition(": ")[2]
            raise Unsupported(f"failed to read dockerfile: {build.dockerfile}: {why}")
        if len(text) > _LARGEST_FILE:
            raise Unsupported(f"failed to read dockerfile: {build.dockerfile} is larger than {_LARGEST_FILE} bytes")
        return text

    def _push(self, push: Push, files: Sequence[int]) -> int:
        digest_file = f"digest.{secrets.token_hex(4)}"  # of this push, beside which others may go on
        options = [*_WITH_LOGINS, "--digestfile", f"{machine.DOCKER}/{digest_file}"]
        _write(files[1], f"The push refers to repository [{push.image.rpartition(':')[0]}]\n")
        arguments = ["push", *options, push.image, f"docker://{push.target}"]
        status = self._by_tool(arguments, "/", files)
        if status == 0:
            digest = self._told(digest_file).strip()
            self._pushed[push.image] = digest
            _write(files[1], f"{push.image.rpartition(':')[2]}: digest: {digest}\n")
        return status

    def _inspect(self, inspect: Inspect, files: Sequence[int]) -> int:
        for image in inspect.images:
            status, text, errors = self._captured(self._command([*self._tool.inspect, image]), "/")
            if status != 0:
                _write(files[2], f"Error: No such image: {image}\n{errors}")
                return _FAILED
            described = self._tool.described(text)
            found = {**described, "RepoTags": self._tags(described["Id"]), "RepoDigests": self._digests(image)}
            _write(files[1], docker_images.formatted(found, inspect.format) + "\n")
        return 0

    def _tags(self, image_id: str) -> list[str]:
        _, text, _ = self._captured(self._command(self._tool.images), "/")
        return self._tool.names(text, image_id.removeprefix("sha256:"))

    def _digests(self, image: str) -> list[str]:
        digest = self._pushed.get(docker_command.with_tag(image))
        return [f"{docker_command.with_tag(image).rpartition(':')[0]}@{digest}"] if digest else []

    # ----------------------------------------------------------------------------------------------------- the tool

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return self._tool.command(machine.IMAGES, machine.DOCKER, arguments)

    def _by_tool(self, arguments: Sequence[str], folder: str, files: Sequence[int]) -> int:
        """Run the tool; docker's exit status, which is 1 for all that fails."""
        return min(self._ended(self._command(arguments), folder, files), _FAILED)

    def _captured(self, command: Sequence[str], folder: str) -> tuple[int, str, str]:
        """Run a program there for its output: its status, output and errors."""
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as errors,
            Path(os.devnull).open("rb") as nothing,
        ):
            status = self._ended(command, folder, (nothing.fileno(), out.fileno(), errors.fileno()))
            out.seek(0)
            errors.seek(0)
            return status, out.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace")

    def _ended(self, command: Sequence[str], folder: str, files: Sequence[int]) -> int:
        """Start a program with these files, unless the build has ended; its exit status."""
        with self._changing:
            if self._closed:
                raise Unsupported("the build has ended")
            started = machine.start_beside(self._folder, self._store.folder, folder, command, files)
            self._running.add(started)
        try:
            # What the container's own first process says: why it couldn't be set up.
            while said := started.output.read(1 << 16):
                _write(files[2], said.decode("utf-8", "replace"))
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
    """A password from the standard input of who asks, who may say more than one has."""
    found = b""
    while piece := os.read(file, 1 << 16):
        found += piece
        if len(found) > _LARGEST_REQUEST:
            raise Unsupported(f"the password on the standard input has more than {_LARGEST_REQUEST} bytes")
    return found.decode("utf-8", "replace")
