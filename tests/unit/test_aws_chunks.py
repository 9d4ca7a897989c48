"""Bodies in `aws-chunked` encoding, as they come."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.auth import SigV4Auth

from localaws.ministack_adapter.aws_chunks import Chunks
from localaws.ministack_adapter.s3_large_bodies import BodyNotWholeError, is_chunked

# The example of the Amazon S3 API Reference.
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
SIGNED = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length": "66560"}
UNSIGNED = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-trailer": "x-amz-checksum-crc32"}


def example() -> bytes:
    parts = zip((b"a" * 65536, b"a" * 1024, b""), SIGNATURES, strict=True)
    return b"".join(b"%x;chunk-signature=%s\r\n%s\r\n" % (len(part), tag.encode(), part) for part, tag in parts)


def signing() -> tuple[Any, bytes]:
    signature = type("Signature", (), {"date_stamp": "20130524", "region": "us-east-1", "service": "s3"})()
    signature.amz_date = "20130524T000000Z"
    key = b"AWS4" + SECRET.encode()
    for part in ("20130524", "us-east-1", "s3", "aws4_request"):
        key = SigV4Auth(None, "s3", "us-east-1")._sign(key, part)  # type: ignore[attr-defined]
    return signature, key


def decoded(chunks: Chunks, body: bytes, step: int) -> bytes:
    return b"".join(piece for at in range(0, len(body), step) for piece in chunks.decoded(body[at : at + step]))


@pytest.mark.fidelity(
    "S3",
    "Each chunk of an aws-chunked body is checked against its signature, which takes the one before into account.",
    "S3 API, Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks",
)
@pytest.mark.parametrize("step", [1, 7, 1000, 65536, 1 << 20])
def test_the_example_of_the_api_reference(step: int) -> None:
    chunks, headers = Chunks(SIGNED), {**SIGNED, "content-encoding": "aws-chunked,gzip"}
    assert decoded(chunks, example(), step) == b"a" * 66560
    chunks.finish(headers)
    assert headers["content-encoding"] == "gzip"
    assert chunks.are_signed(SEED, *signing())
    assert not chunks.are_signed(SEED[::-1], *signing())
    for changed in (example().replace(b"a\r\n0;", b"b\r\n0;"), example().replace(b"b6c6", b"c6c6")):
        other = Chunks(SIGNED)
        decoded(other, changed, step)
        assert not other.are_signed(SEED, *signing())


@pytest.mark.parametrize("step", [1, 5, 100])
def test_a_checksum_behind_the_chunks_becomes_a_header(step: int) -> None:
    chunks, headers = Chunks(UNSIGNED), {**UNSIGNED, "content-encoding": "aws-chunked"}
    body = b"5\r\nhello\r\n6\r\n\r\n all\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    assert decoded(chunks, body, step) == b"hello\r\n all"
    chunks.finish(headers)
    assert headers == {**UNSIGNED, "x-amz-checksum-crc32": "AAAAAA=="}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"5\r\nhello\r\n", "Missing aws-chunked terminating frame"),
        (b"5\r\nhell", "Missing aws-chunked terminating frame"),
        (b"5\r\nhelloXX0\r\n\r\n", "Truncated aws-chunked frame data"),
        (b"five\r\nhello\r\n0\r\n\r\n", "Invalid aws-chunked frame header"),
        (b"0" * 20_000, "too long"),
        (b"5\r\nhello\r\n0\r\n\r\n", "Missing announced aws-chunked trailer"),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA", "Incomplete aws-chunked trailer"),
        (b"0\r\n" + b"a:" * 10_000, "too long"),
        (b"5\r\nhello\r\n0\r\nno header\r\n\r\n", "Invalid aws-chunked trailer"),
    ],
)
def test_a_body_that_is_no_chunks_is_refused(body: bytes, told: str) -> None:
    chunks = Chunks(UNSIGNED)
    with pytest.raises(BodyNotWholeError, match=told):
        decoded(chunks, body, 7)
        chunks.finish(dict(UNSIGNED))


def test_the_announced_length_is_that_of_what_was_decoded() -> None:
    chunks = Chunks(SIGNED)
    decoded(chunks, example(), 999)
    with pytest.raises(BodyNotWholeError, match="length mismatch"):
        chunks.finish({**SIGNED, "x-amz-decoded-content-length": "66561"})


def test_what_is_chunked() -> None:
    assert is_chunked(SIGNED)
    assert is_chunked({"content-encoding": "gzip, aws-chunked"})
    assert not is_chunked({"x-amz-content-sha256": hashlib.sha256().hexdigest(), "content-encoding": "gzip"})
