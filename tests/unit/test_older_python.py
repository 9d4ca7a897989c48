"""What is shipped into training jobs runs on Python 3.9, which older framework images have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for folder in ("contract", "training_code/toolkit") for path in (ROOT / folder).rglob("*.py"))

# "What's New In Python" 3.10 to 3.13: what the standard library didn't have.
NEWER_MODULES = {"tomllib", "compression", "annotationlib"}
NEWER_NAMES = {
    "builtins": {"aiter", "anext", "ExceptionGroup", "BaseExceptionGroup", "EncodingWarning"},
    "contextlib": {"aclosing", "chdir"},
    "dataclasses": {"KW_ONLY"},
    "datetime": {"UTC"},
    "enum": {"StrEnum", "ReprEnum", "EnumCheck", "verify", "member", "nonmember", "global_enum"},
    "hashlib": {"file_digest"},
    "inspect": {"get_annotations", "getmembers_static", "markcoroutinefunction"},
    "itertools": {"pairwise", "batched"},
    "logging": {"getLevelNamesMapping", "getHandlerByName", "getHandlerNames"},
    "math": {"cbrt", "exp2", "sumprod", "fma"},
    "operator": {"call", "is_none", "is_not_none"},
    "os": {"EventFD", "process_cpu_count", "unshare", "setns"},
    "statistics": {"correlation", "covariance", "linear_regression", "fmean_weighted", "kde"},
    "sys": {"stdlib_module_names", "orig_argv", "exception", "activate_stack_trampoline"},
    "types": {"NoneType", "EllipsisType", "NotImplementedType", "UnionType", "get_original_bases"},
    "typing": {
        "Concatenate", "LiteralString", "Never", "NotRequired", "ParamSpec", "ParamSpecArgs", "ParamSpecKwargs",
        "ReadOnly", "Required", "Self", "TypeAlias", "TypeAliasType", "TypeGuard", "TypeIs", "TypeVarTuple", "Unpack",
        "assert_never", "assert_type", "clear_overloads", "dataclass_transform", "get_overloads", "is_typeddict",
        "override", "reveal_type",
    },
}  # fmt: skip
NEWER_METHODS = {"add_note", "bit_count", "hardlink_to", "is_junction", "walk_up", "full_match", "with_segments"}
# Arguments, by the function or method that took them later.
NEWER_ARGUMENTS = {
    "zip": {"strict"},
    "map": {"strict"},
    "dataclass": {"slots", "kw_only", "weakref_slot"},
    "field": {"kw_only"},
    "glob": {"root_dir", "dir_fd", "case_sensitive", "include_hidden"},
    "rmtree": {"onexc", "dir_fd"},
    "write_text": {"newline"},
    "read_text": {"newline"},
    "exists": {"follow_symlinks"},
    "stat": {"follow_symlinks"},
    "relative_to": {"walk_up"},
    "bisect": {"key"}, "bisect_left": {"key"}, "bisect_right": {"key"}, "insort": {"key"},
    "Popen": {"process_group", "pipesize"}, "run": {"process_group", "pipesize"},
    "TemporaryDirectory": {"delete"}, "NamedTemporaryFile": {"delete_on_close"},
}  # fmt: skip


def newer(source: str) -> list[str]:
    """What of a file needs a newer Python than 3.9, each with its line. Raises SyntaxError for its grammar."""
    tree = ast.parse(source, feature_version=(3, 9))
    return [f"line {node.lineno}: {what}" for node in _run(tree) for what in _newer(node)]


def _run(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The nodes that run: neither annotations, which stay text, nor what is for type checkers alone."""
    for name, value in ast.iter_fields(tree):
        checked_only = name == "body" and isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING"
        if checked_only or name in {"annotation", "returns"}:
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.expr | ast.stmt):
                yield part
            if isinstance(part, ast.AST):
                yield from _run(part)


def _newer(node: ast.expr | ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names} & NEWER_NAMES.get(node.module or "", set())
        yield from (f"{node.module}.{name}" for name in sorted(names))
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    yield from (module for module in modules if module.partition(".")[0] in NEWER_MODULES)
    if isinstance(node, ast.Attribute):
        where = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr in NEWER_METHODS or node.attr in NEWER_NAMES.get(where, ()):
            yield f"{ast.unparse(node)}"
    if isinstance(node, ast.Name) and node.id in NEWER_NAMES["builtins"]:
        yield node.id
    if isinstance(node, ast.Call):
        yield from _newer_call(node)
    if isinstance(node, ast.Subscript) and any(_is_union(part) for part in ast.walk(node.slice)):
        yield f"a union of types that is no annotation: {ast.unparse(node)}"


def _newer_call(node: ast.Call) -> Iterator[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    given = {keyword.arg for keyword in node.keywords}
    yield from (f"{name}({argument}=)" for argument in sorted(NEWER_ARGUMENTS.get(name, set()) & given))
    if name in {"isinstance", "issubclass", "cast", "TypeVar"} and any(_is_union(part) for part in node.args):
        yield f"a union of types that is no annotation: {ast.unparse(node)}"


def _is_union(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_runs_on_python_3_9(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert newer(source) == []
    annotated = any(isinstance(node, ast.arg | ast.AnnAssign) for node in ast.walk(ast.parse(source)))
    assert not annotated or "from __future__ import annotations" in source, "annotations would be evaluated"


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC",
        "import datetime\ndatetime.UTC",
        "zip(a, b, strict=True)",
        "isinstance(x, int | float)",
        "issubclass(x, A | B)",
        "Rows = dict[str, int | None]",
        "from itertools import pairwise",
        "from typing import ParamSpec",
        "import tomllib",
        "@dataclass(frozen=True, slots=True)\nclass A: pass",
        "n.bit_count()",
        "raise ExceptionGroup('', [])",
    ],
)
def test_finds_what_is_newer(source: str) -> None:
    assert newer(source)


@pytest.mark.parametrize("source", ["match x:\n  case 1: pass", "try:\n  pass\nexcept* ValueError:\n  pass"])
def test_finds_newer_grammar(source: str) -> None:
    with pytest.raises(SyntaxError):
        newer(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x: int | None) -> dict[str, int | None]: ...",
        "if TYPE_CHECKING:\n    from typing import ParamSpec",
        "both = {1} | {2}",
        "x: int | None = None",
        "zip(a, b)",
    ],
)
def test_leaves_the_rest(source: str) -> None:
    assert newer(source) == []
