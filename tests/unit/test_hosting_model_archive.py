"""Model archives that hosting extracts, and those that AWS refuses."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from localaws.sagemaker.hosting.model_archive import unpack_model, unpack_source
from localaws.sagemaker.hosting.model_data import ModelDataError

URI = "s3://models/model.tar.gz"


def tar_of(*members: tuple[str, bytes, str], text: bytes = b"weights") -> bytes:
    """A tar with one file and further members: name, type, what it links to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        file = tarfile.TarInfo("blobs/w")
        file.size = len(text)
        tar.addfile(file, io.BytesIO(text))
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return buffer.getvalue()


def unpacked(folder: Path, content: bytes, unpack: Callable[[Path, Path, str], None] = unpack_model) -> Path:
    archive = folder / "model.tar.gz"
    archive.write_bytes(content)
    unpack(archive, folder / "model", URI)
    return folder / "model"


def test_files_and_directories_are_extracted(tmp_path: Path) -> None:
    model = unpacked(tmp_path, gzip.compress(tar_of(("empty", tarfile.DIRTYPE, ""))))
    assert (model / "blobs" / "w").read_bytes() == b"weights"
    assert (model / "empty").is_dir()


REFUSED = {
    "symbolic link": (gzip.compress(tar_of(("w", tarfile.SYMTYPE, "blobs/w"))), "'w' is a symbolic link to 'blobs/w'"),
    "link to nowhere": (gzip.compress(tar_of(("w", tarfile.SYMTYPE, "gone"))), "'w' is a symbolic link to 'gone'"),
    "hard link": (gzip.compress(tar_of(("w", tarfile.LNKTYPE, "blobs/w"))), "'w' is a hard link to 'blobs/w'"),
    "device": (gzip.compress(tar_of(("null", tarfile.CHRTYPE, ""))), "'null' is neither a file"),
    "pipe": (gzip.compress(tar_of(("pipe", tarfile.FIFOTYPE, ""))), "'pipe' is neither a file"),
    "absolute path": (gzip.compress(tar_of(("/etc/x", tarfile.DIRTYPE, ""))), "'/etc/x' would be written outside"),
    "parent": (gzip.compress(tar_of(("../code", tarfile.DIRTYPE, ""))), "'../code' would be written outside"),
    "plain tar": (tar_of(), "a tar that isn't compressed with gzip"),
    "bzip2": (bz2.compress(tar_of()), "it is bzip2, not gzip"),
    "xz": (lzma.compress(tar_of()), "it is xz, not gzip"),
    "zip": (b"PK\x03\x04" + bytes(30), "it is a zip file, not gzip"),
    "no archive": (b"weights", "it isn't compressed with gzip"),
    "gzip of no tar": (gzip.compress(b"weights" * 200), "damaged"),
    "no byte": (b"", "it is empty"),
    "no member": (gzip.compress(bytes(10240)), "it holds nothing"),
    "cut off": (gzip.compress(tar_of(text=bytes(range(256)) * 400))[:-200], "ends early or is damaged"),
}  # fmt: skip


@pytest.mark.fidelity(
    "Models",
    "Hosting refuses a model archive with symbolic links, and any that isn't a tar compressed with gzip: the endpoint "
    "is Failed with the archive's URL in its reason.",
    "AWS re:Post, sagemaker-endpoint-creation-fail; aws/deep-learning-containers#569",
)
@pytest.mark.parametrize("case", REFUSED)
def test_an_archive_that_aws_refuses_is_refused(tmp_path: Path, case: str) -> None:
    content, reason = REFUSED[case]
    with pytest.raises(ModelDataError) as caught:
        unpacked(tmp_path, content)
    said = str(caught.value)
    assert said.startswith(f'Failed to extract model data archive for container "container_1" from URL "{URI}". ')
    assert reason in said
    assert not [path for path in (tmp_path / "model").rglob("*") if path.is_file()], "nothing of it is written"


def test_code_may_hold_links_but_must_be_gzip_too(tmp_path: Path) -> None:
    code = unpacked(tmp_path, gzip.compress(tar_of(("w", tarfile.SYMTYPE, "blobs/w"))), unpack_source)
    assert (code / "w").read_bytes() == b"weights"
    with pytest.raises(ModelDataError, match=r"can't extract SAGEMAKER_SUBMIT_DIRECTORY s3://models.*isn't compressed"):
        unpacked(tmp_path, tar_of(), unpack_source)
