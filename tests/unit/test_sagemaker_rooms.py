"""The rooms of the embedded SageMaker: who may know whom, and that a kind of job is what botocore says of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import localaws.sagemaker
from localaws.sagemaker.core.validation import service_model
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.kinds import KINDS

PACKAGE = "localaws.sagemaker"
ROOT = Path(localaws.sagemaker.__file__).parent
# A room, and the rooms that it may import; `context`, `search` and `service` are modules of their own above them.
MAY_KNOW = {
    "core": set(),
    "containers": {"core"},
    "registry": {"core", "context"},
    "hosting": {"core", "containers", "registry", "context"},
    "tuning": {"core", "containers"},
    "jobs": {"core", "containers", "hosting", "debugger", "tuning", "context"},
    "debugger": {"core", "containers", "jobs", "context"},
    "context": {"core", "containers", "jobs", "tuning"},
    "search": {"core", "registry", "jobs", "context"},
    "service": {"core", "containers", "registry", "hosting", "tuning", "jobs", "debugger", "context", "search"},
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name after the package's."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The package's own modules that a module imports: lazily, for type checking and by relative names too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        if node.level:
            module = f"{PACKAGE}.{name.rpartition('.')[0]}.{module}".rstrip(".")
        if module == PACKAGE or module.startswith(f"{PACKAGE}."):
            inside = module.removeprefix(PACKAGE).lstrip(".")
            named = {f"{inside}.{alias.name}".lstrip(".") for alias in node.names}
            found |= {item if item in known else inside for item in named}
    return found - {name}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: imports_of(name, path, known) for name, path in known.items()}


def test_a_room_knows_only_the_rooms_below_it(graph: dict[str, set[str]]) -> None:
    for name, imported in graph.items():
        room = name.partition(".")[0]
        if room:
            others = {other.partition(".")[0] for other in imported} - {room}
            assert others <= MAY_KNOW[room], f"{name} imports from {sorted(others - MAY_KNOW[room])}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource_type)
def test_a_kind_of_job_has_the_names_that_aws_gives_it(kind: JobKind) -> None:
    operations = {name: service_model().operation_model(name) for name in kind.operations}
    assert {kind.create, kind.describe, kind.stop} <= set(operations)
    assert kind.name in operations[kind.create].input_shape.members
    described = operations[kind.describe].output_shape.members
    assert {kind.name, kind.arn, kind.status, kind.end_time, "FailureReason"} <= set(described)
    assert kind.has_secondary_status == ("SecondaryStatus" in described)
    listed = operations[f"List{kind.stem}s"].output_shape.members[f"{kind.stem}Summaries"].member.members
    assert set(kind.summary) <= set(listed)
