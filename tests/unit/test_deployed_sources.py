"""A stack is deployed again when a file has changed that its template is made from, and for no other change.

Those files are found here by what app.py imports and which paths its modules compose, not by the list under test.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet import deploying
from ratchet.project import Project

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "training_code"
PIPELINES = ("shared", "digits-forest", "prune-cnn")


def modules(start: Path) -> set[Path]:
    """A module and all those of this checkout that it imports, at whatever depth."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in imported(path) for file in files_of(name)]
    return found


def imported(path: Path) -> Iterator[str]:
    """`import a.b` is a.b; `from a import b` is a and perhaps a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def files_of(name: str) -> Iterator[Path]:
    """The file of a module, and of each package around it."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:length])
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def read_or_packed(path: Path) -> Iterator[Path]:
    """The files and folders of the checkout that a module names: `folder / "name"`, or `package.__file__`."""
    around = [folder for folder in path.parents if folder.is_relative_to(ROOT)]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            places = (folder / str(node.right.value) for folder in (*around, MODELS))
            yield from (place for place in places if place.exists() and place != MODELS)
        elif isinstance(node, ast.Attribute) and node.attr == "__file__" and isinstance(node.value, ast.Name):
            package = ROOT / node.value.id
            yield from (place for place in (package,) if place.is_dir())


def is_code(path: Path) -> bool:
    return path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts


def depended_on() -> set[Path]:
    """The files that every template depends on."""
    found = modules(ROOT / "app.py")
    for place in [place for module in found for place in read_or_packed(module)]:
        found |= {place} if place.is_file() else {path for path in place.rglob("*") if is_code(path)}
    return found


def test_the_search_finds_code_data_and_what_is_packed() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in depended_on()}
    assert {
        "app.py",
        "infra/pipeline_stack.py",
        "infra/framework_images.json",
        "ratchet/spec/rules.py",
        "ratchet/spec/rules.json",
        "contract/causes.py",
        "lambdas/recorder/handler.py",
        "training_code/toolkit/rules/table.py",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "localaws/", "ratchet/commands"))]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_file_that_a_template_depends_on_is_hashed(pipeline: str) -> None:
    project = Project(ROOT, ROOT / ".ratchet")
    hashed = set(deploying.sources(project, pipeline))
    needed = depended_on() | {ROOT / "cdk.json", ROOT / "requirements" / "main.txt"}
    if pipeline != "shared":
        needed |= {path for path in project.pipelines[pipeline].rglob("*") if is_code(path)}
    forgotten = sorted(path.relative_to(ROOT).as_posix() for path in needed - hashed)
    assert not forgotten


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the checkout that a test may change."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("contract", "infra", "lambdas", "ratchet", "requirements", "training_code"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "cdk.json"):
        shutil.copy(ROOT / name, root / name)
    return Project(root, root / ".ratchet")


@pytest.mark.parametrize(
    "file",
    [
        "app.py",
        "cdk.json",
        "requirements/main.txt",
        "contract/names.py",
        "infra/framework_images.json",
        "infra/workflow/machine.py",
        "lambdas/gate/handler.py",
        "ratchet/spec/rules.json",
        "ratchet/spec/train_spot.py",
        "training_code/toolkit/probe/__init__.py",
        "training_code/iris_tree/pipeline.yaml",
        "training_code/iris_tree/train.py",
    ],
)
def test_a_change_of_a_source_changes_the_hash(checkout: Project, file: str) -> None:
    before = deploying.source_hash(checkout, "iris-tree")
    with (checkout.root / file).open("a") as source:
        source.write("\n")
    assert deploying.source_hash(checkout, "iris-tree") != before


@pytest.mark.parametrize(
    "file",
    [
        "README.md",
        "infra/README.md",
        "infra/__pycache__/app.pyc",
        "ratchet/report.py",
        "ratchet/commands/doctor.py",
        "tests/unit/test_cli.py",
        "training_code/digits_forest/train.py",
        "training_code/iris_tree/README.md",
        "training_code/iris_tree/.DS_Store",
        "training_code/iris_tree/sample/train/a.csv",
        "training_code/iris_tree/tests/test_train.py",
    ],
)
def test_a_change_of_anything_else_does_not(checkout: Project, file: str) -> None:
    before = deploying.source_hash(checkout, "iris-tree")
    path = checkout.root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# other\n")
    assert deploying.source_hash(checkout, "iris-tree") == before
