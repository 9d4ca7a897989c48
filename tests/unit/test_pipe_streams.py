"""What a channel in Pipe mode streams: records of objects and of lines, by epoch and host, wrapped or not."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest

from localaws.sagemaker.containers import recordio, streams
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.objects import Objects, S3Object, TransferError
from localaws.sagemaker.containers.streams import Stream

URI = "s3://b/train.manifest"


class FewObjects:
    """S3 with objects by their keys, each in pieces of five bytes."""

    def __init__(self, **content: bytes) -> None:
        self._content = content

    def pieces(self, source: S3Object) -> Iterator[bytes]:
        content = self._content[source.key]
        yield from (content[start : start + 5] for start in range(0, len(content), 5))


def source(**changes: Any) -> Source:
    return Source("train", streams.AUGMENTED, URI, Path("train"), is_piped=True, **changes)


def streamed(records: Any, source: Source, **content: bytes) -> bytes:
    return b"".join(streams.content(records, source, cast("Objects", FewObjects(**content))))


def toolkit_reads(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the toolkit's reader, which knows nothing of this writer, finds."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "training_code"))
    from toolkit import recordio as reader  # noqa: PLC0415

    found = list(reader.read(BytesIO(content)))
    for name in [name for name in sys.modules if name.partition(".")[0] == "toolkit"]:
        monkeypatch.delitem(sys.modules, name)
    return found


@pytest.mark.fidelity(
    "Training jobs",
    "A line's attributes are streamed in the order of AttributeNames, each a RecordIO record: an object's content for "
    "a name that ends in -ref, else the value; what isn't listed is left out.",
    "SageMaker DG, Augmented Manifest File Format for Pipe Mode Training",
)
def test_a_line_is_streamed_attribute_after_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        {"author": "Melville", "class": 1, "image-ref": "s3://b/one"},
        {"image-ref": "s3://b/two", "class": {"boxes": [1, "ü"]}},
    ]
    manifest = "\n".join(map(json.dumps, lines)).encode()
    records = streams.parse(manifest, URI, ["image-ref", "class"])
    assert records == [[S3Object("b", "one"), b"1"], [S3Object("b", "two"), '{"boxes": [1, "ü"]}'.encode()]]
    content = streamed(records, source(is_wrapped=True), one=b"a picture", two=b"")
    assert toolkit_reads(content, monkeypatch) == [b"a picture", b"1", b"", '{"boxes": [1, "ü"]}'.encode()]
    assert streamed(records, source(), one=b"a picture", two=b"-") == 'a picture1-{"boxes": [1, "ü"]}'.encode()


def test_an_empty_line_is_no_record() -> None:
    assert streams.parse(b'{"a": 1}\n\n{"a": 2}\r\n \n\n', URI, ["a"]) == [[b"1"], [b"2"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"a": 1', "line 2 of s3://b/train.manifest is not JSON: Expecting"),
        (b'["a", 1]', 'line 2 of s3://b/train.manifest must be a JSON object, not ["a", 1]'),
        (b'{"A": 1}', "line 2 of s3://b/train.manifest has no attribute 'a'; it has 'A'"),
        (b"{}", "line 2 of s3://b/train.manifest has no attribute 'a'; it has none"),
        (b'{"a": 1, "x-ref": "one.png"}', "'x-ref' of line 2 of s3://b/train.manifest must be an object's S3 URI"),
        (b'{"a": 1, "x-ref": "s3://b"}', "must be an object's S3 URI, not 's3://b'"),
        (b'{"a": 1, "x-ref": 7}', "must be an object's S3 URI, not 7"),
        (b'{"a": "\xff"}', "line 2 of s3://b/train.manifest is not JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_line_is_named_with_it(line: bytes, said: str) -> None:
    first = b'{"a": 1, "x-ref": "s3://b/one"}\n'
    with pytest.raises(ManifestError) as caught:
        streams.parse(first + line, URI, ["a", "x-ref"])
    assert said in str(caught.value)


def test_a_manifest_without_lines_is_refused() -> None:
    with pytest.raises(ManifestError, match="has no line"):
        streams.parse(b"\n\n", URI, ["a"])


@pytest.mark.fidelity(
    "Training jobs",
    "In Pipe mode ShuffleConfig shuffles anew at the start of every epoch, across the hosts with ShardedByS3Key.",
    "SageMaker API, ShuffleConfig",
)
def test_each_epoch_is_shuffled_anew_across_hosts() -> None:
    records = [[str(number).encode()] for number in range(50)]
    whole = Stream(source(), records)
    assert whole.epoch(0, 1, 2) == whole.epoch(1, 0, 2) == records
    shuffled = Stream(source(seed=7), records)
    assert shuffled.epoch(0, 0, 1) == shuffled.epoch(0, 0, 1) != shuffled.epoch(1, 0, 1) != records
    assert sorted(shuffled.epoch(1, 0, 1)) == sorted(records)
    sharded = Stream(source(seed=7, is_sharded=True), records)
    for epoch in range(2):
        shares = [sharded.epoch(epoch, host, 2) for host in range(2)]
        assert sorted(shares[0] + shares[1]) == sorted(records)
        assert [len(share) for share in shares] == [25, 25]
    assert sorted(sharded.epoch(0, 0, 2)) != sorted(sharded.epoch(1, 0, 2))


MAGIC = recordio.MAGIC


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"four",
        b"fives",
        MAGIC,
        MAGIC + b"x",
        b"four" + MAGIC,
        b"four" + MAGIC + MAGIC + b"end",
        b"x" + MAGIC,
    ],
)
def test_what_is_wrapped_comes_out_as_it_was(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    content = recordio.wrapped(data)
    assert len(content) % 4 == 0
    # A reader that looks for the next record's beginning finds no other: that is what cutting is for.
    aligned = [start for start in range(0, len(content), 4) if content[start : start + 4] == MAGIC]
    flags = [struct.unpack_from("<I", content, start + 4)[0] >> 29 for start in aligned]
    assert flags in ([0], [1, *[2] * (len(flags) - 2), 3])
    assert toolkit_reads(content + recordio.wrapped(b"next"), monkeypatch) == [data, b"next"]


@pytest.mark.fidelity(
    "Training jobs",
    "RecordIO: magic 0xced7230a, a word of three bits of flag and 29 of length, data, zeros to a multiple of four.",
    "dmlc-core, recordio.h; SageMaker API, Channel: RecordWrapperType",
)
def test_a_record_byte_by_byte() -> None:
    assert recordio.wrapped(b"hello").hex(" ", 4) == "0a23d7ce 05000000 68656c6c 6f000000"
    cut = recordio.wrapped(b"four" + MAGIC + b"x")
    assert cut.hex(" ", 4) == "0a23d7ce 04000020 666f7572 0a23d7ce 01000060 78000000"


def test_what_no_record_can_hold_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "MOST", 8)
    with pytest.raises(TransferError, match="s3://b/one can't be wrapped: it has 9 bytes, and a RecordIO record has 8"):
        streamed([[S3Object("b", "one")]], source(is_wrapped=True), one=b"123456789")
