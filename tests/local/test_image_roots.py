"""An image's file system as a container's root: hostile images, copies, and an end that nothing outlives."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import image_kit
import pytest
from job_kit import children_of, until_dead

from localaws.sagemaker.containers import container, image_layers, own_images
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.image_config import Account, ImageConfig
from localaws.sagemaker.containers.image_root import User
from localaws.sagemaker.containers.own_images import OwnImage

pytestmark = pytest.mark.skipif(
    container.isolation() != "processes and files", reason="this kernel allows no namespaces, as `ratchet doctor` says"
)
# Clears what would end it with its parent, and hears no signal.
STUBBORN = """
import ctypes, os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
if os.fork() == 0:
    os.setsid()
print("ready", flush=True)
time.sleep(600)
"""


class Base:
    """Unpacked images of this machine's programs, and containers in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0

    def image(self, *, python: bool = False, links: Mapping[str, str] | None = None) -> OwnImage:
        """An image of the shell's layer; `links`: what is a link in it, by its name."""
        root = self._new("image")
        layers = [image_kit.shell_layer(), *([image_kit.python_layer()] if python else [])]
        blobs = []
        for index, content in enumerate(layers):
            blobs.append(root.parent / f"{index}")
            blobs[-1].write_bytes(content)
        image_layers.unpack(image_layers.layers_of(blobs, []), root, 2**30)
        for name, target in (links or {}).items():
            (root / name).symlink_to(target)
        return OwnImage(root, ImageConfig(), Account(User(), "/root"))

    def spec(self, image: OwnImage, command: Sequence[str], **variables: str) -> ContainerSpec:
        """A container in an image, with its own /opt/ml and /tmp."""
        here = self._new("container")
        for name in ("ml/model", "tmp"):
            (here / name).mkdir(parents=True)
        root, _ = own_images.prepare(image, here, "algo-1", {}, has_network=False)
        seen = image.config.environment({"PATH": "/bin:/usr/local/bin", **variables}, "/root")
        return ContainerSpec(command, seen, here / "ml", here / "tmp", Path("/"), image_root=root, hostname="algo-1")

    def run(self, image: OwnImage, command: Sequence[str], **variables: str) -> tuple[int, str]:
        """Exit status and output of a command in an image."""
        return ended(container.launch(self.spec(image, command, **variables)))

    def _new(self, name: str) -> Path:
        self._made += 1
        made = self.folder / str(self._made) / name
        made.mkdir(parents=True)
        return made


def ended(running: Container) -> tuple[int, str]:
    said = running.output.read().decode()
    return running.wait(20), said


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder of this machine's, where no container has one of its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return Base(tmp_path)


def test_links_of_an_image_lead_nowhere_else(base: Base, tmp_path: Path, outside: Path) -> None:
    """Where Docker mounts something, a hostile image has links to this machine's files."""
    (outside / "secret").write_text("secret")
    image = base.image(links={"opt": str(outside), "tmp": "../../../../../../etc"})
    status, said = base.run(
        image, ["sh", "-c", f"ls /tmp /opt/ml {outside}; cat {outside}/secret; echo x > /opt/ml/model/own"]
    )
    assert "secret\n" not in said.replace("secret: No such file", "")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert (tmp_path / "2/container/ml/model/own").read_text() == "x\n", (status, said)


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_an_image_whose_kernel_files_are_links_is_refused(base: Base, name: str) -> None:
    status, said = base.run(base.image(links={name: "/etc"}), ["sh", "-c", "echo started"])
    assert (status, "started" in said) == (125, False)
    assert f"the image has something else than a directory there: '/{name}'" in said


def test_variables_of_an_image_act_on_nothing_but_its_program(base: Base, tmp_path: Path) -> None:
    """LD_PRELOAD names a file of the image's: this machine's loader must not look for it."""
    library = tmp_path / "here.so"
    library.write_bytes(b"no library")
    variables = {"LD_PRELOAD": str(library), "PYTHONHOME": "/nowhere", "LD_LIBRARY_PATH": str(tmp_path)}
    _, said = base.run(base.image(), ["sh", "-c", "unset LD_PRELOAD; env"], **variables)
    assert "Traceback" not in said
    assert said.count("here.so") <= 1, "the image's own loader looked for it, once"
    assert "PYTHONHOME=/nowhere" in said.splitlines()


@pytest.mark.fidelity(
    "Containers",
    "A container's program starts in its WORKDIR also where its user may not enter it.",
    "opencontainers/runc: libcontainer/init_linux.go, finalizeNamespace; pull request 2894",
)
def test_a_program_starts_where_its_user_may_not_go(base: Base) -> None:
    image = base.image()
    (image.files / "closed").mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(image.files / "closed", 1234, 1234)
    spec = replace(base.spec(image, ["sh", "-c", "pwd; echo x > here || echo not mine"]), cwd=Path("/closed"))
    status, said = ended(container.launch(spec))
    assert (status, said.splitlines()[0]) == (0, "/closed")
    assert ("not mine" in said) == (os.geteuid() == 0)


def test_a_place_that_cannot_be_entered_is_told_by_its_name(base: Base) -> None:
    spec = replace(base.spec(base.image(), ["sh", "-c", "echo started"]), cwd=Path("/proc/none"))
    assert ended(container.launch(spec)) == (125, "container: [Errno 2] No such file or directory: '/proc/none'\n")


def test_a_program_finds_signals_and_files_as_docker_leaves_them(base: Base) -> None:
    said = base.run(base.image(), ["sh", "-c", "cat /proc/self/status; ls -l /proc/self/fd; readlink /proc/1/exe"])[1]
    lines = [line.split() for line in said.splitlines()]
    masks = {words[0]: int(words[1], 16) for words in lines if words and words[0] in ("SigIgn:", "SigBlk:", "CapEff:")}
    # 32 and 33 are the C library's own (signal(7)): a program may inherit them ignored, and sees nothing of it.
    masks = {name: mask if name == "CapEff:" else mask & ~(0b11 << 31) for name, mask in masks.items()}
    assert masks == {"SigIgn:": 0, "SigBlk:": 0, "CapEff:": 0}
    assert [words[-3] for words in lines if "->" in words][:3] == ["0", "1", "2"]
    assert len([words for words in lines if "->" in words]) == 4, "the three, and that of the folder itself"


@pytest.mark.parametrize(
    ("name", "content", "status", "told"),
    [
        ("/gone", None, 127, 'exec: "/gone": stat /gone: no such file or directory'),
        ("/bin", None, 126, 'exec: "/bin": permission denied'),
        ("/garbage", b"\x7fELF\0nothing", 255, "exec /garbage: exec format error"),
        ("/windows", b"#!/bin/sh\r\n", 255, "exec /windows: no such file or directory"),
    ],
)
def test_what_cannot_be_started_is_told_as_docker_tells_it(
    base: Base, name: str, content: bytes | None, status: int, told: str
) -> None:
    image = base.image()
    if content is not None:
        (image.files / name[1:]).write_bytes(content)
        (image.files / name[1:]).chmod(0o755)
    assert base.run(image, [name]) == (status, f"{told}\n")


def test_where_nothing_can_be_laid_over_it_a_container_has_a_copy(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "can_lay_over", lambda _directory: False)
    image = base.image()
    assert base.run(image, ["sh", "-c", "echo x > /bin/new && ls /bin/new; touch /opt/ml/model/y"]) == (0, "/bin/new\n")
    assert not (image.files / "bin/new").exists()
    notes = own_images.prepare(image, base._new("again"), "algo-1", {}, has_network=True)[1]
    assert any("a copy of its image's files" in note for note in notes)


@pytest.mark.parametrize("how", ["kill", "the server's end"])
def test_no_program_outlives_its_container(base: Base, how: str) -> None:
    """It is process 1 itself, and has cleared the signal that it would get for its parent's end."""
    image = base.image(python=True)
    python = dict(line.split("=", 1) for line in image_kit.PYTHON_ENV)
    running = container.launch(base.spec(image, ["python3", "-c", STUBBORN], **python))
    assert running.output.read(6) == b"ready\n"
    pids = [running.pid, *children_of(running.pid)]
    assert len(pids) == 3
    if how == "kill":
        running.kill()
    else:
        os.kill(running.pid, 10)  # SIGUSR1, which the kernel sends it when its server has gone
    assert running.wait(10) == 137
    until_dead(pids[1:])


def test_a_users_groups_are_those_of_the_image(base: Base) -> None:
    image = replace(base.image(), account=Account(User(1234, 2345, (50, 44)), "/home/app"))
    tries = "id; touch /no 2>/dev/null || echo refused; ls -n /bin/sh; echo logged > /dev/stdout; echo it > /dev/stderr"
    status, said = base.run(image, ["sh", "-c", tries])
    assert status == 0
    assert said.endswith("logged\nit\n"), "as servers do whose log is a link there"
    assert "uid=1234(app) gid=2345(app)" in said
    if os.geteuid() == 0:
        assert "50(staff)" in said
        assert "44" in said
        assert "refused" in said
        assert " 0 0 " in said, "the image's files are root's"


def test_a_container_in_an_image_starts_as_fast_as_twice_a_framework_s(base: Base, tmp_path: Path) -> None:
    image = base.image()

    def seconds(make: Any) -> float:
        spec, begun = make(), time.perf_counter()
        assert ended(container.launch(spec))[0] == 0
        return time.perf_counter() - begun

    def framework() -> ContainerSpec:
        here = base._new("framework")
        for name in ("ml", "tmp"):
            (here / name).mkdir()
        return ContainerSpec(["sh", "-c", "true"], {"PATH": os.defpath}, here / "ml", here / "tmp", Path("/"))

    pairs = [(seconds(lambda: base.spec(image, ["sh", "-c", "true"])), seconds(framework)) for _ in range(9)]
    own, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert own < 2 * theirs, (own, theirs)
