"""Mutation testing: which small changes of the code do the unit tests notice?

    python bench/mutants.py [PACKAGE ...] [--sample N] [--seed S] [--jobs J] [--seconds T] [--json]

From the checkout's root. A mutant is one change of one comparison, boolean, arithmetic operator or constant of a
package (a folder); it is killed when a unit test fails on it. Texts with a space in them (messages, queries),
docstrings, annotations and decorators are left as they are. Survivors are listed as `file:line: what was changed`.

Nothing in the checkout is written. The tests run once, traced, for the lines that each of them runs. Then every mutant
is a forked process, which imports the package with the one file changed by an import hook, and runs only the tests that
run the changed statement, the quickest first, until one fails. The parent has imported everything that is not of this
checkout, so that a mutant takes a fraction of a second.

Not mutmut 3, which works alike: it changes functions only, so that no constant of a module or a class is tried, needs
modules to be named as their files are (`lambdas/common` is imported as `common`), writes a copy of the checkout into
itself, and has no choice of kinds. cosmic-ray changes files in place and starts the tests anew for each mutant.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder's modules must not stand for Python's own of the same name (platform).
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import ast
import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import pytest
from hypothesis import settings

from bench.mutations import Site, changes
from bench.survey import OPTIONS, PROFILE, Survey, fork, importers_of, surveyed

DEFAULT_PACKAGES = ("contract", "infra/workflow", "lambdas", "localaws/states")
# A mutant's time limit: some seconds for imports, and this many times what its tests took under the tracer. Wide, since
# other work on the machine must kill no mutant.
SECONDS, PATIENCE = 20.0, 10.0
# Importing these starts processes or threads, which a fork doesn't survive.
NOT_PRELOADED = ("jsii", "aws_cdk", "constructs", "cdk_nag", "xdist", "execnet", "_pytest", "pytest")


@dataclass(frozen=True)
class Mutant:
    """A change of one file: the `index`th of those that `changes` finds in it."""

    package: str
    path: Path
    index: int
    site: Site

    def __str__(self) -> str:
        return f"{self.path}:{self.site.line}: {self.site.what}"


def mutants(package: str) -> list[Mutant]:
    """Every mutant of the Python files in a folder."""
    return [
        Mutant(package, path, index, site)
        for path in sorted(Path(package).rglob("*.py"))
        for index, (site, _change) in enumerate(changes(ast.parse(path.read_text())))
    ]


def mutated(mutant: Mutant) -> CodeType:
    """The compiled module with the change in it."""
    tree = ast.parse(mutant.path.read_text())
    _site, change = list(changes(tree))[mutant.index]
    change()
    return compile(ast.fix_missing_locations(tree), str(mutant.path.resolve()), "exec")


def tests_of(mutant: Mutant, survey: Survey, importers: Mapping[str, set[str]]) -> list[str]:
    """The tests that run the mutant's statement, the quickest first.

    What a module does at its import is run by every test; those are taken that run a function of the module, or of a
    module that imports it.
    """
    path = str(mutant.path.resolve())
    if mutant.site.at_import:
        sets = [survey.of_file.get(file, set()) for file in (path, *importers.get(path, ()))]
    else:
        lines = range(mutant.site.first, mutant.site.last + 1)
        sets = [survey.of_line.get((path, line), set()) for line in lines]
    return sorted(set().union(*sets), key=survey.seconds.__getitem__)


# --- the mutants' processes ---


class Mutated(importlib.abc.MetaPathFinder):
    """An import hook that finds one file changed."""

    def __init__(self, path: Path, code: CodeType) -> None:
        self._path = str(path.resolve())
        self._code = code

    def find_spec(self, name: str, path: Sequence[str] | None, _target: object = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.origin != self._path:
            return None
        loader = importlib.machinery.SourceFileLoader(name, self._path)
        loader.get_code = lambda _name: self._code  # type: ignore[method-assign, assignment, misc]
        spec.loader = loader
        return spec


class Only:
    """A pytest plugin that keeps only these tests, in their order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: index for index, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(kept, key=lambda item: self._order[item.nodeid])


def pass_on(tests: Sequence[str], mutant: Mutant | None) -> bool:
    """Whether all of these tests pass on a mutant (on the code as it is, without one); for a forked process."""
    if mutant is not None:
        sys.meta_path.insert(0, Mutated(mutant.path, mutated(mutant)))
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    code = pytest.main([*OPTIONS, "-x", *files], plugins=[Only(tests)])
    # A mutant that renames tests (by their parameters) leaves none: nothing has noticed it.
    return code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def preload(modules: Iterable[str]) -> None:
    """Import what the tests import and isn't of this checkout, once for all mutants."""
    wanted = [name for name in modules if not name.startswith(NOT_PRELOADED)]
    with warnings.catch_warnings(action="ignore"):
        for name in wanted:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.freeze()


class Trials:
    """Tries mutants, `jobs` at a time; `tell` hears of each whether it was killed. A time limit kills, too."""

    def __init__(
        self,
        survey: Survey,
        importers: Mapping[str, set[str]],
        tell: Callable[[Mutant, bool], None],
        *,
        jobs: int,
        seconds: float,
    ) -> None:
        self._survey = survey
        self._importers = importers
        self._jobs = jobs
        self._seconds = seconds
        self._tell = tell
        self._running: dict[int, tuple[Mutant, float]] = {}

    def run(self, chosen: Iterable[Mutant]) -> None:
        for mutant in chosen:
            while len(self._running) >= self._jobs:
                self._look()
            self._start(mutant)
        while self._running:
            self._look()

    def _start(self, mutant: Mutant) -> None:
        tests = tests_of(mutant, self._survey, self._importers)
        if not tests:
            self._tell(mutant, False)
            return
        seconds = self._seconds + PATIENCE * sum(self._survey.seconds[test] for test in tests)
        pid = fork(lambda: pass_on(tests, mutant))
        self._running[pid] = (mutant, time.monotonic() + seconds)

    def _look(self) -> None:
        """Tell of the processes that have ended, and end those whose time is over."""
        time.sleep(0.002)
        for pid, (mutant, deadline) in list(self._running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and time.monotonic() < deadline:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # and what the tests have started
            if not ended:
                os.waitpid(pid, 0)
            del self._running[pid]
            self._tell(mutant, not ended or status != 0)


# --- the command ---


def sampled(found: Sequence[Mutant], size: int | None, seed: int) -> list[Mutant]:
    """All mutants, or `size` of them at random, in their order."""
    if size is None or size >= len(found):
        return list(found)
    return [found[index] for index in sorted(random.Random(seed).sample(range(len(found)), size))]  # noqa: S311


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    settings.register_profile(PROFILE, deadline=None, derandomize=True, database=None)
    packages = options.packages or [name for name in DEFAULT_PACKAGES if Path(name).is_dir()]
    chosen = {name: sampled(mutants(name), options.sample, options.seed) for name in packages}
    with tempfile.TemporaryDirectory() as folder:
        # Compiled once for all mutants, and not into the checkout.
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        survivors = tried(chosen, options)
    figures = {name: _figures(chosen[name], survivors) for name in packages}
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, figure in figures.items():
            print(f"{name}: {figure['killed']} of {figure['mutants']} killed, {figure['score']:.1%}")
    return 0


def tried(chosen: Mapping[str, Sequence[Mutant]], options: argparse.Namespace) -> set[Mutant]:
    """The mutants that survive their trial, told as they are found."""
    survey = surveyed(list(chosen))
    if survey.failed:
        print(f"left out, as they fail without a mutant: {', '.join(sorted(survey.failed))}", file=sys.stderr)
    preload(survey.modules)
    _check_unchanged(sorted(set().union(*survey.of_line.values())))
    survivors: set[Mutant] = set()

    def tell(mutant: Mutant, killed: bool) -> None:
        if killed:
            return
        survivors.add(mutant)
        if not options.json:
            print(mutant, flush=True)

    files = {str(path.resolve()) for name in chosen for path in Path(name).rglob("*.py")}
    importers = importers_of(files | survey.of_file.keys())
    trials = Trials(survey, importers, tell, jobs=options.jobs, seconds=options.seconds)
    trials.run(mutant for found in chosen.values() for mutant in found)
    return survivors


def _figures(tried: Sequence[Mutant], survivors: set[Mutant]) -> dict[str, Any]:
    alive = [str(mutant) for mutant in tried if mutant in survivors]
    score = 1 - len(alive) / (len(tried) or 1)
    return {"killed": len(tried) - len(alive), "mutants": len(tried), "score": score, "survivors": alive}


def _check_unchanged(tests: Sequence[str]) -> None:
    """The tests must pass in a forked process as mutants are tried in, too."""
    _pid, status = os.waitpid(fork(lambda: pass_on(tests, None)), 0)
    if status:
        raise SystemExit("without a mutant, the tests fail when they run in a forked process or in another order")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which small changes of the code do the unit tests notice?")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"default: {', '.join(DEFAULT_PACKAGES)}")
    parser.add_argument("--sample", type=int, metavar="N", help="try N mutants a package, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time; default: the cores")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit of a mutant, beyond its tests' own")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
