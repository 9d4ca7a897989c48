"""Errors of views, for the person who wrote one."""

from __future__ import annotations

import traceback
from pathlib import Path

from toolkit.errors import ToolkitError


class ViewError(ToolkitError):
    """A view that there isn't, a parameter that it doesn't take, code that can't be imported: drawing on won't help."""


class FigureError(ToolkitError):
    """What a view returned is no picture; the message says what would be one."""


def cause(error: BaseException, code: Path) -> str:
    """What happened, in one line: the error, and where in the model's own code, else where at all."""
    if isinstance(error, ToolkitError):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({_short(error.filename, code)}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_absolute() and code in Path(frame.filename).parents]
    own = [frame for frame in own if "site-packages" not in frame.filename]
    where = (own or frames)[-1] if frames else None
    place = f" ({_short(where.filename, code)}:{where.lineno})" if where else ""
    return f"{type(error).__name__}: {error}{place}"


def _short(filename: str, code: Path) -> str:
    path = Path(filename)
    return path.relative_to(code).as_posix() if code in path.parents else path.name
