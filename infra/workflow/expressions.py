"""Texts of JSONata, made from Python's values: literals, sentences with variables in them, documents of expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What a sentence says for what only a run knows.
RUN_ID, ROUND = "<$run.run_id>", "<$string($round)>"

_VARIABLE = re.compile(r"<(\$[^<>]*)>")


def expression(text: str) -> str:
    """A JSONata text as a field's value."""
    return "{% " + text + " %}"


def is_expression(value: object) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def quoted(text: str) -> str:
    """A string of JSONata."""
    plain = text.isprintable() and not {"'", "\\"} & set(text)
    return f"'{text}'" if plain else json.dumps(text, ensure_ascii=False)


def sentence(template: str) -> str:
    """The JSONata text of a string in which `<$variable>` stands for a variable's text: `'runs/' & $run.run_id`."""
    parts = _VARIABLE.split(template)
    terms = [part if index % 2 else quoted(part) for index, part in enumerate(parts) if part]
    return " & ".join(terms)


def composed(template: str) -> str:
    """A field's value that is such a string."""
    return expression(sentence(template))


def jsonata(document: Any) -> str:
    """The JSONata text of a document that may hold expressions, to use it inside a larger expression."""
    if is_expression(document):
        return f"({document[2:-2].strip()})"
    if isinstance(document, Mapping):
        return members({name: jsonata(value) for name, value in document.items()})
    if isinstance(document, list | tuple):
        return "[" + ", ".join(jsonata(value) for value in document) + "]"
    return quoted(document) if isinstance(document, str) else json.dumps(document)


def members(texts: Mapping[str, str]) -> str:
    """The JSONata text of an object, by its members' texts; a member whose text comes to nothing is left out of it."""
    return "{" + ", ".join(f"{quoted(name)}: {text}" for name, text in texts.items()) + "}"


def results(*names: str) -> dict[str, str]:
    """Members of a task's result, by their own names."""
    return {name: f"$states.result.{name}" for name in names}


def lengthened(entries: list[Any], more: Any, *, when: str) -> str:
    """A list as a field's value: `entries`, and `more` behind them in a run for which `when` holds."""
    return expression(f"$append({jsonata(entries)}, {when} ? {jsonata([more])} : [])")
