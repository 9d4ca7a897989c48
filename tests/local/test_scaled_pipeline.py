"""A pipeline whose endpoint is scaled, from its first champion to its end: instances come with requests, stay over an
update, what somebody has deleted is put back and told of, and nothing is left when the stack goes.

The embedded AWS's clock runs as fast as it may for what is only waited for; the pipeline says what it would say in an
account.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asking import asked_without_pause
from botocore.exceptions import ClientError
from deployed import Alone, Pipeline, Scripted
from waiting import until

from contract import scaling

SCALED: dict[str, Any] = {
    "instance": "ml.m5.large",
    "autoscale": {
        "min": 1,
        "max": 2,
        # So few that whoever asks without pause keeps two instances, on the slowest of machines too.
        "invocations_per_instance": 1,
        "schedule": [{"at": "cron(0 8 1 1 ? *)", "zone": "Europe/Berlin", "min": 2}],
    },
}
PIPELINES = {"scaled": Scripted({"deploy": SCALED})}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture
def scaled(alone: Alone) -> Iterator[Pipeline]:
    with alone("scaled", clock_scale=600) as pipeline:
        yield pipeline


def target(pipeline: Pipeline) -> dict[str, Any]:
    resource = f"endpoint/{pipeline.own['EndpointName']}/variant/AllTraffic"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION}


def instances(pipeline: Pipeline) -> int:
    found = pipeline.aws.client("sagemaker").describe_endpoint(EndpointName=pipeline.own["EndpointName"])
    return int(found["ProductionVariants"][0]["CurrentInstanceCount"])


def test_an_endpoint_is_scaled_from_its_first_champion_to_its_end(scaled: Pipeline) -> None:
    autoscaling = scaled.aws.client("application-autoscaling")
    scaled.order(accuracy=0.7)
    record = scaled.run()
    in_force = {"in_force": True, "min": 1, "max": 2, "invocations_per_instance": 1, "times": 1}
    assert record["outcome"] == "Promoted"
    assert record["scaling"] == {**in_force, "was": scaling.NOT_SCALED}
    [policy] = autoscaling.describe_scaling_policies(**target(scaled))["ScalingPolicies"]

    with asked_without_pause(scaled) as asked:
        until(lambda: instances(scaled) == 2, "the second instance")
        scaled.order(accuracy=0.9)
        record = scaled.run()
        assert record["outcome"] == "Promoted"
        assert record["scaling"] == {**in_force, "was": scaling.STOPPED}
        assert instances(scaled) == 2, "an update keeps what scaling has set"
        [again] = autoscaling.describe_scaling_policies(**target(scaled))["ScalingPolicies"]
        assert again["PolicyName"] == policy["PolicyName"]

        assert scaled.run()["scaling"]["was"] == scaling.AS_SAID
        autoscaling.delete_scaling_policy(**target(scaled), PolicyName=policy["PolicyName"])
        record = scaled.run()
        assert (record["outcome"], record["scaling"]["was"]) == ("UpToDate", scaling.OTHERWISE)
        assert record["scaling"]["in_force"] is True and instances(scaled) == 2
        # Nor has it begun at one again, and been scaled out once more.
        activities = autoscaling.describe_scaling_activities(**target(scaled))["ScalingActivities"]
        assert [each["Description"] for each in activities] == ["Setting desired instance count to 2."]
    assert asked.failures == []

    with scaled.without("application-autoscaling:PutScalingPolicy", scaled.role("WorkflowExecution")):
        autoscaling.delete_scaling_policy(**target(scaled), PolicyName=policy["PolicyName"])
        record = scaled.run()
    assert "perform: application-autoscaling:PutScalingPolicy" in record["error"]["cause"]
    assert record["scaling"]["in_force"] is False and scaled.ask(1) == "1", "the champion serves, unscaled"
    assert scaled.run()["scaling"]["in_force"] is True

    _check_end(scaled)


def _check_end(pipeline: Pipeline) -> None:
    """The stack goes, and leaves no scalable target and no alarm."""
    cloudformation = pipeline.aws.client("cloudformation")
    stack = f"ratchet-local-{pipeline.name}"
    cloudformation.delete_stack(StackName=stack)
    until(lambda: _status(pipeline, stack) != "DELETE_IN_PROGRESS", "the end")
    assert _status(pipeline, stack) == "", cloudformation.describe_stack_events(StackName=stack)["StackEvents"][:5]
    named = {"ServiceNamespace": "sagemaker"}
    assert pipeline.aws.client("application-autoscaling").describe_scalable_targets(**named)["ScalableTargets"] == []
    assert pipeline.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"] == []


def _status(pipeline: Pipeline, stack: str) -> str:
    """A stack's status; empty where there is no such stack any more."""
    try:
        found = pipeline.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError:
        return ""
    return str(found[0]["StackStatus"])
