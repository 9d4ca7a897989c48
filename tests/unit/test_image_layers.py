"""Layers of images, unpacked: what replaces what, what is removed, and what is refused with its name."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.containers import image_layers
from localaws.sagemaker.containers.image_layers import ImageLayerError

ROOM = 64 * 1024 * 1024
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def entry(name: str, content: str | None = None, **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A file with content, else whatever `type` says; without either, a folder."""
    info = tarfile.TarInfo(name)
    info.type = more.pop("type", tarfile.REGTYPE if content is not None else tarfile.DIRTYPE)
    info.mode = more.pop("mode", 0o644 if content is not None else 0o755)
    data = (content or "").encode()
    info.size = len(data)
    for member, value in more.items():
        setattr(info, member, value)
    return info, data


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def written(folder: Path, content: bytes) -> Path:
    """A blob, by the name that the registry gives it."""
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return path


@pytest.fixture
def unpack(tmp_path: Path) -> Any:
    """Unpacks layers of entries into the folder that it answers, each as plain or gzip."""

    def unpacked(*layers: tuple[tuple[tarfile.TarInfo, bytes], ...], room: int = ROOM) -> Path:
        (tmp_path / "blobs").mkdir()
        root = tmp_path / "root"
        root.mkdir()
        blobs = []
        for index, layer in enumerate(layers):
            tar = tar_of(*layer)
            blobs.append(written(tmp_path / "blobs", gzip.compress(tar) if index % 2 == 0 else tar))
        image_layers.unpack(image_layers.layers_of(blobs, []), root, room)
        return root

    return unpacked


def tree(root: Path) -> dict[str, str]:
    """Everything below a folder: a file's content, a link's target, a slash for a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text()
    return found


def test_later_layers_replace_what_earlier_ones_have(unpack: Any) -> None:
    root = unpack(
        (
            entry("a", "one"),
            entry("kept", "one"),
            entry("folder"),
            entry("folder/in", "one"),
            entry("other/deep", "one"),
        ),
        (
            entry("./a", "two"),
            entry("folder", "now a file"),
            entry("other", mode=0o700),
            entry("kept"),
            entry("kept/new", "two"),
        ),
    )
    assert tree(root) == {
        "a": "two", "folder": "now a file", "kept": "/", "kept/new": "two", "other": "/", "other/deep": "one",
    }  # fmt: skip


def test_what_later_layers_remove_is_gone(unpack: Any) -> None:
    root = unpack(
        (entry("a", "one"), entry("b/in", "one"), entry("c/in", "one"), entry("d/in", "one"), symlink("l", "a")),
        (
            entry(".wh.a", ""),
            entry("b/.wh.in", ""),
            entry(".wh.c", ""),
            entry("d/new", "two"),
            entry("d/.wh..wh..opq", ""),
            entry(".wh.l", ""),
            entry(".wh.never", ""),
            entry(".wh..wh.plnk", ""),
        ),
    )
    assert tree(root) == {"b": "/", "d": "/", "d/new": "two"}


def test_an_opaque_folder_keeps_what_its_own_layer_has_wherever_its_mark_stands(unpack: Any) -> None:
    root = unpack(
        (entry("d/old", "one"), entry("d/sub/old", "one")),
        (entry("d/.wh..wh..opq", ""), entry("d/sub/new", "two"), entry("d/new", "two")),
    )
    assert tree(root) == {"d": "/", "d/new": "two", "d/sub": "/", "d/sub/new": "two"}


def test_links_on_the_way_lead_inside_the_image(unpack: Any, tmp_path: Path) -> None:
    """A Debian image has /lib as a link; an absolute one is one in the container."""
    (tmp_path / "outside").mkdir()
    root = unpack(
        (symlink("lib", "usr/lib"), symlink("abs", str(tmp_path / "outside")), symlink("up", "../../../../..")),
        (entry("lib/x.so", "x"), entry("abs/file", "inside"), entry("up/top", "inside"), symlink("self", "/")),
        (entry("self/etc/one", "inside"),),
    )
    assert list((tmp_path / "outside").iterdir()) == []
    assert (root / "usr/lib/x.so").read_text() == "x"
    assert (root / str(tmp_path / "outside/file").lstrip("/")).read_text() == "inside"
    assert (root / "top").read_text() == "inside"
    assert (root / "etc/one").read_text() == "inside"


def test_a_file_never_lands_behind_a_link_that_has_its_name(unpack: Any, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    root = unpack((symlink("f", str(victim)), symlink("d", str(tmp_path))), (entry("f", "new"), entry("d", mode=0o777)))
    assert victim.read_text() == "as it was"
    assert not (root / "f").is_symlink()
    assert stat.S_IMODE((root / "d").lstat().st_mode) == 0o777
    assert stat.S_IMODE(tmp_path.stat().st_mode) != 0o777


@pytest.mark.parametrize("mark", ["evil/.wh.x", "evil/.wh..wh..opq"])
def test_nothing_is_written_through_a_link_that_is_a_second_name_of_another(
    unpack: Any, tmp_path: Path, mark: str
) -> None:
    """Where a folder lies is known from a look at it, which a hard link to a symbolic link makes untrue."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("as it was")
    hostile = (entry("evil/victim", "new"), entry("evil/deep/new", "new"), entry("evil/.wh.other", ""))
    root = unpack((symlink("s", str(outside)), entry(mark, ""), hard_link("evil", "s"), *hostile))
    assert tree(outside) == {"victim": "as it was"}
    assert (root / str(outside / "victim").lstrip("/")).read_text() == "new"


def test_a_folder_that_has_become_a_link_gives_its_mode_to_nobody(unpack: Any, tmp_path: Path) -> None:
    (tmp_path / "outside/b").mkdir(parents=True)
    mode = (tmp_path / "outside/b").stat().st_mode
    unpack((entry("a"), entry("a/b", mode=0o777)), (entry(".wh.a", ""), symlink("a", str(tmp_path / "outside"))))
    assert (tmp_path / "outside/b").stat().st_mode == mode


def test_hard_links_are_links_to_files_of_the_image(unpack: Any) -> None:
    root = unpack(
        (entry("a", "one"), symlink("l", "a")), (hard_link("b", "a"), hard_link("./deep/c", "/a"), hard_link("m", "l"))
    )
    assert (root / "a").stat().st_ino == (root / "b").stat().st_ino == (root / "deep/c").stat().st_ino
    assert str((root / "m").readlink()) == "a", "of a link, the link itself"


def test_modes_and_times_stay_but_nobody_gets_anothers_rights(unpack: Any) -> None:
    root = unpack((
        entry("su", "x", mode=0o4755),
        entry("sg", "x", mode=0o2755),
        entry("closed", mode=0o500),
        entry("closed/in", "x", mode=0o400, mtime=1_600_000_000.5),
        entry("tmp", mode=0o1777),
        entry(".", mode=0o711),
    ))  # fmt: skip
    modes = {name: oct(stat.S_IMODE((root / name).stat().st_mode)) for name in ("su", "sg", "closed", "tmp", ".")}
    assert modes == {"su": "0o755", "sg": "0o755", "closed": "0o500", "tmp": "0o1777", ".": "0o711"}
    assert (root / "closed/in").stat().st_mtime == 1_600_000_000.5, "Python's bytecode names its source's"
    (root / "closed").chmod(0o700)


def test_a_time_that_is_none_is_the_first(unpack: Any) -> None:
    times = {"pax_headers": {"mtime": "nan"}}
    root = unpack((entry("f", "x", **times), entry("d", **times)))
    assert [(root / name).stat().st_mtime for name in ("f", "d")] == [0.0, 0.0]


@is_root
def test_owners_stay_where_the_server_is_root(unpack: Any) -> None:
    root = unpack((entry("f", "x", uid=1234, gid=2345), entry("d", uid=5), symlink("l", "f")))
    assert ((root / "f").stat().st_uid, (root / "f").stat().st_gid) == (1234, 2345)
    assert (root / "d").stat().st_uid == 5


@is_root
def test_a_later_layer_gives_a_folder_back_to_root(unpack: Any) -> None:
    root = unpack((entry("d", uid=5, gid=6),), (entry("d"),))
    assert ((root / "d").stat().st_uid, (root / "d").stat().st_gid) == (0, 0)


def test_devices_are_left_out_and_pipes_are_made(unpack: Any) -> None:
    root = unpack(
        (entry("dev/sda", type=tarfile.BLKTYPE), entry("tty", type=tarfile.CHRTYPE), entry("p", type=tarfile.FIFOTYPE))
    )
    assert [path.name for path in root.iterdir() if path.name != "dev"] == ["p"]
    assert stat.S_ISFIFO((root / "p").stat().st_mode)


def test_only_a_user_s_own_attributes_are_kept(unpack: Any) -> None:
    """What overlayfs reads as its own, or the kernel as a privilege, no image may say."""
    attributes = {
        "SCHILY.xattr.user.mine": "kept",
        "SCHILY.xattr.user.overlay.redirect": "/elsewhere",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.security.capability": "all",
    }
    root = unpack((entry("f", "x", pax_headers=attributes),))
    assert set(os.listxattr(root / "f")) <= {"user.mine"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (entry("../out", "x"), "'../out' would be written outside the image"),
        (entry("a/../../out", "x"), "would be written outside the image"),
        (hard_link("h", "../../etc/passwd"), "'h' would be written outside the image"),
        (hard_link("h", "/etc/shadow"), "'h' is a link to '/etc/shadow', which is no file of the image"),
        (entry(".wh..", ""), "removes what has no name"),
        (entry("a/.wh...", ""), "removes what has no name"),
        (entry("f/below", "x"), "'f/below' can't be unpacked: Not a directory"),
        (entry("round/in", "x"), "Too many levels of symbolic links"),
        (entry("x" * 300, "x"), "File name too long"),
        (entry("a/" * 1500 + "x", "x"), "lies more than 200 folders deep"),
        (entry("f2", "x", uid=2**33), "belongs to user 8589934592"),
    ],
)
def test_a_hostile_entry_is_refused_by_its_name(unpack: Any, tmp_path: Path, bad: Any, said: str) -> None:
    with pytest.raises(ImageLayerError, match=r"^layer 2 of 2 \(sha256:[0-9a-f]{64}\): ") as caught:
        unpack((entry("f", "x"), symlink("round", "round")), (bad,))
    assert said in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs", "root"]


def test_more_than_there_is_room_for_is_refused(unpack: Any) -> None:
    with pytest.raises(ImageLayerError, match="unpacks to more than"):
        unpack((entry("a", "x" * 600),), (entry("b", "x" * 600),), room=1000)


def damaged(kind: str) -> bytes:
    tar = tar_of(entry("file", "content" * 1000), entry("other", "more" * 1000))
    packed = bytearray(gzip.compress(tar, mtime=0))
    if kind == "cut off":
        return bytes(packed[: len(packed) // 2])
    if kind == "a wrong checksum":
        packed[-6] ^= 1
        return bytes(packed)
    return {"no tar": b"hello " * 200, "zstd": b"(\xb5/\xfd" + bytes(100), "empty": b"", "plain, cut off": tar[:3000]}[
        kind
    ]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cut off", "it is damaged"),
        ("a wrong checksum", "it is damaged"),
        ("no tar", "it is damaged"),
        ("empty", "it is damaged"),
        ("plain, cut off", "it is damaged"),
        ("zstd", "compressed with zstd; push the image with gzip"),
    ],
)
def test_a_damaged_layer_is_refused_by_its_name(tmp_path: Path, kind: str, said: str) -> None:
    (tmp_path / "root").mkdir()
    blob = written(tmp_path, damaged(kind))
    with pytest.raises(ImageLayerError, match=rf"layer 1 of 1 \(sha256:{blob.name}\): .*{said}"):
        image_layers.unpack(image_layers.layers_of([blob], []), tmp_path / "root", ROOM)


def test_a_layer_that_is_another_than_the_configuration_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    tar = tar_of(entry("file", "content"))
    blob, right = written(tmp_path, gzip.compress(tar)), f"sha256:{hashlib.sha256(tar).hexdigest()}"
    image_layers.unpack(image_layers.layers_of([blob], [right]), tmp_path / "root", ROOM)
    with pytest.raises(ImageLayerError, match=f"it holds {right}, and the image's configuration sha256:0"):
        image_layers.unpack(image_layers.layers_of([blob], ["sha256:" + "0" * 64]), tmp_path / "root", ROOM)


def test_a_large_layer_is_not_in_memory(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    (tmp_path / "root").mkdir()
    names = tuple(entry(f"folder/{number:06}", "") for number in range(1000))
    blob = written(tmp_path, gzip.compress(tar_of(entry("large", "x" * 20_000_000), *names), compresslevel=1))
    tracemalloc.start()
    image_layers.unpack(image_layers.layers_of([blob], []), tmp_path / "root", ROOM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000
