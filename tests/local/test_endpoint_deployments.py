"""UpdateEndpoint with a DeploymentConfig on the embedded AWS, whose waits pass sixty times as fast: traffic, alarms
that roll back, what is shown meanwhile, and a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hosting_kit import ECHO, Hosting, echo_archive
from running_aws import Aws, AwsFactory
from waiting import until

from bench.load import Load

SCALE = 60
CANARY = {"Type": "CAPACITY_PERCENT", "Value": 20}
FAILS_ONE_IN_TEN = """
import itertools, json, pathlib
calls = itertools.count(1)

def model_fn(model_dir):
    return pathlib.Path(model_dir, "name.txt").read_text()

def transform_fn(model, body, content_type, accept):
    if next(calls) % 10 == 0:
        raise RuntimeError("out of luck")
    return json.dumps({"model": model}), "application/json"
"""
SLOW = ECHO.replace('return {"model"', 'import time; time.sleep(0.05); return {"model"')


def settings(factory: AwsFactory) -> None:
    factory.state.mkdir(parents=True, exist_ok=True)
    (factory.state / "settings.json").write_text(json.dumps({"clock_scale": SCALE}))


@pytest.fixture(scope="module")
def hosting(tmp_path_factory: pytest.TempPathFactory, images: Any) -> Iterator[Hosting]:
    factory = AwsFactory(tmp_path_factory.mktemp("deployments") / "aws")
    settings(factory)
    yield watched(factory.start())
    factory.stop()


def watched(aws: Aws) -> Hosting:
    """A hosting kit whose models' role may see alarms."""
    hosting = Hosting(aws)
    hosting.role = hosting.make_role(
        "watching", ["s3:GetObject", "logs:CreateLog*", "logs:PutLogEvents", "cloudwatch:DescribeAlarms"]
    )
    return hosting


def canary(bake: int = 300, last: int = 0, *names: str) -> dict[str, Any]:
    routing = {"Type": "CANARY", "CanarySize": CANARY, "WaitIntervalInSeconds": bake}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": last}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]}} if names else {}
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def alarm(hosting: Hosting, endpoint: str, config: str, metric: str, **more: Any) -> str:
    """An alarm on the new fleet's metric, by its configuration."""
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic", "EndpointConfigName": config}
    statistic = {} if "ExtendedStatistic" in more else {"Statistic": "Average"}
    hosting.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{config}-{metric}",
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Period=60,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        **{"Threshold": 0.01, **statistic, **more},
    )
    return f"{config}-{metric}"


def challenger(hosting: Hosting, part: str, serve: str = ECHO, count: int = 1) -> str:
    model = hosting.model(part, echo_archive("challenger", serve))
    return hosting.config(part, {"ModelName": model, "InitialInstanceCount": count})


def stage(hosting: Hosting, endpoint: str) -> tuple[str, str]:
    """The new fleet's status and its message."""
    summary = hosting.describe(endpoint).get("PendingDeploymentSummary", {"ProductionVariants": [{}]})
    status = summary["ProductionVariants"][0].get("VariantStatus", [{}])[0]
    return status.get("Status", ""), status.get("StatusMessage", "")


def baking(hosting: Hosting, endpoint: str) -> str:
    """The message of the new fleet's bake; empty while there is none."""
    status, message = stage(hosting, endpoint)
    return message if status == "Baking" else ""


@pytest.mark.fidelity(
    "Endpoints",
    "An alarm on EndpointConfigName that trips in a canary's bake gives all traffic back to the old fleet; no request "
    "fails but those that the new model itself failed.",
    "SageMaker DG, Canary Traffic Shifting; Auto-Rollback Configuration and Monitoring",
)
@pytest.mark.parametrize(
    ("serve", "metric", "more"),
    [
        (FAILS_ONE_IN_TEN, "Invocation5XXErrors", {}),
        (SLOW, "ModelLatency", {"ExtendedStatistic": "p90", "Threshold": 20_000}),
    ],
    ids=["errors", "slow"],
)
def test_a_bad_challenger_is_rolled_back_by_its_alarm(
    hosting: Hosting, request: pytest.FixtureRequest, serve: str, metric: str, more: dict[str, Any]
) -> None:
    part = request.node.callspec.id
    endpoint = hosting.deploy(part, echo_archive("champion"))
    config = challenger(hosting, f"{part}2", serve)
    name = alarm(hosting, endpoint, config, metric, **more)
    with Load(hosting.aws.server, endpoint, pause=0.005) as load:
        hosting.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=canary(3600, 0, name)
        )
        after = hosting.settled(endpoint)
        settled = time.time()
        until(lambda: load.answers[-1][0] > settled + 0.3, "more answers")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", endpoint)
    assert name in after["FailureReason"]
    assert after["LastDeploymentConfig"] == canary(3600, 0, name)
    late = Counter(who for at, who in load.answers if at > settled)
    assert set(late) == {"champion"}
    assert Counter(who for _, who in load.answers)["challenger"] > 0
    assert [failure for failure in load.failures if not failure.is_models_own] == []
    assert bool(load.failures) == (metric != "ModelLatency")


@pytest.mark.fidelity(
    "Endpoints",
    "A canary has its share of requests, PendingDeploymentSummary says so, and each stage is an event: SageMaker "
    "Endpoint Deployment State Change, its EndpointStatus UPDATING.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_a_canary_is_shown_and_shares_the_traffic_until_somebody_sets_its_alarm(hosting: Hosting) -> None:
    events, sqs = hosting.aws.client("events"), hosting.aws.client("sqs")
    url = sqs.create_queue(QueueName=hosting.name("stages"))["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
                 "Resource": queue}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint Deployment State Change"],
               "detail": {"EndpointStatus": ["UPDATING"]}}  # fmt: skip
    events.put_rule(Name=hosting.name("stages"), EventPattern=json.dumps(pattern))
    events.put_targets(Rule=hosting.name("stages"), Targets=[{"Id": "queue", "Arn": queue}])
    endpoint = hosting.deploy("shown", echo_archive("champion"))
    config = challenger(hosting, "shown2", hosting.loads_when_told("shown"), count=2)
    name = alarm(hosting, endpoint, config, "Invocation5XXErrors")
    with Load(hosting.aws.server, endpoint, pause=0.005) as load:
        hosting.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=canary(3600, 0, name)
        )
        until(lambda: len(load.answers) > 50, "answers while the new model loads")
        loading = stage(hosting, endpoint)
        hosting.tell_to_load("shown")
        until(lambda: baking(hosting, endpoint), "the bake")
        shown, before = hosting.describe(endpoint), len(load.answers)
        until(lambda: len(load.answers) > before + 100, "answers during the bake")
        during = Counter(who for _, who in load.answers[before:])
        hosting.aws.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="I say so")
        after = hosting.settled(endpoint)
    assert loading == ("Creating", "Launching 2 instance(s).")
    pending = shown["PendingDeploymentSummary"]["ProductionVariants"][0]
    assert (pending["CurrentInstanceCount"], pending["DesiredInstanceCount"]) == (1, 2)
    assert pending["VariantStatus"][0]["StatusMessage"] == (
        "Baking for 3600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert abs(during["challenger"] - 0.2 * sum(during.values())) < 3, "as exact as requests at the same time allow"
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", endpoint)
    assert load.failures == []
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    stages = [json.loads(message["Body"])["detail"] for message in received]
    said = {v["VariantStatus"][0]["Status"] for detail in stages
            for v in detail["PendingDeploymentSummary"]["ProductionVariants"] if "VariantStatus" in v}  # fmt: skip
    assert said == {"Creating", "ActivatingTraffic", "Baking"}


@pytest.mark.fidelity(
    "IAM",
    "The models' execution role needs cloudwatch:DescribeAlarms on a deployment's alarms.",
    "SageMaker DG, Auto-Rollback Configuration and Monitoring",
)
def test_a_deployment_whose_alarms_cant_be_seen_or_are_deleted_is_rolled_back(hosting: Hosting) -> None:
    endpoint = hosting.deploy("unseen", echo_archive("champion"))
    blind = hosting.make_role("blind", ["s3:GetObject", "logs:CreateLog*", "logs:PutLogEvents"])
    model = hosting.model("unseen2", echo_archive("challenger"), ExecutionRoleArn=blind)
    config = hosting.config("unseen2", {"ModelName": model})
    name = alarm(hosting, endpoint, config, "Invocation5XXErrors")
    wanted = {"EndpointName": endpoint, "DeploymentConfig": canary(600, 0, name)}
    hosting.sagemaker.update_endpoint(EndpointConfigName=config, **wanted)
    denied = hosting.settled(endpoint)
    assert "is not authorized to perform: cloudwatch:DescribeAlarms on resource" in denied["FailureReason"]
    hosting.sagemaker.update_endpoint(EndpointConfigName=challenger(hosting, "unseen3"), **wanted)
    until(lambda: baking(hosting, endpoint), "the bake")
    hosting.aws.client("cloudwatch").delete_alarms(AlarmNames=[name])
    gone = hosting.settled(endpoint)
    assert gone["FailureReason"] == f"Alarms of the auto-rollback configuration don't exist: {name}."
    assert (gone["EndpointStatus"], gone["EndpointConfigName"]) == ("InService", endpoint)
    assert hosting.ask(endpoint)["body"]["model"] == "champion"


def test_a_deployment_goes_on_after_a_kill(fresh_aws: AwsFactory) -> None:
    settings(fresh_aws)
    hosting = watched(fresh_aws.start())
    endpoint = hosting.deploy("killed", echo_archive("champion"))
    config = challenger(hosting, "killed2")
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=canary(300, 60)
    )
    until(lambda: baking(hosting, endpoint), "the bake")
    os.kill(hosting.aws.server.pid, signal.SIGKILL)
    again = hosting
    again.sagemaker, again.runtime = (client := fresh_aws.start().client)("sagemaker"), client("sagemaker-runtime")
    until(lambda: again.describe(endpoint)["EndpointStatus"] != "SystemUpdating", "it serves again")
    assert again.settled(endpoint)["EndpointConfigName"] == config
    assert {again.ask(endpoint)["body"]["model"] for _ in range(20)} == {"challenger"}
