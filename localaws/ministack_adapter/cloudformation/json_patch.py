"""JSON Patch (RFC 6902), the operations that Cloud Control's clients send: add, replace, remove and test."""

from __future__ import annotations

import copy
from typing import Any

_END = "-"  # the place behind an array's last element


class PatchError(ValueError):
    """A patch that doesn't fit its document."""


def patched(document: Any, operations: Any) -> Any:
    """The document with the operations done to it, in their order; the one that is given stays as it is."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise PatchError("PatchDocument must be a list of operations, as in RFC 6902")
    whole = {"": copy.deepcopy(document)}
    for operation in operations:
        _apply(whole, operation)
    return whole[""]


def _apply(whole: dict[str, Any], operation: dict[str, Any]) -> None:
    kind, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchError(f"path: {path!r}; it must be a JSON Pointer, such as /DefinitionString")
    if kind not in ("add", "replace", "remove", "test"):
        raise PatchError(f"op: {kind!r}; it must be add, replace, remove or test")
    if kind != "remove" and "value" not in operation:
        raise PatchError(f"{kind} of {path} has no value")
    *parents, last = ["", *(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])]
    node: Any = whole
    for part in parents:
        node = _member(node, part, path)
    _do(kind, node, last, path, operation.get("value"))


def _do(kind: str, node: Any, last: str, path: str, value: Any) -> None:
    if kind == "add" and isinstance(node, list):
        node.insert(len(node) if last == _END else _index(node, last, path, len(node) + 1), value)
    elif kind == "add" and isinstance(node, dict):
        node[last] = value
    elif _member(node, last, path) != value and kind == "test":
        raise PatchError(f"test of {path} failed")
    elif kind != "test":
        place = last if isinstance(node, dict) else _index(node, last, path, len(node))
        if kind == "remove":
            del node[place]
        else:
            node[place] = value


def _member(node: Any, part: str, path: str) -> Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list):
        return node[_index(node, part, path, len(node))]
    raise PatchError(f"path: {path} names nothing")


def _index(node: list[Any], part: str, path: str, end: int) -> int:
    if not part.isdecimal() or int(part) >= end:
        raise PatchError(f"path: {path} names no element of a list of {len(node)}")
    return int(part)
