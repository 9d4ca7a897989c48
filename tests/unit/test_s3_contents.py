"""Objects on disk: what MiniStack is given instead of their bytes, and files that stay as long as somebody reads."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

import pytest

from localaws.ministack_adapter import s3_bodies
from localaws.ministack_adapter.s3_bodies import Bodies, DamagedBodyError, Sink, joined, names_in
from localaws.ministack_adapter.s3_contents import Content, KnownDigests, PartMark, joined_names
from localaws.ministack_adapter.s3_digests import Digests
from localaws.ministack_adapter.s3_large_bodies import LARGE, is_spooled

SIGNED = b"AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0"
TEXT = bytes(range(256)) * 40


@pytest.fixture
def bodies(tmp_path: Path) -> Bodies:
    return Bodies(tmp_path)


def spooled(bodies: Bodies, text: bytes, *algorithms: str) -> Content:
    with Sink(bodies, algorithms) as sink:
        sink.write([text[:100], text[100:200]])
        sink.write([text[200:]])
        return sink.finish()


def text_of(content: Content) -> bytes:
    return b"".join(content.chunks())


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_what_was_spooled_is_read_back_in_ranges(bodies: Bodies) -> None:
    first, second = spooled(bodies, TEXT), spooled(bodies, b"end")
    whole = bodies.content(joined([bodies.keep(first), "", bodies.keep(second)]))
    assert (len(whole), text_of(whole)) == (len(TEXT) + 3, TEXT + b"end")
    for start, end in ((0, 5), (len(TEXT) - 2, len(TEXT) + 2), (len(TEXT), len(TEXT) + 3), (7, 7), (9, 3)):
        assert text_of(whole[start:end]) == (TEXT + b"end")[start:end]
    assert text_of(whole[100:][50:60]) == TEXT[150:160]


def test_digests_are_those_of_the_bytes_whoever_takes_them(bodies: Bodies) -> None:
    taken, read = spooled(bodies, TEXT, "MD5", "SHA256"), bodies.content(bodies.keep(spooled(bodies, TEXT)))
    for content in (taken, read):
        assert KnownDigests().md5(content).hexdigest() == hashlib.md5(TEXT).hexdigest()  # noqa: S324 - S3's ETag
        assert content.checksum("SHA256") == base64.b64encode(hashlib.sha256(TEXT).digest()).decode()
        assert content.digest("CRC32") == zlib.crc32(TEXT).to_bytes(4, "big")


@pytest.mark.parametrize(("algorithm", "check"), [("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")])
def test_checksums_by_table_have_their_published_check_values(algorithm: str, check: str) -> None:
    digests = Digests([algorithm])
    digests.update(b"1234")
    digests.update(b"56789")
    assert digests.values()[algorithm].hex() == check


def test_a_copy_shares_its_files_and_a_range_has_one_of_its_own(bodies: Bodies, tmp_path: Path) -> None:
    name = bodies.keep(spooled(bodies, TEXT))
    assert bodies.keep(bodies.content(name)) == name
    assert files(tmp_path) == 1
    part = bodies.keep(bodies.content(name)[10:20])
    assert (bodies.read(part), files(tmp_path)) == (TEXT[10:20], 2)


def test_what_nobody_keeps_leaves_nothing(bodies: Bodies, tmp_path: Path) -> None:
    content = spooled(bodies, TEXT)
    bodies.drop(content)
    assert text_of(content) == TEXT, "who has it reads it to its end"
    del content
    assert files(tmp_path) == 0
    with Sink(bodies, []) as sink:
        sink.write([b"and then its sender is gone"])
    assert files(tmp_path) == 0
    kept = spooled(bodies, TEXT)
    name = bodies.keep(kept)
    bodies.drop(kept)
    assert bodies.read(name) == TEXT


def test_a_body_that_is_read_stays_until_it_is_read(bodies: Bodies, tmp_path: Path) -> None:
    name = bodies.keep(spooled(bodies, TEXT))
    content = bodies.content(name)
    part = content[5:9]
    bodies.remove(names_in(name))
    assert text_of(content) == TEXT
    del content
    assert text_of(part) == TEXT[5:9]
    del part
    assert files(tmp_path) == 0


def test_a_body_is_read_through_again_only_where_its_file_has_changed(
    bodies: Bodies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = bodies.keep(spooled(bodies, TEXT))
    again, reads = Bodies(tmp_path), []
    monkeypatch.setattr(
        s3_bodies, "zlib", type("Counting", (), {"crc32": lambda *data: reads.append(1) or zlib.crc32(*data)})
    )
    again.content(name).check()
    again.content(name)[3:5].check()
    assert len(reads) == 1
    bodies.path(name).write_bytes(TEXT[:-1] + b"x")
    os.utime(bodies.path(name), ns=(1, 1))
    for knowing in (bodies, again):
        with pytest.raises(DamagedBodyError, match="isn't what was written"):
            knowing.content(name)[3:5].check()
    bodies.path(name).unlink()
    with pytest.raises(DamagedBodyError, match="can't be read"):
        again.content(name).check()


def test_parts_are_joined_by_the_names_of_their_bodies() -> None:
    etag = f'"{hashlib.md5(b"one").hexdigest()}"'  # noqa: S324 - S3's ETag
    marks = [PartMark.of("a,b", 5 << 20, etag), PartMark.of("", 0, etag), PartMark.of("c", 7, etag)]
    assert list(map(len, marks)) == [5 << 20, 0, 7]
    assert joined(joined_names(b"".join(marks))) == "a,b,c"
    assert KnownDigests().md5(marks[0]).digest() == hashlib.md5(b"one").digest()  # noqa: S324
    assert KnownDigests().sha256(b"x").digest() == hashlib.sha256(b"x").digest()


def request(query: bytes = b"", service: bytes = b"s3", **other: Any) -> dict[str, Any]:
    given = {"content_length": str(LARGE + 1), "x_amz_content_sha256": "UNSIGNED-PAYLOAD", **other}
    headers = {name.replace("_", "-").encode(): value.encode() for name, value in given.items() if value is not None}
    headers[b"authorization"] = SIGNED % service
    return {"method": "PUT", "path": "/bucket/key", "query_string": query, "headers": list(headers.items())}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), True),
        (request(b"x-id=PutObject"), True),
        (request(b"partNumber=1&uploadId=x"), True),
        (request(b"X-Amz-Signature=0&X-Amz-Date=0", x_amz_content_sha256=None), True),
        (request(b"AWSAccessKeyId=x&Signature=y&Expires=1", x_amz_content_sha256=None), True),
        (request(content_length=str(LARGE)), False),
        (request(content_length="-1"), False),
        (request(content_length=None), False),
        (request(x_amz_content_sha256=None), False),
        (request(b"tagging"), False),
        (request(b"policy="), False),
        (request(x_amz_copy_source="/bucket/other"), False),
        (request(content_type="application/x-www-form-urlencoded"), False),
        (request(service=b"ecr"), False),
        ({**request(), "method": "POST"}, False),
    ],
)
def test_only_what_brings_many_bytes_of_an_object_goes_to_the_disk(asked: dict[str, Any], expected: bool) -> None:
    assert is_spooled(asked, dict(asked["headers"])) is expected
