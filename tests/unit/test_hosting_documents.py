"""An endpoint in Describe and in events, and the metrics of its invocations."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting.endpoint_documents import describe, state_change_detail
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics, microseconds
from localaws.sagemaker.hosting.snapshots import plans_of, reweighted, with_retained_properties


def snapshot(identity: str = "one", config: str = "config", **variants: tuple[float, int]) -> dict[str, Any]:
    return {
        "Id": identity,
        "EndpointConfigName": config,
        "Variants": [
            {"VariantName": name, "Weight": weight, "InstanceCount": count, "Image": "image", "ResolvedAt": 1.0,
             "StartupSeconds": 600.0, "InstanceType": "ml.m5.large"}
            for name, (weight, count) in variants.items()
        ],
    }  # fmt: skip


def endpoint(status: str, **more: Any) -> dict[str, Any]:
    return {"EndpointName": "e", "EndpointArn": "arn", "EndpointConfigName": "config", "EndpointStatus": status, **more}


def test_describe_shows_what_serves_and_what_is_coming() -> None:
    pending = {**snapshot("two", "next", A=(1.0, 2)), "StartTime": 5.0}
    shown = describe(endpoint("Updating", Deployed=snapshot(A=(1.0, 1)), Pending=pending), {"A": 1})
    assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert shown["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    assert shown["PendingDeploymentSummary"]["EndpointConfigName"] == "next"
    assert shown["PendingDeploymentSummary"]["ProductionVariants"][0]["DesiredInstanceCount"] == 2
    assert not {"Deployed", "Pending"} & set(shown)


@pytest.mark.fidelity(
    "Endpoints",
    "PendingDeploymentSummary is there while an endpoint is Creating, too.",
    "SageMaker API, DescribeEndpoint: PendingDeploymentSummary",
)
def test_describe_shows_what_is_being_created() -> None:
    status = {"Status": "Creating", "StatusMessage": "Launching 2 instance(s).", "StartTime": 6.0}
    pending = {**snapshot(A=(1.0, 2)), "StartTime": 5.0, "Progress": {"Statuses": {"A": status}}}
    shown = describe(endpoint("Creating", Pending=pending), {})["PendingDeploymentSummary"]
    assert (shown["EndpointConfigName"], shown["StartTime"]) == ("config", 5.0)
    assert shown["ProductionVariants"][0]["VariantStatus"] == [status]
    assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 0


@pytest.mark.fidelity(
    "Endpoints",
    "CurrentWeight and DesiredWeight, CurrentInstanceCount and DesiredInstanceCount differ while a change goes on.",
    "SageMaker API, ProductionVariantSummary",
)
def test_describe_of_a_rescaling_shows_current_and_desired() -> None:
    deployed = snapshot(A=(1.0, 1))
    pending = reweighted(deployed, [{"VariantName": "A", "DesiredWeight": 2, "DesiredInstanceCount": 3}])
    shown = describe(endpoint("Updating", Deployed=deployed, Pending=pending), {"A": 1})["ProductionVariants"][0]
    assert (shown["CurrentWeight"], shown["DesiredWeight"]) == (1.0, 2.0)
    assert (shown["CurrentInstanceCount"], shown["DesiredInstanceCount"]) == (1, 3)


def test_weights_need_a_variant_and_a_sum() -> None:
    deployed = snapshot(A=(1.0, 1), B=(1.0, 1))
    with pytest.raises(SageMakerError, match="no production variant C"):
        reweighted(deployed, [{"VariantName": "C", "DesiredWeight": 1}])
    with pytest.raises(SageMakerError, match="above 0"):
        reweighted(deployed, [{"VariantName": name, "DesiredWeight": 0} for name in ("A", "B")])
    assert [plan.weight for plan in plans_of(reweighted(deployed, [{"VariantName": "A", "DesiredWeight": 0}]))] == [
        0,
        1,
    ]


@pytest.mark.fidelity(
    "Endpoints",
    "ExcludeRetainedVariantProperties leaves out what is named.",
    "SageMaker API, UpdateEndpoint",
)
def test_retained_properties_are_those_of_the_variants_that_stay() -> None:
    pending, deployed = snapshot(A=(1.0, 1), New=(1.0, 1)), snapshot(A=(5.0, 4), Old=(9.0, 9))
    kept = with_retained_properties(pending, deployed, {"DesiredInstanceCount"})
    assert [(v["VariantName"], v["Weight"], v["InstanceCount"]) for v in kept["Variants"]] == [
        ("A", 5.0, 1), ("New", 1.0, 1),
    ]  # fmt: skip


@pytest.mark.fidelity(
    "EventBridge",
    "RollingBack is ROLLING_BACK in an endpoint's event.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
@pytest.mark.parametrize(
    ("status", "shown"), [("InService", "IN_SERVICE"), ("RollingBack", "ROLLING_BACK"), ("Failed", "FAILED")]
)
def test_an_events_status_is_in_capitals(status: str, shown: str) -> None:
    detail = state_change_detail(endpoint(status, Deployed=snapshot(A=(1.0, 2)), FailureReason="why"))
    assert detail["EndpointStatus"] == shown
    assert detail["ProductionVariants"] == [{"VariantName": "A", "DesiredWeight": 1.0, "DesiredInstanceCount": 2}]
    assert detail["FailureReason"] == "why"


class Recorder:
    """Takes metrics as CloudWatch would."""

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []
        self.written = threading.Event()

    def put_metric_data(self, namespace: str, data: list[dict[str, Any]]) -> None:
        assert namespace == "AWS/SageMaker"
        self.data.extend(data)
        self.written.set()


@pytest.mark.fidelity(
    "Endpoints",
    "The metrics of invocations are there by EndpointConfigName, too, from its first traffic on.",
    "SageMaker DG, Auto-Rollback Configuration and Monitoring",
)
def test_invocations_are_written_together_under_awss_names() -> None:
    recorder = Recorder()
    metrics = InvocationMetrics(recorder, lambda: 7.0)  # type: ignore[arg-type]
    for status, seconds in ((200, 0.001), (200, 0.001), (400, 0.002), (500, 0.003)):
        metrics.record(("e", "A", "c"), status, seconds, 0.0001)
    metrics.close()
    by_name = {datum["MetricName"]: datum for datum in recorder.data if len(datum["Dimensions"]) == 2}
    assert (by_name["Invocations"]["Values"], by_name["Invocations"]["Counts"]) == ([1.0], [4.0])
    assert (by_name["Invocation4XXErrors"]["Values"], by_name["Invocation4XXErrors"]["Counts"]) == ([0, 1], [3, 1])
    assert (by_name["Invocation5XXErrors"]["Values"], by_name["Invocation5XXErrors"]["Counts"]) == ([0, 1], [3, 1])
    latency = by_name["ModelLatency"]
    assert (latency["Values"], latency["Counts"]) == ([1000.0, 2000.0, 3000.0], [2.0, 1.0, 1.0])
    assert (latency["Unit"], latency["Timestamp"]) == ("Microseconds", 7.0)
    assert by_name["OverheadLatency"]["Values"] == [100.0]
    assert latency["Dimensions"] == [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "A"}]
    of_config = [{**datum, "Dimensions": datum["Dimensions"][:2]} for datum in recorder.data if _is_of(datum, "c")]
    assert of_config == list(by_name.values()), "the same once more, by the configuration that answered"


@pytest.mark.fidelity(
    "CloudWatch",
    "Containers that are asked by name have Invocations, errors and OverheadLatency of their own by ContainerName.",
    "SageMaker DG, Metrics for multi-container endpoints with direct invocation",
)
def test_containers_have_metrics_of_their_own() -> None:
    recorder = Recorder()
    metrics = InvocationMetrics(recorder, lambda: 7.0)  # type: ignore[arg-type]
    for hostnames, direct in (("ab", None), ("a", (200, 0.0001)), ("a", (500, 0.0001))):
        metrics.record(("e", "A", "c"), 200, 0.004, 0.0001)
        metrics.record_containers(("e", "A", "c"), dict.fromkeys(hostnames, 0.002), direct)
    metrics.close()
    told = {
        (datum["Dimensions"][2]["Value"], datum["MetricName"]): dict(zip(datum["Values"], datum["Counts"], strict=True))
        for datum in recorder.data
        if datum["Dimensions"][2:] and datum["Dimensions"][2]["Name"] == "ContainerName"
    }
    assert told == {
        ("a", "ContainerLatency"): {2000.0: 3.0},
        ("a", "Invocations"): {1.0: 2.0},
        ("a", "Invocation4XXErrors"): {0.0: 2.0},
        ("a", "Invocation5XXErrors"): {0.0: 1.0, 1.0: 1.0},
        ("a", "OverheadLatency"): {100.0: 2.0},
        ("b", "ContainerLatency"): {2000.0: 1.0},
    }


@pytest.mark.fidelity(
    "CloudWatch",
    "InvocationsPerInstance holds 1 / the variant's instances for every invocation.",
    "SageMaker DG, Amazon SageMaker AI metrics in Amazon CloudWatch; ScalingPolicyMetric, API reference",
)
def test_invocations_are_counted_per_instance() -> None:
    recorder, counts = Recorder(), {("e", "A"): 4, ("e", "B"): 0}
    metrics = InvocationMetrics(recorder, lambda: 7.0, instances=lambda *of: counts[of])  # type: ignore[arg-type]
    for variant in "AAB":
        metrics.record(("e", variant, "c"), 200, 0.001, 0.0001)
    metrics.close()
    of_variant = [datum for datum in recorder.data if not _is_of(datum, "c")]
    told = [datum for datum in of_variant if datum["MetricName"] == "InvocationsPerInstance"]
    assert [(datum["Values"], datum["Counts"]) for datum in told] == [([0.25], [2.0]), ([1.0], [1.0])]


def _is_of(datum: dict[str, Any], config: str) -> bool:
    return {"Name": "EndpointConfigName", "Value": config} in datum["Dimensions"]


@pytest.mark.fidelity(
    "CloudWatch",
    "A metric datum has at most 150 different values.",
    "CloudWatch API, MetricDatum: Values",
)
def test_many_different_latencies_are_split_as_cloudwatch_wants_them() -> None:
    recorder = Recorder()
    metrics = InvocationMetrics(recorder, lambda: 7.0)  # type: ignore[arg-type]
    for number in range(100, 500):
        metrics.record(("e", "A", "c"), 200, number / 1e6, 0.0)
    metrics.close()
    of_variant = [datum for datum in recorder.data if not _is_of(datum, "c")]
    latencies = [datum for datum in of_variant if datum["MetricName"] == "ModelLatency"]
    assert max(len(datum["Values"]) for datum in latencies) <= 150
    assert sum(sum(datum["Counts"]) for datum in latencies) == 400


def test_latencies_keep_three_digits() -> None:
    assert [microseconds(seconds) for seconds in (0.0012345, 0.5, -1)] == [1230.0, 500000.0, 0.0]
