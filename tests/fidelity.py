"""`python -m tests.fidelity > docs/fidelity.md`: which behaviours of AWS the tests hold, and where AWS says so.

Read from the markers `@pytest.mark.fidelity(area, behaviour, source)` in the tests' syntax trees, so that the page
can't say more than is tested. No test is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

if __package__:  # run from the checkout's root; pytest puts this folder itself on the path
    sys.path.insert(0, str(Path(__file__).parent))

from deviations import DEVIATIONS, Deviation

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests/unit", "tests/local", "tests/synth")
MARKER = "fidelity"
HEADER = """\
# Fidelity: which behaviours of AWS are held by tests

Made by `python -m tests.fidelity > docs/fidelity.md`; not to be edited.

A row is a message, an event, a sequence of statuses or a limit of AWS that the embedded AWS has, the source by which
it is known, and the test that fails without it. The tests of `tests/local` ask a running server through boto3, so they
say what to ask another emulator too. DG is a service's developer guide, API its API reference, "botocore" the service
model that AWS publishes in it. What AWS has and the embedded AWS lacks is refused by name ([coverage](coverage.md));
where it differs on purpose stands under [Deviations, argued](#deviations-argued).
"""


class FidelityMarkerError(Exception):
    """A marker that the page can't be made from; says the file and the line, and what would be right."""


@dataclass(frozen=True)
class Behaviour:
    """A behaviour of AWS, as one marker says it. test: file::name."""

    area: str
    sentence: str
    source: str
    test: str


def collected(root: Path = ROOT) -> list[Behaviour]:
    """The behaviours of all tests, in the order of their files."""
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("test_*.py"))]
    return [found for path in files for found in marked(path.read_text("utf-8"), path.relative_to(root).as_posix())]


def marked(source: str, file: str) -> list[Behaviour]:
    """The behaviours of one file's tests."""
    if MARKER not in source:  # most files; parsing takes longest
        return []
    tree = ast.parse(source)
    held = {id(call): name for name, call in _on_tests(tree)}
    calls = [node for node in ast.walk(tree) if _is_marker(node)]
    used = {id(call.func) for call in calls if isinstance(call, ast.Call)}
    found = [_behaviour(call, held.get(id(call)), file) for call in calls if id(call) not in used]
    return [behaviour for _, behaviour in sorted(found, key=lambda pair: pair[0])]


def _on_tests(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield from ((node.name, decorator) for decorator in node.decorator_list)


def _is_marker(node: ast.AST) -> bool:
    named = node.func if isinstance(node, ast.Call) else node
    return isinstance(named, ast.Attribute) and ast.unparse(named) == f"pytest.mark.{MARKER}"


def _behaviour(node: ast.AST, test: str | None, file: str) -> tuple[int, Behaviour]:
    line = getattr(node, "lineno", 0)
    if test is None or not isinstance(node, ast.Call):
        raise _wrong(file, line, "it must decorate a test function of the module, and be called")
    if node.keywords or len(node.args) != len(("area", "behaviour", "source")):
        raise _wrong(file, line, "it takes three arguments: area, behaviour, source")
    area, sentence, source = (_text(argument, file, line) for argument in node.args)
    if not sentence.endswith("."):
        raise _wrong(file, line, "the behaviour is a sentence, and ends in a full stop")
    return line, Behaviour(area, sentence, source, f"{file}::{test}")


def _text(argument: ast.expr, file: str, line: int) -> str:
    value = argument.value if isinstance(argument, ast.Constant) else None
    if not isinstance(value, str) or not value.strip() or "\n" in value:
        raise _wrong(file, line, f"{ast.unparse(argument)} must be a literal text of one line that isn't empty")
    return value


def _wrong(file: str, line: int, reason: str) -> FidelityMarkerError:
    return FidelityMarkerError(f"{file}:{line}: pytest.mark.{MARKER}: {reason}")


def page(behaviours: Iterable[Behaviour], deviations: Iterable[Deviation]) -> str:
    """The text of docs/fidelity.md."""
    rows = sorted(behaviours, key=lambda each: each.area)  # stable: within an area as the files have them
    areas = [(area, list(found)) for area, found in groupby(rows, key=lambda each: each.area)]
    counts = [f"| [{area}](#{_anchor(area)}) | {len(found)} |" for area, found in areas]
    summary = ["| Area | Behaviours |", "|---|---|", *counts, f"| **all** | **{len(rows)}** |", ""]
    sections = [line for area, found in areas for line in _section(area, found)]
    return "\n".join([HEADER, *summary, *sections, *_deviations(deviations)])


def _section(area: str, behaviours: Iterable[Behaviour]) -> list[str]:
    rows = [f"| {_cell(each.sentence)} | {_cell(each.source)} | {_link(each.test)} |" for each in behaviours]
    return [f"## {area}", "", "| Behaviour | Source | Test |", "|---|---|---|", *rows, ""]


def _deviations(deviations: Iterable[Deviation]) -> list[str]:
    rows = [
        f"| {each.area} | {_cell(each.aws)} | {_cell(each.here)} | {_cell(each.why)} |"
        for each in sorted(deviations, key=lambda each: each.area)
    ]
    return ["## Deviations, argued", "", "| Area | AWS | Here | Why |", "|---|---|---|---|", *rows, ""]


def _anchor(area: str) -> str:
    return area.lower().replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{file.removeprefix('tests/')}::{name}](../{file})"


if __name__ == "__main__":
    sys.stdout.write(page(collected(), DEVIATIONS))
