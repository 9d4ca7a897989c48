"""The contract as a package: old enough for every training image, and alone in the world."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import contract

MODULES = sorted(Path(contract.__file__).parent.glob("*.py"))
# The oldest framework image's Python; its standard library's newer members that one reaches for without thinking.
OLDEST = (3, 8)
NEWER = {"removeprefix", "removesuffix", "pairwise", "batched", "UTC", "StrEnum", "slots", "kw_only", "strict"}
GENERIC = {"dict", "list", "tuple", "set", "frozenset", "type", "Mapping", "Sequence", "Iterable", "Iterator"}

each = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.stem))


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run: annotations don't, with `from __future__ import annotations`."""
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
        for inner in ast.walk(annotation)
    }
    return (node for node in ast.walk(tree) if id(node) not in annotations)


@each
def test_its_syntax_is_old(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=OLDEST)


@each
def test_it_imports_the_standard_library_and_itself(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None
            names = [node.module]
        for name in names:
            assert name.partition(".")[0] in {*sys.stdlib_module_names, "contract"}, name


@each
def test_it_runs_nothing_that_old_pythons_do_not_know(path: Path) -> None:
    text = path.read_text()
    if len(text.splitlines()) > 6:
        assert "from __future__ import annotations\n" in text, "types are written as today's Python has them"
    for node in executed(ast.parse(text)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in GENERIC, f"line {node.lineno}: {ast.unparse(node)} is evaluated"
        if isinstance(node, ast.Attribute):
            assert node.attr not in NEWER, f"line {node.lineno}: {node.attr}"
        if isinstance(node, ast.keyword):
            assert node.arg not in NEWER, f"line {node.value.lineno}: {node.arg}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            assert not isinstance(node.args[1], ast.BinOp), f"line {node.lineno}: isinstance with |"


@pytest.mark.parametrize("line", ["Document = dict[str, int]", "'a'.removeprefix('a')", "isinstance(1, int | float)"])
def test_what_is_too_new_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(f"{line}\n")
    with pytest.raises(AssertionError, match="line 1"):
        test_it_runs_nothing_that_old_pythons_do_not_know(tmp_path / "new.py")
