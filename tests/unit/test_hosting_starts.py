"""How a container's start fails for want of what this machine has not, and what it finds of an earlier one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.registry_images import RegistryImage
from localaws.sagemaker.hosting import own_container
from localaws.sagemaker.hosting.instances import StartError, VariantPlan
from localaws.sagemaker.hosting.model_container import ContainerStarter

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


def test_an_image_that_was_pulled_is_known_by_the_next_container(tmp_path: Path) -> None:
    known = tmp_path / "archives" / "image.json"
    image = RegistryImage("sha256:1", {"config": {}}, [tmp_path / "layer"])
    assert own_container._read(known) is None
    own_container._write(known, image)
    assert own_container._read(known) == image
    known.write_text("")
    assert own_container._read(known) is None, "it is pulled again"
