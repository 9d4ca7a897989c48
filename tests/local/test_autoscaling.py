"""Application Auto Scaling of endpoint variants on the embedded AWS, whose clock runs as fast as it may: instances come
with requests and go without, by schedule too, and what SageMaker refuses of an endpoint that is scaled."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import resources
from botocore.exceptions import ClientError
from hosting_kit import Hosting, echo_archive, invocations
from running_aws import AwsFactory
from waiting import PATIENCE, WAIT_SECONDS, until

SCALE = 600
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
INVOCATIONS = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
TRUSTED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory, images: Any) -> Iterator[AwsFactory]:
    factory = AwsFactory(tmp_path_factory.mktemp("scaling") / "aws")
    factory.state.mkdir(parents=True)
    (factory.state / "settings.json").write_text(json.dumps({"clock_scale": SCALE}))
    yield factory
    factory.stop()


@pytest.fixture(scope="module")
def hosting(factory: AwsFactory) -> Hosting:
    return Hosting(factory.start())


@pytest.fixture(scope="module")
def endpoint(hosting: Hosting) -> str:
    """An endpoint of one instance, of whose variant no test but the scaling ones knows."""
    return hosting.deploy("scaled", echo_archive("m"))


def variant(endpoint: str, **more: Any) -> dict[str, Any]:
    resource = f"endpoint/{endpoint}/variant/AllTraffic"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION, **more}


def tracking(endpoint: str, target: float = 4.0, name: str = "requests", **more: Any) -> dict[str, Any]:
    config = {"TargetValue": target, "PredefinedMetricSpecification": INVOCATIONS, **more}
    return variant(
        endpoint, PolicyName=name, PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=config
    )


def refusal(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def instances(hosting: Hosting, endpoint: str) -> int:
    found = hosting.describe(endpoint)
    [only] = found["ProductionVariants"]
    return int(only["CurrentInstanceCount"]) if found["EndpointStatus"] == "InService" else 0


def statuses_until(hosting: Hosting, endpoint: str, done: Callable[[], bool]) -> set[str]:
    """The endpoint's statuses on the way, looked at without a pause."""
    seen: set[str] = set()
    deadline = time.monotonic() + WAIT_SECONDS * PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited in vain; it was {seen}"
        seen.add(str(hosting.describe(endpoint)["EndpointStatus"]))
    return seen


def asking(hosting: Hosting, endpoint: str) -> tuple[threading.Event, list[threading.Thread]]:
    """Requests without a pause, until the event is set; one that isn't answered raises in its thread."""
    over, ask = threading.Event(), invocations(hosting.aws, endpoint)

    def go_on() -> None:
        while not over.is_set():
            ask()

    threads = [threading.Thread(target=go_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    return over, threads


def activities(hosting: Hosting, endpoint: str) -> list[dict[str, Any]]:
    """The newest first."""
    scaling = hosting.aws.client("application-autoscaling")
    request = variant(endpoint)
    return list(scaling.describe_scaling_activities(**request)["ScalingActivities"])


@pytest.mark.fidelity(
    "Endpoints",
    "Target tracking on invocations per instance adds instances in proportion while requests come, and takes them away "
    "without: the endpoint is Updating meanwhile, no request is lost, and the activities say which alarm it was.",
    "SageMaker DG, Automatic scaling of Amazon SageMaker AI models; "
    "Application Auto Scaling user guide, How target tracking scaling works, Scaling activities",
)
@pytest.mark.fidelity(
    "CloudWatch",
    "A target tracking policy has two alarms: three minutes above the target, fifteen below nine tenths of it.",
    "Application Auto Scaling user guide, How target tracking scaling works; "
    "its alarms' names: aws-controllers-k8s/community, autoscaling example",
)
def test_instances_come_with_requests_and_go_without(hosting: Hosting, endpoint: str) -> None:
    scaling, cloudwatch = hosting.aws.client("application-autoscaling"), hosting.aws.client("cloudwatch")
    scaling.register_scalable_target(**variant(endpoint, MinCapacity=1, MaxCapacity=3))
    made = scaling.put_scaling_policy(**tracking(endpoint))
    names = [alarm["AlarmName"] for alarm in made["Alarms"]]
    high, low = (cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0] for name in names)
    assert names[0].startswith(f"TargetTracking-endpoint/{endpoint}/variant/AllTraffic-AlarmHigh-")
    assert names[1].startswith(f"TargetTracking-endpoint/{endpoint}/variant/AllTraffic-AlarmLow-")
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (4.0, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"], low["Period"]) == (3.6, 15, 60)
    assert high["AlarmActions"] == low["AlarmActions"] == [made["PolicyARN"]]
    over, threads = asking(hosting, endpoint)
    # It is Updating for as long as an instance takes to start, which looks that become rarer miss.
    assert "Updating" in statuses_until(hosting, endpoint, lambda: instances(hosting, endpoint) == 3)
    over.set()
    for thread in threads:
        thread.join()
    until(lambda: instances(hosting, endpoint) == 1, "one instance is left", seconds=60)
    until(lambda: activities(hosting, endpoint)[0]["StatusCode"] == "Successful", "that is told")
    told = activities(hosting, endpoint)
    assert [each["Description"] for each in told[:2]] == [f"Setting desired instance count to {n}." for n in (1, 2)]
    assert told[0]["Cause"] == f"monitor alarm {names[1]} in state ALARM triggered policy requests"
    assert told[-1]["Cause"] == f"monitor alarm {names[0]} in state ALARM triggered policy requests"
    assert told[0]["StatusMessage"] == (
        "Successfully set desired instance count to 1. Change successfully fulfilled by sagemaker."
    )


@pytest.mark.fidelity(
    "Endpoints",
    "A scalable target's instances are brought within its limits, also by a scheduled action; "
    "RetainAllVariantProperties keeps what scaling has set over an update, which a scalable target allows as long as "
    "the instance type stays.",
    "SageMaker DG, Update endpoints that use auto scaling; RegisterScalableTarget, PutScheduledAction, API reference",
)
def test_limits_schedules_and_updates(hosting: Hosting, factory: AwsFactory) -> None:
    endpoint = hosting.deploy("limits", echo_archive("m"))
    scaling = hosting.aws.client("application-autoscaling")
    arn = scaling.register_scalable_target(**variant(endpoint, MinCapacity=2, MaxCapacity=4))["ScalableTargetARN"]
    until(lambda: instances(hosting, endpoint) == 2, "the minimum is up")
    soon = (datetime.now(UTC) + timedelta(seconds=3)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    action = variant(endpoint, ScheduledActionName="morning", Schedule=soon)
    scaling.put_scheduled_action(**action, ScalableTargetAction={"MinCapacity": 3, "MaxCapacity": 3})
    # What is due is done though the server was killed meanwhile.
    os.kill(hosting.aws.server.pid, signal.SIGKILL)
    again = Hosting(factory.start(), hosting.suffix + "-again")
    scaling = again.aws.client("application-autoscaling")
    until(lambda: instances(again, endpoint) == 3, "the scheduled action has added one")
    [target] = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[action["ResourceId"]])[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (3, 3, arn)
    assert target["RoleARN"].endswith(f"/sagemaker.application-autoscaling.amazonaws.com/{ROLE}")
    assert [each["Cause"] for each in activities(again, endpoint)][:2] == [
        "minimum capacity was set to 3",
        "scheduled action name morning was triggered",
    ]
    model = {"ModelName": again.model("next", echo_archive("next"))}
    larger = again.config("larger", {**model, "InstanceType": "ml.m5.xlarge"})
    said = refusal(again.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=larger)
    assert "variant AllTraffic would be on ml.m5.xlarge and is registered as a scalable target" in said
    same = again.config("same", model)
    again.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=same, RetainAllVariantProperties=True)
    assert again.settled(endpoint)["EndpointConfigName"] == same
    assert instances(again, endpoint) == 3
    _check_deletion(again, endpoint)


def _check_deletion(hosting: Hosting, endpoint: str) -> None:
    """An endpoint that is scaled goes with its scalable targets, for who may end their scaling."""
    role = hosting.make_role("deleter", ["sagemaker:*"], TRUSTED)
    session = resources.assumed(hosting.aws, role)
    said = refusal(hosting.aws.client("sagemaker", session).delete_endpoint, EndpointName=endpoint)
    assert said == (
        "ValidationException: An Application AutoScaling scalable target exists for a variant being deleted, and the "
        "IAM identity used to invoke DeleteEndpoint does not have application-autoscaling:DeregisterScalableTarget "
        "permission to deregister the scalable target."
    )
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    scaling = hosting.aws.client("application-autoscaling")
    assert refusal(scaling.deregister_scalable_target, **variant(endpoint)) == (
        "ObjectNotFoundException: No scalable target registered for service namespace: sagemaker, resource ID: "
        f"endpoint/{endpoint}/variant/AllTraffic, scalable dimension: {DIMENSION}"
    )


def _without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


@pytest.mark.fidelity(
    "Endpoints",
    "Application Auto Scaling refuses what it can't scale: burstable instances, no such variant, limits that aren't "
    "any, metrics of other dimensions, schedules that never come, and what names no scalable target.",
    "SageMaker DG, Configure model auto scaling with the console, Define a scaling policy; aws/aws-cdk#29065",
)
def test_what_cant_be_scaled_is_refused(hosting: Hosting, endpoint: str) -> None:
    scaling = hosting.aws.client("application-autoscaling")
    register, put, schedule = (
        scaling.register_scalable_target,
        scaling.put_scaling_policy,
        scaling.put_scheduled_action,
    )
    scaling.register_scalable_target(**variant(endpoint, MinCapacity=1, MaxCapacity=3))
    limits = {"MinCapacity": 1, "MaxCapacity": 2}
    action = variant(endpoint, ScheduledActionName="a", ScalableTargetAction={"MinCapacity": 1})
    other = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
    concurrency = {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}
    burstable = hosting.config("burst", {"ModelName": hosting.name("scaled"), "InstanceType": "ml.t2.medium"})
    hosting.sagemaker.create_endpoint(EndpointName=hosting.name("burst"), EndpointConfigName=burstable)
    hosting.settled(hosting.name("burst"))
    refused: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
        (register, variant(hosting.name("burst"), **limits), "isn't supported for burstable performance instances"),
        (register, variant("nobody", **limits), "SageMaker variant doesn't exist: endpoint/nobody/variant/AllTraffic"),
        (register, variant(endpoint, MinCapacity=0), "the minimum instance count is 1 or higher"),
        (register, variant(endpoint, MinCapacity=4), "Maximum capacity cannot be less than minimum capacity (3 < 4)"),
        (register, variant(hosting.name("burst"), MaxCapacity=2), "MinCapacity is required when registering"),
        (register, {**variant(endpoint), "ResourceId": f"endpoint/{endpoint}"}, "Unsupported service namespace"),
        (register, {**variant(endpoint), "ServiceNamespace": "ecs"}, "not supported here: ServiceNamespace=ecs"),
        (put, tracking("nobody"), "No scalable target registered for service namespace: sagemaker"),
        (put, tracking(endpoint, **other), "only supports the following predefined metric types: SageMakerVariantInv"),
        (
            put,
            tracking(endpoint, PredefinedMetricSpecification=concurrency),
            "not supported here: PredefinedMetricType",
        ),
        (put, tracking(endpoint, target=0.0), "Target value must be greater than 0"),
        (put, {**tracking(endpoint), "PolicyType": "StepScaling"}, "not supported here: PolicyType=StepScaling"),
        (schedule, {**action, "Schedule": "at(2001-01-01T00:00:00)"}, "is in the past"),
        (schedule, {**action, "Schedule": "cron(0 25 * * ? *)"}, "'25' isn't one of 0 to 23"),
        (schedule, {**action, "Schedule": "rate(1 week)"}, "there are at(yyyy-mm-ddThh:mm:ss), rate(value unit) and"),
        (schedule, {**action, "Schedule": "rate(1 day)", "Timezone": "Mars/Olympus"}, "The time zone Mars/Olympus"),
        (schedule, _without(action, "ScalableTargetAction") | {"Schedule": "rate(1 day)"}, "At least one of MinCap"),
        (scaling.delete_scaling_policy, variant(endpoint, PolicyName="none"), "No scaling policy found for service"),
        (scaling.delete_scheduled_action, variant(endpoint, ScheduledActionName="none"), "No scheduled action found"),
    ]
    told = {wanted: refusal(call, **request) for call, request, wanted in refused}
    assert not {wanted: said for wanted, said in told.items() if wanted not in said}


@pytest.mark.fidelity(
    "IAM",
    "Who registers a scalable target may scale the endpoint and make the service-linked role; targets are told apart "
    "by application-autoscaling:service-namespace, scalable-dimension, and their tags.",
    "SageMaker DG, Auto scaling prerequisites; Service Authorization Reference, AWS Application Auto Scaling",
)
def test_who_may_scale(hosting: Hosting, endpoint: str) -> None:
    root, iam = hosting.aws.client("application-autoscaling"), hosting.aws.client("iam")
    [target] = root.describe_scalable_targets(**_without(variant(endpoint), "ResourceId"))["ScalableTargets"]
    root.tag_resource(ResourceARN=target["ScalableTargetARN"], Tags={"pipeline": "mine"})
    role = hosting.make_role("scaler", ["application-autoscaling:Describe*"], TRUSTED)
    scaling = hosting.aws.client("application-autoscaling", resources.assumed(hosting.aws, role))

    def allow(actions: list[str], **tags: str) -> None:
        keys = {"application-autoscaling:service-namespace": "sagemaker"}
        keys |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": {"StringEquals": keys}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role.rpartition("/")[2], PolicyName="x", PolicyDocument=policy)

    allow(["application-autoscaling:RegisterScalableTarget"], pipeline="another")
    again = variant(endpoint, MaxCapacity=3)
    assert "perform: application-autoscaling:RegisterScalableTarget" in refusal(
        scaling.register_scalable_target, **again
    )
    allow(["application-autoscaling:RegisterScalableTarget"], pipeline="mine")
    assert "perform: sagemaker:DescribeEndpoint on" in refusal(scaling.register_scalable_target, **again)
    allow(["application-autoscaling:PutScalingPolicy"], pipeline="mine")
    assert "perform: cloudwatch:PutMetricAlarm on" in refusal(scaling.put_scaling_policy, **tracking(endpoint))
    assert iam.get_role(RoleName=ROLE)["Role"]["Path"].startswith("/aws-service-role/sagemaker.app")
