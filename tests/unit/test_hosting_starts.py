"""How a container's start fails for want of what this machine has not, and what it finds of an earlier one."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.sagemaker.containers import image_table
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.registry_images import RegistryImage
from localaws.sagemaker.hosting import framework_container, own_container
from localaws.sagemaker.hosting.endpoint_files import EndpointFiles
from localaws.sagemaker.hosting.instances import StartError, VariantPlan
from localaws.sagemaker.hosting.model_container import ContainerStarter
from localaws.sagemaker.hosting.worker import ControlDoor, Worker

SOURCE = {
    "RoleArn": "role",
    "DownloadSeconds": 1.0,
    "ModelDataUri": "",
    "Image": "image",
    "InstanceType": "ml.m5.large",
}


def test_a_machine_without_room_is_why_a_container_does_not_start_and_the_log_says_so(tmp_path: Path) -> None:
    """An instance tries again after a StartError; after anything else it would never come back."""
    full, said = tmp_path / "full", list[str]()
    full.touch()  # nothing can be made below a file, as on a disk without room
    credentials = Credentials("key", "secret", "token", datetime.now(UTC))
    context: Any = SimpleNamespace(platform=SimpleNamespace(assume_role=lambda *_: credentials))
    log: Any = SimpleNamespace(say=said.append)
    plan = VariantPlan("v", 1.0, 1, SOURCE)
    with pytest.raises(StartError, match="Not a directory"):
        ContainerStarter(context).start_for("arn", lambda _suffix: log, full, plan, "i-1")
    assert "Not a directory" in said[0]


class FakeProcess:
    """A container that ends when it is asked to."""

    exceeded = None

    def __init__(self) -> None:
        self.has_ended = False

    def wait(self, _timeout: float | None = None) -> int:
        return 0

    def stop(self) -> None:
        self.has_ended = True

    def kill(self) -> None: ...


def test_what_a_container_wrote_is_gone_when_it_has_ended_and_its_archives_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance has a name that comes once: an endpoint that scales, serverless above all, would fill the disk."""
    process, (ours, theirs) = FakeProcess(), socket.socketpair()
    monkeypatch.setattr(framework_container, "start", lambda *_: Worker(process, ControlDoor(ours)))
    monkeypatch.setattr(image_table, "is_own", lambda _uri: False)
    context: Any = SimpleNamespace(platform=SimpleNamespace(assume_role=lambda *_: None))
    log: Any = SimpleNamespace(say=print)
    archive = tmp_path / "model.tar.gz"
    archive.touch()
    plan = VariantPlan("v", 1.0, 1, SOURCE)
    with theirs:
        worker = ContainerStarter(context).start_for("arn", lambda _suffix: log, tmp_path, plan, "i-1")
        assert (tmp_path / "i-1" / "ml" / "model").is_dir()
        worker.stop()
    assert process.has_ended
    assert list(tmp_path.iterdir()) == [archive]


def test_after_a_restart_what_cut_off_containers_left_is_gone(tmp_path: Path) -> None:
    variant = tmp_path / "endpoint" / "id" / "i-am-a-variant"
    left = [variant / "i-1" / "ml", variant / "containers" / "container-1" / "i-2" / "layer"]
    kept = [variant / "model.tar.gz", variant / "containers" / "container-1" / "image.json"]
    for directory in left:
        directory.mkdir(parents=True)
    for file in kept:
        file.touch()
    EndpointFiles(tmp_path).remove_instances("endpoint")
    assert not any(directory.parent.exists() for directory in left)
    assert all(file.exists() for file in kept)


def test_an_image_that_was_pulled_is_known_by_the_next_container(tmp_path: Path) -> None:
    known = tmp_path / "archives" / "image.json"
    image = RegistryImage("sha256:1", {"config": {}}, [tmp_path / "layer"])
    assert own_container._read(known) is None
    own_container._write(known, image)
    assert own_container._read(known) == image
    known.write_text("")
    assert own_container._read(known) is None, "it is pulled again"
