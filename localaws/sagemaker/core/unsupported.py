"""Members that AWS has and that can't be honoured here: refused by name before anything starts, never ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

Refusal = Callable[[Any], bool]


def always(_value: Any) -> bool:
    """Any value."""
    return True


def truthy(value: Any) -> bool:
    """A value that switches something on."""
    return bool(value)


def other_than(*values: Any) -> Refusal:
    """Any value but these."""
    return lambda value: value not in values


def above(limit: int) -> Refusal:
    """A number beyond the limit."""
    return lambda value: isinstance(value, int) and value > limit


def refuse(document: Document, rules: Mapping[str, Refusal], of: str = "") -> None:
    """Raise "not supported here: <member>" for the first member that a rule refuses.

    Rules are by path: ``ResourceConfig.InstanceCount``, ``InputDataConfig[].ShuffleConfig``. `of` names what the
    document describes, for example "a model", where the path alone doesn't tell.
    """
    for path, is_refused in rules.items():
        for where, value in _values(document, path.split("."), ""):
            if is_refused(value):
                raise errors.not_supported(f"{where} of {of}" if of else f"{where}{_shown(value)}")


def _shown(value: Any) -> str:
    return f" = {value!r}" if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _values(document: Any, path: list[str], where: str) -> list[tuple[str, Any]]:
    name, *rest = path
    is_list = name.endswith("[]")
    member = name.removesuffix("[]")
    value = document.get(member) if isinstance(document, dict) else None
    if value is None:
        return []
    here = f"{where}.{member}" if where else member
    items = [(f"{here}[{index}]", item) for index, item in enumerate(value)] if is_list else [(here, value)]
    if not rest:
        return items
    return [found for item_where, item in items for found in _values(item, rest, item_where)]
