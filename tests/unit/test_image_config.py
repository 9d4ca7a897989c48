"""An image's configuration as Docker reads it: what runs, with which variables, and as whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.containers import image_config, image_root, limits
from localaws.sagemaker.containers.image_config import ImageConfigError
from localaws.sagemaker.containers.image_root import User

PASSWD = (
    "# accounts\nroot:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:An app:/home/app:/bin/sh\n7:x:2000:2000::/seven:\nbad\n"
)
GROUP = "root:x:0:\nstaff:x:50:app,other\nvideo:x:44:other,app\napp:x:1001:\n"


def config(**members: Any) -> image_config.ImageConfig:
    return image_config.read({"config": members})


@pytest.mark.parametrize(
    ("members", "entrypoint", "arguments", "runs"),
    [
        ({"Cmd": ["x"]}, [], ["train"], ["train"]),
        ({"Entrypoint": ["python", "a.py"], "Cmd": ["x"]}, [], ["train"], ["python", "a.py", "train"]),
        # The shell form, as docker build writes it down.
        ({"Entrypoint": ["/bin/sh", "-c", "exec a"]}, [], ["train"], ["/bin/sh", "-c", "exec a", "train"]),
        ({"Entrypoint": ["a"], "Cmd": ["x"]}, [], [], ["a", "x"]),
        ({"Entrypoint": ["a"], "Cmd": ["x"]}, [], ["y", "z"], ["a", "y", "z"]),
        ({"Entrypoint": ["a"], "Cmd": ["x"]}, ["b"], [], ["b"]),
        ({"Entrypoint": ["a"], "Cmd": ["x"]}, ["b"], ["y"], ["b", "y"]),
        ({"Entrypoint": None, "Cmd": None}, [], [], []),
    ],
)
def test_what_docker_run_starts(members: Any, entrypoint: list[str], arguments: list[str], runs: list[str]) -> None:
    assert config(**members).run(entrypoint, arguments) == runs


def test_variables_go_over_each_other_as_docker_has_it() -> None:
    found = config(Env=["A=1", "B=x=y", "PATH=/own", "EMPTY=", "A=2"]).environment(
        {"B": "given", "NEW": "1"}, "/home/app"
    )
    assert found == {"A": "2", "B": "given", "PATH": "/own", "EMPTY": "", "NEW": "1", "HOME": "/home/app"}
    assert config().environment({}, "/")["PATH"].startswith("/usr/local/sbin:")
    assert config(Env=["HOME=/else"]).environment({}, "/root")["HOME"] == "/else"


@pytest.mark.parametrize(
    ("wanted", "user", "home"),
    [
        ("", User(0, 0, ()), "/root"),
        ("app", User(1000, 1001, (50, 44)), "/home/app"),
        ("1000", User(1000, 1001, (50, 44)), "/home/app"),
        ("app:staff", User(1000, 50, ()), "/home/app"),
        ("app:1234", User(1000, 1234, ()), "/home/app"),
        ("4321", User(4321, 0, ()), "/"),
        ("4321:app", User(4321, 1001, ()), "/"),
        (":staff", User(0, 50, ()), "/root"),
        ("7", User(7, 0, ()), "/"),  # a number is never a name
        ("01000", User(1000, 1001, (50, 44)), "/home/app"),
    ],
)
def test_who_a_user_is(wanted: str, user: User, home: str) -> None:
    """As docker's runtime looks it up in the image's own files."""
    found = image_config.account(wanted, PASSWD, GROUP)
    assert (found.user, found.home) == (user, home)


def test_a_user_by_number_needs_no_files() -> None:
    assert image_config.account("10:20", "", "").user == User(10, 20, ())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("app:nobody", "unable to find group nobody: no matching entries in group file"),
        ("99999999999", "is no number from 0 to 2147483647"),
        ("evil", "group of user evil: '-1' is no number"),
    ],
)
def test_a_user_that_cannot_be_is_refused(wanted: str, said: str) -> None:
    with pytest.raises(ImageConfigError, match=said):
        image_config.account(wanted, f"{PASSWD}evil:x:5:-1::/:\n", GROUP)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"config": []}, None),
        ({"config": "x"}, "config must be an object"),
        ({"config": {"Entrypoint": "train"}}, "Entrypoint must be a list of texts"),
        ({"config": {"Cmd": [1]}}, "Cmd must be a list of texts"),
        ({"config": {"Env": ["=x"]}}, "config.Env: '=x' is no NAME=VALUE"),
        ({"config": {"Env": {"A": "1"}}}, "Env must be a list of texts"),
        ({"config": {"WorkingDir": 5}}, "WorkingDir must be a text"),
        ({"config": {"User": ["x"]}}, "User must be a text"),
        ({"config": {"Entrypoint": ["a\0b"]}}, r"Entrypoint must be a list of texts \(Unicode without zero bytes\)"),
        ({"config": {"Cmd": ["\ud800"]}}, "Cmd must be a list of texts"),
        ({"config": {"Env": ["A=\ud800"]}}, "Env must be a list of texts"),
        ({"config": {"WorkingDir": "/\udc00"}}, "WorkingDir must be a text"),
        ({"rootfs": {"diff_ids": [None]}}, "diff_ids must be a list of texts"),
        ({}, None),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(document: Any, said: str | None) -> None:
    if said is None:
        assert image_config.read(document).cwd == "/"
        return
    with pytest.raises(ImageConfigError, match=said):
        image_config.read(document)


def test_an_image_for_another_machine_is_told() -> None:
    assert "made for s390x" in (image_config.read({"architecture": "s390x"}).remark or "")
    assert image_config.read({}).remark is None


def test_all_that_a_container_writes_counts_to_its_volume(tmp_path: Path) -> None:
    """A file of Docker's can be written to, too, and takes as much of the disk as any other."""
    files = image_root.write_files(tmp_path / "etc", "algo-1", {}, has_network=False)
    root = image_root.ImageRoot(tmp_path / "image", tmp_path / "own", files=files)
    (tmp_path / "own/upper").mkdir(parents=True)
    before = limits.held(root.written)
    for written in (tmp_path / "own/upper/file", files["/etc/hosts"]):
        written.write_bytes(b"x" * 1_000_000)
    assert limits.held(root.written) - before > 1_900_000


def test_what_docker_writes_for_a_container(tmp_path: Path) -> None:
    files = image_root.write_files(tmp_path / "etc", "algo-2", {"algo-1": "127.0.0.2"}, has_network=False)
    assert set(files) == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    hosts = files["/etc/hosts"].read_text().splitlines()
    assert hosts[0] == "127.0.0.1\tlocalhost"
    assert {"127.0.0.1\talgo-2", "127.0.0.2\talgo-1"} <= set(hosts)
    assert files["/etc/hostname"].read_text() == "algo-2\n"
    assert files["/etc/resolv.conf"].read_text() == ""
