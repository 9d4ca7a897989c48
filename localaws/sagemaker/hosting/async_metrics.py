"""The metrics of asynchronous endpoints, which have no others than these. Pure.

Names, units and dimensions: developer guide, "Alarms and logs for tracking metrics from asynchronous endpoints". Those
of errors and latency are there by the endpoint's configuration, too, as for any endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.async_messages import Outcome
from localaws.sagemaker.hosting.invocation_metrics import Source, microseconds

_BY_CONFIG = ("EndpointName", "VariantName", "EndpointConfigName")


@dataclass(frozen=True)
class Times:
    """Seconds of an invocation's parts; those of parts that it didn't come to are None."""

    backlog: float | None = None
    download: float | None = None
    model: float | None = None
    upload: float | None = None
    total: float | None = None


def of_backlog(endpoint: str, size: int, oldest_age: float, instances: int, now: float) -> Iterator[Document]:
    """Metrics of an endpoint's queue. Without instances there is no backlog per instance, but one without capacity."""
    common = {"Dimensions": [{"Name": "EndpointName", "Value": endpoint}], "Timestamp": now}
    yield common | _value("ApproximateBacklogSize", size, "Count")
    if instances:
        yield common | _value("ApproximateBacklogSizePerInstance", size / instances, "Count")
    yield common | _value("ApproximateAgeOfOldestRequest", oldest_age, "Seconds")
    yield common | _value("HasBacklogWithoutCapacity", float(size > 0 and not instances), "Count")


def of_invocation(source: Source, outcome: Outcome, times: Times, now: float) -> Iterator[Document]:
    """Metrics of an invocation that is over."""
    dimensions = [{"Name": name, "Value": value} for name, value in zip(_BY_CONFIG, source, strict=True)]
    by_variant: Document = {"Dimensions": dimensions[:2], "Timestamp": now}
    if outcome.status is not None:
        for common in (by_variant, by_variant | {"Dimensions": dimensions}):
            yield from (common | value for value in _of_the_model(outcome.status, times.model or 0.0))
    for name, value in _counts(outcome).items():
        yield by_variant | _value(name, value, "Count")
    for name, seconds in _latencies(times).items():
        yield by_variant | _value(name, microseconds(seconds), "Microseconds")
    if times.total is not None:
        yield by_variant | _value("TotalProcessingTime", times.total * 1000, "Milliseconds")


def notification_failed(source: Source, now: float) -> Document:
    """That a topic wasn't told."""
    dimensions = [{"Name": name, "Value": value} for name, value in zip(_BY_CONFIG[:2], source[:2], strict=True)]
    return {"Dimensions": dimensions, "Timestamp": now, **_value("NotificationFailures", 1, "Count")}


def _of_the_model(status: int, seconds: float) -> list[Document]:
    return [
        _value("Invocation4XXErrors", float(400 <= status < 500), "None"),
        _value("Invocation5XXErrors", float(not 200 <= status < 500), "None"),
        _value("ModelLatency", microseconds(seconds), "Microseconds"),
    ]


def _counts(outcome: Outcome) -> Mapping[str, float]:
    failed = {"InvocationFailures": 1.0} if outcome.reason else {}
    return {"InvocationsProcessed": 1.0, **failed, **({outcome.counted: 1.0} if outcome.counted else {})}


def _latencies(times: Times) -> Mapping[str, float]:
    found = {
        "TimeInBacklog": times.backlog,
        "RequestDownloadLatency": times.download,
        "ResponseUploadLatency": times.upload,
    }
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _value(name: str, value: float, unit: str) -> Document:
    return {"MetricName": name, "Value": value, "Unit": unit}
