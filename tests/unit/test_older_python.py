"""What is shipped into training jobs runs on Python 3.8, the oldest in a framework image that a pipeline may name.

Its syntax trees are searched for what is newer, and each Python of those images that this machine has imports it.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.framework_support import OLDEST_PYTHON

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for folder in ("contract", "training_code/toolkit") for path in (ROOT / folder).rglob("*.py"))

# "What's New In Python" 3.9 to 3.13: what the standard library didn't have.
NEWER_MODULES = {"tomllib", "compression", "annotationlib", "zoneinfo", "graphlib"}
NEWER_NAMES = {
    "builtins": {"aiter", "anext", "ExceptionGroup", "BaseExceptionGroup", "EncodingWarning"},
    "contextlib": {"aclosing", "chdir"},
    "dataclasses": {"KW_ONLY"},
    "datetime": {"UTC"},
    "ast": {"unparse"},
    "asyncio": {"to_thread"},
    "functools": {"cache"},
    "enum": {"StrEnum", "ReprEnum", "EnumCheck", "verify", "member", "nonmember", "global_enum"},
    "hashlib": {"file_digest"},
    "inspect": {"get_annotations", "getmembers_static", "markcoroutinefunction"},
    "itertools": {"pairwise", "batched"},
    "logging": {"getLevelNamesMapping", "getHandlerByName", "getHandlerNames"},
    "math": {"cbrt", "exp2", "sumprod", "fma", "lcm", "nextafter", "ulp"},
    "operator": {"call", "is_none", "is_not_none"},
    "os": {"EventFD", "process_cpu_count", "unshare", "setns"},
    "statistics": {"correlation", "covariance", "linear_regression", "fmean_weighted", "kde"},
    "sys": {"stdlib_module_names", "orig_argv", "exception", "activate_stack_trampoline"},
    "types": {"NoneType", "EllipsisType", "NotImplementedType", "UnionType", "get_original_bases"},
    "typing": {
        "Annotated",
        "Concatenate", "LiteralString", "Never", "NotRequired", "ParamSpec", "ParamSpecArgs", "ParamSpecKwargs",
        "ReadOnly", "Required", "Self", "TypeAlias", "TypeAliasType", "TypeGuard", "TypeIs", "TypeVarTuple", "Unpack",
        "assert_never", "assert_type", "clear_overloads", "dataclass_transform", "get_overloads", "is_typeddict",
        "override", "reveal_type",
    },
}  # fmt: skip
NEWER_METHODS = {
    "removeprefix", "removesuffix", "is_relative_to", "with_stem", "readlink", "randbytes",
    "add_note", "bit_count", "hardlink_to", "is_junction", "walk_up", "full_match", "with_segments",
}  # fmt: skip
# Types that are subscripted in annotations alone: `dict[str, int]` as a value needs 3.9.
GENERICS = {
    "dict", "list", "tuple", "set", "frozenset", "type", "deque", "defaultdict", "OrderedDict", "Counter", "Callable",
    "Mapping", "MutableMapping", "Sequence", "Iterable", "Iterator", "Generator", "Collection", "Pattern", "Match",
    "CompletedProcess", "Popen", "partial", "Queue", "PathLike",
}  # fmt: skip
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
    """What of a file needs a newer Python than 3.8, each with its line. Raises SyntaxError for its grammar."""
    tree = ast.parse(source, feature_version=(3, 8))
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
    if isinstance(node, ast.Subscript) and _name(node.value) in GENERICS and not _of_typing(node.value):
        yield f"a generic type that is no annotation: {ast.unparse(node)}"
    if isinstance(node, ast.Subscript) and any(_is_union(part) for part in ast.walk(node.slice)):
        yield f"a union of types that is no annotation: {ast.unparse(node)}"


def _newer_call(node: ast.Call) -> Iterator[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    given = {keyword.arg for keyword in node.keywords}
    yield from (f"{name}({argument}=)" for argument in sorted(NEWER_ARGUMENTS.get(name, set()) & given))
    if name in {"isinstance", "issubclass", "cast", "TypeVar"} and any(_is_union(part) for part in node.args):
        yield f"a union of types that is no annotation: {ast.unparse(node)}"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _of_typing(node: ast.expr) -> bool:
    """Whether it is `typing.Callable`, which can be subscripted; that of collections.abc can't."""
    return isinstance(node, ast.Attribute) and _name(node.value) == "typing"


def _is_union(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_runs_on_python_3_8(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert newer(source) == []
    annotated = any(isinstance(node, ast.arg | ast.AnnAssign) for node in ast.walk(ast.parse(source)))
    assert not annotated or "from __future__ import annotations" in source, "annotations would be evaluated"


@pytest.mark.parametrize(
    "source",
    [
        "'a'.removeprefix('b')",
        "from functools import cache",
        "Rows = dict[str, int]",
        "Reader = Callable[[int], bytes]",
        "class Rows(Sequence[int]): pass",
        "import zoneinfo",
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


@pytest.mark.parametrize(
    "source",
    [
        "match x:\n  case 1: pass",
        "with (open(a) as b, open(c) as d): pass",
        "try:\n  pass\nexcept* ValueError:\n  pass",
    ],
)
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
        "x: dict[str, int] = {}",
        "Rows = Dict[str, int]",
        "if TYPE_CHECKING:\n    Rows = dict[str, int]",
        "rows['dict']",
        "zip(a, b)",
    ],
)
def test_leaves_the_rest(source: str) -> None:
    assert newer(source) == []


SUPPORT = json.loads((ROOT / "infra" / "framework_support.json").read_text())
IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name.partition(".")[0] in ("toolkit", "contract"):
            raise  # a framework isn't there; ours are
"""


def modules() -> list[str]:
    """The names of what is shipped, as jobs import it; those that are programs alone start when they are imported."""
    found = [path.relative_to(ROOT).with_suffix("").parts for path in SHIPPED if path.name != "__main__.py"]
    named = [parts[1:] if parts[0] == "training_code" else parts for parts in found]
    return [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in named]


def interpreters() -> dict[str, str]:
    """The Pythons of accepted images that this machine has, of pyenv or on the path, by version."""
    versions = {version for pythons in SUPPORT["pythons"].values() for version in pythons.values()}
    fit = [version for version in versions if int(version.partition(".")[2]) >= OLDEST_PYTHON[1]]
    pyenv = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    found = {}
    for version in sorted(fit, key=lambda text: int(text.partition(".")[2])):
        of_pyenv = sorted(str(path) for path in pyenv.glob(f"{version}.*/bin/python"))
        on_path = [path for path in [shutil.which(f"python{version}")] if path and "shims" not in path]
        if candidates := of_pyenv + on_path:
            found[version] = candidates[0]
    return found


@pytest.mark.parametrize("version", interpreters())
def test_every_module_is_imported_by_the_pythons_of_the_images(version: str) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "training_code")])
    done = subprocess.run(
        [interpreters()[version], "-B", "-c", IMPORTS, *modules()],
        env={"PYTHONPATH": paths, "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
