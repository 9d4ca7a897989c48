"""Comparer: compares a shadow's answers with those that were served, and judges them and its metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from common.clients import client
from common.log import Log

from comparer.captures import compare, read
from comparer.judgement import Figures, judged

Document = dict[str, Any]

LOG = Log({"function": "comparer"})

# CloudWatch keeps values of a minute for 15 days, of five minutes for 63 ("Metrics retention"); a shadow has 30 days.
_MINUTE, _FIVE_MINUTES = 60, 300
_FINE = timedelta(days=14)


def handle(event: Document, _context: object) -> Document:
    """Whether the shadow may take over.

    Args:
        event: {"endpoint_name", "bucket", "prefix": of the captures, "production", "shadow": the variants' names,
            "since", "until": in milliseconds since 1970, "limits": as `judgement.judged` takes them}.

    Returns:
        What `contract.shadows` says.
    """
    s3, folder = client("s3"), f"{event['prefix']}/{event['endpoint_name']}"
    served, copies = (
        read(s3, event["bucket"], f"{folder}/{event[variant]}/", LOG) for variant in ("production", "shadow")
    )
    verdict = judged(compare(served, copies), figures(client("cloudwatch"), event), event["limits"])
    # What users have asked stays out of the log.
    LOG.info("compared", endpoint=event["endpoint_name"], **{**verdict, "examples": len(verdict["examples"])})
    return verdict


def figures(cloudwatch: Any, event: Mapping[str, Any]) -> Figures:
    """The shadow's metrics since it was asked first; `cloudwatch` is a boto3 client."""

    def values(metric: str, statistic: Document) -> list[float]:
        answer = cloudwatch.get_metric_statistics(MetricName=metric, **_of_shadow(event), **statistic)
        return [_value(point) for point in answer["Datapoints"]]

    latencies = {
        percentile: max(found) / 1000
        if (found := values("ModelLatency", {"ExtendedStatistics": [percentile]}))
        else None
        for percentile in event["limits"].get("latencies", {})
    }
    copies, errors = (
        round(sum(values(metric, {"Statistics": ["Sum"]}))) for metric in ("Invocations", "Invocation5XXErrors")
    )
    return Figures(copies, errors, latencies)


def _of_shadow(event: Mapping[str, Any]) -> Document:
    """GetMetricStatistics of the shadow's time, in as few periods as there can be: percentiles can't be added up.

    CloudWatch takes the whole minute in which it begins.
    """
    since, until = (datetime.fromtimestamp(event[name] / 1000, UTC) for name in ("since", "until"))
    step = _MINUTE if until - since < _FINE else _FIVE_MINUTES
    seconds = math.ceil((until - since).total_seconds() / step) * step + step
    dimensions = {"EndpointName": event["endpoint_name"], "VariantName": event["shadow"]}
    return {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "StartTime": since,
        "EndTime": until + timedelta(seconds=step),
        "Period": seconds,
    }


def _value(point: Mapping[str, Any]) -> float:
    """A datapoint's one statistic."""
    return float(point["Sum"] if "Sum" in point else next(iter(point["ExtendedStatistics"].values())))
