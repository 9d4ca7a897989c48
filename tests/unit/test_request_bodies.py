"""Bodies that are too large, too slow, packed too well or nested too deeply."""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Any

import pytest

from localaws.ministack_adapter import request_bodies
from localaws.ministack_adapter.malformed_requests import MAX_DEPTH, fault, is_too_deep, wrong_type
from localaws.ministack_adapter.request_bodies import (
    ANONYMOUS_LIMIT,
    LIMIT,
    MIB,
    BodyTooLargeError,
    Memory,
    bounded,
    inflated,
    limit_of,
)
from localaws.ministack_adapter.wire_errors import headers_of

SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0"


def scope(service: bytes | None = None, **headers: str) -> dict[str, Any]:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    signed = [(b"authorization", SIGNED % service)] if service else []
    fixed = {"type": "http", "method": "POST", "path": "/", "query_string": b""}
    return {**fixed, "headers": [(b"host", b"x"), *given, *signed]}


def answered(
    request: dict[str, Any], chunks: list[bytes], memory: Memory, pause: float = 0.0
) -> tuple[int, bytes, int]:
    """(status, body, bytes that came through) of a request whose body comes in chunks."""
    left, sent, seen = list(chunks), [], 0

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def reading(_scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        more = True
        while more:
            message = await receive()
            seen += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    asyncio.run(bounded(reading, memory)(request, receive, send))
    return sent[0]["status"], sent[1]["body"], seen


def test_a_body_that_fits_comes_through_and_its_memory_is_given_back() -> None:
    memory = Memory(MIB)
    assert answered(scope(content_length="6"), [b"abc", b"def"], memory) == (200, b"read", 6)
    assert memory.taken == 0


@pytest.mark.parametrize("announced", ["99999999999999999999999", "-1", "1e3", "ten", ""])
def test_a_length_that_is_none_is_refused(announced: str) -> None:
    status, body, seen = answered(scope(content_length=announced), [b"x"], Memory(MIB))
    assert (status, seen) == (400, 0)
    assert b"Content-Length" in body


def test_a_large_body_of_nobody_is_refused_before_it_is_read() -> None:
    assert answered(scope(content_length=str(ANONYMOUS_LIMIT + 1)), [b"x"], Memory(1 << 30))[::2] == (413, 0)
    chunks = [b"x" * MIB] * 3
    status, body, seen = answered(scope(), chunks, Memory(1 << 30))
    assert (status, seen) == (413, MIB), "of a length that nobody announced, no more than the limit is kept"
    assert b"the limit is 1048576 bytes" in body


def test_a_large_body_of_an_unknown_sender_is_refused_before_it_is_read() -> None:
    status, body, seen = answered(scope(b"dynamodb", content_length=str(2 * MIB)), [b"x"], Memory(1 << 30))
    assert (status, seen) == (403, 0)
    assert b"security token included in the request is invalid" in body


@pytest.mark.fidelity(
    "S3",
    "An object of more than 5 GB in one request: EntityTooLarge.",
    "S3 User Guide, Uploading objects; S3 API, Error responses",
)
def test_an_object_that_is_too_large_is_refused_as_s3_does() -> None:
    status, body, _ = answered(scope(b"s3", content_length=str(6 << 30)), [b"x"], Memory(1 << 40))
    assert (status, b"<Code>EntityTooLarge</Code>" in body) == (400, True)


def test_all_bodies_together_have_a_limit() -> None:
    memory = Memory(100)
    memory.take(60)
    status, body, _ = answered(scope(content_length="50"), [b"x" * 50], memory)
    assert (status, b"SlowDown" in body, memory.taken) == (503, True, 60)


@pytest.mark.fidelity(
    "S3",
    "A body that doesn't come is answered with 400 RequestTimeout, and the connection closed.",
    "S3 API, Error responses",
)
def test_a_sender_who_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bodies, "SILENCE_SECONDS", 0.05)
    status, body, _ = answered(scope(b"s3"), [b"x"], Memory(MIB), pause=0.2)
    assert (status, b"RequestTimeout" in body) == (400, True)
    status, _, seen = answered(scope(b"s3"), [b"x"] * 50, Memory(MIB), pause=0.02)
    assert (status, seen < 50) == (400, True), "a byte now and then is too slow, too"


@pytest.mark.parametrize(
    ("request_scope", "limit"),
    [
        (scope(b"sagemaker"), 25 * MIB),
        (scope(b"ssm"), LIMIT),
        (scope(), ANONYMOUS_LIMIT),
        (scope(authorization="Basic x"), ANONYMOUS_LIMIT),
        ({**scope(), "query_string": b"a=1&X-Amz-Signature=0"}, 5 << 30),
    ],
)
def test_limits(request_scope: dict[str, Any], limit: int) -> None:
    assert limit_of(request_scope, headers_of(request_scope)) == limit


def test_what_unpacks_to_too_much_is_not_unpacked() -> None:
    assert inflated(gzip.compress(b"x" * 1000), 1000) == b"x" * 1000
    with pytest.raises(BodyTooLargeError, match="more than 1000 bytes"):
        inflated(gzip.compress(b"x" * 50_000_000), 1000)
    assert inflated(b"no gzip", 1000) == b"no gzip"


@pytest.mark.parametrize(
    ("body", "deep"),
    [
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), True),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b"[" + b"[]," * 5000 + b"[]]", False),
        (b'{"a": "' + b"[" * 5000 + b'"}', False),
        (b'{"a": "\\"' + b"[" * 5000 + b'"}', False),
        (b'{"a":' * 5000, True),
        (b"no json" + b"[" * 5000, False),
        (b"", False),
    ],
)
def test_depth(body: bytes, deep: bool) -> None:
    assert is_too_deep(body) is deep


def test_depth_is_found_in_linear_time() -> None:
    assert not is_too_deep(b'{"a": ["' + b'\\"' * 500_000 + b"[" * 1000)
    assert not is_too_deep(b"[" + b'"",[],' * 200_000 + b"1]")


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        (b"[]", AttributeError(), "not a JSON object"),
        (b"nope", ValueError(), "not JSON"),
        (b"{}", RecursionError(), "nested too deeply"),
        (b"{}", OverflowError(), "out of range"),
        (b"{}", ValueError("Exceeds the limit (4300 digits) for integer string conversion"), "out of range"),
        (b"{}", "\ud800", "no Unicode"),
        (b'{"Name": 5, "Value": "v"}', TypeError(), "Name: a string belongs here, not int"),
        (b'{"Name": "n", "Value": "v", "Tags": {}}', TypeError(), "Tags: a list belongs here, not dict"),
        (b'{"Name": "n", "Value": "v", "Tags": [{"Key": "k"}]}', KeyError(), r"Tags\[0\].Value: is required"),
        (b'{"Name": "n", "Value": "v", "Overwrite": 1}', TypeError(), "Overwrite: a boolean belongs here, not int"),
        (b'{"Value": "v"}', KeyError(), "Name: is required"),
        (b'{"Name": "n", "Value": "v"}', KeyError(), None),
        (b'{"Name": "n", "Value": "v"}', RuntimeError(), None),
    ],
)
def test_what_is_wrong_with_a_request_that_a_handler_failed_on(
    body: bytes, error: Exception | str, told: str | None
) -> None:
    if isinstance(error, str):
        with pytest.raises(UnicodeEncodeError) as caught:
            error.encode()
        error = caught.value
    found = fault("ssm", "PutParameter", body, error)
    assert found is None if told is None else re.search(told, found or "")


def test_a_request_without_a_model_is_only_held_against_json() -> None:
    assert fault("lambda", "", b"[]", AttributeError()) == "The request body is not a JSON object"
    assert fault("lambda", "", b"Action=x", KeyError()) is None
    assert fault("lambda", "Nothing", b"{}", KeyError()) is None
    assert wrong_type(type("Shape", (), {"type_name": "timestamp"})(), "today", "") is None
