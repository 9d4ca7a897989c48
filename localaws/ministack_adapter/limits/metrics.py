"""CloudWatch: data of metrics. Pure; requests of the JSON and CBOR protocols."""

from __future__ import annotations

import math
from collections.abc import Iterator

from localaws.ministack_adapter.limits.refusals import Document, Refusal

_METRICS, _DIMENSIONS, _VALUES = 1000, 30, 150
_LARGEST = 2.0**360


def refusal(request: Document) -> Refusal | None:
    """Of PutMetricData."""
    data = request.get("MetricData") or []
    if len(data) > _METRICS:
        return Refusal(
            "InvalidParameterValue", f"The collection MetricData must not have a size greater than {_METRICS}."
        )
    return next(
        (told for index, datum in enumerate(data, 1) for told in _of_datum(datum, f"MetricData.member.{index}")), None
    )


def _of_datum(datum: Document, where: str) -> Iterator[Refusal]:
    value, values = datum.get("Value"), datum.get("Values")
    for other in ("Values", "StatisticValues"):
        if value is not None and datum.get(other):
            both = f"The parameters {where}.Value and {where}.{other}"
            yield Refusal("InvalidParameterCombination", f"{both} are mutually exclusive and you have specified both.")
    for field, each in (("Value", value), *((f"Values.member.{n}", one) for n, one in enumerate(values or [], 1))):
        if each is not None and not abs(float(each)) <= _LARGEST:
            yield _invalid(f"The value {_shown(float(each))} for parameter {where}.{field} is invalid.")
    for field, most in (("Dimensions", _DIMENSIONS), ("Values", _VALUES)):
        if len(datum.get(field) or []) > most:
            yield _invalid(f"The collection {where}.{field} must not have a size greater than {most}.")
    if datum.get("Counts") and len(datum["Counts"]) != len(values or []):
        yield _invalid(f"The parameters {where}.Values and {where}.Counts must be of the same size.")


def _shown(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:g}"


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidParameterValue", message)
