"""JSON Patch as Cloud Control takes it (RFC 6902)."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.ministack_adapter.cloudformation.json_patch import PatchError, patched

DOCUMENT: dict[str, Any] = {"a": 1, "Tags": [{"Key": "x"}, {"Key": "y"}], "deep": {"~b/c": {"d": None}}}


@pytest.mark.parametrize(
    ("operation", "path", "value", "expected"),
    [
        ("replace", "/a", 2, {"a": 2}),
        ("add", "/new", [1], {"new": [1]}),
        ("add", "/a", 3, {"a": 3}),
        ("add", "/Tags/-", {"Key": "z"}, {"Tags": [{"Key": "x"}, {"Key": "y"}, {"Key": "z"}]}),
        ("add", "/Tags/0", {"Key": "w"}, {"Tags": [{"Key": "w"}, {"Key": "x"}, {"Key": "y"}]}),
        ("replace", "/Tags/1/Key", "v", {"Tags": [{"Key": "x"}, {"Key": "v"}]}),
        ("replace", "/deep/~0b~1c/d", 5, {"deep": {"~b/c": {"d": 5}}}),
        ("test", "/a", 1, {}),
    ],
)
def test_each_operation(operation: str, path: str, value: Any, expected: dict[str, Any]) -> None:
    assert patched(DOCUMENT, [{"op": operation, "path": path, "value": value}]) == {**DOCUMENT, **expected}


def test_operations_go_in_their_order_and_leave_what_was_given() -> None:
    before = repr(DOCUMENT)
    removals = [
        {"op": "remove", "path": "/Tags/1"},
        {"op": "remove", "path": "/Tags/0"},
        {"op": "remove", "path": "/a"},
    ]
    assert patched(DOCUMENT, removals) == {"Tags": [], "deep": DOCUMENT["deep"]}
    assert repr(DOCUMENT) == before
    assert patched(DOCUMENT, [{"op": "replace", "path": "", "value": {}}]) == {}


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ({}, "must be a list of operations"),
        (["remove"], "must be a list of operations"),
        ([{"op": "move", "path": "/a", "from": "/b"}], "op: 'move'; it must be add, replace, remove or test"),
        ([{"op": "add", "path": "a", "value": 1}], "path: 'a'; it must be a JSON Pointer"),
        ([{"op": "remove"}], "path: None; it must be a JSON Pointer"),
        ([{"op": "replace", "path": "/a"}], "replace of /a has no value"),
        ([{"op": "replace", "path": "/b", "value": 1}], "path: /b names nothing"),
        ([{"op": "remove", "path": "/b"}], "path: /b names nothing"),
        ([{"op": "add", "path": "/b/c", "value": 1}], "path: /b/c names nothing"),
        ([{"op": "add", "path": "/a/b", "value": 1}], "path: /a/b names nothing"),
        ([{"op": "remove", "path": "/Tags/2"}], "path: /Tags/2 names no element of a list of 2"),
        ([{"op": "remove", "path": "/Tags/-"}], "names no element"),
        ([{"op": "test", "path": "/a", "value": 2}], "test of /a failed"),
    ],
)
def test_what_does_not_fit_is_named(operations: Any, said: str) -> None:
    with pytest.raises(PatchError) as caught:
        patched(DOCUMENT, operations)
    assert said in str(caught.value)
