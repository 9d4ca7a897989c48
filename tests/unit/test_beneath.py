"""Files of a container's folder: what is inside is found, and nothing outside is read, whatever is swapped."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws.sagemaker.containers import beneath
from localaws.sagemaker.containers.beneath import Folder, LeadsOutError, TooLargeError, read_file, remove
from localaws.sagemaker.containers.opt_ml import located

SECRET = b"the root key"
ROOM = 1 << 30


@pytest.fixture(autouse=True, params=["openat2", "by parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test with the kernel's own way, and with the one for kernels that lack it."""
    if request.param == "by parts":
        monkeypatch.setattr(beneath, "_has_openat2", lambda: False)


@pytest.fixture
def ml(tmp_path: Path) -> Path:
    """A job's /opt/ml beside a secret of the server's."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "root_key").write_bytes(SECRET)
    (tmp_path / "ml" / "model" / "code").mkdir(parents=True)
    (tmp_path / "ml" / "model" / "weights").write_bytes(b"weights")
    (tmp_path / "ml" / "model" / "code" / "serve.py").write_bytes(b"serve")
    return tmp_path / "ml"


def contents(ml: Path, said: list[str], name: str = "model") -> dict[str, bytes]:
    with Folder(ml, name, f"/opt/ml/{name}", ROOM).open(said.append) as folder:
        return {file.name: file.open().read() for file in folder.files()} if folder else {}


def test_files_and_links_inside_are_found_by_name(ml: Path) -> None:
    model, said = ml / "model", list[str]()
    (model / "latest").symlink_to("weights")
    (model / "code" / "up").symlink_to("../latest")
    (model / "absolute").symlink_to("/opt/ml/model/code/serve.py")
    (model / "through").symlink_to("again/serve.py")
    (model / "again").symlink_to("code")
    os.link(model / "weights", model / "same")
    assert contents(ml, said) == {
        "absolute": b"serve", "code/serve.py": b"serve", "code/up": b"weights", "latest": b"weights",
        "same": b"weights", "through": b"serve", "weights": b"weights",
    }  # fmt: skip
    assert list(contents(ml, said)) == sorted(contents(ml, said), key=lambda name: name.split("/"))
    assert said == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../state/root_key", "leads out of /opt/ml/model"),
        ("code/../../../state/root_key", "leads out of /opt/ml/model"),
        ("{state}/root_key", "outside /opt/ml/model"),
        ("/opt/ml/modelled", "outside /opt/ml/model"),
        ("/proc/self/environ", "outside /opt/ml/model"),
        ("odd", "leads to itself"),
    ],
)
def test_a_link_that_leads_out_is_left_out_by_name(ml: Path, target: str, why: str) -> None:
    said: list[str] = []
    (ml / "model" / "odd").symlink_to(target.format(state=ml.parent / "state"))
    assert set(contents(ml, said)) == {"weights", "code/serve.py"}
    assert [line for line in said if line.startswith("/opt/ml/model/odd is left out") and why in line] == said != []


def test_a_link_through_a_link_out_is_left_out(ml: Path) -> None:
    said: list[str] = []
    (ml / "model" / "out").symlink_to("../..")
    (ml / "model" / "odd").symlink_to("out/state/root_key")
    assert set(contents(ml, said)) == {"weights", "code/serve.py"}
    assert len(said) == 2


@pytest.mark.parametrize("name", ["model", "output/data"])
def test_a_folder_that_has_become_a_link_is_left_alone(ml: Path, name: str) -> None:
    said: list[str] = []
    (ml / "model").rename(ml / "old")
    (ml / name.partition("/")[0]).symlink_to(ml.parent / "state")
    (ml.parent / "state" / "data").mkdir()
    assert contents(ml, said, name) == {}
    assert said == [f"/opt/ml/{name} is left alone: it is, or is reached through, a link or a file."]
    assert contents(ml, said, "nothing") == {}
    assert len(said) == 1


def test_what_nobody_writes_to_holds_nothing_up(ml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    os.mkfifo(ml / "model" / "pipe")
    (ml / "model" / "to-pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(ml / "model")  # a socket's path is short
        listener.bind("socket")
    assert set(contents(ml, said)) == {"weights", "code/serve.py"}
    assert len(said) == 3
    for name in ("model/pipe", "model/socket", "model"):
        with pytest.raises(OSError, match=r"regular file|No such device|Is a directory"):
            read_file(ml, name, 10)


def test_the_beginning_of_a_file(ml: Path) -> None:
    assert read_file(ml, "model/weights", 3) == b"wei"
    assert read_file(ml, "model/none", 3) is None
    (ml / "failure").symlink_to(ml.parent / "state" / "root_key")
    (ml / "state").symlink_to(ml.parent / "state")
    for name in ("failure", "state/root_key", "../state/root_key", str(ml.parent / "state" / "root_key")):
        with pytest.raises(OSError):
            read_file(ml, name, 10)


def test_a_file_that_becomes_a_link_after_it_was_found_is_not_read(ml: Path) -> None:
    with Folder(ml, "model", "/opt/ml/model", ROOM).open(pytest.fail) as folder:
        assert folder is not None
        found = {file.name: file for file in folder.files()}
        (ml / "model" / "weights").unlink()
        (ml / "model" / "weights").symlink_to(ml.parent / "state" / "root_key")
        (ml / "model" / "code").rename(ml / "model" / "before")
        (ml / "model" / "code").symlink_to(ml.parent / "state")
        for file in found.values():
            with pytest.raises(OSError):
                file.open()


def test_files_that_are_larger_than_what_they_lie_on_are_not_read(ml: Path) -> None:
    with (ml / "model" / "holes").open("wb") as file:
        file.truncate(ROOM)
    with pytest.raises(TooLargeError):
        contents(ml, [])


def test_an_odd_name_or_a_folder_too_deep_is_left_out(ml: Path) -> None:
    said: list[str] = []
    Path(os.fsdecode(bytes(ml / "model") + b"/\xff")).touch()
    deep = os.open(ml / "model", os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=deep)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    assert set(contents(ml, said)) == {"weights", "code/serve.py"}
    assert [line for line in said if "UTF-8" in line]


@pytest.fixture
def swapping(ml: Path) -> Iterator[None]:
    """A thread that makes a folder a link to the server's, and back, as fast as it can."""
    over, model = threading.Event(), ml / "model"
    (ml / "model" / "code" / "root_key").write_bytes(b"its own")
    (model / "link").symlink_to(ml.parent / "state")

    def swap() -> None:
        while not over.is_set():
            (model / "code").rename(model / "kept")
            (model / "link").rename(model / "code")
            (model / "code").rename(model / "link")
            (model / "kept").rename(model / "code")

    thread = threading.Thread(target=swap)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("swapping")
def test_nothing_outside_is_read_while_a_folder_becomes_a_link_and_a_folder_again(ml: Path) -> None:
    read = set()
    with Folder(ml, "model", "/opt/ml/model", ROOM).open(lambda _line: None) as folder:
        assert folder is not None
        for _ in range(300):
            for file in folder.files():
                with contextlib.suppress(OSError):
                    read.add(file.open().read())
    assert SECRET not in read
    assert b"its own" in read


def test_what_the_server_was_told_is_below_the_folder() -> None:
    assert located("/opt/ml//etc/passwd", Path("/job/ml")) == Path("/job/ml/etc/passwd")
    assert located("/opt/ml", Path("/job/ml")) == Path("/job/ml")


def test_what_is_no_regular_file_has_its_own_error() -> None:
    with pytest.raises(LeadsOutError):
        read_file(Path("/"), "dev/null", 1)


REMOVES = """
import os, sys
from pathlib import Path
from localaws.sagemaker.containers.beneath import remove
if os.getuid() == 0:
    os.setuid(65534)
top = Path(sys.argv[1], "job")
for name in ("closed/deep", "kept/here", "open"):
    (top / name).mkdir(parents=True)
    (top / name / "file").touch()
(top / "open" / "link").symlink_to(Path(sys.argv[1], "outside"))
(top / "closed").chmod(0)
(top / "kept" / "here").chmod(0o500)
remove(top)
print(top.exists(), Path(sys.argv[1], "outside", "file").exists())
"""


def test_what_a_container_has_closed_to_its_owner_is_removed_and_nothing_that_a_link_leads_to() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        (Path(name) / "outside").mkdir()
        (Path(name) / "outside" / "file").touch()
        command = [sys.executable, "-c", REMOVES, name]
        said = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (said.stdout, said.stderr) == ("False True\n", "")


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")
