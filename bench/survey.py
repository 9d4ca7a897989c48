"""Which unit test runs which line: every test run once, traced, in a process of its own."""

from __future__ import annotations

import ast
import os
import pickle
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

TESTS = "tests/unit"
PROFILE = "mutants"
# Quick: tests as they are compiled (and cached) by Python, and no collection of garbage at the end.
OPTIONS = [f"--hypothesis-profile={PROFILE}", "--tb=no", "--assert=plain"]
OPTIONS += [word for plugin in ("cacheprovider", "unraisableexception", "xdist") for word in ("-p", f"no:{plugin}")]
_INSTALLED = sysconfig.get_path("purelib")


@dataclass
class Survey:
    """The tests by the lines and by the files that they run, the seconds of each, and the packages that they import."""

    of_line: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    of_file: dict[str, set[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    modules: list[str] = field(default_factory=list)


class Surveyor:
    """A pytest plugin that traces every test."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.survey = Survey()
        self._folders = tuple(str(Path(folder).resolve()) + os.sep for folder in folders)
        self._root = str(Path.cwd()) + os.sep
        self._test = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        started = time.perf_counter()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            self.survey.seconds[self._test] = time.perf_counter() - started

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.survey.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.survey.modules = [name for name, module in sys.modules.items() if _is_installed(module)]

    def _trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(self._root) or file.startswith(_INSTALLED):
            return None
        if frame.f_code.co_name != "<module>":
            self.survey.of_file.setdefault(file, set()).add(self._test)
        return self._trace_lines if file.startswith(self._folders) else None

    def _trace_lines(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            self.survey.of_line.setdefault((frame.f_code.co_filename, frame.f_lineno), set()).add(self._test)
        return self._trace_lines


def _is_installed(module: object) -> bool:
    """Whether a module is the standard library's or an installed package's."""
    return str(getattr(module, "__file__", None)).startswith((_INSTALLED, sysconfig.get_path("stdlib")))


def surveyed(folders: Sequence[str]) -> Survey:
    """Run all tests in a process of their own. Raises SystemExit where they can't be run."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "survey"

        def work() -> bool:
            surveyor = Surveyor(folders)
            code = pytest.main([*OPTIONS, TESTS], plugins=[surveyor])
            result.write_bytes(pickle.dumps(surveyor.survey))
            return code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)

        _pid, status = os.waitpid(fork(work), 0)
        if status:
            raise SystemExit(f"{TESTS} can't be collected; run pytest to see why")
        survey: Survey = pickle.loads(result.read_bytes())  # noqa: S301 - written a moment ago, by this program
    for tests in (*survey.of_line.values(), *survey.of_file.values()):
        tests.difference_update(survey.failed)
    return survey


def importers_of(files: Iterable[str]) -> dict[str, set[str]]:
    """The files that import each of these files, at their top or anywhere in them."""
    known = [file for file in files if file.endswith(".py")]
    found: dict[str, set[str]] = {}
    for file in known:
        for name in _imported(ast.parse(Path(file).read_text())):
            ending = "/" + name.replace(".", "/")
            for other in known:
                if other.endswith((f"{ending}.py", f"{ending}/__init__.py")):
                    found.setdefault(other, set()).add(file)
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def fork(work: Callable[[], bool]) -> int:
    """The pid of a process that ends with 0 where `work` returns True. Silent, and in a group of its own."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        code = 0 if work() else 1
    finally:
        os._exit(code)
