"""Code of the model's folder that a pipeline.yaml names, as `<module>.<name>`: looked at, never run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ratchet.spec.errors import nearest

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
# Truths and answers.
METRIC_ARGUMENTS = 2

Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_dotted(name: str) -> bool:
    """Whether a name is of the form `<module>.<name>`."""
    return bool(_DOTTED.fullmatch(name))


def check_class(dotted: str, folder: Path) -> str | None:
    """The end of a sentence about a module or class that isn't there; None where it is."""
    found = _module(dotted, folder)
    if isinstance(found, str):
        return found
    name = dotted.rpartition(".")[2]
    classes = [node.name for node in found.body if isinstance(node, ast.ClassDef)]
    return None if name in classes else _missing(dotted, "class", classes)


def check_metric(dotted: str, folder: Path) -> str | None:
    """The end of a sentence about a function that isn't there or can't be called as a metric is; None where it can."""
    found = find_function(dotted, folder)
    return found if found is None or isinstance(found, str) else _uncallable(dotted, found)


def find_function(dotted: str, folder: Path) -> Function | str | None:
    """A function of the folder's, or the end of a sentence where it isn't there; None for one that is imported, or made
    by a call: what it takes is known when it is called."""
    first = dotted.partition(".")[0]
    if first in sys.stdlib_module_names:
        return f"is {dotted!r}, but {first} is a module of Python's own; give yours another name"
    found = _module(dotted, folder)
    if isinstance(found, str):
        return found
    name = dotted.rpartition(".")[2]
    statements = list(_statements(found.body))
    functions = {node.name: node for node in statements if isinstance(node, Function)}
    if name in functions:
        return functions[name]
    return None if {name, "*"} & _assigned(statements) else _missing(dotted, "function", list(functions))


def names_of(file: str, folder: Path) -> Mapping[str, Function | None] | str:
    """What a file of the folder defines as functions, and (None) what else it imports or assigns ("*": all that another
    module has); nothing without that file; the end of a sentence where it can't be read."""
    if not (folder / file).is_file():
        return {}
    found = _parsed(file, folder)
    if isinstance(found, str):
        return found
    statements = list(_statements(found.body))
    functions = {node.name: node for node in statements if isinstance(node, Function)}
    return {**dict.fromkeys(_assigned(statements)), **functions}


def path_of(dotted: str) -> Path:
    """The file in which a module's function or class is, below the folder."""
    return Path(*dotted.split(".")[:-1]).with_suffix(".py")


def _module(dotted: str, folder: Path) -> ast.Module | str:
    path = path_of(dotted)
    if not (folder / path).is_file():
        return f"is {dotted!r}, but there is no {path} in {folder}"
    found = _parsed(str(path), folder)
    return f"is {dotted!r}, but {found}" if isinstance(found, str) else found


def _parsed(file: str, folder: Path) -> ast.Module | str:
    try:
        return ast.parse((folder / file).read_text(encoding="utf-8"), filename=file)
    except (SyntaxError, ValueError) as error:
        return f"{file} can't be read: {error}"


def _missing(dotted: str, kind: str, there: list[str]) -> str:
    name = dotted.rpartition(".")[2]
    known = nearest(name, there) if there else ""
    return f"is {dotted!r}, but {path_of(dotted)} has no {kind} {name}{known}"


def _uncallable(dotted: str, function: Function) -> str | None:
    where = f"is {dotted!r}, but {path_of(dotted)}:{function.lineno}"
    if isinstance(function, ast.AsyncFunctionDef):
        return f"{where} is async; a metric is a plain function of truths and answers"
    if function.decorator_list:
        return None  # they may change what it takes
    given = function.args
    names = [entry.arg for entry in (*given.posonlyargs, *given.args)]
    named = [entry.arg for entry, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    least, most = len(names) - len(given.defaults), len(names)
    if least <= METRIC_ARGUMENTS <= most or (given.vararg and least <= METRIC_ARGUMENTS):
        return (
            f"{where} needs {named[0]}=, which it isn't given; it is called with truths and answers" if named else None
        )
    takes = f"takes {', '.join(names)}" if names else "takes nothing"
    return f"{where} {takes}; a metric is called with two lists: the truths and the answers"


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """A module's own statements, those under `if`, `try` and `with` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            handlers = [handler.body for handler in getattr(node, "handlers", ())]
            for inner in (node.body, *handlers, getattr(node, "orelse", []), getattr(node, "finalbody", [])):
                yield from _statements(inner)


def _assigned(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that are imported from other modules ("*": whatever they have), or assigned."""
    found: set[str] = set()
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def check_import(folder: Path, scripts: Sequence[str], module: str, *, need: str, otherwise: str) -> str | None:
    """The end of a sentence about scripts of which none imports a module: `otherwise`; None where one does.

    Read, not run: a script, or a module of the folder that it imports. need: what such a script is needed for.
    """
    there = [name for name in scripts if (folder / name).is_file()]
    if not there:
        return f"needs {need}, but there is no {' or '.join(scripts)} in {folder}"
    imported = set[str]()
    for name in there:
        try:
            imported |= set(imports(folder, name))
        except (SyntaxError, ValueError) as error:
            return f"needs {need}, but {name} can't be read: {error}"
    return None if any(name == module or name.startswith(f"{module}.") for name in imported) else otherwise


def imports(folder: Path, file: str) -> Iterator[str]:
    """The names that a file imports, and those that the folder's own modules among them import.

    Raises:
        SyntaxError, ValueError: one of them can't be read.
    """
    for tree in _trees(folder, file, set()):
        yield from _imported(tree)


def used(folder: Path, file: str) -> Iterator[str]:
    """The names of modules that a file, and the folder's own that it imports, use as `torch.distributed`: what an
    imported module has loaded itself needs no import of its own. By whatever name that module goes in the file.

    Raises:
        SyntaxError, ValueError: one of them can't be read.
    """
    for tree in _trees(folder, file, set()):
        nodes = list(ast.walk(tree))
        aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        packages = {alias.name.partition(".")[0] for alias in aliases}
        modules = {name: name for name in packages} | {alias.asname: alias.name for alias in aliases if alias.asname}
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                yield f"{modules[node.value.id]}.{node.attr}"


def texts(folder: Path, file: str) -> Iterator[str]:
    """The texts in a file's code, and in that of the folder's own modules that it imports.

    Raises:
        SyntaxError, ValueError: one of them can't be read.
    """
    for tree in _trees(folder, file, set()):
        spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
                yield node.value


def _trees(folder: Path, file: str, seen: set[str]) -> Iterator[ast.Module]:
    seen.add(file)
    tree = ast.parse((folder / file).read_text(encoding="utf-8"), filename=file)
    yield tree
    for name in _imported(tree):
        own = name.replace(".", "/") + ".py"
        if own not in seen and (folder / own).is_file():
            yield from _trees(folder, own, seen)


def _imported(tree: ast.AST) -> Iterator[str]:
    """`import a.b` is a.b; `from a import b` is a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
