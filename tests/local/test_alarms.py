"""Alarms: evaluated when a metric is written, by their own dimensions, told to topics and the event bus."""

from __future__ import annotations

import json
from typing import Any

import pytest
from resources import first_message, open_queue, unique
from waiting import until


def becomes(aws: Any, alarm: str, wanted: str) -> bool:
    cloudwatch = aws.client("cloudwatch")

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"])

    return until(lambda: state() == wanted, f"{alarm} to be {wanted}")


def put(aws: Any, metric: str, value: float, **dimensions: str) -> None:
    named = [{"Name": name, "Value": text} for name, text in dimensions.items()]
    datum = {"MetricName": metric, "Value": value, "Dimensions": named}
    aws.client("cloudwatch").put_metric_data(Namespace="Test", MetricData=[datum])


def errors_alarm(metric: str, **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": unique("alarm"),
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "TreatMissingData": "notBreaching",
        **more,
    }


@pytest.mark.fidelity(
    "CloudWatch",
    "An alarm tells its topic (NewStateValue) and the event bus (CloudWatch Alarm State Change).",
    "CloudWatch User Guide, Alarm events and EventBridge",
)
def test_an_alarm_looks_at_its_own_dimensions_and_tells_topic_and_bus(aws: Any) -> None:
    metric = unique("Errors")
    url, arn = open_queue(aws, "sns.amazonaws.com")
    sns, events = aws.client("sns"), aws.client("events")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    request = errors_alarm(
        metric,
        Namespace="Test",
        MetricName=metric,
        Dimensions=[{"Name": "Endpoint", "Value": "mine"}],
        Statistic="Sum",
        Period=60,
        AlarmActions=[topic],
    )
    alarm = request["AlarmName"]
    bus_url, bus_arn = open_queue(aws, "events.amazonaws.com")
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [alarm], "state": {"value": ["ALARM"]}}}
    rule = unique("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": bus_arn}])

    aws.client("cloudwatch").put_metric_alarm(**request)
    put(aws, metric, 100, Endpoint="another")
    assert becomes(aws, alarm, "OK")
    put(aws, metric, 3, Endpoint="mine")
    put(aws, metric, 3, Endpoint="mine")
    assert becomes(aws, alarm, "ALARM")
    assert json.loads(first_message(aws, url)["Message"])["NewStateValue"] == "ALARM"
    assert first_message(aws, bus_url)["detail-type"] == "CloudWatch Alarm State Change"


@pytest.mark.fidelity(
    "CloudWatch",
    "An alarm may be over metric math, the queries with ReturnData false.",
    "CloudWatch API, PutMetricAlarm: Metrics",
)
def test_metric_math_through_the_api(aws: Any) -> None:
    metric = unique("Calls")

    def query(identity: str, kind: str) -> dict[str, Any]:
        named = {"Namespace": "Test", "MetricName": metric, "Dimensions": [{"Name": "Kind", "Value": kind}]}
        return {"Id": identity, "MetricStat": {"Metric": named, "Period": 60, "Stat": "Sum"}, "ReturnData": False}

    rate = {"Id": "rate", "Expression": "100 * bad / all", "ReturnData": True}
    request = errors_alarm(metric, Metrics=[rate, query("bad", "bad"), query("all", "all")])
    aws.client("cloudwatch").put_metric_alarm(**request)
    put(aws, metric, 100, Kind="all")
    put(aws, metric, 1, Kind="bad")
    assert becomes(aws, request["AlarmName"], "OK")
    put(aws, metric, 9, Kind="bad")
    assert becomes(aws, request["AlarmName"], "ALARM")


@pytest.mark.fidelity(
    "CloudWatch",
    "SQS writes ApproximateNumberOfMessagesVisible by QueueName.",
    "SQS DG, Available CloudWatch metrics for Amazon SQS",
)
def test_a_queue_that_an_alarm_watches_writes_its_metrics(aws: Any) -> None:
    url, _arn = open_queue(aws, "events.amazonaws.com")
    request = errors_alarm(
        "",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
        Statistic="Maximum",
        Period=60,
        Threshold=0,
    )
    aws.client("cloudwatch").put_metric_alarm(**request)
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="lost")
    assert becomes(aws, request["AlarmName"], "ALARM")


@pytest.mark.fidelity(
    "CloudWatch",
    "EvaluateLowSampleCountPercentile ignore: an alarm of a percentile keeps its state until there are samples enough.",
    "CloudWatch API, PutMetricAlarm: EvaluateLowSampleCountPercentile",
)
def test_a_percentile_of_few_samples_leaves_the_alarm_as_it_is(aws: Any) -> None:
    cloudwatch, metric = aws.client("cloudwatch"), unique("Latency")
    more = {"Namespace": "Test", "MetricName": metric, "ExtendedStatistic": "p90", "Period": 60}
    request = errors_alarm(metric, EvaluateLowSampleCountPercentile="ignore", TreatMissingData="missing", **more)
    cloudwatch.put_metric_alarm(**request)
    for samples, expected in ((99.0, "INSUFFICIENT_DATA"), (1.0, "ALARM")):
        data = [{"MetricName": metric, "Values": [9.0], "Counts": [samples]}]
        cloudwatch.put_metric_data(Namespace="Test", MetricData=data)
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[request["AlarmName"]])["MetricAlarms"]
        assert alarm["StateValue"] == expected
    unknown = errors_alarm(metric, **{**more, "ExtendedStatistic": "tm90"})
    with pytest.raises(cloudwatch.exceptions.ClientError, match="not supported here: the statistic tm90"):
        cloudwatch.put_metric_alarm(**unknown)
