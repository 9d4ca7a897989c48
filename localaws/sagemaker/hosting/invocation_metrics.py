"""An endpoint's invocation metrics, written to CloudWatch once a second rather than once a request.

Names, units and dimensions are those of the developer guide, "Amazon SageMaker AI metrics in Amazon CloudWatch",
endpoint invocation metrics: latencies are in microseconds; the error metrics hold a 0 or a 1 for every invocation, so
that their average is the error rate. Each metric is there twice: by variant, for both fleets of a deployment together,
and by the configuration of the fleet that answered, too ("Auto-Rollback Configuration and Monitoring").
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.request import Document

FLUSH_SECONDS = 1.0
SHORTEST_FLUSH_SECONDS = 0.1  # however short the periods of alarms have been made
Source = tuple[str, str, str]
"""The endpoint, the variant and the endpoint configuration of what answered."""
Container = tuple[str, str, str]
"""The endpoint, the variant and the hostname of one of a chain's containers."""
_DIMENSIONS = ("EndpointName", "VariantName", "EndpointConfigName")
_MAX_VALUES = 150  # different values in one datum (PutMetricData, API reference)

_log = logging.getLogger(__name__)


@dataclass
class _Interval:
    """Invocations of a variant, or of one of its containers, since the last write. Keys of the latencies are
    microseconds, values how often."""

    invocations: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    model_latency: Counter[float] = field(default_factory=Counter)
    overhead_latency: Counter[float] = field(default_factory=Counter)

    def count(self, status: int, overhead_seconds: float) -> None:
        self.invocations += 1
        self.errors_4xx += 400 <= status < 500
        self.errors_5xx += not 200 <= status < 500
        self.overhead_latency[microseconds(overhead_seconds)] += 1


class InvocationMetrics:
    """Counts invocations, and writes them in a thread that sleeps while there are none."""

    def __init__(self, platform: Platform, clock: Callable[[], float], flush_seconds: float = FLUSH_SECONDS) -> None:
        self._flush_seconds = flush_seconds
        self._platform = platform
        self._clock = clock
        self._changed = threading.Condition()
        self._intervals: dict[Source, _Interval] = {}
        self._containers: dict[Container, _Interval] = {}
        self._setups: dict[tuple[str, str], Counter[float]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="invocation-metrics", daemon=True)
        self._thread.start()

    def record(self, source: Source, status: int, model_seconds: float, overhead_seconds: float) -> None:
        """Count one invocation that the model answered with an HTTP status, in seconds."""
        with self._changed:
            interval = self._intervals.get(source)
            if interval is None:
                interval = self._intervals[source] = _Interval()
                self._changed.notify()
            interval.count(status, overhead_seconds)
            interval.model_latency[microseconds(model_seconds)] += 1

    def record_containers(
        self, source: Source, seconds: Mapping[str, float], direct: tuple[int, float] | None = None
    ) -> None:
        """How long containers took for an invocation that has been counted, by hostname.

        direct: the status and the overhead of one that named its container, which is counted for that, too.
        """
        endpoint, variant, _ = source
        with self._changed:
            for hostname, taken in seconds.items():
                interval = self._containers.setdefault((endpoint, variant, hostname), _Interval())
                interval.model_latency[microseconds(taken)] += 1
                if direct is not None:
                    interval.count(*direct)

    def record_setup(self, source: Source, seconds: float) -> None:
        """How long an invocation that has been counted has waited for an instance of a serverless variant."""
        with self._changed:
            self._setups.setdefault(source[:2], Counter())[microseconds(seconds)] += 1

    def flush(self) -> None:
        """Write what was counted so far; a CloudWatch that fails never fails an invocation."""
        with self._changed:
            intervals, self._intervals = self._intervals, {}
            containers, self._containers = self._containers, {}
            setups, self._setups = self._setups, {}
        now = self._clock()
        data = [datum for key, interval in intervals.items() for datum in data_of(key, interval, now)]
        data += [datum for key, interval in containers.items() for datum in container_data_of(key, interval, now)]
        data += [datum for key, setup in setups.items() for datum in setup_data_of(key, setup, now)]
        if not data:
            return
        try:
            self._platform.put_metric_data("AWS/SageMaker", data)
        except Exception:  # noqa: BLE001 - CloudWatch may be closing; the next interval tries again
            _log.exception("the invocation metrics of %d variants are lost", len(intervals))

    def close(self) -> None:
        """Write what is left and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._intervals))
                if self._changed.wait_for(lambda: self._closed, self._flush_seconds):
                    return
            self.flush()


def microseconds(seconds: float) -> float:
    """Seconds as microseconds with three digits, so that a busy second has few different values."""
    return float(f"{max(seconds, 0.0) * 1e6:.3g}")


def data_of(source: Source, interval: _Interval, at: float) -> Iterator[Document]:
    """PutMetricData's MetricData for what came of one source in an interval; `at` in epoch seconds."""
    names = _DIMENSIONS
    dimensions = [{"Name": name, "Value": value} for name, value in zip(names, source, strict=True)]
    for named in (dimensions[:2], dimensions):
        yield from _data({"Dimensions": named, "Timestamp": at}, interval)


def container_data_of(container: Container, interval: _Interval, at: float) -> Iterator[Document]:
    """PutMetricData's MetricData for what came of a container ("Inference Pipeline Logs and Metrics"; "Metrics for
    multi-container endpoints with direct invocation")."""
    names = ("EndpointName", "VariantName", "ContainerName")
    dimensions = [{"Name": name, "Value": value} for name, value in zip(names, container, strict=True)]
    yield from _data({"Dimensions": dimensions, "Timestamp": at}, interval, latency="ContainerLatency")


def setup_data_of(variant: tuple[str, str], seconds: Counter[float], at: float) -> Iterator[Document]:
    """PutMetricData's MetricData for the cold starts of an endpoint's variant in an interval."""
    dimensions = [{"Name": name, "Value": value} for name, value in zip(_DIMENSIONS[:2], variant, strict=True)]
    common = {"Dimensions": dimensions, "Timestamp": at, "MetricName": "ModelSetupTime", "Unit": "Microseconds"}
    yield from _datum(common, seconds)


def _data(common: Document, interval: _Interval, latency: str = "ModelLatency") -> Iterator[Document]:
    total = interval.invocations
    counts = {
        "Invocations": +Counter({1.0: total}),
        "Invocation4XXErrors": _zeros_and_ones(total, interval.errors_4xx),
        "Invocation5XXErrors": _zeros_and_ones(total, interval.errors_5xx),
    }
    for name, values in counts.items():
        yield from _datum(common | {"MetricName": name, "Unit": "None"}, values)
    for name, values in ((latency, interval.model_latency), ("OverheadLatency", interval.overhead_latency)):
        yield from _datum(common | {"MetricName": name, "Unit": "Microseconds"}, values)


def _zeros_and_ones(total: int, ones: int) -> Counter[float]:
    return +Counter({0.0: total - ones, 1.0: ones})


def _datum(common: Document, values: Counter[float]) -> Iterator[Document]:
    pairs = sorted(values.items())
    for start in range(0, len(pairs), _MAX_VALUES):
        part = pairs[start : start + _MAX_VALUES]
        yield {**common, "Values": [value for value, _ in part], "Counts": [float(count) for _, count in part]}
