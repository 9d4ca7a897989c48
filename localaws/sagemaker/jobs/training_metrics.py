"""A training job's metrics: values that regular expressions find in its log (API reference, MetricDefinition)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

from localaws.patterns import PatternError, regex
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.job import Job, Measurement

NAMESPACE = "/aws/sagemaker/TrainingJobs"
LINE_SECONDS = 1.0  # for all of a job's expressions on one line of its log; a usual one takes microseconds


class SlowMetricsError(Exception):
    """A job's expressions took too long on a line of its log; the text says so, for that log."""


class MetricParser:
    """Finds values and remembers each metric's last. Not thread-safe."""

    def __init__(self, definitions: Sequence[Document], clock: Callable[[], float] = monotonic) -> None:
        self._patterns = [(item["Name"], regex(item["Regex"], of_bytes=True)) for item in definitions]
        self._clock = clock
        self._last: dict[str, Measurement] = {}

    def parse(self, line: str, time: float) -> list[Measurement]:
        """The measurements in a line: group 1 of every match that is a finite number. SlowMetricsError."""
        if not self._patterns:
            return []
        found = [
            Measurement(name, value, time)
            for name, match in self._matches(line.encode())
            if (value := _number(match)) is not None
        ]
        self._last.update({measurement.name: measurement for measurement in found})
        return found

    def _matches(self, line: bytes) -> Iterator[tuple[str, Any]]:
        deadline = self._clock() + LINE_SECONDS
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                if self._clock() > deadline:
                    raise SlowMetricsError(
                        f"The expression of metric {name} took more than {LINE_SECONDS:g} s on a line of {len(line)} "
                        "bytes. No metric is read from this log any more."
                    )
                yield name, match

    def final(self) -> list[Document]:
        """FinalMetricDataList: every metric's last value."""
        return [{"MetricName": last.name, "Value": last.value, "Timestamp": last.time} for last in self._last.values()]


class TrainingMetrics:
    """The metrics of one job, on their way from its log to CloudWatch and into its document."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._parser = MetricParser(job.document["AlgorithmSpecification"].get("MetricDefinitions", []))

    def listen(self) -> None:
        """Follow the logs of the job's hosts; to be called again when there are new ones."""
        for host in self._job.hosts:
            host.log.listen(self._measure)

    def final(self) -> Document:
        """The document's member that holds every metric's last value; none when there are no metrics."""
        return {"FinalMetricDataList": final} if (final := self._parser.final()) else {}

    def _measure(self, line: str, now: float) -> None:
        try:
            measured = self._parser.parse(line, now)
        except SlowMetricsError as error:
            for host in self._job.hosts:
                host.log.listen(lambda _line, _time: None)
            self._job.log.say(str(error))
            return
        if measured:
            telemetry = self._job.context.platform.telemetry_of(self._job.document["RoleArn"])
            telemetry.put_metric_data(NAMESPACE, metric_data(measured, self._job.name))
            self._job.on_metrics(measured)


def check_definitions(definitions: Sequence[Document]) -> None:
    """Refuse a regular expression that isn't one or isn't taken here, has no group, or a name given twice."""
    names = [item["Name"] for item in definitions]
    for item in definitions:
        name, pattern = item["Name"], item["Regex"]
        try:
            groups = regex(pattern, of_bytes=True).groups
        except PatternError as error:
            raise errors.validation(f"Invalid metric definition regex for {name}: {pattern!r}: {error}") from error
        if groups < 1:
            raise errors.validation(f"Metric definition regex for {name} has no capture group: {pattern!r}")
        if names.count(name) > 1:
            raise errors.validation(f"Metric definition names must be unique: {name}")


def metric_data(measurements: Sequence[Measurement], job_name: str) -> list[Document]:
    """Measurements as CloudWatch's PutMetricData takes them."""
    dimensions = [{"Name": "TrainingJobName", "Value": job_name}]
    return [
        {"MetricName": item.name, "Value": item.value, "Timestamp": item.time, "Dimensions": dimensions}
        for item in measurements
    ]


def _number(match: Any) -> float | None:
    try:
        value = float(match.group(1))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
