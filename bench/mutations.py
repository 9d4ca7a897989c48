"""The changes of a Python module that mutation testing tries: of a comparison, a boolean, an arithmetic operator or a
constant. Texts with a space in them (messages, queries), docstrings, annotations and decorators stay as they are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], str, str]] = {
    ast.Lt: (ast.LtE, "<", "<="),
    ast.LtE: (ast.Lt, "<=", "<"),
    ast.Gt: (ast.GtE, ">", ">="),
    ast.GtE: (ast.Gt, ">=", ">"),
    ast.Eq: (ast.NotEq, "==", "!="),
    ast.NotEq: (ast.Eq, "!=", "=="),
    ast.Is: (ast.IsNot, "is", "is not"),
    ast.IsNot: (ast.Is, "is not", "is"),
    ast.In: (ast.NotIn, "in", "not in"),
    ast.NotIn: (ast.In, "not in", "in"),
    ast.And: (ast.Or, "and", "or"),
    ast.Or: (ast.And, "or", "and"),
    ast.Add: (ast.Sub, "+", "-"),
    ast.Sub: (ast.Add, "-", "+"),
    ast.Mult: (ast.Div, "*", "/"),
    ast.Div: (ast.Mult, "/", "*"),
    ast.FloorDiv: (ast.Div, "//", "/"),
    ast.Mod: (ast.Mult, "%", "*"),
    ast.Pow: (ast.Mult, "**", "*"),
}
_NOT_TRIED = frozenset({"annotation", "returns", "decorator_list", "type_params"})


Change = Callable[[], None]
"""Changes the syntax tree that it was found in."""


@dataclass(frozen=True)
class Site:
    """The place of a change: its line, and those of the statement around it, from `first` to `last`.

    `at_import`: it is run when the module is imported, and not when a function is called.
    """

    line: int
    what: str
    first: int
    last: int
    at_import: bool


def changes(tree: ast.Module) -> Iterator[tuple[Site, Change]]:
    """Every change of a module, always in the same order."""
    yield from _changes_below(tree, (1, 1), at_import=True)


def _changes_below(node: ast.AST, lines: tuple[int, int], *, at_import: bool) -> Iterator[tuple[Site, Change]]:
    """The changes of a node's children; `lines` are those of the statement around it."""
    inside = at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    skipped = _prose(node)
    for name, value in ast.iter_fields(node):
        if name in _NOT_TRIED or _is_never_run(node, name):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or child in skipped:
                continue
            # Defaults of arguments are evaluated when the function is made.
            within = at_import if isinstance(child, ast.arguments) else inside
            around = _header(child) if isinstance(child, ast.stmt) else lines
            for what, change in _changes_of(child):
                yield Site(getattr(child, "lineno", around[0]), what, *around, at_import=within), change
            yield from _changes_below(child, around, at_import=within)


def _changes_of(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """The changes of this node alone, each in words."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            yield _replacement(operator, lambda new, index=index: node.ops.__setitem__(index, new))
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        yield _replacement(node.op, lambda new: setattr(node, "op", new))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "- was left out", lambda: setattr(node, "op", ast.UAdd())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not was left out", lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.Constant) and (other := _other(node.value)) is not None:
        yield f"{node.value!r} became {other!r}", lambda: setattr(node, "value", other)


def _replacement(operator: ast.AST, put: Callable[[Any], None]) -> tuple[str, Change]:
    new, old_text, new_text = _OPERATORS[type(operator)]
    return f"{old_text} became {new_text}", lambda: put(new())


def _other(value: object) -> object:
    """Another constant of the same kind, None where it isn't tried."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str) and not any(character.isspace() for character in value):
        return "XX" + value
    return None


def _header(statement: ast.stmt) -> tuple[int, int]:
    """The lines of a statement without the statements in it."""
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if not body:
        return statement.lineno, statement.end_lineno or statement.lineno
    first = body[0].pattern.lineno if isinstance(body[0], ast.match_case) else body[0].lineno
    return statement.lineno, max(statement.lineno, first - 1)


def _prose(node: ast.AST) -> list[ast.AST]:
    """The texts in a node that are for readers: a docstring, one after an attribute, the parts of an f-string with a
    space in it."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return [node.value]
    parts = [part for part in node.values if isinstance(part, ast.Constant)] if isinstance(node, ast.JoinedStr) else []
    return list[ast.AST](parts) if any(_other(part.value) is None for part in parts) else []


def _is_never_run(node: ast.AST, name: str) -> bool:
    """The body of `if TYPE_CHECKING` and `if __name__ == "__main__"`, with its test; a list of public names."""
    if isinstance(node, ast.If):
        names = {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
        return bool(names & {"TYPE_CHECKING", "__name__"})
    targets = node.targets if isinstance(node, ast.Assign) and name == "value" else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
