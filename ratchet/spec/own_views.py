"""Functions of a model's folder as views: which views.py has, and what one may be called with; looked at, never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.views import MODULE
from ratchet.spec import own_code
from ratchet.spec.errors import nearest, refusal
from ratchet.spec.own_code import Function

FILE = f"{MODULE}.py"
# A trial and a step.
ARGUMENTS = 2


def functions(folder: Path) -> list[str]:
    """The functions of views.py that aren't for itself alone; none where it isn't there, or can't be read."""
    found = own_code.names_of(FILE, folder)
    return [] if isinstance(found, str) else sorted(n for n, node in found.items() if node and not n.startswith("_"))


def wrong(folder: Path) -> str | None:
    """The end of a sentence about a views.py that can't be read; None where it can, and where there is none."""
    found = own_code.names_of(FILE, folder)
    return found if isinstance(found, str) else None


def has(view: str, folder: Path, *, surely: bool = False) -> bool:
    """Whether views.py has a function of this name, as far as one can see; surely: also where it imports `*`."""
    found = own_code.names_of(FILE, folder)
    return not isinstance(found, str) and (view in found or ("*" in found and not surely))


def check(function: Function, where: str, parameters: Mapping[str, Any]) -> None:
    """Raises a refusal where a function can't be called with a trial, a step and these parameters.

    where: its file and line.
    """
    if isinstance(function, ast.AsyncFunctionDef):
        raise refusal(f"is {function.name!r}, but {where} is async; a view is a plain function", "view")
    if function.decorator_list:
        return  # they may change what it takes
    given = function.args
    positional = [entry.arg for entry in (*given.posonlyargs, *given.args)]
    if len(positional) < ARGUMENTS and not given.vararg:
        takes = f"takes {', '.join(positional)}" if positional else "takes nothing"
        raise refusal(f"is {function.name!r}, but {where} {takes}; a view is called with a trial and a step", "view")
    _check_parameters(function, where, parameters)


def _check_parameters(function: Function, where: str, parameters: Mapping[str, Any]) -> None:
    given = function.args
    by_position = [entry.arg for entry in (*given.posonlyargs, *given.args)]
    by_name = [*by_position[max(ARGUMENTS, len(given.posonlyargs)) :], *(entry.arg for entry in given.kwonlyargs)]
    for name in parameters:
        if name in by_position[:ARGUMENTS]:
            raise refusal(f"is what {function.name} ({where}) is called with anyway; leave it out", "parameters", name)
        if name not in by_name and not given.kwarg:
            known = nearest(name, by_name) if by_name else "; it takes none"
            raise refusal(f"is no parameter of {function.name} ({where}){known}", "parameters", name)
    with_default = by_position[len(by_position) - len(given.defaults) :]
    with_default += [entry.arg for entry, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default]
    missing = [name for name in [*by_position[ARGUMENTS:], *by_name] if name not in {*with_default, *parameters}]
    if missing:
        raise refusal(f"lacks {missing[0]}, which {function.name} ({where}) needs", "parameters")
