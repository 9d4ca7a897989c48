"""JSONPath: its grammar in a definition, what a path selects, and what a result path writes. Pure.

A reference path addresses one node: no wildcards, slices, filters or deep scans (States language, "Reference Paths").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = r"[^\s.\[\]()*?@,:'\"]+"
_ROOT = r"\$[A-Za-z_]\w*|\$\$?"  # a variable, the input, the context
_QUOTED = r"'(?:[^'\\]|\\.)+'|\"(?:[^\"\\]|\\.)+\""
_NODE = rf"\.{_NAME}|\[(?:{_QUOTED}|-?\d+)\]"
_NODES = rf"\.\.?(?:{_NAME}(?:\(\))?|\*)|\.\.?\[[^\[\]]+\]|\[(?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*\]|\[[\d\s,:*-]+\]"
_FILTER = r"(?:\.\.)?\[\?\(.+\)\]"
_PATH = re.compile(rf"(?:{_ROOT})(?:{_NODES}|{_FILTER})*")
_REFERENCE = re.compile(rf"(?:{_ROOT})(?:{_NODE})*")
_FUNCTIONS = (
    r"Array(?:Contains|GetItem|Length|Partition|Range|Unique)?|Base64(?:Decode|Encode)|Format|Hash|JsonMerge|JsonToString|"
    r"MathAdd|MathRandom|StringSplit|StringToJson|UUID"
)
_CALL = re.compile(rf"\s*States\.(?:{_FUNCTIONS})\s*\((.*)\)\s*", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.DOTALL)
# What may stand between two commas of a call: text in quotes, whole.
_PIECE = re.compile(r"'(?:[^'\\]|\\.)*'|.", re.DOTALL)


def is_path(text: str) -> bool:
    return _PATH.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None


def is_intrinsic(text: str) -> bool:
    """Whether this is a call of an intrinsic function whose arguments are literals, paths and calls."""
    call = _CALL.fullmatch(text)
    return call is not None and all(_is_argument(each) for each in _arguments(call[1]))


def _is_argument(text: str) -> bool:
    return _LITERAL.fullmatch(text) is not None or is_path(text) or is_intrinsic(text)


def _arguments(text: str) -> list[str]:
    """The parts between the commas that stand in no quotes and brackets; none for an empty text."""
    if not text.strip():
        return []
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece in "([") - (piece in ")]")
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


_STEP = re.compile(
    rf"\.\.(?P<deep>{_NAME})|\.(?P<name>{_NAME})|(?P<all>\.\*|\[\*\])|\[(?P<quoted>{_QUOTED})\]|\[(?P<index>-?\d+)\]"
    r"|\[(?P<slice>-?\d*:-?\d*)\]"
)
_ROOTED = re.compile(rf"({_ROOT})(.*)", re.DOTALL)
_ONE_NODE = ("name", "quoted", "index")
Step = tuple[str, str]  # one of _STEP's kinds, and its text


class NothingSelectedError(LookupError):
    """A path that addresses one node finds none."""


def is_supported(path: str) -> bool:
    """Whether `selected` knows this path: no filters, no unions, no functions."""
    return _steps(path) is not None


def selected(path: str, roots: Mapping[str, Any]) -> Any:
    """The value that a path selects of its root (`$`, `$$`, a variable): a list, where it may address several nodes."""
    root, _ = _split(path)
    if root not in roots:
        raise NothingSelectedError(path)
    steps = _steps(path) or []
    nodes = [roots[root]]
    for step in steps:
        nodes = [child for node in nodes for child in _children(node, *step)]
    if any(kind not in _ONE_NODE for kind, _ in steps):
        return nodes
    if not nodes:
        raise NothingSelectedError(path)
    return nodes[0]


def written(path: str, document: Any, value: Any) -> Any:
    """A copy of the document with a value at a reference path; objects on the way are made.

    Raises NothingSelectedError where something on the way is neither an object nor an array that is long enough.
    """
    return _written(_steps(path) or [], document, value, path)


def _written(steps: list[Step], document: Any, value: Any, path: str) -> Any:
    if not steps:
        return value
    (kind, text), rest = steps[0], steps[1:]
    if kind == "index" and isinstance(document, list) and -len(document) <= int(text) < len(document):
        changed = list(document)
        changed[int(text)] = _written(rest, changed[int(text)], value, path)
        return changed
    if kind == "index" or not isinstance(document, dict):
        raise NothingSelectedError(path)
    name = _name(kind, text)
    return {**document, name: _written(rest, document.get(name, {}), value, path)}


def _split(path: str) -> tuple[str, str]:
    rooted = _ROOTED.match(path)
    return (rooted[1], rooted[2]) if rooted else ("", path)


def _steps(path: str) -> list[Step] | None:
    root, rest = _split(path)
    steps, at = [], 0
    while root and at < len(rest):
        step = _STEP.match(rest, at)
        if step is None:
            return None
        steps.append((str(step.lastgroup), step[str(step.lastgroup)]))
        at = step.end()
    return steps if root else None


def _children(node: Any, kind: str, text: str) -> Iterator[Any]:
    if kind == "deep":
        yield from _descendants(node, text)
    elif kind == "all":
        yield from node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    elif kind in ("name", "quoted"):
        name = _name(kind, text)
        if isinstance(node, dict) and name in node:
            yield node[name]
    elif isinstance(node, list):
        yield from _elements(node, kind, text)


def _elements(node: list[Any], kind: str, text: str) -> Iterator[Any]:
    if kind == "slice":
        first, last = (int(bound) if bound else None for bound in text.split(":"))
        yield from node[first:last]
    elif -len(node) <= int(text) < len(node):
        yield node[int(text)]


def _descendants(node: Any, name: str) -> Iterator[Any]:
    if isinstance(node, dict) and name in node:
        yield node[name]
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _descendants(child, name)


def _name(kind: str, text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "quoted" else text
