"""How patient a run is: time limits, tries, pauses, and the quiet period."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from run_world import definition, make_spec

from infra.workflow import conditions
from infra.workflow.language import retry
from localaws.ministack_adapter.stepfunctions import jsonata

WAITS = ("WaitForEndpoint", "WaitToFindEndpoint", "WaitForChampion")


def test_every_task_gives_up_when_its_work_must_be_done(tmp_path: Path) -> None:
    found = definition(make_spec(tmp_path))["States"]
    longer = {
        "Plan": 910,
        "Train": 3600 + 3600,
        "Evaluate": 3600 + 3600,
        "Gate": 70,
        "Verify": 130,
        "Record": 310,
    }
    for name, state in found.items():
        if state["Type"] == "Task" and name not in WAITS:
            assert state["TimeoutSeconds"] == longer.get(name, 60), name


def test_a_job_on_spot_may_wait_as_long_as_the_spec_says(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from toolkit import checkpoint\n")
    train = {"instance": "ml.m5.large", "max_runtime": "1h", "spot": {"max_wait": "3h"}}
    states = definition(make_spec(tmp_path, train=train))["States"]
    assert states["Train"]["TimeoutSeconds"] == 3 * 3600 + 3600


def retriers(state: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    """(the first error's service, interval, attempts, longest delay) of each."""
    return [
        (
            entry["ErrorEquals"][0].partition(".")[0],
            entry["IntervalSeconds"],
            entry["MaxAttempts"],
            entry["MaxDelaySeconds"],
        )
        for entry in state["Retry"]
    ]


def test_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    found = definition(make_spec(tmp_path))["States"]
    trouble, limit = ("SageMaker", 1, 3, 60), ("SageMaker", 30, 4, 240)
    assert retriers(found["Train"]) == retriers(found["CreateEndpoint"]) == [trouble], "a choice reads its limits"
    assert retriers(found["CreateModel"]) == retriers(found["FindEndpoint"]) == [limit], "its refusal is an answer"
    assert retriers(found["AwaitEndpoint"]) == [trouble, limit]
    assert retriers(found["Settle"]) == [("DynamoDB", 1, 6, 60)]
    assert retriers(found["Plan"]) == [("Lambda", 1, 6, 60)]
    assert retriers(found["Record"]) == [("Lambda", 1, 6, 60), ("States", 1, 2, 60)]
    for state in found.values():
        assert {entry["BackoffRate"] for entry in state.get("Retry", [])} <= {2}


def test_a_retrier_waits_longer_each_time_within_its_bound() -> None:
    assert retry(["Some.Error"], interval=3, attempts=2) == {
        "ErrorEquals": ["Some.Error"],
        "IntervalSeconds": 3,
        "BackoffRate": 2,
        "MaxAttempts": 2,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    }


ERRORS = {
    "Plan": [
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "BusyError",
    ],
    "Settle": [
        "DynamoDB.ProvisionedThroughputExceededException",
        "DynamoDB.RequestLimitExceeded",
        "DynamoDB.ThrottlingException",
        "DynamoDB.InternalServerError",
        "DynamoDB.AmazonDynamoDBException",
    ],
    "Train": [
        "SageMaker.AmazonSageMakerException",
        "SageMaker.SageMakerException",
    ],
}


@pytest.mark.parametrize("state", ERRORS)
def test_trouble_is_known_by_its_name(tmp_path: Path, state: str) -> None:
    retried = definition(make_spec(tmp_path))["States"][state]["Retry"]
    assert [error for entry in retried for error in entry["ErrorEquals"]] == ERRORS[state]


@pytest.mark.parametrize(("refusals", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (5, 240)])
def test_pauses_for_instances_double_up_to_four_minutes(tmp_path: Path, refusals: int, seconds: int) -> None:
    """Half of each pause is jitter."""
    states = definition(make_spec(tmp_path))["States"]
    way = states["TrainRefused"]["Choices"][-1]
    short = {"turn": 0, "later": False, "refusals": refusals, "waited": 1000, "pause": 1}
    after = evaluated(way["Assign"]["short"], short=short)
    assert seconds * 500 <= after["pause"] <= seconds * 1000 and after["refusals"] == refusals + 1
    assert after["waited"] == 1000 + after["pause"]
    text = states["TrainWaits"]["Timestamp"][2:-2]
    left = jsonata.evaluate(f"($now := $millis(); $toMillis({text}) - $now)", {"short": after})
    assert abs(left - after["pause"]) <= 1


@pytest.mark.parametrize(("waited", "pause"), [(0, 250), (4_000, 1_000), (40_000, 10_000), (10**7, 30_000)])
def test_pauses_grow_with_the_time_waited(tmp_path: Path, waited: int, pause: int) -> None:
    """A quarter of it, within bounds. An expression's clock stands still while it is evaluated."""
    timestamp = definition(make_spec(tmp_path))["States"]["WaitForEndpointUnheard"]["Timestamp"]
    times = f"$now := $millis(); $deploying_since := $now - {waited}"
    assert jsonata.evaluate(f"({times}; $toMillis({timestamp[2:-2]}) - $now)", {}) == pause


def test_a_canary_of_ten_minutes_takes_few_transitions(tmp_path: Path) -> None:
    """15 minutes with the instances' start: three states a look, of which the end takes two."""
    states = definition(make_spec(tmp_path))["States"]
    looks = 1 + 900 // states["WaitForEndpoint"]["TimeoutSeconds"]
    polled, polls = 0.0, 1
    while polled < 900:
        polled, polls = polled + min(30, max(0.25, polled / 4)), polls + 1
    assert (3 * looks - 1, 3 * polls - 1) == (47, 158), "by the event's net, and by looking alone"


def test_everything_that_waits_for_the_endpoint_waits_alike(tmp_path: Path) -> None:
    found = definition(make_spec(tmp_path))["States"]
    waits = [found[name] for name in WAITS]
    assert [wait["Next"] for wait in waits] == ["AwaitEndpoint", "FindEndpoint", "LookAtEndpoint"]
    for name, wait in zip(WAITS, waits, strict=True):
        timed_out, else_ = wait["Catch"]
        assert (timed_out["ErrorEquals"], timed_out["Next"]) == (["States.Timeout"], wait["Next"]), "it looks then"
        assert (else_["ErrorEquals"], else_["Next"]) == (["States.ALL"], f"{name}Unheard")
        pause = found[f"{name}Unheard"]
        assert (pause["Type"], pause["Next"]) == ("Wait", wait["Next"])
        assert pause["Timestamp"] == found["WaitForEndpointUnheard"]["Timestamp"]
        assert "Assign" not in timed_out and "Assign" not in else_, "no event is no failure"
        own = {"Next": "", "Catch": []}
        assert {**wait, **own} == {**waits[0], **own}
    assert found["WaitToCreateModel"] == {"Type": "Wait", "Seconds": 2, "Next": "CreateModel"}


def evaluated(expression: str, **variables: Any) -> Any:
    return jsonata.evaluate(expression[2:-2], variables)


@pytest.mark.parametrize(
    ("state", "timeout", "minutes"),
    [("Deploy", "20m", 20), ("Undo", "20m", 60), ("Repair", "20m", 60), ("Undo", "50m", 100)],
)
def test_a_deployment_has_the_time_that_the_spec_gives_it(
    tmp_path: Path, state: str, timeout: str, minutes: int
) -> None:
    """What is undone has longer: an update that was given up is waited out, and the champion comes back after it."""
    found = definition(make_spec(tmp_path, deploy={"instance": "ml.t2.medium", "timeout": timeout}))["States"]
    assign = found[state]["Assign"]
    text = f"({assign['deploy_deadline'][2:-2]}) - ({assign['deploying_since'][2:-2]})"
    assert round(jsonata.evaluate(text, {})) == minutes * 60 * 1000
    assert assign["endpoint_changed"] is False


@pytest.mark.parametrize(
    ("kind", "quiet", "started", "calm"),
    [
        ("data", "+1000", "0", False),
        ("data", "-1000", "0", True),
        ("manual", "+1000", "0", True),
        ("data", "+1000", "-590000", False),
        ("data", "+1000", "-610000", True),
    ],
)
def test_data_that_keeps_arriving_is_not_waited_for_longer_than_ten_minutes(
    tmp_path: Path, kind: str, quiet: str, started: str, calm: bool
) -> None:
    spec = make_spec(tmp_path, triggers={"data": {"quiet": "2s"}})
    assert is_calm(spec, kind, quiet, started) is calm


@pytest.mark.parametrize(("started", "calm"), [("-19 * 60000", False), ("-21 * 60000", True)])
def test_a_long_quiet_period_may_be_put_off_twenty_times(tmp_path: Path, started: str, calm: bool) -> None:
    spec = make_spec(tmp_path, triggers={"data": {"quiet": "1m"}})
    assert is_calm(spec, "data", "+ 60000", started) is calm


def is_calm(spec: Any, kind: str, quiet: str, started: str) -> bool:
    """Whether a run goes ahead whose quiet period ends, and which started, so many milliseconds from now."""
    condition = definition(spec)["States"]["Settled"]["Choices"][0]["Condition"]
    times = f"$at := $millis() {quiet}; $since := $fromMillis($millis() + ({started}))"
    text = condition[2:-2].replace("$quiet_at", "$at").replace("$states.context.Execution.StartTime", "$since")
    return bool(jsonata.evaluate(f"({times}; {text})", {"run": {"trigger": {"kind": kind}}}))


@pytest.mark.parametrize(("pending", "quiet_at"), [("2026-11-20T10:00:00.000Z", 30), (None, 90)])
def test_the_quiet_period_begins_with_the_last_arrival_or_the_trigger(
    tmp_path: Path, pending: str | None, quiet_at: int
) -> None:
    spec = make_spec(tmp_path, triggers={"data": {"quiet": "30s"}})
    item = {"pending": {"M": {"last_at": {"S": pending}}}} if pending else {"state": {"S": "x"}}
    expression = definition(spec)["States"]["Settle"]["Assign"]["quiet_at"]
    trigger = {"at": "2026-11-20T10:01:00.000Z"}
    found = evaluated(expression, states={"result": {"Item": item}}, run={"trigger": trigger})
    ten = datetime.fromisoformat("2026-11-20T10:00:00.000Z").timestamp() * 1000
    assert found - ten == quiet_at * 1000


@pytest.mark.parametrize(
    ("changed", "since", "shown"), [(True, 0, True), (False, 15_000, False), (False, 15_001, True)]
)
def test_an_update_may_take_fifteen_seconds_to_show(changed: bool, since: int, shown: bool) -> None:
    text = f"($deploying_since := $millis() - {since}; {conditions.update_has_shown()})"
    assert jsonata.evaluate(text, {"endpoint_changed": changed}) is shown


CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


@pytest.mark.parametrize("status", [*CHANGING, "InService", "Failed", "OutOfService", "UpdateRollbackFailed"])
def test_the_statuses_of_an_endpoint_that_changes(status: str) -> None:
    endpoint = {"status": status}
    assert jsonata.evaluate(conditions.is_changing(), {"endpoint": endpoint}) is (status in CHANGING)
    still = status in (*CHANGING, "InService")
    assert jsonata.evaluate(conditions.may_still_change(), {"endpoint": endpoint}) is still
