"""Finds a view by its name: a function of the model's folder, else one that comes with the toolkit."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import built_in_views, views
from contract.suggestions import near
from toolkit.rules import parameters as reading
from toolkit.views.errors import ViewError, cause

# What a view is called with before its own parameters: trial, step.
GIVEN = 2


def module_of(view: str, code: Path) -> str:
    """The module in which a view is looked up; empty for one that comes with the toolkit. Imports nothing."""
    module, _, name = view.rpartition(".")
    if module:
        return module
    if view not in built_in_views.TABLE or name in set(_names(code / f"{views.MODULE}.py")):
        return views.MODULE
    return ""


def _names(path: Path) -> Iterator[str]:
    """The names that a module defines, by its text; none where it can't be read."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return
    for node in _statements(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """A module's own statements, those under `if`, `try` and `with` too; as pipeline.yaml's reader looks at them."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for part in (node, *getattr(node, "handlers", ())):
                for name in ("body", "orelse", "finalbody"):
                    yield from _statements(getattr(part, name, ()))


def load(view: str, parameters: Mapping[str, Any], code: Path) -> Callable[[Any, int], Any]:
    """A view with its parameters, to be called with a trial and a step.

    Raises:
        ViewError: there is no such view, its module can't be imported, or it doesn't take the parameters.
    """
    module, name = module_of(view, code), views.name_of(view)
    if not module:
        function = built_in(view)
        given = _checked(view, parameters)
    else:
        function, given = _own(module, name, view, code), dict(parameters)
        _check_signature(function, view, given)
    return lambda trial, step: function(trial, step, **given)


def built_in(view: str) -> Callable[..., Any]:
    """The function of a view that comes with the toolkit."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"toolkit.views.built_in.{view}"), view)
    return found


def _checked(view: str, given: Mapping[str, Any]) -> dict[str, Any]:
    declared = tuple(
        reading.Parameter(name, **{**told, "choices": tuple(told.get("choices", ()))})
        for name, told in built_in_views.TABLE[view]["parameters"].items()
    )
    try:
        return reading.read(view, declared, given)
    except reading.RuleError as error:
        raise ViewError(str(error)) from error


def _own(module: str, name: str, view: str, code: Path) -> Callable[..., Any]:
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ViewError(_no_module(module, view, code)) from error
        raise ViewError(f"{view}: importing {module} failed: {cause(error, code)}") from error
    except (Exception, SystemExit) as error:
        raise ViewError(f"{view}: importing {module} failed: {cause(error, code)}") from error
    found = getattr(imported, name, None)
    if not callable(found):
        functions = [value for value in vars(imported).values() if inspect.isfunction(value)]
        own = [found.__name__ for found in functions if found.__module__ == module and found.__name__[0] != "_"]
        known = [*own, *(built_in_views.TABLE if module == views.MODULE else ())]
        raise ViewError(f"{view}: {module}.py has no function {name}{_meant(name, known)}")
    return found  # type: ignore[no-any-return]


def _no_module(module: str, view: str, code: Path) -> str:
    if module == views.MODULE:
        there = f"{', '.join(built_in_views.TABLE)} come with the toolkit; one's own is a function in {module}.py"
        return f"there is no view {view!r}{_meant(view, list(built_in_views.TABLE), listed=False)}; {there} ({code})"
    return f"{view}: there is no {module.replace('.', '/')}.py in the model's folder ({code})"


def _meant(name: str, known: list[str], *, listed: bool = True) -> str:
    meant = near(name, known)
    if meant:
        return f"; did you mean {meant}?"
    return f"; there are {', '.join(known)}" if known and listed else ""


def _check_signature(function: Callable[..., Any], view: str, given: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function written in C nobody knows it
        return
    try:
        signature.bind(None, 0, **given)
    except TypeError as error:
        takes = list(signature.parameters)[GIVEN:]
        own = f"its parameters are {', '.join(takes)}" if takes else "it has no parameters of its own"
        raise ViewError(f"{view}: called as {views.name_of(view)}(trial, step, …): {error}; {own}") from error
