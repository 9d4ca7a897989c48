"""Processes of functions: forked from one that has boto3 imported, ended with all that they started, and told apart."""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from localaws.confinement import landlock
from localaws.confinement.functions import TASK
from localaws.ministack_adapter import lambda_bytecode
from localaws.ministack_adapter.lambda_processes import Files, Forkserver, FunctionProcess
from localaws.ministack_adapter.lambdas import link_runtime_packages
from localaws.sagemaker.containers import container

CODE = """
import gc, os, subprocess, sys, time
start = os.environ["COLOUR"]

def handler(event, context):
    return globals()[event["do"]](event)

def who(event): return [start, "boto3" in sys.modules]
def collects(event): return gc.isenabled()
def leave(event): os._exit(event["code"])
def read(event):
    try:
        with open(event["path"]) as file:
            return file.read()
    except OSError as error:
        return type(error).__name__
def value(event): return __import__(event["of"]).VALUE
def crash(event): os.kill(os.getpid(), 9)
def start_another(event): return subprocess.Popen(["sleep", event["seconds"]]).args[1]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    link_runtime_packages(folder / "runtime")
    (folder / "code").mkdir()
    (folder / "code" / "index.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def forkserver(folder: Path) -> Iterator[Forkserver]:
    forkserver = Forkserver(folder / "runtime")
    yield forkserver
    forkserver.close()


class Function:
    """A function's process, with what the server writes to it and reads."""

    def __init__(
        self, forkserver: Forkserver, folder: Path, colour: str = "green", files: Files | None = None, **variables: str
    ) -> None:
        settings = {"function_name": "probe", "version": "1", "handler": "index.handler", "memory_mb": 128}
        environment = {"AWS_LAMBDA_LOG_GROUP_NAME": "", "AWS_LAMBDA_LOG_STREAM_NAME": "", "COLOUR": colour, **variables}
        self.process: FunctionProcess = forkserver.start(environment, files or Files(folder / "code"))
        self._write({**settings, "marker": "#", "timeout_seconds": 60})

    def _write(self, document: dict[str, Any]) -> None:
        self.process.requests.write(json.dumps(document).encode() + b"\n")
        self.process.requests.flush()

    def __call__(self, do: str, **event: Any) -> Any:
        self._write({"event": {"do": do, **event}, "request_id": "r", "invoked_function_arn": "arn"})
        line = self.process.answers.readline()
        return json.loads(json.loads(line)["result"]) if line else None

    def end(self) -> int:
        self.process.kill()
        return self.process.wait()


def test_each_has_its_own_process_and_variables_and_finds_boto3_imported(forkserver: Forkserver, folder: Path) -> None:
    one, other = Function(forkserver, folder), Function(forkserver, folder, "blue")
    assert (one("who"), other("who")) == (["green", True], ["blue", True])
    assert one.process.pid != other.process.pid
    assert one("collects"), "garbage is looked for, though not while the packages were imported"
    assert one.process.poll() is None
    assert [one.end(), other.end()] == [-signal.SIGKILL] * 2


@pytest.mark.skipif(container.isolation() != "processes and files", reason="only there functions see /var/task")
def test_modules_are_compiled_once_for_all_processes(forkserver: Forkserver, folder: Path) -> None:
    code = folder / "packages" / "many"
    code.mkdir(parents=True)
    (code / "index.py").write_text(CODE)
    for number in range(lambda_bytecode.FEWEST):
        (code / f"part{number}.py").write_text("VALUE = 1\n")
    (code / "broken.py").write_text("VALUE = = 1\n")
    compiled = until(lambda: lambda_bytecode.of(code, TASK), "the bytecode")
    # Of another text, so that it shows where it is used.
    found = compiled / "var/task" / f"part3.{sys.implementation.cache_tag}.pyc"
    other = marshal.dumps(compile("VALUE = 'compiled'", "/var/task/part3.py", "exec"))
    found.write_bytes(found.read_bytes()[:16] + other)
    function = Function(forkserver, folder, files=Files(code, bytecode=compiled))
    assert [function("value", of="part3"), function("value", of="part4")] == ["compiled", 1]
    assert function("read", path=str(found)) == "FileNotFoundError"
    function.end()
    os.utime(code / "part3.py", (1, 1))
    function = Function(forkserver, folder, files=Files(code, bytecode=compiled))
    assert function("value", of="part3") == 1, "it isn't the text that was compiled"
    function.end()


def test_a_few_modules_are_compiled_by_who_needs_them(tmp_path: Path) -> None:
    (tmp_path / "code" / "one").mkdir(parents=True)
    (tmp_path / "code" / "one" / "index.py").write_text("VALUE = 1\n")
    assert lambda_bytecode.of(tmp_path / "code" / "one", TASK) is None
    assert not (tmp_path / "bytecode").exists()


def test_one_with_variables_that_are_read_at_the_start_begins_anew(forkserver: Forkserver, folder: Path) -> None:
    function = Function(forkserver, folder, BOTO_DISABLE_CRT="true")
    assert function("who") == ["green", False]
    function.end()


@pytest.mark.parametrize(("event", "code"), [({"do": "leave", "code": 3}, 3), ({"do": "crash"}, -signal.SIGKILL)])
def test_how_one_ended_is_known(forkserver: Forkserver, folder: Path, event: dict[str, Any], code: int) -> None:
    function = Function(forkserver, folder)
    assert function(**event) is None
    assert function.process.wait() == code
    assert function.process.poll() == code


def test_one_that_is_asked_nothing_more_ends(forkserver: Forkserver, folder: Path) -> None:
    function = Function(forkserver, folder)
    function("who")
    function.process.requests.close()
    assert function.process.wait() == 0


def test_one_is_killed_with_what_it_started(forkserver: Forkserver, folder: Path) -> None:
    function = Function(forkserver, folder)
    sleeps = f"600.{os.getpid()}"
    function("start_another", seconds=sleeps)
    until(lambda: running(sleeps), "the beginning of what a function started")
    function.end()
    until(lambda: not running(sleeps), "the end of what a function started")


def test_another_begins_where_their_parent_was_killed(folder: Path) -> None:
    forkserver = Forkserver(folder / "runtime")
    function = Function(forkserver, folder)
    assert function("who")
    parent = forkserver.pid
    assert parent is not None
    os.kill(parent, signal.SIGKILL)
    until(lambda: has_ended(parent), "the end of the parent")
    # Nobody can say any more how this one ends; it counts as ended, and what is left of it is killed.
    assert function.end() == -signal.SIGKILL
    another = Function(forkserver, folder)
    assert another("who")
    assert forkserver.pid != parent
    another.end()
    forkserver.close()


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_without_namespaces_a_function_is_kept_to_its_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "isolation", lambda: "none")
    (folder.parent / "root_key.json").write_text("of this AWS")
    forkserver = Forkserver(folder / "runtime")
    function, sleeps = Function(forkserver, folder), f"601.{os.getpid()}"
    assert function("who") == ["green", True]
    assert function("read", path=str(folder.parent / "root_key.json")) == "PermissionError"
    assert "def handler" in function("read", path=str(folder / "code" / "index.py"))
    function("start_another", seconds=sleeps)
    until(lambda: running(sleeps), "the beginning of what a function started")
    assert function.end() == -signal.SIGKILL
    until(lambda: not running(sleeps), "the end of what a function started")
    forkserver.close()


def has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def running(word: str) -> list[str]:
    """Processes that have a word on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found
