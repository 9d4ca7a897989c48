"""Which room may import which: the arrows of the house, and no circles. An import within a function, or for the type
checker only, counts like any other.

    app.py ──> infra ──> ratchet.spec, contract        lambdas/<function> ──> lambdas/common, boto3, contract
    ratchet ──> ratchet.spec, contract                 training_code/<model> ──> toolkit ──> contract
    localaws ──> ministack, boto3
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contract", "infra", "lambdas", "localaws", "ratchet", "training_code")
# On the import path where their code runs, so that what is in them is imported by its own name.
IMPORTED_FROM = ("lambdas", "training_code")
# A user's project, copied by `ratchet new`.
NOT_OURS = ROOT / "ratchet" / "templates"

ARROWS: Mapping[str, frozenset[str]] = {
    "app": frozenset({"infra", "ratchet.spec", "contract"}),  # it tells what is wrong in a pipeline.yaml
    "infra": frozenset({"ratchet.spec", "contract"}),
    "lambdas": frozenset({"lambdas.common", "contract"}),
    "lambdas.common": frozenset({"contract"}),
    "ratchet": frozenset({"ratchet.spec", "contract"}),
    "ratchet.spec": frozenset({"contract"}),
    "localaws": frozenset(),
    "toolkit": frozenset({"contract"}),
    "model": frozenset({"toolkit"}),
    "contract": frozenset(),
}
# (importing module, imported module) -> why.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    (
        "ratchet.commands.embedded_aws",
        "localaws.supervisor",
    ): "`up`, `down` and `env` start, stop and find the embedded AWS",
}
# Rooms of which even the packages from outside are named.
OUTSIDE: Mapping[str, frozenset[str]] = {
    "contract": frozenset(),
    "lambdas": frozenset({"boto3", "botocore"}),
    "lambdas.common": frozenset({"boto3", "botocore"}),
}


@dataclass(frozen=True)
class Import:
    """One import of a module; `imported` is the module itself where it is one of ours, else as it stands."""

    importer: str
    imported: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.importer} imports {self.imported}"


@cache
def modules() -> dict[str, Path]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if NOT_OURS not in path.parents]
    return {"app": ROOT / "app.py", **{name_of(path): path for path in files}}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] in IMPORTED_FROM else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """The room of one of our modules: the longest name in ARROWS that it is in."""
    folder = modules()[name].relative_to(ROOT).parts[0]
    if folder == "lambdas":
        return "lambdas.common" if name.split(".", maxsplit=1)[0] == "common" else "lambdas"
    if folder == "training_code":
        return "toolkit" if name.split(".", maxsplit=1)[0] == "toolkit" else "model"
    return max((room for room in ARROWS if f"{name}.".startswith(f"{room}.")), key=len)


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name in modules() for found in imports_of(name))


def imports_of(name: str) -> Iterator[Import]:
    path = modules()[name]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for imported in imported_by(node, name):
                yield Import(name, imported, f"{path.relative_to(ROOT)}:{node.lineno}")


def imported_by(node: ast.Import | ast.ImportFrom, importer: str) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield resolved(alias.name, importer)
        else:
            source = ".".join(filter(None, [package_of(importer, node.level), node.module]))
            whole = resolved(f"{source}.{alias.name}", importer)
            yield whole if whole in modules() else resolved(source, importer)


def package_of(importer: str, level: int) -> str:
    """The package that a relative import of this level starts from; nothing for an absolute one."""
    is_package = modules()[importer].name == "__init__.py"
    parts = importer.split(".")
    return ".".join(parts[: len(parts) - level + is_package]) if level else ""


def resolved(name: str, importer: str) -> str:
    """A model's scripts import each other by their own names, since their folder is the one that they run in."""
    beside = f"{importer.rpartition('.')[0]}.{name}"
    is_model = modules()[importer].relative_to(ROOT).parts[0] == "training_code" and room_of(importer) == "model"
    return beside if is_model and beside in modules() else name


def ours() -> list[Import]:
    return [each for each in imports() if each.imported in modules()]


def circles(edges: Iterable[Import]) -> list[set[str]]:
    """The sets of modules that import each other, directly or through others."""
    graph: dict[str, set[str]] = {}
    for edge in edges:
        graph.setdefault(edge.importer, set()).add(edge.imported)
    reached = {name: reachable(name, graph) for name in graph}
    found = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in graph if a in reached[a]}
    return [set(circle) for circle in found]


def reachable(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def told(what: str, found: Iterable[Import]) -> str:
    rooms = {
        each: f"{room_of(each.importer)} → {room_of(each.imported)}" for each in found if each.imported in modules()
    }
    return "\n".join(dict.fromkeys([what, *(f"{each} ({rooms.get(each, 'from outside')})" for each in found)]))


def test_no_circle() -> None:
    edges = [each for each in ours() if each.importer != each.imported]
    found = [
        str(each) for circle in circles(edges) for each in edges if each.importer in circle and each.imported in circle
    ]
    assert not found, "\n".join(["modules import each other in a circle:", *found])


def is_allowed(each: Import) -> bool:
    room, other = room_of(each.importer), room_of(each.imported)
    if room in ("lambdas", "model") and other == room:
        # A function is deployed, and a model is trained, without the others.
        return each.importer.split(".")[0] == each.imported.split(".")[0]
    return other == room or other in ARROWS[room] or (each.importer, each.imported) in EXCEPTIONS


def test_every_import_goes_along_an_arrow() -> None:
    found = [each for each in ours() if not is_allowed(each)]
    assert not found, told("imports against the arrows:", found)


def test_every_exception_is_needed() -> None:
    assert EXCEPTIONS.keys() <= {(each.importer, each.imported) for each in ours()}


@pytest.mark.parametrize("room", OUTSIDE)
def test_what_is_deployed_without_its_packages_imports_none(room: str) -> None:
    known = OUTSIDE[room] | sys.stdlib_module_names
    found = [
        str(each)
        for each in imports()
        if each.imported not in modules()
        and room_of(each.importer) == room
        and each.imported.split(".")[0] not in known
    ]
    assert not found, "\n".join([f"imports of {room} that are not there when it runs:", *found])


def test_the_workflow_is_made_without_aws_cdk() -> None:
    graph: dict[str, set[str]] = {}
    for each in imports():
        graph.setdefault(each.importer, set()).add(each.imported)
    workflow = [name for name in modules() if name.startswith("infra.workflow.")]
    needed = set(workflow).union(*(reachable(name, graph) for name in workflow))
    found = [each for each in imports() if each.importer in needed and each.imported.split(".")[0] == "aws_cdk"]
    assert not found, told("infra.workflow needs aws_cdk, by:", found)


def test_a_circle_is_found_whatever_its_length() -> None:
    edges = [Import(a, b, "f.py:1") for a, b in ("ab", "bc", "ca", "cd", "ee")]
    assert sorted(map(sorted, circles(edges))) == [["a", "b", "c"], ["e"]]
