"""Images of one's own, by a registry that the test plays: kept once, refused in AWS's words, never left half made."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_uris import SKLEARN

from localaws.sagemaker.containers import container, image_table, own_images
from localaws.sagemaker.containers.image_root import User
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.containers.own_images import CannotRunImageError, OwnImage
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.registry_images import (
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    RegistryImage,
    UnusableImageError,
)

URI = "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/model:1"
ROLE = "arn:aws:iam::000000000000:role/jobs"
NEEDED = "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"


class Registry:
    """The platform's registry: an image, or what it refuses with."""

    def __init__(self, folder: Path, files: dict[str, str] | None = None, **config: Any) -> None:
        self.state_dir = folder / "state"
        self.refuses: Exception | None = None
        self.pulled = 0
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, content in (files or {"file": "content"}).items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))
        blob = gzip.compress(packed.getvalue())
        self.layer = folder / hashlib.sha256(blob).hexdigest()
        self.layer.write_bytes(blob)
        diff = f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
        self.document = {"config": config, "rootfs": {"diff_ids": [diff]}}

    def registry_image(self, _uri: str, _role: str) -> RegistryImage:
        self.pulled += 1
        if self.refuses is not None:
            raise self.refuses
        return RegistryImage(f"sha256:{'ab' * 32}", self.document, [self.layer])


@pytest.fixture(autouse=True)
def with_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started here."""
    monkeypatch.setattr(container, "isolation", lambda: "processes and files")


@pytest.fixture
def resolve(tmp_path: Path) -> Callable[..., OwnImage]:
    def resolved(registry: Any, say: Callable[[str], None] = lambda _line: None, **more: Any) -> OwnImage:
        return own_images.resolve(Images(tmp_path / "images"), registry, URI, ROLE, say, **more)

    return resolved


def kept(folder: Path) -> list[str]:
    return [path.name for path in (folder / "images").glob("own-*")]


def test_an_image_is_unpacked_once(tmp_path: Path, resolve: Any) -> None:
    registry, said = Registry(tmp_path, User="10:20", Cmd=["x"]), list[str]()
    first, again = resolve(registry, said.append), resolve(registry, said.append)
    assert first == again
    assert (first.files / "file").read_text() == "content"
    assert first.account.user == User(10, 20, ())
    assert len([line for line in said if line.startswith("Making the file system of image")]) == 1
    assert registry.pulled == 2, "the role is asked each time"
    assert oct((first.files.parent).stat().st_mode & 0o777) == "0o700", "nobody else puts anything into it"


def test_an_unpacking_that_was_cut_off_is_begun_anew(tmp_path: Path, resolve: Any) -> None:
    image = resolve(Registry(tmp_path))
    (image.files.parent / ".complete").unlink()
    (image.files / "file").unlink()
    (image.files / "half").mkdir(mode=0o000)
    assert sorted(path.name for path in resolve(Registry(tmp_path)).files.iterdir()) == ["file"]


def test_a_job_that_is_stopped_meanwhile_leaves_nothing(tmp_path: Path, resolve: Any) -> None:
    def stop() -> None:
        raise KeyError("stopped")

    with pytest.raises(KeyError):
        resolve(Registry(tmp_path), keep_going=stop)
    assert kept(tmp_path) == []


def test_two_servers_that_need_an_image_at_once_unpack_it_once(tmp_path: Path) -> None:
    registry, said = Registry(tmp_path, {f"f{number}": "x" for number in range(50)}), list[str]()

    def one() -> None:  # each with a lock of its own, as processes have it
        own_images.resolve(Images(tmp_path / "images"), registry, URI, ROLE, said.append)  # type: ignore[arg-type]

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([line for line in said if line.startswith("Made the file system")]) == 1


def test_who_may_not_write_to_the_images_folder_keeps_them_in_the_state(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.setattr(own_images.os, "access", lambda *_: False)
    registry: Any = Registry(tmp_path)
    image = own_images.resolve(Images(tmp_path / "images"), registry, URI, ROLE, print)
    assert image.files.is_relative_to(tmp_path / "state/images")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"User": "nobody-there"}, "unable to find user nobody-there: no matching entries in passwd file"),
        ({"Entrypoint": "train"}, "Entrypoint must be a list of texts"),
    ],
)
def test_an_image_that_cannot_run_is_told_by_its_name(tmp_path: Path, resolve: Any, config: Any, said: str) -> None:
    with pytest.raises(CannotRunImageError) as caught:
        resolve(Registry(tmp_path, **config))
    assert str(caught.value).startswith(f"CannotStartContainerError: image {URI}: ")
    assert said in str(caught.value)


def test_a_damaged_image_is_refused_and_not_kept(tmp_path: Path, resolve: Any) -> None:
    registry = Registry(tmp_path)
    registry.layer.write_bytes(registry.layer.read_bytes()[:-20])
    with pytest.raises(CannotRunImageError, match=rf"layer 1 of 1 \(sha256:{registry.layer.name}\): it is damaged"):
        resolve(registry)
    assert kept(tmp_path) == []


def test_links_of_an_image_s_accounts_lead_inside_it(tmp_path: Path, resolve: Any) -> None:
    registry = Registry(tmp_path, {"etc/real": "app:x:7:8::/home/app:\n"}, User="app")
    image = resolve(Registry(tmp_path))
    (image.files / "etc").mkdir()
    (image.files / "etc/passwd").symlink_to("/etc/real")
    (image.files / "etc/real").write_text("app:x:7:8::/home/app:\n")
    assert resolve(registry).account.user == User(7, 8, ())
    (image.files / "etc/passwd").unlink()
    (image.files / "etc/passwd").symlink_to("../../../../../../../etc/passwd")
    with pytest.raises(CannotRunImageError, match="unable to find user app"):
        resolve(registry)


@pytest.mark.fidelity(
    "Training jobs",
    "An image that goes between the request and the start ends the job with SageMaker's own sentence.",
    "aws/sagemaker-python-sdk #57 and #1968",
)
@pytest.mark.parametrize("refusal", [ImageNotInRegistryError("The image is gone"), ImageAccessDeniedError("no")])
def test_what_cannot_be_pulled_any_more(tmp_path: Path, resolve: Any, refusal: Exception) -> None:
    registry = Registry(tmp_path)
    registry.refuses = refusal
    with pytest.raises(CannotRunImageError) as caught:
        resolve(registry)
    assert str(caught.value) == (
        "Cannot pull algorithm container. Either the image does not exist or its permissions are incorrect."
    )
    assert caught.value.details == (f"Image {URI} can't be pulled: {refusal}",)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            ImageNotInRegistryError("The repository with name 'team/model' does not exist in the registry"),
            "Cannot find repository: team/model in registry ID: 000000000000 Please check if your ECR repository "
            f"exists and role {ROLE} has proper pull permissions for SageMaker: {NEEDED}",
        ),
        (ImageNotInRegistryError("The image with imageId … does not exist"), f"Requested image {URI} not found."),
        (
            ImageAccessDeniedError("User: … is not authorized"),
            "Access denied for repository: team/model in registry ID: 000000000000. Please check if your ECR "
            f"repository and image exist and role {ROLE} has proper pull permissions for SageMaker: {NEEDED}",
        ),
        (UnusableImageError("Unsupported manifest media type x for image y."), "Unsupported manifest media type x"),
    ],
)
def test_a_request_for_what_cannot_be_pulled_is_refused(tmp_path: Path, refusal: Exception, told: str) -> None:
    registry: Any = Registry(tmp_path)
    own_images.refuse_missing(registry, URI, ROLE)
    registry.refuses = refusal
    with pytest.raises(SageMakerError) as caught:
        own_images.refuse_missing(registry, URI, ROLE)
    assert caught.value.message.startswith(told)
    own_images.refuse_missing(registry, SKLEARN, ROLE)  # a framework's is no registry's


def test_where_nothing_can_be_mounted_an_own_image_is_refused(tmp_path: Path, resolve: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(container, "isolation", lambda: "none")
    with pytest.raises(CannotRunImageError, match="allows no mount namespaces"):
        resolve(Registry(tmp_path))


def test_which_images_are_ones_own() -> None:
    assert not image_table.is_own(SKLEARN)
    assert all(map(image_table.is_own, [URI, "train", "docker.io/library/python:3", f"{SKLEARN}-mine"]))
