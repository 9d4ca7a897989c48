"""Fields that AWS has and that can't be honoured here: refused by name before anything starts, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

Refusal = Callable[[Any], bool]
OPT_ML = "/opt/ml/"


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


def refuse(request: Document, rules: dict[str, Refusal], root: str = "") -> None:
    """Raise "not supported here: <field>" for the first field that a rule refuses.

    Rules are by path: ``ResourceConfig.InstanceCount``, ``InputDataConfig[].ShuffleConfig``.
    """
    for path, is_refused in rules.items():
        for where, value in _values(request, path.split("."), root):
            if is_refused(value):
                shown = f" = {value!r}" if isinstance(value, str | int) and not isinstance(value, bool) else ""
                raise errors.not_supported(f"{where}{shown}")


def refuse_outside_opt_ml(path: str, member: str) -> None:
    """Raise "not supported here" for a LocalPath where a job's container has nothing of its own."""
    if not path.startswith(OPT_ML) or ".." in path.split("/"):
        raise errors.not_supported(f"{member} outside /opt/ml: {path}")


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
