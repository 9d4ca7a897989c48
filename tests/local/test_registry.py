"""The embedded ECR: what docker and ECR's operations push is on disk, guarded by IAM, and goes when it is deleted."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from refusals import refusal
from registry_kit import MANIFEST, ask, digest, layer, manifest, password, push, push_layer, refused
from resources import allow, assumed, first_message, make_role, open_queue, unique
from running_aws import AwsFactory
from waiting import until

ACCOUNT = "000000000000"
CONFIG, LAYER = b'{"architecture": "amd64", "os": "linux"}', layer({"greeting": "hello"})
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
PUSH = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")


def made(aws: Any, **settings: Any) -> str:
    name = unique("team/image")
    aws.client("ecr").create_repository(repositoryName=name, **settings)
    return name


def files(aws: Any) -> set[str]:
    """The digests of the blobs on disk."""
    return {f"sha256:{path.name}" for path in (aws.state / "registry" / "sha256").glob("*/*")}


def uploaded(aws: Any, token: str, repository: str, blob: bytes, *pieces: bytes) -> None:
    """Push a blob by the registry protocol: begun, its pieces one by one, and finished by its digest."""
    status, headers, _ = ask(aws, "POST", f"/v2/{repository}/blobs/uploads/", token, b"")
    assert status == 202
    place, start = headers["location"], 0
    for piece in pieces or (blob,):
        _, headers, _ = ask(aws, "PATCH", place, token, piece, Content_Range=f"{start}-{start + len(piece) - 1}")
        start += len(piece)
        assert headers["range"] == f"0-{start - 1}"
    status, headers, _ = ask(aws, "PUT", f"{place}?digest={digest(blob)}", token, b"")
    assert (status, headers["docker-content-digest"]) == (201, digest(blob))


@pytest.mark.fidelity(
    "Containers",
    "An image that is pushed by the registry protocol is there for ECR's operations, and the other way round: its "
    "digest, tags, size and media types, its manifest to the byte.",
    "opencontainers/distribution-spec, spec.md: Push, Pull; ECR API reference, DescribeImages, BatchGetImage",
)
def test_what_docker_pushes_ecr_describes_and_docker_pulls(aws: Any) -> None:
    repository, ecr = made(aws), aws.client("ecr")
    token = password(ecr)
    uploaded(aws, token, repository, LAYER, LAYER[:20], LAYER[20:])
    uploaded(aws, token, repository, CONFIG)
    text = manifest(CONFIG, LAYER)
    path = f"/v2/{repository}/manifests"
    assert ask(aws, "PUT", f"{path}/v1", token, text.encode(), Content_Type=MANIFEST)[0] == 201
    assert ask(aws, "PUT", f"{path}/v1", token, text.encode(), Content_Type=MANIFEST)[0] == 201

    [detail] = ecr.describe_images(repositoryName=repository)["imageDetails"]
    name = digest(text.encode())
    assert (detail["imageDigest"], detail["imageTags"]) == (name, ["v1"])
    assert detail["imageSizeInBytes"] == len(LAYER) + len(CONFIG)
    assert detail["imageManifestMediaType"] == MANIFEST
    [image] = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"]
    assert (image["imageManifest"], image["imageId"]) == (text, {"imageTag": "v1", "imageDigest": name})

    for reference in ("v1", name):
        status, headers, body = ask(aws, "GET", f"{path}/{reference}", token)
        assert (status, headers["docker-content-digest"], body.decode()) == (200, name, text)
    assert ask(aws, "HEAD", f"{path}/v1", token)[2] == b""
    assert ask(aws, "GET", f"/v2/{repository}/blobs/{digest(LAYER)}", token)[2] == LAYER
    assert json.loads(ask(aws, "GET", f"/v2/{repository}/tags/list", token)[2]) == {"name": repository, "tags": ["v1"]}
    assert "lastRecordedPullTime" in ecr.describe_images(repositoryName=repository)["imageDetails"][0]


@pytest.mark.fidelity(
    "Containers",
    "Layers that ECR's own operations upload are blobs of the repository; GetDownloadUrlForLayer answers a URL that "
    "needs no credentials, for that layer alone.",
    "ECR API reference: InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, GetDownloadUrlForLayer",
)
def test_the_layers_operations(aws: Any) -> None:
    repository, ecr = made(aws), aws.client("ecr")
    other = layer({"other": "file"})
    pushed = push(ecr, repository, {"Entrypoint": ["/greeting"]}, LAYER, other, tag="v1")
    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest(LAYER))["downloadUrl"]
    assert ask(aws, "GET", url)[2] == LAYER
    assert ask(aws, "GET", url.replace(digest(LAYER), digest(other)))[0] == 401
    assert ask(aws, "GET", url.replace("Expires=1", "Expires=2"))[0] == 401
    assert ecr.list_images(repositoryName=repository)["imageIds"] == [{"imageDigest": pushed, "imageTag": "v1"}]
    known = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[digest(LAYER), digest(b"")])
    assert [each["layerAvailability"] for each in known["layers"]] == ["AVAILABLE", "UNAVAILABLE"]
    again = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    part = {"partFirstByte": 0, "partLastByte": len(LAYER) - 1, "layerPartBlob": LAYER}
    ecr.upload_layer_part(repositoryName=repository, uploadId=again, **part)
    finish = {"repositoryName": repository, "uploadId": again, "layerDigests": [digest(LAYER)]}
    assert refusal(ecr.complete_layer_upload, **finish)[0] == "LayerAlreadyExistsException"


@pytest.mark.fidelity(
    "IAM",
    "A registry's password is whose GetAuthorizationToken answered it: what docker pushes and pulls with it needs that "
    "principal's ecr: permissions on the repository, and a denial names principal, action and repository.",
    "ECR User Guide, Private registry authentication in Amazon ECR; Required IAM permissions for pushing an image; "
    "ministryofjustice/cloud-platform issue 7245: 'denied: User: … because no identity-based policy allows the …'",
)
def test_a_password_is_its_owners(aws: Any) -> None:
    repository = made(aws)
    push(aws.client("ecr"), repository, {}, LAYER, tag="v1")
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository}"
    login = allow("ecr:GetAuthorizationToken")
    role = make_role(aws, ACCOUNT, login, allow(*PULL, resource=arn))
    puller = password(aws.client("ecr", assumed(aws, role)))
    assert ask(aws, "GET", "/v2/", puller)[0] == 200
    assert ask(aws, "GET", f"/v2/{repository}/manifests/v1", puller)[0] == 200
    status, code, message = refused(ask(aws, "POST", f"/v2/{repository}/blobs/uploads/", puller, b""))
    assert (status, code) == (403, "DENIED")
    name = role.rpartition("/")[2]
    assert message == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/test is not authorized to perform: ecr:InitiateLayerUpload "
        f"on resource: {arn} because no identity-based policy allows the ecr:InitiateLayerUpload action"
    )
    asked = [("GET", f"/v2/{repository}/tags/list"), ("PUT", f"/v2/{repository}/manifests/v2")]
    asked += [("PATCH", f"/v2/{repository}/blobs/uploads/0-0"), ("PUT", f"/v2/{repository}/blobs/uploads/0-0?digest=x")]
    assert [ask(aws, method, path, puller, b"" if method != "GET" else None)[0] for method, path in asked] == [403] * 4
    other = made(aws)
    assert refused(ask(aws, "GET", f"/v2/{other}/manifests/v1", puller))[:2] == (403, "DENIED")
    nobody = aws.client("ecr", assumed(aws, make_role(aws, ACCOUNT, allow("ecr:PutImage"))))
    assert refusal(nobody.get_authorization_token)[0] == "AccessDeniedException"


@pytest.mark.fidelity(
    "IAM",
    "Who has no token of the registry's is asked for one by Basic, with the registry's own realm.",
    "opencontainers/distribution-spec; docker's answer to ECR without a login, 'no basic auth credentials' "
    "(ECR User Guide, Troubleshooting errors with Docker commands)",
)
@pytest.mark.parametrize("token", [None, "AWS:ministack-auth-token", "AWS:", "somebody:else", "AWS:e30.00"])
def test_no_token_no_registry(aws: Any, token: str | None) -> None:
    for method, path in (("GET", "/v2/"), ("GET", "/v2/some/manifests/v1"), ("POST", "/v2/some/blobs/uploads/")):
        status, headers, body = ask(aws, method, path, token, b"" if method == "POST" else None)
        assert (status, body) == (401, b"Not Authorized\n")
        registry = f"https://{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/"
        assert headers["www-authenticate"] == f'Basic realm="{registry}",service="ecr.amazonaws.com"'


@pytest.mark.fidelity(
    "Containers",
    "A tag of an immutable repository stays with its image, for docker and for PutImage; in another one it moves, and "
    "the image that had it stays untagged.",
    "ECR User Guide, Preventing image tags from being overwritten in Amazon ECR; ECR API reference, PutImage: "
    "ImageTagAlreadyExistsException",
)
def test_tags_move_where_they_may(aws: Any) -> None:
    ecr = aws.client("ecr")
    other = layer({"greeting": "bye"})
    fixed, moving = made(aws, imageTagMutability="IMMUTABLE"), made(aws)
    for repository in (fixed, moving):
        push(ecr, repository, {}, LAYER, tag="v1")
        push_layer(ecr, repository, other)
        push_layer(ecr, repository, CONFIG)
    text = manifest(CONFIG, other)
    told = f"The image tag 'v1' already exists in the '{fixed}' repository and cannot be overwritten because the tag is"
    put = {"imageManifest": text, "imageTag": "v1"}
    assert refusal(ecr.put_image, repositoryName=fixed, **put) == (
        "ImageTagAlreadyExistsException",
        f"{told} immutable.",
    )
    by_docker = ask(aws, "PUT", f"/v2/{fixed}/manifests/v1", password(ecr), text.encode(), Content_Type=MANIFEST)
    assert refused(by_docker) == (400, "TAG_INVALID", f"{told} immutable.")
    ecr.put_image(repositoryName=moving, **put)
    details = ecr.describe_images(repositoryName=moving)["imageDetails"]
    assert [detail.get("imageTags") for detail in details] == [None, ["v1"]]
    untagged = ecr.list_images(repositoryName=moving, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": details[0]["imageDigest"]}]
    assert refusal(ecr.put_image, repositoryName=moving, **put)[0] == "ImageAlreadyExistsException"


@pytest.mark.fidelity(
    "Containers",
    "BatchDeleteImage by tag takes the tag, and the image with its last one; by digest the image with all its tags. A "
    "repository that holds images is deleted by force only.",
    "ECR API reference: BatchDeleteImage, DeleteRepository",
)
def test_what_is_deleted_is_freed_when_nobody_names_it(aws: Any) -> None:
    ecr, first, second = aws.client("ecr"), made(aws), made(aws)
    shared, own = layer({"shared": first}), layer({"own": first})
    name = push(ecr, first, {}, shared, own, tag="v1")
    ecr.put_image(
        repositoryName=first,
        imageTag="v2",
        imageManifest=ecr.batch_get_image(repositoryName=first, imageIds=[{"imageDigest": name}])["images"][0][
            "imageManifest"
        ],
    )
    push(ecr, second, {}, shared)
    deleted = ecr.batch_delete_image(repositoryName=first, imageIds=[{"imageTag": "v1"}, {"imageTag": "v3"}])
    assert deleted["imageIds"] == [{"imageDigest": name, "imageTag": "v1"}]
    assert deleted["failures"][0]["failureCode"] == "ImageNotFound"
    assert {digest(shared), digest(own)} <= files(aws)
    told = refusal(ecr.delete_repository, repositoryName=first)
    assert told[0] == "RepositoryNotEmptyException" and "still contains images" in told[1]
    ecr.batch_delete_image(repositoryName=first, imageIds=[{"imageTag": "v2"}])
    until(lambda: digest(own) not in files(aws))
    assert digest(shared) in files(aws)
    ecr.delete_repository(repositoryName=first)
    ecr.delete_repository(repositoryName=second, force=True)
    until(lambda: digest(shared) not in files(aws))


@pytest.mark.fidelity(
    "Containers",
    "An image that basic scanning can't scan has the status FAILED and an UnsupportedImageError; one that wasn't "
    "scanned, ScanNotFoundException.",
    "aws-observability/aws-otel-collector issue 2193; ECR User Guide, Troubleshooting image scanning; ECR API "
    "reference, DescribeImageScanFindings",
)
def test_a_scan_says_that_it_can_not_be_made(aws: Any) -> None:
    ecr = aws.client("ecr")
    scanned, unscanned = made(aws, imageScanningConfiguration={"scanOnPush": True}), made(aws)
    told = {
        "status": "FAILED",
        "description": "UnsupportedImageError: The operating system and/or package manager are not supported.",
    }
    tag = {"imageTag": "v1"}
    for repository in (scanned, unscanned):
        push(ecr, repository, {}, LAYER, tag="v1")
    findings = ecr.describe_image_scan_findings(repositoryName=scanned, imageId=tag)
    assert findings["imageScanStatus"] == told and "imageScanFindings" not in findings
    assert ecr.describe_images(repositoryName=scanned)["imageDetails"][0]["imageScanStatus"] == told
    of_unscanned = {"repositoryName": unscanned, "imageId": tag}
    assert refusal(ecr.describe_image_scan_findings, **of_unscanned)[0] == "ScanNotFoundException"
    assert ecr.start_image_scan(**of_unscanned)["imageScanStatus"]["status"] == "IN_PROGRESS"
    assert ecr.describe_image_scan_findings(**of_unscanned)["imageScanStatus"] == told


# What is asked of a repository with one image, and the code and words of the refusal.
BAD = (
    ("batch_get_image", {"repositoryName": "not/there", "imageIds": [{"imageTag": "v1"}]}, "RepositoryNotFound", "'not/there' does not exist in the registry with id '000000000000'"),  # noqa: E501
    ("describe_images", {"registryId": "123456789012"}, "RepositoryNotFound", "in the registry with id '123456789012'"),
    ("describe_images", {"imageIds": [{"imageTag": "v9"}]}, "ImageNotFound", "imageId {imageDigest:'null', imageTag:'v9'} does not exist within"),  # noqa: E501
    ("describe_images", {"nextToken": "nonsense"}, "InvalidParameter", "nextToken"),
    ("put_image", {"imageManifest": "no json"}, "InvalidParameter", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"),  # noqa: E501
    ("put_image", {"imageManifest": '{"schemaVersion": 1}'}, "InvalidParameter", "Unsupported manifest media type"),
    ("put_image", {"imageManifest": manifest(b"missing")}, "LayersNotFound", f"Layers with digests '[{digest(b'missing')}]'"),  # noqa: E501
    ("put_image", {"imageManifest": manifest(CONFIG), "imageTag": "no tag"}, "InvalidParameter", "imageTag"),
    ("put_image", {"imageManifest": manifest(CONFIG), "imageDigest": digest(b"x")}, "ImageDigestDoesNotMatch", digest(b"x")),  # noqa: E501
    ("upload_layer_part", {"uploadId": "none", "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": b"x"}, "UploadNotFound", "upload id 'none'"),  # noqa: E501
    ("complete_layer_upload", {"uploadId": "none", "layerDigests": [digest(b"")]}, "UploadNotFound", "id 'none'"),
    ("get_download_url_for_layer", {"layerDigest": digest(b"missing")}, "LayersNotFound", digest(b"missing")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"repositoryName": "Upper/Case"}, "Invalid parameter at 'repositoryName' failed to satisfy constraint"),
        ({"repositoryName": "a//b"}, "must satisfy regular expression"),
        (
            {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
            "not implemented here: imageTagMutability IMMUTABLE_",
        ),
    ],
)
def test_repositories_that_can_not_be(aws: Any, settings: dict[str, Any], told: str) -> None:
    code, message = refusal(aws.client("ecr").create_repository, **{"repositoryName": "team/x", **settings})
    assert code == "InvalidParameterException" and told in message


@pytest.fixture(scope="module")
def repository(aws: Any) -> str:
    name = made(aws)
    push(aws.client("ecr"), name, {}, LAYER, tag="v1")
    push_layer(aws.client("ecr"), name, CONFIG)
    return name


@pytest.mark.parametrize(("operation", "request_", "code", "told"), BAD)
def test_what_can_not_be_is_refused(
    aws: Any, repository: str, operation: str, request_: dict[str, Any], code: str, told: str
) -> None:
    asked = {"repositoryName": repository, **request_}
    found = refusal(getattr(aws.client("ecr"), operation), **asked)
    assert found[0] == f"{code}Exception" and told in found[1]


def test_parts_come_in_order_and_are_what_their_digest_says(aws: Any, repository: str) -> None:
    ecr = aws.client("ecr")
    upload = {
        "repositoryName": repository,
        "uploadId": ecr.initiate_layer_upload(repositoryName=repository)["uploadId"],
    }
    assert refusal(ecr.complete_layer_upload, **upload, layerDigests=[digest(b"x")])[0] == "EmptyUploadException"
    part = {"partFirstByte": 5, "partLastByte": 9, "layerPartBlob": b"12345"}
    assert refusal(ecr.upload_layer_part, **upload, **part)[0] == "InvalidLayerPartException"
    ecr.upload_layer_part(**upload, **{**part, "partFirstByte": 0, "partLastByte": 4})
    found = refusal(ecr.complete_layer_upload, **upload, layerDigests=[digest(b"x")])
    assert found == ("InvalidLayerException", f"The layer's digest is '{digest(b'12345')}', not '{digest(b'x')}'")
    token = password(ecr)
    place = ask(aws, "POST", f"/v2/{repository}/blobs/uploads/", token, b"")[1]["location"]
    gap = refused(ask(aws, "PATCH", place, token, b"12345", Content_Range="5-9"))
    assert gap[:2] == (416, "BLOB_UPLOAD_INVALID")
    assert refused(ask(aws, "PUT", f"{place}?digest={digest(b'x')}", token, b"y"))[:2] == (400, "DIGEST_INVALID")
    assert refused(ask(aws, "PUT", f"{place}?digest=../../x", token, b""))[:2] == (404, "BLOB_UPLOAD_UNKNOWN")
    wrong = ask(aws, "PUT", f"/v2/{repository}/manifests/{digest(b'x')}", token, manifest(CONFIG).encode())
    assert refused(wrong)[:2] == (400, "DIGEST_INVALID")
    assert refused(ask(aws, "DELETE", f"/v2/{repository}/manifests/v1", token))[:2] == (405, "UNSUPPORTED")


@pytest.mark.fidelity(
    "EventBridge",
    "An image that is pushed or deleted is an event of aws.ecr, ECR Image Action, with its repository, digest and tag.",
    "ECR User Guide: Amazon ECR events and EventBridge",
)
def test_pushes_and_deletions_are_events(aws: Any) -> None:
    repository, ecr, events = made(aws), aws.client("ecr"), aws.client("events")
    url, arn = open_queue(aws, "events.amazonaws.com")
    rule = unique("rule")
    pattern = {"source": ["aws.ecr"], "detail": {"repository-name": [repository]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    name = push(ecr, repository, {}, LAYER, tag="v1")
    told = {"result": "SUCCESS", "repository-name": repository, "image-digest": name, "image-tag": "v1"}
    pushed = first_message(aws, url)
    assert (pushed["detail-type"], pushed["detail"]) == ("ECR Image Action", {**told, "action-type": "PUSH"})
    aws.client("sqs").purge_queue(QueueUrl=url)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": name}])
    assert first_message(aws, url)["detail"] == {**told, "action-type": "DELETE"}


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's memory from /proc")
def test_images_are_on_disk_and_never_in_memory(fresh_aws: AwsFactory) -> None:
    """One server: a large layer passes through it in both directions; then it is killed, and has all but what nobody
    was told is there."""
    aws = fresh_aws.start()
    ecr, blob = aws.client("ecr"), os.urandom(1 << 20) * 64
    repository, token = made(aws), password(ecr)
    uploaded(aws, token, repository, blob[: 4 << 20])  # what it imports, and a connection's buffers, are there
    assert ask(aws, "GET", f"/v2/{repository}/blobs/{digest(blob[: 4 << 20])}", token)[0] == 200
    before = peak_memory(aws.server.pid)
    uploaded(aws, token, repository, blob)
    assert ask(aws, "GET", f"/v2/{repository}/blobs/{digest(blob)}", token)[2] == blob
    assert peak_memory(aws.server.pid) - before < len(blob) // 2, "17 MiB of buffers, however large a layer is"
    pushed = push(ecr, repository, {"Cmd": ["/greeting"]}, LAYER, tag="v1")
    begun = ask(aws, "POST", f"/v2/{repository}/blobs/uploads/", token, b"")[1]["location"]
    ask(aws, "PATCH", begun, token, b"half of a layer")

    os.kill(aws.server.pid, signal.SIGKILL)
    aws = fresh_aws.start()
    ecr = aws.client("ecr")
    [detail] = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"]) == (pushed, ["v1"])
    assert ask(aws, "GET", f"/v2/{repository}/blobs/{digest(LAYER)}", token)[2] == LAYER, "the password is good still"
    assert ask(aws, "GET", begun, token)[0] == 404
    assert digest(blob) not in files(aws), "the layer of a push that never came to an image is gone"
    assert not list((aws.state / "registry" / "uploads").iterdir())
    for path in (aws.state / "registry" / "sha256").glob("*/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


@pytest.mark.fidelity(
    "IAM",
    "A token of ECR Public needs ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken.",
    "ECR Public User Guide: Registry authentication in Amazon ECR public",
)
def test_a_token_of_the_public_registry(aws: Any) -> None:
    action = allow("ecr-public:GetAuthorizationToken")
    bearer = allow("sts:GetServiceBearerToken")
    of_both = aws.client("ecr-public", assumed(aws, make_role(aws, ACCOUNT, action, bearer)))
    assert of_both.get_authorization_token()["authorizationData"]["authorizationToken"]
    for missing, granted in (("sts:GetServiceBearerToken", action), ("ecr-public:GetAuthorizationToken", bearer)):
        client = aws.client("ecr-public", assumed(aws, make_role(aws, ACCOUNT, granted)))
        code, message = refusal(client.get_authorization_token)
        assert code == "AccessDeniedException" and f"perform: {missing} on" in message
    assert refusal(aws.client("ecr-public").describe_registries)[1] == (
        "not implemented here: DescribeRegistries of ECR Public"
    )
