"""Images of one's own, by a registry that the test plays: kept once, refused in AWS's words, never left half made."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_uris import SKLEARN
from played_jobs import opened

from localaws.sagemaker.containers import container, image_layers, image_table, own_images
from localaws.sagemaker.containers.image_config import Account, ImageConfig
from localaws.sagemaker.containers.image_files import Kept
from localaws.sagemaker.containers.image_layers import ImageLayerError
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
from localaws.sagemaker.jobs import job_container, training_instance
from localaws.sagemaker.jobs.outcomes import SCRIPT, Outcome

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


def layer_of(folder: Path, files: dict[str, str], **more: int) -> Path:
    """A layer's blob; `more`: sizes of files of random bytes, which no compression makes smaller."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in {**{name: text.encode() for name, text in files.items()}, **{
            name: random.Random(name).randbytes(size) for name, size in more.items()  # noqa: S311
        }}.items():  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o640
            tar.addfile(info, io.BytesIO(content))
    blob = gzip.compress(packed.getvalue(), 1, mtime=0)
    path = folder / hashlib.sha256(blob).hexdigest()
    path.write_bytes(blob)
    return path


def test_images_share_what_lies_below_their_small_layers(tmp_path: Path) -> None:
    """A Dockerfile that is built again: only what is new is unpacked, and no image's files change another's."""
    base = [layer_of(tmp_path, {"etc/a": "one", "d/x": "one"}), layer_of(tmp_path, {"d/y": "one"}, large=3_000_000)]
    said = list[str]()
    kept = Kept(Images(tmp_path / "images"), tmp_path / "images", said.append, lambda: None)

    def files(number: int, *above: dict[str, str]) -> Path:
        layers = [*base, *(layer_of(tmp_path, content) for content in above)]
        return kept.files(RegistryImage(f"sha256:{number:064}", {}, layers), [], f"image-{number}")

    first = files(1, {"code": "first", "etc/.wh.a": ""})
    second = files(2, {"code": "second", "d/.wh..wh..opq": "", "d/z": "two"})
    third = files(3)
    assert len([line for line in said if line.startswith("Making the first 2 of 3 layers")]) == 1
    assert not (first / "etc/a").exists()
    assert [path.name for path in (second / "d").iterdir()] == ["z"]
    assert sorted(path.name for path in (third / "d").iterdir()) == ["x", "y"]
    assert (second / "etc/a").read_text() == "one"
    assert (first / "large").stat().st_ino == (second / "large").stat().st_ino
    assert ((first / "code").read_text(), (second / "code").read_text()) == ("first", "second")
    assert oct((first / "etc").stat().st_mode & 0o777) == "0o755"


def test_an_image_gets_no_others_files_by_what_its_configuration_says(tmp_path: Path) -> None:
    """A role that may pull one repository can't name another's layers."""
    kept = Kept(Images(tmp_path / "images"), tmp_path / "images", print, lambda: None)
    secret, own = layer_of(tmp_path, {"secret": "x"}, large=3_000_000), layer_of(tmp_path, {"own": "x"}, big=3_000_000)
    contents = [f"sha256:{hashlib.sha256(gzip.decompress(secret.read_bytes())).hexdigest()}"]
    top = layer_of(tmp_path, {"top": "x"})
    kept.files(RegistryImage(f"sha256:{1:064}", {}, [secret, top]), contents, "first")
    with pytest.raises(ImageLayerError, match=r"layer 1 of 2 .* it is damaged"):
        kept.files(RegistryImage(f"sha256:{2:064}", {}, [own, top]), contents, "second")


def test_where_files_cannot_be_shared_all_layers_are_unpacked(tmp_path: Path, monkeypatch: Any) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    layers = [layer_of(tmp_path, {"a": "one"}, large=3_000_000), layer_of(tmp_path, {"b": "two"})]
    kept = Kept(Images(tmp_path / "images"), tmp_path / "images", print, lambda: None)
    monkeypatch.setattr(image_layers.os, "link", refused)
    files = kept.files(RegistryImage(f"sha256:{1:064}", {}, layers), [], "image")
    assert sorted(path.name for path in files.iterdir()) == ["a", "b", "large"]


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


@pytest.mark.fidelity(
    "Training jobs",
    "Under EnableNetworkIsolation a container has no credentials.",
    "SageMaker DG, Run Training and Inference Containers in Internet-Free Mode",
)
@pytest.mark.parametrize("isolated", [True, False])
def test_a_container_that_reaches_nothing_has_no_credentials(tmp_path: Path, monkeypatch: Any, isolated: bool) -> None:
    image = OwnImage(tmp_path, ImageConfig(entrypoint=["/fit"]), Account())
    monkeypatch.setattr(own_images, "resolve", lambda *_, **__: image)
    monkeypatch.setattr(container, "can_lay_over", lambda _directory: True)
    with opened(tmp_path / "server") as world:
        job = world.job(AlgorithmSpecification={"TrainingImage": URI}, EnableNetworkIsolation=isolated)
        job_container.prepare_directories(job.first, training_instance.DIRECTORIES)
        spec = training_instance.container_spec(job.first, lambda _spec: Outcome(0, SCRIPT))
        job.release()
    of_aws = {name for name in spec.environment if name.startswith("AWS_")}
    region = {"AWS_REGION", "AWS_DEFAULT_REGION"}
    assert of_aws == region if isolated else of_aws > {*region, "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"}
    assert (spec.command, spec.network) == (["/fit", "train"], "none" if isolated else "host")


def test_which_images_are_ones_own() -> None:
    assert not image_table.is_own(SKLEARN)
    assert all(map(image_table.is_own, [URI, "train", "docker.io/library/python:3", f"{SKLEARN}-mine"]))


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_one_of_the_account_is_its_own_also_where_it_is_named_like_a_framework_s(region: str) -> None:
    registry = f"000000000000.dkr.ecr.{region}.amazonaws.com"
    for name in (SKLEARN.partition("/")[2], "pytorch-training:2.6.0-cpu-py312", "sagemaker-debugger-rules:latest"):
        assert image_table.is_own(f"{registry}/{name}")
        with pytest.raises(SageMakerError, match=r"Requested image 000000000000\..* not found"):
            image_table.refuse_unknown(f"{registry}/{name}")
