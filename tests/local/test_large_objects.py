"""Objects of any size pass through the server a chunk at a time, and are on disk whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import io
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Key
from botocore.exceptions import ClientError
from running_aws import Aws, AwsFactory, Clients
from waiting import until

from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.s3_wire import S3Wire

MIB = 1 << 20
LARGE = 64 * MIB
# What a server may grow by meanwhile; one that collects the object grows by its size at least.
GROWTH = 40 * MIB
BUCKET = {"Bucket": "large-objects"}
IN_PARTS = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)


@pytest.fixture(scope="module")
def content() -> bytes:
    block = os.urandom(MIB)
    return b"".join(bytes([number]) + block[1:] for number in range(LARGE // MIB))


@pytest.fixture(scope="module", autouse=True)
def bucket(aws: Aws) -> None:
    client(aws).create_bucket(**BUCKET)


@pytest.fixture
def own(fresh_aws: AwsFactory) -> Aws:
    """A server that nobody else writes to."""
    started = fresh_aws.start()
    client(started).create_bucket(**BUCKET)
    return started


def client(aws: Aws) -> Any:
    return Aws(aws.server, aws.state, Clients(retries=0)).client("s3")


def peak(aws: Aws) -> int:
    """The most memory that the server has had since `forget_peak`, in bytes."""
    lines = Path(f"/proc/{aws.server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def grown(aws: Aws, action: Callable[[], Any]) -> int:
    """The bytes by which the server's memory grew, at its peak, while something was done."""
    Path(f"/proc/{aws.server.pid}/clear_refs").write_text("5")
    before = peak(aws)
    action()
    return peak(aws) - before


def bodies(aws: Aws) -> set[str]:
    return {path.name for path in (aws.state / "s3").glob("*/*")}


@pytest.mark.fidelity(
    "S3",
    "An object of any size is written and read in one request, in parts and in ranges; its ETag is its MD5, one of "
    "parts the MD5 of their MD5s and their number.",
    "S3 API, Object: ETag; S3 User Guide, Checking object integrity for data uploads",
)
def test_the_servers_memory_does_not_grow_with_an_object(aws: Aws, content: bytes, tmp_path: Path) -> None:
    s3, told, took = client(aws), {}, {}
    target = tmp_path / "target"

    def put() -> None:
        told["put"] = s3.put_object(**BUCKET, Key="whole", Body=content, ContentMD5=md5(content))

    def get() -> None:
        target.write_bytes(b"")
        with target.open("wb") as file:
            for chunk in s3.get_object(**BUCKET, Key="whole")["Body"].iter_chunks(MIB):
                file.write(chunk)

    took["put"], took["get"] = grown(aws, put), grown(aws, get)
    assert target.read_bytes() == content
    assert told["put"]["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324 - S3's ETag
    checked = s3.head_object(**BUCKET, Key="whole", ChecksumMode="ENABLED")
    assert checked["ChecksumCRC32"] == base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
    took["upload"] = grown(
        aws, lambda: s3.upload_fileobj(io.BytesIO(content), "large-objects", "parts", Config=IN_PARTS)
    )
    took["download"] = grown(aws, lambda: s3.download_file("large-objects", "parts", str(target), Config=IN_PARTS))
    assert target.read_bytes() == content
    assert s3.head_object(**BUCKET, Key="parts")["ETag"] == f'"{md5_of_parts(content, 8 * MIB)}-8"'
    assert s3.head_object(**BUCKET, Key="parts")["ContentLength"] == len(content)
    took["copy"] = grown(aws, lambda: s3.copy_object(**BUCKET, Key="copy", CopySource={**BUCKET, "Key": "parts"}))
    took["part"] = grown(aws, lambda: s3.copy({**BUCKET, "Key": "copy"}, "large-objects", "again", Config=IN_PARTS))
    s3.delete_object(**BUCKET, Key="parts")
    for start, end in ((0, 0), (8 * MIB - 3, 8 * MIB + 3), (LARGE - 5, LARGE - 1)):
        for key in ("copy", "again"):
            found = s3.get_object(**BUCKET, Key=key, Range=f"bytes={start}-{end}")
            assert found["Body"].read() == content[start : end + 1]
            assert found["ContentRange"] == f"bytes {start}-{end}/{LARGE}"
    part = s3.get_object(**BUCKET, Key="again", PartNumber=8)
    assert (part["Body"].read(), part["PartsCount"]) == (content[-8 * MIB :], 8)
    assert max(took.values()) < GROWTH, took


def test_what_jobs_write_goes_up_in_parts(aws: Aws, content: bytes) -> None:
    session = aws.client("sts").get_session_token()["Credentials"]
    key = Credentials(*(session[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")))
    objects = Objects(S3Wire(aws.server.endpoint_url, aws.server.region, key), "role")
    for size, etag in ((8 * MIB, hashlib.md5(content[: 8 * MIB]).hexdigest()), (20 * MIB, "-3")):  # noqa: S324
        objects.upload(io.BytesIO(content), size, BUCKET["Bucket"], "written")
        assert client(aws).head_object(**BUCKET, Key="written")["ETag"].strip('"').endswith(etag)
    assert client(aws).get_object(**BUCKET, Key="written")["Body"].read() == content[: 20 * MIB]
    objects.close()


@pytest.mark.fidelity(
    "S3",
    "A version is read by its id, and is the object again when the one after it is deleted.",
    "S3 User Guide, Retrieving object versions from a versioning-enabled bucket; Deleting object versions",
)
def test_versions_of_large_objects(aws: Aws, content: bytes) -> None:
    s3, bucket = client(aws), {"Bucket": "large-versions"}
    s3.create_bucket(**bucket)
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
    bodies = [content[: 2 * MIB], content[2 * MIB : 5 * MIB]]
    first, second = (s3.put_object(**bucket, Key="k", Body=body)["VersionId"] for body in bodies)
    assert s3.get_object(**bucket, Key="k", VersionId=first)["Body"].read() == bodies[0]
    assert s3.get_object(**bucket, Key="k")["Body"].read() == bodies[1]
    s3.copy_object(**bucket, Key="copy", CopySource={**bucket, "Key": "k", "VersionId": first})
    s3.delete_object(**bucket, Key="k", VersionId=second)
    for key in ("k", "copy"):
        assert s3.get_object(**bucket, Key=key)["Body"].read() == bodies[0]


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()  # noqa: S324 - S3's


def md5_of_parts(content: bytes, size: int) -> str:
    parts = [hashlib.md5(content[at : at + size]).digest() for at in range(0, len(content), size)]  # noqa: S324
    return hashlib.md5(b"".join(parts)).hexdigest()  # noqa: S324


@pytest.mark.fidelity(
    "S3",
    "A write that doesn't come to its end changes nothing.",
    "S3 User Guide, What is Amazon S3: data consistency model (updates to a single key are atomic)",
)
def test_a_kill_in_the_middle_of_a_put_leaves_the_old_object(fresh_aws: AwsFactory, own: Aws, content: bytes) -> None:
    aws, s3 = own, client(own)
    s3.put_object(**BUCKET, Key="model", Body=content[: 2 * MIB])
    kept = bodies(aws)
    gone = begun(aws, content)
    until(lambda: len(bodies(aws)) > len(kept))
    gone.close()
    until(lambda: bodies(aws) == kept)
    going = begun(aws, content)
    until(lambda: len(bodies(aws)) > len(kept))
    os.kill(aws.server.pid, signal.SIGKILL)
    going.close()
    aws = fresh_aws.start()
    found = client(aws).get_object(**BUCKET, Key="model")
    assert found["Body"].read() == content[: 2 * MIB]
    assert bodies(aws) == kept
    what_is_damaged_is_said(aws, content)


def begun(aws: Aws, content: bytes) -> http.client.HTTPConnection:
    """A PutObject of `model` of which half has been sent."""
    url = client(aws).generate_presigned_url("put_object", {**BUCKET, "Key": "model"})
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.putrequest("PUT", url.partition(urlsplit(url).netloc)[2])
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders()
    connection.send(content[: len(content) // 2])
    return connection


def what_is_damaged_is_said(aws: Aws, content: bytes) -> None:
    s3 = client(aws)
    (name,) = bodies(aws)
    path = aws.state / "s3" / name[:2] / name
    path.write_bytes(content[1 : 1 + 2 * MIB])
    for part in ({}, {"Range": "bytes=1-2"}):
        with pytest.raises(ClientError, match=r"InternalError.*isn't what was written"):
            s3.get_object(**BUCKET, Key="model", **part)
    path.write_bytes(content[: 2 * MIB])
    assert s3.get_object(**BUCKET, Key="model", Range="bytes=1-2")["Body"].read() == content[1:3]


def test_what_is_refused_or_deleted_leaves_nothing_and_who_reads_it_reads_on(own: Aws, content: bytes) -> None:
    aws, s3, small = own, client(own), content[: 3 * MIB]
    s3.put_object(**BUCKET, Key="there", Body=small)
    kept = bodies(aws)
    refused: list[dict[str, Any]] = [
        {**BUCKET, "Key": "k", "ContentMD5": md5(b"something else")},
        {**BUCKET, "Key": "there", "IfNoneMatch": "*"},
        {"Bucket": "no-such-bucket", "Key": "k"},
        {**BUCKET, "Key": "k", "ChecksumSHA256": base64.b64encode(bytes(32)).decode()},
    ]
    codes = []
    for request in refused:
        with pytest.raises(ClientError) as error:
            s3.put_object(**request, Body=content[: 2 * MIB])
        codes.append(error.value.response["Error"]["Code"])
    assert codes == ["BadDigest", "PreconditionFailed", "NoSuchBucket", "BadDigest"]
    until(lambda: bodies(aws) == kept)
    body = s3.get_object(**BUCKET, Key="there")["Body"]
    start = body.read(10)
    s3.delete_object(**BUCKET, Key="there")
    assert start + body.read() == small
    until(lambda: not bodies(aws))


@pytest.mark.fidelity(
    "S3",
    "An aws-chunked body is decoded, a wrong chunk signature is SignatureDoesNotMatch, a wrong checksum behind it "
    "BadDigest; of aws-chunked the Content-Encoding says nothing afterwards.",
    "S3 API, Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks, and "
    "Including Trailing Headers",
)
def test_bodies_in_chunks(aws: Aws, content: bytes) -> None:
    plain = content[: 3 * MIB + 5]
    trailer = base64.b64encode(zlib.crc32(plain).to_bytes(4, "big")).decode()
    chunked = {"x-amz-decoded-content-length": str(len(plain)), "content-encoding": "aws-chunked"}
    for changed in (False, True):
        told = f"x-amz-checksum-crc32:{'AAAAAA==' if changed else trailer}\r\n"
        unsigned = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts(plain)) + b"0\r\n" + told.encode()
        sent = Signed(aws, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", {**chunked, "x-amz-trailer": "x-amz-checksum-crc32"})
        status, answer = sent.answered(unsigned + b"\r\n")
        assert (status, b"BadDigest" in answer) == ((400, True) if changed else (200, False))
        sent = Signed(aws, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunked)
        status, answer = sent.answered(b"".join(sent.signed(plain, changed)))
        assert (status, b"SignatureDoesNotMatch" in answer) == ((403, True) if changed else (200, False))
        if not changed:
            found = client(aws).get_object(**BUCKET, Key="chunks")
            assert (found["Body"].read() == plain, found.get("ContentEncoding")) == (True, None)


@pytest.mark.fidelity(
    "S3",
    "A body whose hash isn't the signed x-amz-content-sha256 is XAmzContentSHA256Mismatch, which names both.",
    "S3 API, Error responses; grosskur/lua-resty-aws#2 (S3's own answer)",
)
@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_a_body_is_the_one_whose_hash_was_signed(aws: Aws, content: bytes, size: int) -> None:
    body, signed = content[:size], hashlib.sha256(content[1 : 1 + size]).hexdigest()
    status, answer = Signed(aws, signed, {}).answered(body)
    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in answer) == (400, True), answer
    assert f"<ClientComputedContentSHA256>{signed}</ClientComputedContentSHA256>".encode() in answer
    assert f"<S3ComputedContentSHA256>{hashlib.sha256(body).hexdigest()}</S3ComputedContentSHA256>".encode() in answer


def parts(content: bytes) -> Iterator[bytes]:
    return (content[at : at + 100_000] for at in range(0, len(content), 100_000))


class Signed(S3SigV4Auth):
    """A PutObject that is signed with these words for its body's hash."""

    def __init__(self, aws: Aws, said: str, headers: dict[str, str]) -> None:
        self.key = Key(aws.server.access_key_id, aws.server.secret_access_key)
        super().__init__(self.key, "s3", aws.server.region)
        self._said, self._url = said, f"{aws.server.endpoint_url}/large-objects/chunks"
        self.request = AWSRequest("PUT", self._url, headers=headers)
        self.add_auth(self.request)

    def payload(self, request: Any) -> str:  # noqa: ARG002 - botocore's
        return self._said

    def answered(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=60)
        connection.request("PUT", urlsplit(self._url).path, body, dict(self.request.headers))
        response = connection.getresponse()
        return response.status, response.read()

    def signed(self, plain: bytes, changed: bool) -> Iterator[bytes]:
        stamp, seed = self.request.context["timestamp"], self.request.headers["Authorization"].rpartition("=")[2]
        scope = f"{stamp[:8]}/{self._region_name}/s3/aws4_request"
        key = f"AWS4{self.key.secret_key}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        empty = hashlib.sha256(b"").hexdigest()
        for part in [*parts(plain), b""]:
            lines = ["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, seed, empty, hashlib.sha256(part).hexdigest()]
            seed = hmac.new(key, "\n".join(lines).encode(), "sha256").hexdigest()
            sent = part[:-1] + b"?" if changed and part else part
            yield b"%x;chunk-signature=%s\r\n%s\r\n" % (len(part), seed.encode(), sent)


@pytest.mark.fidelity(
    "S3",
    "Parts that an upload's completion doesn't name, that were written again or whose upload was aborted take no room.",
    "S3 API, CompleteMultipartUpload, UploadPart and AbortMultipartUpload",
)
def test_parts_that_are_not_used_take_no_room(own: Aws, content: bytes) -> None:
    s3, part = client(own), content[: 5 * MIB]

    def begun_with(*numbers: int) -> dict[str, Any]:
        upload = {**BUCKET, "Key": "k"}
        upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
        for number in numbers:
            s3.upload_part(**upload, PartNumber=number, Body=part)
        return upload

    s3.abort_multipart_upload(**begun_with(1, 2))
    until(lambda: not bodies(own))
    upload = begun_with(1, 2, 3, 1)
    listed = [{"PartNumber": number, "ETag": hashlib.md5(part).hexdigest()} for number in (1, 3)]  # noqa: S324
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
    until(lambda: len(bodies(own)) == 2)
    s3.copy_object(**BUCKET, Key="copy", CopySource=upload["Bucket"] + "/k")
    s3.put_object(**BUCKET, Key="k", Body=b"small")
    assert s3.get_object(**BUCKET, Key="copy")["Body"].read() == part * 2
    until(lambda: len(bodies(own)) == 3)
    s3.delete_object(**BUCKET, Key="copy")
    until(lambda: len(bodies(own)) == 1)
