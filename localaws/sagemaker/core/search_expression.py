"""Whether a resource satisfies an expression of Search's. Pure (API reference: SearchExpression, Filter)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": gt,
    "GreaterThanOrEqualTo": ge,
    "LessThan": lt,
    "LessThanOrEqualTo": le,
}
_WITHOUT_VALUE = ("Exists", "NotExists")


def check(expression: Document, members: frozenset[str]) -> None:
    """Raise what AWS raises; `members` are those of the resource's shape.

    Raises:
        errors.SageMakerError: nothing is asked, a property isn't one, an operator lacks its value or is used too often.
    """
    if not any(expression.get(part) for part in ("Filters", "NestedFilters", "SubExpressions")):
        raise errors.validation("You must specify at least one subexpression, filter, or nested filter.")
    asked = list(_filters(expression))
    for one in asked:
        _check_filter(one, members)
    if sum(_operator(one) == "Contains" for one in asked) > 1:
        raise errors.validation("'CONTAINS' operator usage limit of 1 exceeded.")


def matches(expression: Document, resource: Document) -> bool:
    """Whether a resource satisfies an expression that has been checked."""
    found = [_satisfies(one, resource) for one in expression.get("Filters", [])]
    found += [_satisfies_nested(one, resource) for one in expression.get("NestedFilters", [])]
    found += [matches(one, resource) for one in expression.get("SubExpressions", [])]
    return any(found) if expression.get("Operator") == "Or" else all(found)


def values(resource: Document, name: str) -> list[Any]:
    """A property's values: several where its path leads through a list, none where it isn't there."""
    first, _, rest = name.partition(".")
    if first == "Metrics":
        metrics = resource.get("FinalMetricDataList", [])
        return [metric["Value"] for metric in metrics if metric["MetricName"] == rest]
    if first == "Tags" and rest:
        return [tag["Value"] for tag in resource.get("Tags", []) if tag["Key"] == rest]
    if first in {"HyperParameters", "Environment"} and rest:
        return [resource[first][rest]] if rest in resource.get(first, {}) else []
    return list(_along(resource, name.split(".")))


def _along(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for entry in value:
            yield from _along(entry, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _along(value[path[0]], path[1:])


def _filters(expression: Document) -> Iterator[Document]:
    yield from expression.get("Filters", [])
    for nested in expression.get("NestedFilters", []):
        yield from nested["Filters"]
    for part in expression.get("SubExpressions", []):
        yield from _filters(part)


def _check_filter(one: Document, members: frozenset[str]) -> None:
    name = one["Name"]
    if name.partition(".")[0] not in members | {"Metrics"}:
        raise errors.validation(f"Unknown property name: {name}")
    if _operator(one) not in _WITHOUT_VALUE and "Value" not in one:
        raise errors.validation(f"The filter on {name} needs a Value for its operator {_operator(one)}.")


def _operator(one: Document) -> str:
    """A value without an operator means that they are equal; neither, that the property is there."""
    return str(one.get("Operator") or ("Equals" if "Value" in one else "Exists"))


def _satisfies(one: Document, resource: Document) -> bool:
    found, operator = values(resource, one["Name"]), _operator(one)
    if operator in _WITHOUT_VALUE:
        return bool(found) == (operator == "Exists")
    if operator == "NotEquals":
        return not any(_compared("Equals", value, one) for value in found)
    return any(_compared(operator, value, one) for value in found)


def _satisfies_nested(nested: Document, resource: Document) -> bool:
    """Whether a single entry of a list satisfies all filters."""
    name = nested["NestedPropertyName"]
    entries = [entry for value in _lists(resource, name.split(".")) for entry in value]
    return any(all(_satisfies(one, _within(name, entry)) for one in nested["Filters"]) for entry in entries)


def _lists(value: Any, path: list[str]) -> Iterator[list[Any]]:
    if not path:
        yield value if isinstance(value, list) else [value]
    elif isinstance(value, dict) and path[0] in value:
        yield from _lists(value[path[0]], path[1:])


def _within(name: str, entry: Any) -> Document:
    """A resource that holds one entry alone at the path `name`."""
    for part in reversed(name.split(".")):
        entry = {part: entry}
    found: Document = entry
    return found


def _compared(operator: str, value: Any, one: Document) -> bool:
    wanted = one["Value"]
    if operator == "Contains":
        return wanted in str(value)
    if operator == "In":
        return str(value) in [word.strip() for word in wanted.split(",")]
    if operator == "Equals":
        return _is_equal(value, wanted)
    pair = _numbers(value, wanted)
    if pair is None:
        raise errors.validation(f"The operator {operator} is not supported for the text property {one['Name']}.")
    return _ORDERS[operator](*pair)


def _is_equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.lower() == str(value).lower()
    if isinstance(value, str):
        return value == wanted
    pair = _numbers(value, wanted)
    return pair is not None and pair[0] == pair[1]


def _numbers(value: Any, wanted: str) -> tuple[float, float] | None:
    """Both as numbers, times as seconds since the epoch; None where one is text."""
    try:
        return float(value), float(wanted)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(wanted)
        return float(value), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None
