"""What a build's `docker` asks of the service beside it, whose tool is the test's."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import WAIT_SECONDS

from localaws.builds import machine
from localaws.builds.docker_command import Registry
from localaws.builds.docker_service import DockerService
from localaws.builds.image_tool import BUILDAH, TOOLS, ImageTool

LARGEST = 1 << 20


class FakeContainer:
    """A program that has said nothing; `ending` is done by who waits for its end."""

    def __init__(self, ending: Callable[[], object]) -> None:
        self.output = io.BytesIO()
        self._ending = ending

    def kill(self) -> None: ...

    def wait(self, _timeout: float | None = None) -> int:
        ending, self._ending = self._ending, lambda: None
        ending()
        return 0


class World:
    """A service, and what it starts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, tool: ImageTool = BUILDAH) -> None:
        self.folder = folder
        self.started: list[Sequence[str]] = []
        self.dockerfile = b"FROM scratch\n"
        self.ending: Callable[[Sequence[str]], object] = lambda _arguments: None
        for name in ("codebuild", "docker"):
            (folder / name).mkdir()
        monkeypatch.setattr(machine, "start_beside", self._start)
        aws: Any = SimpleNamespace(folder=folder / "builds", registry=Registry("host", "127.0.0.1:1"))
        self.service = DockerService(aws, folder, "role", tool)
        self.service.open(print)

    def _start(self, _folder: Path, _images: Path, _cwd: str, command: Sequence[str], files: Sequence[int]) -> Any:
        if command[0] == "head":
            os.write(files[1], self.dockerfile[: int(command[2])])
        else:
            self.started.append(command)
        return FakeContainer(lambda: self.ending(command))

    def docker(self, line: str, said: bytes = b"") -> tuple[int, str]:
        """The status of a command, and what it says."""
        place = os.open(self.folder / "codebuild", os.O_RDONLY | os.O_DIRECTORY)
        spoken, output = self.folder / f"in-{threading.get_ident()}", self.folder / f"out-{threading.get_ident()}"
        spoken.write_bytes(said)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking,
            spoken.open("rb") as given,
            output.open("wb") as told,
        ):
            asking.settimeout(WAIT_SECONDS)
            asking.connect(f"/proc/self/fd/{place}/{machine.SOCKET.name}")
            os.close(place)
            asked = json.dumps({"arguments": line.split(), "folder": "/"}).encode() + b"\n"
            socket.send_fds(asking, [asked], [given.fileno(), told.fileno(), told.fileno()])
            status = int(asking.recv(64))
        return status, output.read_text()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, monkeypatch)
    yield made
    made.service.close()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.program)
def test_images_are_built_without_a_daemon_and_are_as_docker_s(
    tool: ImageTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, tool)
    assert world.docker("build --squash .")[0] == 0
    world.service.close()
    [command] = world.started
    layers = ["--layers"] if tool is BUILDAH else []  # podman keeps them anyway, and takes no --layers with --squash
    fixed = ["--isolation", "chroot", "--format", "docker", *layers, "--authfile", "/docker/auth.json"]
    assert command[0] == tool.program
    assert command[command.index("build") + 1 :] == [*fixed, "--squash", "--file", "./Dockerfile", "."]
    settings = tmp_path / "docker" / ".config" / "containers" / "policy.json"  # read by either, below its home
    assert json.loads(settings.read_text()) == {"default": [{"type": "insecureAcceptAnything"}]}


def test_a_login_writes_through_no_link_that_a_build_has_made(world: World, tmp_path: Path) -> None:
    outside, auths = tmp_path / "outside", tmp_path / "docker" / "auth.json"
    outside.write_text('{"auths": {}}')
    auths.unlink()
    auths.symlink_to(outside)
    status, said = world.docker("login -u me --password-stdin", b"secret")
    assert (status, outside.read_text()) == (1, '{"auths": {}}')
    assert "ERROR: " in said


def test_a_push_tells_what_is_in_no_file_outside(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    world.ending = lambda arguments: _digest_file(world, arguments).symlink_to(outside)
    status, said = world.docker("push a:v1")
    assert status == 1
    assert "secret" not in said


def _digest_file(world: World, arguments: Sequence[str]) -> Path:
    named = Path(arguments[arguments.index("--digestfile") + 1])
    return world.folder / "docker" / named.relative_to(machine.DOCKER)


def test_pushes_beside_each_other_tell_each_its_own_digest(world: World) -> None:
    first_goes_on, second_is_done = threading.Event(), threading.Event()

    def push(arguments: Sequence[str]) -> None:
        image = arguments[-2]
        _digest_file(world, arguments).write_text(f"digest-of-{image}")
        if image == "first:v1":
            first_goes_on.set()
            second_is_done.wait(WAIT_SECONDS)

    world.ending = push
    told: list[str] = []
    pushing = threading.Thread(target=lambda: told.append(world.docker("push first:v1")[1]))
    pushing.start()
    first_goes_on.wait(WAIT_SECONDS)
    assert "v1: digest: digest-of-second:v1" in world.docker("push second:v1")[1]
    second_is_done.set()
    pushing.join(WAIT_SECONDS)
    assert "v1: digest: digest-of-first:v1" in told[0]


def test_nothing_is_started_for_a_build_that_has_ended(world: World) -> None:
    world.ending = lambda _arguments: world.service.close()  # as its Dockerfile is read
    assert world.docker("build .") == (1, "ERROR: the build has ended\n")
    assert not world.started


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("login -u me --password-stdin", "the password on the standard input has more than 1048576 bytes"),
        ("build -f /dev/zero .", "failed to read dockerfile: /dev/zero is larger than 1048576 bytes"),
    ],
)
def test_what_never_ends_is_not_read_to_its_end(world: World, line: str, what: str) -> None:
    world.dockerfile = bytes(2 * LARGEST)
    assert world.docker(line, bytes(LARGEST + 1)) == (1, f"ERROR: {what}\n")
