"""Archives: the same content makes the same bytes, and nothing is written outside."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from localaws.sagemaker.containers import archives
from localaws.sagemaker.containers.archives import BrokenArchiveError, UnsafeArchiveError, pack, unpack
from localaws.sagemaker.containers.beneath import Folder

ROOM = 1 << 30


def packed(directory: Path, refused: Callable[[str], None] = pytest.fail) -> bytes:
    buffer = io.BytesIO()
    with Folder(directory.parent, directory.name, f"/opt/ml/{directory.name}", ROOM).open(refused) as folder:
        assert folder is not None
        pack(folder.files(), buffer)
    return buffer.getvalue()


def archive_with(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        good = tarfile.TarInfo("good.txt")
        tar.addfile(good)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "code").mkdir(parents=True)
    (source / "model.joblib").write_bytes(b"\0" * 1000)
    (source / "code" / "serve.py").write_text("x = 1")
    (tmp_path / "a.tar.gz").write_bytes(packed(source))
    unpack(tmp_path / "a.tar.gz", tmp_path / "out", ROOM)
    assert (tmp_path / "out" / "model.joblib").read_bytes() == b"\0" * 1000
    assert (tmp_path / "out" / "code" / "serve.py").read_text() == "x = 1"


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    for name, order in (("first", "ab"), ("second", "ba")):
        for letter in order:
            path = tmp_path / name / f"{letter}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(letter)
    os.utime(tmp_path / "first" / "a.txt", (1, 1))
    assert packed(tmp_path / "first") == packed(tmp_path / "second")


def test_a_link_that_leads_out_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "secret")
    said: list[str] = []
    (tmp_path / "a.tar.gz").write_bytes(packed(tmp_path / "model", said.append))
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames() == []
    outside = f"it is a link to {tmp_path}/secret, outside /opt/ml/model."
    assert said == [f"/opt/ml/model/link is left out: {outside}"]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def device(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.CHRTYPE
    return info


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../evil.txt"),
        tarfile.TarInfo("a/../../evil.txt"),
        tarfile.TarInfo("/tmp/evil.txt"),
        link("out", "../../etc"),
        link("out", "/etc/passwd"),
        link("out", "../evil", tarfile.LNKTYPE),
        device("null"),
    ],
    ids=["parent", "hidden parent", "absolute", "link out", "absolute link", "hard link out", "device"],
)
def test_a_member_that_would_land_elsewhere_is_refused_and_nothing_is_written(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    archive = archive_with(tmp_path / "a.tar.gz", member, b"" if member.issym() or member.islnk() else b"evil")
    (tmp_path / "code").mkdir()
    with pytest.raises(UnsafeArchiveError, match=member.name.strip("/").split("/")[-1]):
        unpack(archive, tmp_path / "code", ROOM)
    assert list((tmp_path / "code").iterdir()) == []
    assert not (tmp_path / "evil.txt").exists()


def test_a_link_that_leads_out_once_another_has_changed_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in ("a/b/in.txt", "a/safe/in.txt"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
        tar.addfile(link("here", "a/b"))
        tar.addfile(link("there", "here/../safe"))
        tar.addfile(tarfile.TarInfo("there/one.txt"), io.BytesIO(b""))
        tar.addfile(link("here", "."))
        tar.addfile(tarfile.TarInfo("there/two.txt"), io.BytesIO(b""))
    (tmp_path / "safe").mkdir()
    with pytest.raises(UnsafeArchiveError, match="through links before it"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "code", ROOM)
    assert (tmp_path / "code" / "a" / "safe" / "one.txt").exists()
    assert list((tmp_path / "safe").iterdir()) == []


def test_links_that_only_together_lead_out_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(link("here", "."))
        tar.addfile(link("out", "here/../evil"))
        member = tarfile.TarInfo("out/file.txt")
        tar.addfile(member, io.BytesIO(b""))
    with pytest.raises(UnsafeArchiveError, match="through links before it"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "code", ROOM)
    assert not (tmp_path / "evil").exists()


def test_links_inside_and_modes_come_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        script = tarfile.TarInfo("bin/run.sh")
        script.size, script.mode, script.uid, script.uname = 2, 0o4775, 12345, "nobody-here"
        tar.addfile(script, io.BytesIO(b"hi"))
        tar.addfile(link("run", "bin/run.sh"))
        tar.addfile(link("same", "bin/run.sh", tarfile.LNKTYPE))
        tar.addfile(link("bin/up", "../run"))
    unpack(tmp_path / "a.tar.gz", tmp_path / "code", ROOM)
    paths = [tmp_path / "code" / name for name in ("bin/run.sh", "run", "same", "bin/up")]
    assert [path.read_bytes() for path in paths] == [b"hi"] * 4
    assert (paths[0].stat().st_mode & 0o7777, paths[0].stat().st_uid) == (0o755, os.getuid())
    assert [path.is_symlink() for path in paths] == [False, True, False, True]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(BrokenArchiveError, match=r"a\.tar\.gz"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "code", ROOM)


def test_what_unpacks_to_more_than_there_is_room_for_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in ("one", "two", "three"):
            member = tarfile.TarInfo(name)
            member.size = 10_000_000
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    assert (tmp_path / "a.tar.gz").stat().st_size < 100_000
    with pytest.raises(UnsafeArchiveError, match="more than the 25000000 bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "code", 25_000_000)
    assert not (tmp_path / "code").exists()


def test_a_disk_that_is_nearly_full_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_with(tmp_path / "a.tar.gz", tarfile.TarInfo("big"), bytes(1000))
    monkeypatch.setattr(archives, "free", lambda _directory: 999)
    with pytest.raises(UnsafeArchiveError, match="more than the 999 bytes"):
        unpack(archive, tmp_path / "code", ROOM)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("odd")
    header.type, header.size = kind, 1 << 32
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf() + bytes(1 << 16)))
    with pytest.raises(UnsafeArchiveError, match=r"a header of \d+ bytes|a sparse file"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "code", ROOM)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_MEMBERS", 1)
    archive = archive_with(tmp_path / "a.tar.gz", tarfile.TarInfo("second"))
    with pytest.raises(UnsafeArchiveError, match="more than 1 members"):
        unpack(archive, tmp_path / "code", ROOM)
