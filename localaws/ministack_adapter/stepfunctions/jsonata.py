"""JSONata by the engine that MiniStack brings, with the functions that Step Functions adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.states.dataflow import UndefinedError

# Developer Guide, "JSONata functions provided by Step Functions": "supports all JSONata functions except $eval".
_UNSUPPORTED_FUNCTION = "$eval("
TIMEOUT_MS = 1000


def parse(text: str) -> Any:
    """The parsed expression. Raises ValueError with the engine's code and message."""
    from ministack.services import stepfunctions

    if _UNSUPPORTED_FUNCTION in text.replace(" ", ""):
        raise ValueError("the function $eval is not supported; use $parse")
    try:
        expression = stepfunctions.jsonata.Jsonata.jsonata(text, timeout=TIMEOUT_MS)
    except Exception as exc:
        raise ValueError(_message(exc)) from exc
    stepfunctions._register_sfn_jsonata_functions(expression)
    return expression


def evaluate(text: str, bindings: Mapping[str, Any]) -> Any:
    """The expression's value. Raises UndefinedError, or ValueError with the engine's code and message."""
    values = {name: _binding(value) for name, value in bindings.items()}
    value = _evaluated(text, values)
    if value is None and not _evaluated(f"$exists(({text}))", values):
        raise UndefinedError
    return value


def _evaluated(text: str, values: Mapping[str, Any]) -> Any:
    expression = parse(text)
    try:
        return expression.evaluate(None, dict(values))
    except Exception as exc:
        raise ValueError(_message(exc)) from exc


def _binding(value: Any) -> Any:
    """A value as the engine takes it: None is undefined to it, and JSON's null a value of its own."""
    from ministack.services import stepfunctions

    return stepfunctions.jsonata.utils.Utils.NULL_VALUE if value is None else value


def _message(exc: Exception) -> str:
    code = getattr(exc, "error", None)
    return f"{code}: {exc}" if isinstance(code, str) and code else str(exc)
