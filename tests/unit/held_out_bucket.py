"""Channels in memory, and Plan's look into them."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from planner import held_out_look
from planner.data import Channel, DataObject

PREFIX, TRAINING = "pets/test/", "pets/train/"
PNG, ZIP = b"\x89PNG\r\n\x1a\n...", b"PK\x03\x04\x14\x00\x06\x00..."
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"

Files = dict[str, str | bytes]


class Bucket:
    """The channels' objects, and what was read of them."""

    def __init__(self, files: Files, training: Files | None = None) -> None:
        self.files: dict[str, bytes] = {}
        for prefix, group in ((PREFIX, files), (TRAINING, training or {})):
            for name, text in group.items():
                self.files[prefix + name] = text if isinstance(text, bytes) else text.encode()
        self.read: list[tuple[str, int]] = []

    def __call__(self, key: str, start: int, size: int) -> bytes:
        assert size > 0, "S3 refuses the range of nothing"
        assert start < len(self.files[key]), "S3 refuses a range beyond the end"
        self.read.append((key.removeprefix(PREFIX), size))
        return self.files[key][start : start + size]

    def channel(self, name: str, prefix: str) -> Channel:
        found = ((key, len(content)) for key, content in sorted(self.files.items()) if key.startswith(prefix))
        return Channel(name, "data", prefix, tuple(DataObject(key, "e", size, "v") for key, size in found))


def look(files: Files | Bucket, training: Files | None = None, **asked: Any) -> dict[str, Any]:
    """What Plan says of the held-out files `files`; what it is asked is `evaluate` and `gate` of pipeline.yaml."""
    bucket = files if isinstance(files, Bucket) else Bucket(files, training)
    reading = {"label": 0, "header": None, "format": None, "segment": None, "any_label": False}
    document = {**reading, "metric": "f1_macro", "needs": "classes", **asked}
    others = [bucket.channel("train", TRAINING)] if any(key.startswith(TRAINING) for key in bucket.files) else []
    return held_out_look.look(bucket.channel("test", PREFIX), document, bucket, others)


def refusal(files: Files, training: Files | None = None, **asked: Any) -> str:
    """The sentence with which Plan refuses the held-out files, after their place."""
    with pytest.raises(held_out_look.HeldOutDataError) as refused:
        look(files, training, **asked)
    place, sentence = str(refused.value).split("): ", 1)
    assert place == f"the held-out data (s3://data/{PREFIX}"
    return sentence


def f1(**asked: Any) -> dict[str, Any]:
    return {"metric": "f1", "needs": "two-classes", **asked}


def r2(**asked: Any) -> dict[str, Any]:
    return {"metric": "r2", "needs": "numbers", **asked}


def npy(descr: str, shape: tuple[int, ...], content: bytes) -> bytes:
    """NumPy's .npy, version 1.0 (numpy.lib.format): the main environment has no NumPy."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = -(10 + len(header) + 1) % 64 + len(header) + 1
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + header.ljust(length - 1) + b"\n" + content


def npz(compression: int = zipfile.ZIP_STORED, **arrays: bytes) -> bytes:
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return whole.getvalue()


def json_lines(*documents: Any) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)
