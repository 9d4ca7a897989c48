"""What a JSONata expression makes on its way has a size: the engine bounds its time, and looks only between two steps.

One `$pad` of two billion characters, one `$replace` of each of many by many, would take all of the machine's memory,
and keep the server waiting for minutes. A state's result is 256 KB at most; what leads there may be larger.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

MOST = 1 << 24  # characters of a text, and elements of an array


def check(size: float) -> None:
    """ValueError for a text or an array of such a size."""
    if not abs(size) <= MOST:
        raise ValueError(f"an expression may make texts and arrays of {MOST} characters and elements here, not more")


@functools.cache
def install() -> None:
    """Have the engine ask before it makes something large. Once."""
    from ministack.services import stepfunctions

    engine = stepfunctions.jsonata.Jsonata
    frame = engine.static_frame
    for name, size in (("pad", _padded), ("join", _joined), ("append", _appended)):
        function = frame.lookup(name)
        function.method = _asking(size, function.method)
    engine.evaluate_string_concat = _checked(engine.evaluate_string_concat)
    stepfunctions._sfn_jsonata_replace = _asking(_replaced, stepfunctions._sfn_jsonata_replace)
    stepfunctions._sfn_jsonata_range = _asking(_ranged, stepfunctions._sfn_jsonata_range)


def _asking(size: Callable[..., float], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def asking(*arguments: Any) -> Any:
        check(size(*arguments))
        return function(*arguments)

    return asking


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of what at most doubles: looked at afterwards."""

    @functools.wraps(function)
    def checked(*arguments: Any) -> Any:
        made = function(*arguments)
        check(len(made))
        return made

    return checked


def _padded(_text: Any, width: Any, _character: Any = None) -> float:
    return width if isinstance(width, int | float) else 0


def _joined(texts: Any, separator: Any = None) -> float:
    if not isinstance(texts, list):
        return 0
    return sum(len(text) for text in texts if isinstance(text, str)) + len(texts) * _length(separator)


def _appended(left: Any, right: Any) -> float:
    return sum(len(each) if isinstance(each, list) else 1 for each in (left, right))


def _ranged(start: Any, end: Any, step: Any) -> float:
    steps = math.floor(step)
    return max(0.0, (end - start) / steps) if steps else 0


def _replaced(text: Any = None, pattern: Any = None, replacement: Any = None, limit: Any = None) -> float:
    """No less than what it becomes; a function's replacements aren't counted, which the engine's time bounds."""
    if not isinstance(text, str) or not isinstance(replacement, str):
        return 0
    if isinstance(pattern, str):
        found = text.count(pattern)
    else:
        found = sum(1 for _ in pattern.finditer(text)) if hasattr(pattern, "finditer") else 0
    found = found if limit is None else min(found, max(0, math.floor(limit)))
    return len(text) * (1 + replacement.count("$")) + found * len(replacement)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0
