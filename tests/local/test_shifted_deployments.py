"""Whole runs whose challengers take over by a canary, under load: good ones, and each kind of bad one.

The embedded AWS's clock runs sixty times as fast for what is only waited for; the pipelines say what they would say in
an account.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from asking import asked_without_pause
from deployed import Alone, Pipeline, Scripted
from waiting import until

from bench.load import Failure

WATCHED: dict[str, Any] = {
    "instance": "ml.t2.medium",
    "shift": {"canary": "20%", "bake": "10m"},
    "rollback_on": {"errors": "1%", "p90_latency": "400ms", "alarms": ["revenue-drops"]},
    "keep_champions": 2,
}
PIPELINES = {"shifted": Scripted({"deploy": WATCHED})}


@pytest.fixture(scope="module")
def shifted(alone: Alone) -> Iterator[Pipeline]:
    """A pipeline with a champion that is right in 70 of 100 cases."""
    with alone("shifted", clock_scale=60, authorization_log=True) as pipeline:
        revenue(pipeline)
        pipeline.order(accuracy=0.7)
        assert pipeline.run()["outcome"] == "Promoted"
        yield pipeline


def revenue(pipeline: Pipeline) -> None:
    """An alarm of the user's own."""
    pipeline.aws.client("cloudwatch").put_metric_alarm(
        AlarmName="revenue-drops",
        Namespace="Shop",
        MetricName="Revenue",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="notBreaching",
    )


def own_alarms(pipeline: Pipeline) -> set[str]:
    found = pipeline.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{pipeline.own['EndpointName']}-")
    return {alarm["AlarmName"] for alarm in found["MetricAlarms"]}


def assert_in_order(pipeline: Pipeline, champion: str) -> None:
    """That run's model serves, and there is nothing that neither serves nor may come back, and no alarm."""
    state, there = pipeline.state, pipeline.deployed()
    assert state["champion"]["run_id"] == champion
    assert there["endpoint"] == ("InService", state["champion"]["endpoint_config_name"])
    kept = [entry for entry in (state["champion"], state.get("previous_champion"), *state["retained"]) if entry]
    assert there["models"] <= {entry["model_name"] for entry in kept}
    assert there["configs"] <= {entry["endpoint_config_name"] for entry in kept}
    assert own_alarms(pipeline) == set()
    assert pipeline.ask(1) == "1"


def bad_run(pipeline: Pipeline, **orders: Any) -> tuple[dict[str, Any], list[Failure]]:
    """A challenger that is better where it is judged, and its end; what wasn't answered well meanwhile."""
    pipeline.order(accuracy=0.9, at=time.time(), **orders)
    with asked_without_pause(pipeline) as asked:
        record = pipeline.run()
    return record, asked.failures


BAD = {
    "errors on one request in twenty": ("fails", "DeploymentRolledBack", "errors"),
    "is slow": ("dawdles", "DeploymentRolledBack", "p90-latency"),
    "never gets healthy": ("crash", "DeploymentRolledBack", ""),
    "answers wrongly": ("lie", "VerificationFailed", "answered '"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_challenger_is_rolled_back_and_the_champion_answers_throughout(shifted: Pipeline, case: str) -> None:
    how, error, told = BAD[case]
    champion = shifted.state["champion"]["run_id"]
    record, failures = bad_run(shifted, endpoint=how)
    assert (record["outcome"], record.get("error", {}).get("error")) == ("RolledBack", error), record
    assert told in record["error"]["cause"]
    assert record["champion_after"]["run_id"] == champion
    assert [failure for failure in failures if not failure.is_models_own] == []
    assert not failures or how == "fails", failures
    assert_in_order(shifted, champion)


def test_a_challenger_that_takes_long_to_load_is_waited_for_and_takes_over_without_a_failed_request(
    shifted: Pipeline,
) -> None:
    record, failures = bad_run(shifted, endpoint="slow")
    assert (record["outcome"], failures) == ("Promoted", [])
    assert record["verification"]["named"] is True, "its answers say whose they are"
    assert_in_order(shifted, record["run_id"])
    states = shifted.states(record["run_id"])
    assert [state for state in states if state.startswith(("ExpectAlarms", "Watch", "FindAlarms"))] == [
        "ExpectAlarms",
        "ExpectAlarmsFound",
        "WatchErrors",
        "WatchP90Latency",
        "FindAlarms",
        "FindAlarmsFound",
    ]

    with asked_without_pause(shifted) as asked:
        back = shifted.run("rollback")
    assert (back["outcome"], asked.failures) == ("Promoted", [])
    assert "UpdateAtOnce" in shifted.states(back["run_id"])
    assert_in_order(shifted, record["champion_before"]["run_id"])


def test_an_alarm_of_the_users_that_is_gone_keeps_the_endpoint_from_being_touched(shifted: Pipeline) -> None:
    champion = shifted.state["champion"]["run_id"]
    shifted.aws.client("cloudwatch").delete_alarms(AlarmNames=["revenue-drops"])
    record, failures = bad_run(shifted)
    revenue(shifted)
    assert (record["outcome"], record["error"]["error"], failures) == ("Failed", "AlarmsNotUsable", [])
    assert record["error"]["cause"] == "there is no metric alarm revenue-drops in this account and region"
    assert "Train" not in shifted.states(record["run_id"])
    assert_in_order(shifted, champion)


def test_an_alarm_that_somebody_deletes_meanwhile_ends_the_deployment(shifted: Pipeline) -> None:
    champion = shifted.state["champion"]["run_id"]
    shifted.order(accuracy=0.9, at=time.time())
    run_id = shifted.trigger()["run_id"]
    until(lambda: shifted.deployed()["endpoint"][0] == "Updating", "the canary")
    shifted.aws.client("cloudwatch").delete_alarms(AlarmNames=sorted(own_alarms(shifted)))
    record = shifted.record(run_id)
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", "DeploymentRolledBack"), record
    assert_in_order(shifted, champion)


@pytest.mark.parametrize(
    ("role", "action", "accuracy", "outcome"),
    [
        ("JobsHosting", "cloudwatch:DescribeAlarms", 0.9, "RolledBack"),
        ("WorkflowExecution", "cloudwatch:DescribeAlarms", 0.9, "Failed"),
        ("WorkflowExecution", "cloudwatch:PutMetricAlarm", 0.9, "Failed"),
        ("RunRecorder", "cloudwatch:DeleteAlarms", 0.9, "Promoted"),
    ],
)
def test_each_right_to_alarms_is_needed_and_named_where_it_is_missing(
    shifted: Pipeline, role: str, action: str, accuracy: float, outcome: str
) -> None:
    """Where the recorder lacks it, a repair deletes what it has left."""
    before = shifted.state["champion"]["run_id"]
    shifted.order(accuracy=accuracy, at=time.time())
    with shifted.without(action, shifted.role(role)):
        record = shifted.run()
    assert (record["outcome"], action in record["error"]["cause"]) == (outcome, True), record["error"]
    if outcome == "Promoted":
        assert len(own_alarms(shifted)) == 2
        shifted.run("repair")
    assert_in_order(shifted, record["run_id"] if outcome == "Promoted" else before)


def test_a_run_that_is_stopped_during_the_canary_is_waited_out_and_repaired(shifted: Pipeline) -> None:
    before = shifted.state["champion"]["run_id"]
    shifted.order(accuracy=1.0, at=time.time())
    run_id = shifted.trigger()["run_id"]
    until(lambda: shifted.deployed()["endpoint"][0] == "Updating", "the canary")
    shifted.aws.client("stepfunctions").stop_execution(executionArn=shifted.item(f"run#{run_id}")["execution_arn"])
    assert shifted.record(run_id)["outcome"] == "Stopped"
    shifted.idle()
    until(lambda: not own_alarms(shifted), "the repair to be recorded")
    shifted.idle()
    assert_in_order(shifted, before)
