"""Images for tests on the embedded AWS, put together here and pushed by the operations of its registry."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

# What docker pushes, and the only kind that SageMaker takes for a model.
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(files: Mapping[str, str | bytes]) -> bytes:
    """A layer that holds these files, which may be run. Packed fast over small: one may be a whole Python."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=1) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w") as tar,
    ):
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def push_layer(ecr: Any, repository: str, content: bytes) -> str:
    """Bring a blob into a repository, where it isn't yet; its digest."""
    name = digest(content)
    known = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[name])["layers"]
    if known[0]["layerAvailability"] == "AVAILABLE":
        return name
    begun = ecr.initiate_layer_upload(repositoryName=repository)
    upload, size = begun["uploadId"], begun["partSize"]
    for start in range(0, len(content), size):
        part = content[start : start + size]
        numbers = {"partFirstByte": start, "partLastByte": start + len(part) - 1}
        ecr.upload_layer_part(repositoryName=repository, uploadId=upload, layerPartBlob=part, **numbers)
    ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[name])
    return name


def manifest(config: bytes, *layers: bytes, kind: str = LAYER) -> str:
    """The manifest of an image of these blobs."""

    def descriptor(media_type: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(kind, content) for content in layers],
    }
    return json.dumps(document)


def push(ecr: Any, repository: str, config: Mapping[str, Any], *layers: bytes, tag: str | None = "latest") -> str:
    """Push an image of an OCI configuration's `config` (Entrypoint, Env …) and layers; its digest."""
    unpacked = [digest(gzip.decompress(content)) for content in layers]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": unpacked},
    }
    blob = json.dumps(document).encode()
    for content in (blob, *layers):
        push_layer(ecr, repository, content)
    named = {"imageTag": tag} if tag else {}
    put = ecr.put_image(repositoryName=repository, imageManifest=manifest(blob, *layers), **named)
    return str(put["image"]["imageId"]["imageDigest"])


def password(ecr: Any) -> str:
    """What `docker login` takes, user and password joined by a colon."""
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode()


def ask(
    aws: Any, method: str, path: str, token: str | None = None, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """A request of the registry protocol, as `docker` makes it: status, headers and body of the answer."""
    url = path if path.startswith("http") else f"{aws.server.endpoint_url}{path}"
    request = urllib.request.Request(url, body, method=method)  # noqa: S310 - the test's own server
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    if token is not None:
        request.add_header("Authorization", f"Basic {base64.b64encode(token.encode()).decode()}")
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def refused(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str, str]:
    """Status, code and message of a refusal of the protocol."""
    error = json.loads(answer[2])["errors"][0]
    return answer[0], error["code"], error["message"]
