"""Runs whose deployments are watched: what SageMaker and CloudWatch are asked, and what becomes of their answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_world import CHAMPION, ENDPOINT, PLAN, World, definition, in_service, make_spec, refused, run

from contract import names
from infra.workflow.steps.plan import spec_hash
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from ratchet.spec import PipelineSpec

OLD = str(CHAMPION["endpoint_config_name"])
DEPLOY: dict[str, Any] = {"instance": "ml.t2.medium", "instance_count": 4}
WATCHED = {**DEPLOY, "shift": {"canary": "10%", "bake": "10m"}, "rollback_on": {"errors": "1%", "p99_latency": "500ms"}}


def spec_of(folder: Path, **deploy: Any) -> PipelineSpec:
    return make_spec(folder, deploy={**DEPLOY, **deploy})


def with_champion(**more: Any) -> World:
    return World(plan={**PLAN, "champion": CHAMPION}, on=OLD, **more)


def watched_spec(folder: Path) -> PipelineSpec:
    return make_spec(folder, deploy=WATCHED)


# ----------------------------------------------------------------------------------------------- what SageMaker is told

ROUTING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "canary": (
        {"shift": {"canary": "10%", "bake": "10m"}, "keep_old": "5m", "max_time": "1h"},
        {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "CANARY",
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                    "WaitIntervalInSeconds": 600,
                },
                "TerminationWaitInSeconds": 300,
                "MaximumExecutionTimeoutInSeconds": 3600,
            }
        },
    ),
    "linear": (
        {"shift": {"linear": 1}},
        {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "LINEAR",
                    "LinearStepSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                    "WaitIntervalInSeconds": 300,
                },
                "TerminationWaitInSeconds": 0,
                "MaximumExecutionTimeoutInSeconds": 4 * 300 + 1800,
            }
        },
    ),
    "rolling": (
        {"shift": {"rolling": "25%", "every": "2m"}},
        {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
                "WaitIntervalInSeconds": 120,
                "MaximumExecutionTimeoutInSeconds": 4 * 120 + 1800,
            }
        },
    ),
    "all": (
        {"shift": "all", "keep_old": "10m"},
        {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": 600,
                "MaximumExecutionTimeoutInSeconds": 2400,
            }
        },
    ),
}


@pytest.mark.parametrize("way", ROUTING)
def test_an_update_says_how_traffic_goes_over(tmp_path: Path, way: str) -> None:
    deploy, policy = ROUTING[way]
    ran = run(spec_of(tmp_path, rollback_on={"errors": "1%", "alarms": ["revenue"]}, **deploy), with_champion())
    config = ran.recorded["deployment"]["endpoint_config_name"]
    (request,) = ran.called("updateEndpoint")
    alarms = [{"AlarmName": f"{config}-errors"}, {"AlarmName": "revenue"}]
    assert request == {
        "EndpointName": ENDPOINT,
        "EndpointConfigName": config,
        "DeploymentConfig": {**policy, "AutoRollbackConfiguration": {"Alarms": alarms}},
    }
    assert ran.recorded["outcome"] == "Promoted"


def test_without_alarms_sagemaker_is_told_of_none(tmp_path: Path) -> None:
    """It takes no empty list of them."""
    (request,) = run(spec_of(tmp_path, keep_old="10m"), with_champion()).called("updateEndpoint")
    assert request["DeploymentConfig"].keys() == {"BlueGreenUpdatePolicy"}


def test_a_first_endpoint_has_nothing_to_shift_from(tmp_path: Path) -> None:
    ran = run(watched_spec(tmp_path), World())
    assert ran.called("createEndpoint") and not ran.called("putMetricAlarm") and not ran.called("updateEndpoint")
    assert ran.recorded["outcome"] == "Promoted"


def test_how_models_are_deployed_makes_no_other_model_and_leaves_the_rest_of_the_machine_as_it_is(
    tmp_path: Path,
) -> None:
    plain, watched = spec_of(tmp_path), make_spec(tmp_path, deploy={**WATCHED, "keep_champions": 5})
    assert spec_hash(spec_of(tmp_path)) == spec_hash(watched)
    before, after = (definition(spec)["States"] for spec in (plain, watched))
    added = {"WatchErrors", "WatchP99Latency", "FindAlarms", "FindAlarmsFound", "UpdateAtOnce", "UpdateAtOnceRefused"}
    assert after.keys() - before.keys() == {*added, "UpdateAtOnceWaits"}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"EndpointFound", "UpdateEndpoint", "EndpointReady", "Undo", "Repair", "Record"}
    assert "DeploymentConfig" not in json.dumps(before) and "cloudwatch" not in json.dumps(before)


def test_step_functions_takes_the_definition(tmp_path: Path) -> None:
    text = json.dumps(definition(watched_spec(tmp_path)))
    assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


# ----------------------------------------------------------------------------------------------------------- its alarms


@pytest.mark.fidelity(
    "CloudWatch",
    "Invocation5XXErrors holds a 1 for an answer with an error and a 0 for any other, so that its average is the error "
    "rate; ModelLatency is in microseconds; the dimension EndpointConfigName is the new fleet's alone.",
    "SageMaker Developer Guide, Endpoint invocation metrics; Auto-Rollback Configuration and Monitoring",
)
def test_alarms_watch_the_new_fleet_alone(tmp_path: Path) -> None:
    ran = run(watched_spec(tmp_path), with_champion())
    config = ran.recorded["deployment"]["endpoint_config_name"]
    common = {
        "AlarmDescription": "digits-forest's new models while they are deployed; made and deleted by its runs",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [
            {"Name": "EndpointName", "Value": ENDPOINT},
            {"Name": "VariantName", "Value": "AllTraffic"},
            {"Name": "EndpointConfigName", "Value": config},
        ],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    errors = {"MetricName": "Invocation5XXErrors", "Statistic": "Average", "Threshold": 0.01}
    latency = {"MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Threshold": 500_000}
    assert ran.called("putMetricAlarm") == [
        {"AlarmName": f"{config}-errors", **common, **errors},
        {"AlarmName": f"{config}-p99-latency", **common, **latency},
    ]
    assert ran.called("describeAlarms") == [{"AlarmNames": [f"{config}-errors", f"{config}-p99-latency"]}]
    order = [name for name, _ in ran.calls if name in ("putMetricAlarm", "describeAlarms", "updateEndpoint")]
    assert order == ["putMetricAlarm", "putMetricAlarm", "describeAlarms", "updateEndpoint"]
    assert ran.recorded["alarms"] is True, "the recorder deletes them"
    assert set(names.alarms(config)) >= {f"{config}-errors", f"{config}-p99-latency"}


FOUND: dict[str, tuple[dict[str, str], str | None]] = {
    "all quiet": ({"revenue": "OK", "load": "INSUFFICIENT_DATA"}, None),
    "one missing": ({"revenue": "OK"}, "there is no metric alarm load in this account and region"),
    "one sounds": (
        {"revenue": "ALARM", "load": "OK"},
        "revenue sounds already (it is in ALARM), so that SageMaker would go back at once",
    ),
    "both sound": (
        {"revenue": "ALARM", "load": "ALARM"},
        "revenue, load sounds already (it is in ALARM), so that SageMaker would go back at once",
    ),
}
NAMED = {"keep_old": "5m", "rollback_on": {"alarms": ["revenue", "load"]}}


def described(states: dict[str, str]) -> dict[str, Any]:
    return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in states.items()]}


@pytest.mark.parametrize("case", FOUND)
def test_an_alarm_that_is_missing_or_sounds_keeps_the_endpoint_from_being_touched(tmp_path: Path, case: str) -> None:
    states, cause = FOUND[case]
    before = described({"revenue": "OK", "load": "ALARM"})
    world = with_champion(answers={"describeAlarms": [before, described(states)]})
    ran = run(spec_of(tmp_path, **NAMED), world)
    assert ran.called("createTrainingJob"), "one that sounds may be quiet by then"
    if cause is None:
        assert ran.recorded["outcome"] == "Promoted"
        return
    assert ran.recorded["failure"] == {"state": "FindAlarms", "error": "AlarmsNotUsable", "cause": cause}
    assert (ran.recorded["outcome"], world.on) == (None, OLD)
    assert "alarms" not in ran.recorded, "it makes none of its own"


@pytest.mark.parametrize(
    ("states", "missing"), [({}, "revenue, load"), ({"load": "OK"}, "revenue"), ({"revenue": "ALARM"}, "load")]
)
def test_an_alarm_that_nobody_has_made_ends_the_run_before_it_trains(
    tmp_path: Path, states: dict[str, str], missing: str
) -> None:
    ran = run(spec_of(tmp_path, **NAMED), with_champion(answers={"describeAlarms": described(states)}))
    cause = f"there is no metric alarm {missing} in this account and region"
    assert ran.recorded["failure"] == {"state": "ExpectAlarms", "error": "AlarmsNotUsable", "cause": cause}
    assert not ran.called("createTrainingJob")


@pytest.mark.parametrize("task", ["putMetricAlarm", "describeAlarms"])
def test_a_role_that_may_not_watch_deploys_nothing(tmp_path: Path, task: str) -> None:
    denied = refused("User is not authorized to perform: cloudwatch:X", "CloudWatch.CloudWatchException")
    world = with_champion(answers={task: denied})
    ran = run(watched_spec(tmp_path), world)
    assert (ran.recorded["outcome"], world.on) == (None, OLD)
    assert "not authorized" in ran.recorded["failure"]["cause"] and ran.recorded["deployment"]


# ------------------------------------------------------------------------------------------------------------- its ends


@pytest.mark.fidelity(
    "Endpoints",
    "A deployment that was rolled back ends InService on the old config, and FailureReason may be empty.",
    "SageMaker API reference, DescribeEndpoint; hashicorp/terraform-provider-aws, pull request 49020",
)
@pytest.mark.parametrize("told", [{}, {"FailureReason": ""}, {"FailureReason": "an alarm"}])
def test_a_rollback_without_a_reason_is_told_for_what_it_is(tmp_path: Path, told: dict[str, str]) -> None:
    looks = [in_service(OLD), in_service(OLD, EndpointStatus="Updating"), in_service(OLD, **told)]
    ran = run(watched_spec(tmp_path), with_champion(answers={"describeEndpoint": looks}))
    config = ran.recorded["deployment"]["endpoint_config_name"]
    reason = told.get("FailureReason") or "SageMaker gives no reason"
    assert ran.recorded["outcome"] == "RolledBack"
    assert ran.recorded["failure"]["cause"] == (
        f"the endpoint stays on {OLD}: {reason}; it was watched by the alarms {config}-errors, {config}-p99-latency"
    )
    assert not ran.called("verifier")


def test_a_person_who_goes_back_gets_the_earlier_model_at_once(tmp_path: Path) -> None:
    """The bad model answers meanwhile: there is nothing to be careful with."""
    candidate = {**CHAMPION, "run_id": "20261118-101112-cafe"}
    plan = {**PLAN, "outcome": "Rollback", "champion": CHAMPION, "candidate": candidate, "decision": {"reason": "x"}}
    ran = run(watched_spec(tmp_path), World(plan=plan, on=OLD), kind="rollback")
    (request,) = ran.called("updateEndpoint")
    assert request.keys() == {"EndpointName", "EndpointConfigName"} and not ran.called("putMetricAlarm")
    assert ran.recorded["outcome"] == "Promoted"


def test_what_is_undone_is_undone_at_once(tmp_path: Path) -> None:
    wrong = {"Payload": {"verified": False, "reason": "answered 3", "asked": 0}}
    world = with_champion(answers={"verifier": wrong})
    ran = run(watched_spec(tmp_path), world)
    there, back = ran.called("updateEndpoint")
    assert "DeploymentConfig" in there and back == {"EndpointName": ENDPOINT, "EndpointConfigName": OLD}
    assert (ran.recorded["outcome"], world.on) == ("RolledBack", OLD)


@pytest.mark.parametrize(
    ("state", "deploy", "seconds"),
    [
        ("UpdateEndpoint", {"shift": {"canary": "10%", "bake": "1h"}, "keep_old": "1h"}, 2 * 3600 + 1800 + 1800),
        ("UpdateEndpoint", {"shift": {"canary": "10%"}, "max_time": "8h"}, 8 * 3600 + 1800),
        ("Deploy", {"shift": {"canary": "10%"}, "max_time": "8h"}, 1800),
        ("Undo", {"shift": {"canary": "10%"}, "max_time": "8h"}, 8 * 3600 + 1800 + 1800),
        ("Repair", {"shift": {"canary": "10%"}, "max_time": "8h"}, 8 * 3600 + 1800 + 1800),
    ],
)
def test_a_run_waits_as_long_as_sagemaker_may_take(
    tmp_path: Path, state: str, deploy: dict[str, Any], seconds: int
) -> None:
    """And as long as its way back may take; an update that is given up is waited out before the champion comes back."""
    spec = spec_of(tmp_path, rollback_on={"errors": "1%"}, **deploy)
    assign = definition(spec)["States"][state]["Assign"]
    assert assign["deploy_deadline"] == f"{{% $millis() + {seconds * 1000} %}}"


# ----------------------------------------------------------------------------- an endpoint that isn't what it should be


def test_an_endpoint_out_of_service_is_made_anew(tmp_path: Path) -> None:
    world = with_champion()
    looks = iter([in_service(OLD, EndpointStatus="OutOfService"), in_service(OLD, EndpointStatus="Deleting")])
    world.answers["describeEndpoint"] = lambda arguments: next(looks, None) or world._describeEndpoint(arguments)
    ran = run(make_spec(tmp_path), world)
    assert [name for name, _ in ran.calls if name.endswith("teEndpoint")] == ["deleteEndpoint", "createEndpoint"]
    assert ran.recorded["outcome"] == "Promoted"


MIXED = in_service(OLD, EndpointStatus="UpdateRollbackFailed", FailureReason="both broke")


@pytest.mark.parametrize("late", [0, 1])
def test_an_endpoint_whose_rollback_has_failed_is_updated(tmp_path: Path, late: int) -> None:
    """It serves a mix; after the update it may be described so for a moment."""
    world = with_champion()
    looks = iter([MIXED] * (1 + late))
    world.answers["describeEndpoint"] = lambda arguments: next(looks, None) or world._describeEndpoint(arguments)
    ran = run(make_spec(tmp_path), world)
    assert [name for name, _ in ran.calls if name.endswith("teEndpoint")] == ["updateEndpoint"]
    assert ran.recorded["outcome"] == "Promoted"


def test_a_deployment_whose_rollback_fails_ends_with_the_champion_back(tmp_path: Path) -> None:
    world = with_champion()
    changing = in_service(OLD, EndpointStatus="Updating")
    looks = iter([in_service(OLD), changing, MIXED, MIXED])
    world.answers["describeEndpoint"] = lambda arguments: next(looks, None) or world._describeEndpoint(arguments)
    ran = run(watched_spec(tmp_path), world)
    assert ran.recorded["outcome"] == "RolledBack"
    assert ran.recorded["failure"]["cause"] == "the endpoint is UpdateRollbackFailed: both broke"
    assert world.on == OLD


DRIFTED = {**PLAN, "champion": CHAMPION, "drift": "the endpoint was odd", "outcome": "UpToDate"}
OTHER = "local-digits-forest-ffffffffffff"
IN_USE = refused(f'Cannot update endpoint with the currently in use endpoint configuration "{OLD}"')
CANNOT = refused(f'Cannot update endpoint "{ENDPOINT}".')
DENIED = refused("User is not authorized to perform: sagemaker:UpdateEndpoint")


@pytest.mark.parametrize(
    ("status", "config", "answer", "changes", "repaired"),
    [
        ("UpdateRollbackFailed", OLD, None, ["updateEndpoint"], True),
        ("UpdateRollbackFailed", OLD, CANNOT, ["updateEndpoint", "deleteEndpoint", "createEndpoint"], True),
        ("UpdateRollbackFailed", OLD, IN_USE, ["updateEndpoint", "deleteEndpoint", "createEndpoint"], True),
        ("UpdateRollbackFailed", OLD, DENIED, ["updateEndpoint"], False),
        # SageMaker refuses an update to the config that is in use: nobody asks it for one.
        ("OutOfService", OLD, None, ["deleteEndpoint", "createEndpoint"], True),
        ("OutOfService", OTHER, None, ["updateEndpoint"], True),
        ("OutOfService", OTHER, DENIED, ["updateEndpoint", "deleteEndpoint", "createEndpoint"], True),
        ("Failed", OLD, None, ["deleteEndpoint", "createEndpoint"], True),
    ],
)
def test_every_run_repairs_an_endpoint_whatever_its_status(
    tmp_path: Path, status: str, config: str, answer: Any, changes: list[str], repaired: bool
) -> None:
    """One that takes no update is made anew, but not one that serves and is only refused for want of a permission."""
    world = World(plan=DRIFTED, on=OTHER)
    looks = iter([in_service(config, EndpointStatus=status)])
    world.answers["describeEndpoint"] = lambda arguments: next(looks, None) or world._describeEndpoint(arguments)
    if answer:
        world.answers["updateEndpoint"] = [answer] * 4
    ran = run(make_spec(tmp_path), world)
    called = [name for name, _ in ran.calls if name.endswith("teEndpoint")]
    assert list(dict.fromkeys(called)) == changes
    assert (ran.recorded["repaired"] is not None) is repaired
    if repaired:
        assert (world.on, ran.recorded["outcome"]) == (OLD, "UpToDate")
    else:
        assert ran.recorded["failure"]["error"] == "ChampionNotRestored"
