"""JSONata by the engine that MiniStack brings, with the functions that Step Functions adds to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from localaws.ministack_adapter.stepfunctions import jsonata_sizes, jsonata_trees
from localaws.patterns import regex
from localaws.states.dataflow import UndefinedError

# Developer Guide, "JSONata functions provided by Step Functions": "supports all JSONata functions except $eval".
_UNSUPPORTED_FUNCTION = "$eval("
TIMEOUT_MS = 1000


_GROUP = re.compile(r"\\g<(\d+)>")


class Regex:
    """An expression between slashes, as the engine uses it, matched in linear time."""

    def __init__(self, compiled: Any) -> None:
        self.search, self.finditer, self.split = compiled.search, compiled.finditer, compiled.split
        self._compiled = compiled

    @classmethod
    def of(cls, pattern: str, flags: Any) -> Regex:
        """The expression with its flags. Raises PatternError."""
        return cls(regex(pattern, ignore_case=flags.case_insensitive, multiline=flags.multiline))

    def sub(self, repl: str | Callable[[Any], str], string: str, count: int = 0) -> str:
        """As of `re.Pattern`, with the words of its complaint, by which the engine finds what to put right."""
        for group in _GROUP.finditer(repl) if isinstance(repl, str) else ():
            if int(group[1]) > self._compiled.groups:
                raise ValueError(f"invalid group reference {group[1]} at position {group.start(1)}")
        return str(self._compiled.sub(repl, string, count))


def parse(text: str) -> Any:
    """The parsed expression. Raises ValueError with the engine's code and message."""
    from ministack.services import stepfunctions

    jsonata_sizes.install()
    jsonata_trees.install()
    if _UNSUPPORTED_FUNCTION in text.replace(" ", ""):
        raise ValueError("the function $eval is not supported; use $parse")
    try:
        expression = stepfunctions.jsonata.Jsonata.jsonata(text, Regex.of, timeout=TIMEOUT_MS)
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
