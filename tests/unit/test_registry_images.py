"""The container registry's parts, without a server: manifests, tokens, URIs, and what is pulled as a role."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.ministack_adapter import authorization, registry_images
from localaws.ministack_adapter.request_bodies import ANONYMOUS_LIMIT, limit_of
from localaws.registry import blobs, manifests, operations, paths, protocol, references, tokens
from localaws.registry.blobs import Blobs, DigestMismatchError, OutOfOrderError, UploadGoneError
from localaws.registry.images import Images, Rules
from localaws.registry.refusals import RegistryError
from localaws.registry.service import Registry
from localaws.registry.tokens import Owner, Tokens
from localaws.sagemaker.core.registry_images import (
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    UnusableImageError,
)

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
OWNER = Owner("arn:aws:iam::000000000000:user/somebody", "AKIA")
DIGEST = f"sha256:{'0' * 64}"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def text(**document: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **document}).encode()


def descriptor(digest: str = DIGEST, size: int = 1, **more: Any) -> dict[str, Any]:
    return {"digest": digest, "size": size, **more}


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"", "Invalid JSON syntax"),
        (b"[]", "Invalid JSON syntax"),
        (text(config=descriptor(), layers=[]).decode().encode("utf-16"), "Invalid JSON syntax"),
        pytest.param(b"[" * 100_000, "Invalid JSON syntax", id="nested"),
        (b'{"schemaVersion": 1}', "Unsupported manifest media type"),
        (text(mediaType="text/html"), "Unsupported manifest media type 'text/html'"),
        (text(config=descriptor()), "'layers' has to name"),
        (text(config=descriptor(), layers=[{}]), "'layers' has to name"),
        (text(config=descriptor(digest="sha256:short"), layers=[]), "'config' has to name"),
        (text(config=descriptor(size=-1), layers=[]), "'config' has to name"),
        (text(config=descriptor(), layers=["x"]), "'layers' has to name"),
        (text(manifests=[descriptor(digest="../x")]), "'manifests' has to name"),
    ],
)
def test_what_is_no_manifest_is_refused(manifest: bytes, said: str) -> None:
    with pytest.raises(RegistryError, match=r"Invalid parameter at 'ImageManifest'") as caught:
        manifests.read(manifest)
    assert said in caught.value.message
    assert caught.value.code == "InvalidParameterException"


def test_an_oci_manifest_need_not_say_what_it_is() -> None:
    image = manifests.read(text(config=descriptor(), layers=[descriptor(size=5, mediaType=GZIP)]))
    assert (image.media_type, image.size, image.layer_types) == (manifests.OCI_IMAGE, 6, (GZIP,))
    assert manifests.read(text(manifests=[descriptor()])).media_type == manifests.OCI_INDEX


def test_a_token_is_read_by_who_made_it_until_it_expires() -> None:
    ours, others = Tokens("ours"), Tokens("others")
    token = f"Basic {ours.issue(OWNER, 100)}"
    assert ours.owner(token, 99) == OWNER
    assert others.owner(token, 99) is None
    with pytest.raises(RegistryError, match=tokens.EXPIRED):
        ours.owner(token, 100)
    claims = base64.urlsafe_b64encode(json.dumps(["arn:aws:iam::000000000000:root", "x", 999]).encode()).decode()
    signature = base64.b64decode(token.split()[1]).decode().rpartition(".")[2]
    forged = base64.b64encode(f"AWS:{claims}.{signature}".encode()).decode()
    refused = [f"Basic {forged}", "", "Basic", "Basic %", "Bearer x", f"Basic {base64.b64encode(b'AWS:x').decode()}"]
    assert [ours.owner(header, 99) for header in refused] == [None] * len(refused)


def test_a_grant_is_for_one_path_until_then() -> None:
    granting = Tokens("ours")
    query = dict(pair.split("=") for pair in granting.grant("/v2/a/blobs/b", 100).split("&"))
    assert granting.is_granted("/v2/a/blobs/b", query, 99)
    assert not granting.is_granted("/v2/a/blobs/c", query, 99)
    assert not granting.is_granted("/v2/a/blobs/b", query, 100)
    assert not granting.is_granted("/v2/a/blobs/b", {**query, "Expires": "1000"}, 99)
    assert not granting.is_granted("/v2/a/blobs/b", {}, 99)
    assert not granting.is_granted("/v2/a/blobs/b", {**query, "Grant": "\xe9"}, 99)
    assert not granting.is_granted("/v2/a/blobs/b", {**query, "Expires": "9" * 5000}, 99)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/v2/a/b/manifests/v1", ("BatchGetImage", "read_manifest", "a/b", "v1")),
        ("PUT", f"/v2/a/manifests/{DIGEST}", ("PutImage", "write_manifest", "a", DIGEST)),
        ("POST", "/v2/a/blobs/uploads/", ("InitiateLayerUpload", "begin_upload", "a", "")),
        ("HEAD", f"/v2/a/blobs/{DIGEST}", ("BatchCheckLayerAvailability", "find_blob", "a", DIGEST)),
        ("DELETE", "/v2/a/manifests/v1", None),
        ("GET", "/v2/../blobs/sha256:00", None),
        ("GET", "/v2/a/blobs/sha256:../../x", None),
        ("PATCH", "/v2/a/blobs/uploads/../x", None),
        ("GET", "/v2/_catalog", None),
    ],
)
def test_calls_of_the_protocol(method: str, path: str, found: tuple[str, ...] | None) -> None:
    call = protocol.call_of(method, path)
    assert (call and (call.action, call.does, call.repository, call.reference)) == found
    assert paths.is_of_registry(path)


def test_bodies_of_the_registry_s_requests_have_a_layer_s_limit() -> None:
    def limit(path: str) -> int:
        return limit_of({"path": path, "headers": [], "query_string": b""}, {})

    assert limit("/v2/a/blobs/uploads/0") > 50 << 30
    assert limit("/v2/apis/a") == limit("/bucket/blobs/x") == ANONYMOUS_LIMIT


def test_uploads_come_in_order_and_end_as_blobs(tmp_path: Path) -> None:
    kept = Blobs(tmp_path)
    upload = kept.begin("a")
    assert kept.append(upload, [b"he", b"llo"]) == 5
    with pytest.raises(OutOfOrderError):
        kept.append(upload, [b"x"], 4)
    assert (kept.size(upload, "a"), kept.size(upload, "b")) == (5, None)
    with pytest.raises(DigestMismatchError):
        kept.finish(upload, DIGEST)
    assert not list((tmp_path / "uploads").iterdir())
    assert kept.size(upload, "a") is None


def test_an_upload_that_another_request_has_ended_takes_nothing(tmp_path: Path) -> None:
    images = Images(tmp_path, {}, lambda _name: Rules(), lambda: None, "000000000000")
    ended, gone = images.blobs.begin("a"), "UploadNotFoundException"
    images.blobs.cancel(ended)
    images.blobs.cancel(ended)
    with pytest.raises(UploadGoneError):
        images.blobs.append(ended, [b"x"])
    with pytest.raises(RegistryError) as caught:
        images.finish_upload("a", ended, DIGEST)
    assert caught.value.code == gone

    def pieces() -> Iterator[bytes]:
        """While a piece comes another request waits to end the upload, and a third to add to it."""
        ending.start()
        yield b"he"

    upload = images.blobs.begin("a")
    ending = threading.Thread(target=images.blobs.cancel, args=(upload,))
    assert images.blobs.append(upload, pieces()) == 2
    ending.join()
    assert not list((tmp_path / "uploads").iterdir())


def test_uploads_that_nobody_goes_on_with_are_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images(tmp_path, {}, lambda _name: Rules(), lambda: None, "000000000000")
    abandoned = images.blobs.begin("a")
    kept = images.blobs.begin("a")
    assert images.blobs.size(abandoned, "a") == 0
    monkeypatch.setattr(blobs, "ABANDONED_SECONDS", -1.0)
    images.blobs.begin("a")
    assert (images.blobs.size(abandoned, "a"), images.blobs.size(kept, "a")) == (None, None)
    assert len(list((tmp_path / "uploads").iterdir())) == 1


def test_a_blob_is_not_freed_by_a_change_that_nobody_has_been_told_of(tmp_path: Path) -> None:
    """It would be gone and its record still on disk, should the server be killed between the two."""
    looking: list[threading.Thread] = []
    freed = threading.Event()

    def free() -> None:
        images.free()
        freed.set()

    def changed() -> None:
        if looking:
            looking[0].start()
            assert not freed.wait(0.05), "looked at before the change was told of"

    images = Images(tmp_path, {}, lambda _name: Rules(), changed, "000000000000")
    pushed(images, b"layer")
    looking.append(threading.Thread(target=free))
    images.forget("team/a")
    looking[0].join()
    assert freed.is_set()


@pytest.mark.parametrize(
    ("uri", "image_id"),
    [
        (f"{HOST}/team/a:v1", {"imageTag": "v1"}),
        (f"{HOST}/team/a", {"imageTag": "latest"}),
        (f"{HOST}/team/a:v1@{DIGEST}", {"imageDigest": DIGEST}),
        ("docker.io/library/python:3", None),
        (f"{HOST}/Team/a:v1", None),
        (f"{HOST}/team/a@sha256:1", None),
        (f"{HOST}/", None),
    ],
)
def test_uris(uri: str, image_id: dict[str, str] | None) -> None:
    found = references.parse(uri)
    assert (found and found.image_id) == image_id


# ------------------------------------------------------------------------------------------------- pulled as a role


def pushed(images: Images, content: bytes) -> str:
    upload = images.blobs.begin("team/a")
    images.blobs.append(upload, [content])
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    images.finish_upload("team/a", upload, digest)
    return digest


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    images = Images(tmp_path, {}, lambda name: Rules() if name == "team/a" else None, lambda: None, "000000000000")
    config, layer = pushed(images, b'{"config": {"Cmd": ["x"]}}'), pushed(images, b"layer")
    for tag, kind in (("v1", GZIP), ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd")):
        images.put("team/a", text(config=descriptor(config), layers=[descriptor(layer, mediaType=kind)]), None, tag)
    [(digest, _), _] = images.images("team/a")
    images.put("team/a", text(manifests=[descriptor(digest)]), None, "list")
    return Registry(images, "secret", "us-east-1", "http://127.0.0.1:1")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What IAM was asked for; it refuses the role `refused`."""
    actions: list[str] = []

    def ask(role_arn: str, action: str, resource: str, **_: Any) -> None:
        if role_arn.endswith("refused") and action == "ecr:GetDownloadUrlForLayer":
            raise authorization.AccessDeniedError(f"{role_arn} may not {action} on {resource}")
        actions.append(action)

    monkeypatch.setattr(registry_images.authorization, "authorize_role_call", ask)
    return actions


def pull(registry: Registry, image: str, role: str = "role") -> Any:
    aws: Any = SimpleNamespace(registry=registry, region="us-east-1", account="000000000000")
    return registry_images.registry_image(aws, image, f"arn:aws:iam::000000000000:role/{role}")


def test_a_role_pulls_configuration_and_layers(registry: Registry, asked: list[str]) -> None:
    image = pull(registry, f"{HOST}/team/a:v1")
    assert image.config == {"config": {"Cmd": ["x"]}}
    assert [path.read_bytes() for path in image.layers] == [b"layer"]
    assert pull(registry, f"{HOST}/team/a@{image.digest}") == image
    assert image.media_type == manifests.OCI_IMAGE
    assert asked[:3] == ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


@pytest.mark.fidelity(
    "Containers",
    "A list of images, as docker buildx pushes one with its attestations, is refused: Unsupported manifest media type …"
    " for image …. Ensure that valid manifest media type is used for specified image.",
    "mlflow/mlflow issue 13834; aws/amazon-sagemaker-feedback issue 180",
)
@pytest.mark.parametrize(
    ("image", "role", "error", "said"),
    [
        (f"{HOST}/team/a:v9", "role", ImageNotInRegistryError, "imageTag:'v9'} does not exist within the repository"),
        (f"{HOST}/team/b:v1", "role", ImageNotInRegistryError, "'team/b' does not exist in the registry with id"),
        (f"1{HOST[1:]}/team/a:v1", "role", ImageNotInRegistryError, "is no image of the registry 000000000000"),
        ("python:3", "role", ImageNotInRegistryError, "python:3 is no image of the registry 000000000000.dkr.ecr"),
        (f"{HOST}/team/a:v1", "refused", ImageAccessDeniedError, "role/refused may not ecr:GetDownloadUrlForLayer on"),
        (f"{HOST}/team/a:list", "role", UnusableImageError, f"type {manifests.OCI_INDEX} for image {HOST}/team/a:list"),
        (f"{HOST}/team/a:zstd", "role", UnusableImageError, "is application/vnd.oci.image.layer.v1.tar+zstd; here it"),
    ],
)
def test_what_can_not_be_pulled(
    registry: Registry, asked: list[str], image: str, role: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        pull(registry, image, role)
    assert said in str(caught.value)


@pytest.mark.fidelity(
    "Containers",
    "DescribeImages and ListImages answer a hundred images at a time, with a token for the next.",
    "ECR API reference: DescribeImages, ListImages (maxResults)",
)
def test_images_are_listed_a_hundred_at_a_time(registry: Registry) -> None:
    config = pushed(registry.images, b"{}")
    for number in range(150):
        registry.images.put("team/a", text(config=descriptor(config), layers=[], number=number), None, f"n{number}")

    def page(**request: Any) -> tuple[int, str | None]:
        answer = operations.answer(registry.images, "ListImages", {"repositoryName": "team/a", **request}) or {}
        return len(answer["imageIds"]), answer.get("nextToken")

    size, token = page()
    assert (size, page(nextToken=token)[0], page(maxResults=1000)[0]) == (100, 53, 153)
    for wrong in ({"nextToken": "x"}, {"maxResults": 0}, {"maxResults": 1001}):
        with pytest.raises(RegistryError, match="Invalid parameter at"):
            page(**wrong)
