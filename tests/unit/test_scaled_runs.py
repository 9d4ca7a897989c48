"""Runs of pipelines whose endpoint is scaled: what Application Auto Scaling is told and asked, what is read back, and
what becomes of that in the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from common.state import State
from recorder.documents import run_record, unscaled
from run_world import CHAMPION, ENDPOINT, PLAN, World, definition, make_spec, refused, run, surroundings

from contract import scaling
from infra.workflow.machine import run_machine
from infra.workflow.steps.plan import spec_hash
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from localaws.states.errors import StatesError
from ratchet.spec import PipelineSpec, SpecError

SCALED: dict[str, Any] = {
    "instance": "ml.m5.large",
    "autoscale": {"min": 2, "max": 4, "invocations_per_instance": 1000, "cooldown_in": "10m"},
}
BY_CLOCK = {"at": "cron(0 8 ? * MON-FRI *)", "zone": "Europe/Berlin", "min": 3}
RESOURCE = f"endpoint/{ENDPOINT}/variant/AllTraffic"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
DENIED = StatesError("ApplicationAutoScaling.AccessDeniedException", "not authorized to perform: …")
OLD = str(CHAMPION["endpoint_config_name"])
Document = dict[str, Any]


class Scaled(World):
    """A world with an Application Auto Scaling that remembers what it was told."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.targets: list[Document] = []
        self.policies: list[Document] = []
        self.actions: list[Document] = []

    def _registerScalableTarget(self, arguments: Any) -> Any:  # noqa: N802 - named like the action
        self.targets = [arguments]
        return {"ScalableTargetARN": "arn"}

    def _putScalingPolicy(self, arguments: Any) -> Any:  # noqa: N802
        self.policies.append(arguments)
        return {"PolicyARN": "arn", "Alarms": []}

    def _putScheduledAction(self, arguments: Any) -> Any:  # noqa: N802
        self.actions.append(arguments)
        return {}

    def _deregisterScalableTarget(self, _arguments: Any) -> Any:  # noqa: N802
        assert self.targets, "IAM refuses it: of what isn't there nobody knows the tags"
        self.targets, self.policies, self.actions = [], [], []
        return {}

    def _describeScalableTargets(self, _arguments: Any) -> Any:  # noqa: N802
        return {"ScalableTargets": self.targets}

    def _describeScalingPolicies(self, _arguments: Any) -> Any:  # noqa: N802
        return {"ScalingPolicies": self.policies}

    def _describeScheduledActions(self, _arguments: Any) -> Any:  # noqa: N802
        return {"ScheduledActions": self.actions}


def spec_of(folder: Path, **autoscale: Any) -> PipelineSpec:
    return make_spec(folder, deploy={**SCALED, "autoscale": {**SCALED["autoscale"], **autoscale}})


def with_champion(**more: Any) -> Scaled:
    return Scaled(plan={**PLAN, "champion": CHAMPION, **more.pop("plan", {})}, on=OLD, **more)


def in_force(folder: Path, world: Scaled, **autoscale: Any) -> Scaled:
    """The world after a run of the spec, whose endpoint serves the champion."""
    before = Scaled()
    run(spec_of(folder, **autoscale), before)
    world.targets, world.policies, world.actions = before.targets, before.policies, before.actions
    return world


def test_a_first_endpoint_is_scaled_once_it_is_verified(tmp_path: Path) -> None:
    ran = run(spec_of(tmp_path, schedule=[BY_CLOCK]), Scaled())
    (config,) = ran.called("createEndpointConfig")
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 2
    (target,), (policy,), (action,) = (
        ran.called(name) for name in ("registerScalableTarget", "putScalingPolicy", "putScheduledAction")
    )
    tags = {"ratchet:environment": "local", "ratchet:pipeline": "digits-forest"}
    assert target == {**TARGET, "MinCapacity": 2, "MaxCapacity": 4, "Tags": tags}
    assert policy.pop("PolicyName").startswith(f"{ENDPOINT}-")
    assert policy == {
        **TARGET,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 1000.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleOutCooldown": 300,
            "ScaleInCooldown": 600,
        },
    }
    assert action.pop("ScheduledActionName").startswith(f"{ENDPOINT}-")
    assert action == {
        **TARGET,
        "Schedule": "cron(0 8 ? * MON-FRI *)",
        "Timezone": "Europe/Berlin",
        "ScalableTargetAction": {"MinCapacity": 3},
    }
    assert ran.states.index("Verify") < ran.states.index("RegisterTarget") < ran.states.index("Record")
    assert ran.recorded["outcome"] == "Promoted"
    assert ran.recorded["scaling"] == {
        "in_force": True, "was": scaling.NOT_SCALED, "min": 2, "max": 4, "invocations_per_instance": 1000, "times": 1,
    }  # fmt: skip


def test_an_update_stops_scaling_keeps_the_instances_and_begins_again(tmp_path: Path) -> None:
    ran = run(spec_of(tmp_path), in_force(tmp_path, with_champion()))
    steps = ("deregisterScalableTarget", "updateEndpoint", "registerScalableTarget")
    assert [name for name, _ in ran.calls if name in steps] == list(steps)
    (update,) = ran.called("updateEndpoint")
    assert update["RetainAllVariantProperties"] is True
    assert ran.recorded["scaling"]["was"] == scaling.STOPPED and ran.recorded["scaling"]["in_force"] is True


@pytest.mark.parametrize(
    ("change", "was", "puts"),
    [
        (lambda _: None, scaling.AS_SAID, 0),
        (lambda world: world._deregisterScalableTarget({}), scaling.NOT_SCALED, 1),
        (lambda world: world.policies.clear(), scaling.OTHERWISE, 1),
        (lambda world: world.policies.append({**TARGET, "PolicyName": "mine"}), scaling.OTHERWISE, 1),
        (lambda world: world.targets[0].update(MinCapacity=1), scaling.OTHERWISE, 1),
        (lambda world: world.actions.append({**TARGET, "ScheduledActionName": "mine"}), scaling.OTHERWISE, 1),
    ],
    ids=["as said", "target lost", "policy lost", "another policy", "other limits", "a scheduled action"],
)
def test_a_run_without_work_looks_and_puts_back_what_was_lost(
    tmp_path: Path, change: Callable[[Scaled], Any], was: str, puts: int
) -> None:
    world = in_force(tmp_path, with_champion(plan={"outcome": "UpToDate"}))
    change(world)
    ran = run(spec_of(tmp_path), world)
    assert (ran.recorded["outcome"], ran.recorded["scaling"]["in_force"]) == ("UpToDate", True)
    assert ran.recorded["scaling"]["was"] == was
    assert len(ran.called("putScalingPolicy")) == puts
    assert not ran.called("updateEndpoint")


def test_what_a_scheduled_action_has_set_is_left_alone(tmp_path: Path) -> None:
    world = in_force(tmp_path, with_champion(plan={"outcome": "UpToDate"}), schedule=[BY_CLOCK])
    world.targets[0]["MinCapacity"] = 3
    ran = run(spec_of(tmp_path, schedule=[BY_CLOCK]), world)
    assert not ran.called("registerScalableTarget")
    assert ran.recorded["scaling"]["was"] == scaling.AS_SAID and ran.recorded["scaling"]["min"] == 3


def test_other_limits_in_the_spec_take_effect_with_the_next_run(tmp_path: Path) -> None:
    world = in_force(tmp_path, with_champion(plan={"outcome": "UpToDate"}), schedule=[BY_CLOCK])
    ran = run(spec_of(tmp_path, max=6, schedule=[BY_CLOCK]), world)
    assert len(ran.called("deregisterScalableTarget")) == 1
    assert [target["MaxCapacity"] for target in world.targets] == [6] and len(world.actions) == 1
    assert ran.recorded["scaling"]["max"] == 6


@pytest.mark.parametrize("call", ["describeScalableTargets", "registerScalableTarget", "putScalingPolicy"])
def test_a_champion_that_cant_be_scaled_serves_and_that_is_told(tmp_path: Path, call: str) -> None:
    ran = run(spec_of(tmp_path), Scaled(answers={call: DENIED}))
    assert ran.recorded["outcome"] == "Promoted" and ran.recorded["failure"] is None
    assert ran.recorded["scaling"]["in_force"] is False and "not authorized" in ran.recorded["scaling"]["reason"]
    assert "the endpoint isn't scaled: not authorized" in unscaled(ran.recorded)[0]


def test_what_is_read_back_decides(tmp_path: Path) -> None:
    """Somebody else's automation deletes the policy as soon as it is there."""
    ran = run(spec_of(tmp_path), Scaled(answers={"describeScalingPolicies": {"ScalingPolicies": []}}))
    assert len(ran.called("registerScalableTarget")) == 1, "one more try isn't better"
    assert ran.recorded["scaling"]["in_force"] is False
    assert "what was read back isn't what the spec says" in ran.recorded["scaling"]["reason"]


def test_a_deployment_that_is_taken_back_leaves_the_champion_scaled(tmp_path: Path) -> None:
    wrong = {"Payload": {"verified": False, "reason": "answers nonsense", "asked": 1}}
    world = in_force(tmp_path, with_champion(answers={"verifier": wrong}))
    ran = run(spec_of(tmp_path), world)
    assert (ran.recorded["outcome"], ran.recorded["failure"]["error"]) == ("RolledBack", "VerificationFailed")
    challenger, champion = ran.called("updateEndpoint")
    assert champion["EndpointConfigName"] == OLD and champion["RetainAllVariantProperties"] is True
    assert ran.recorded["scaling"]["in_force"] is True and world.targets
    assert challenger["EndpointConfigName"] != OLD


def sounding(arguments: Any) -> Any:
    return {"MetricAlarms": [{"AlarmName": name, "StateValue": "ALARM"} for name in arguments["AlarmNames"]]}


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"describeAlarms": sounding}, "AlarmsNotUsable"),
        ({"putMetricAlarm": DENIED}, DENIED.error),
        ({"updateEndpoint": refused("no")}, "SageMaker.SageMakerException"),
    ],
    ids=["an alarm sounds", "no alarm can be made", "the update is refused"],
)
def test_a_deployment_that_never_begins_leaves_the_champion_scaled(
    tmp_path: Path, answers: Document, error: str
) -> None:
    """Scaling has been stopped for it by then."""
    guarded = {**SCALED, "shift": {"canary": "50%"}, "rollback_on": {"errors": "1%"}}
    world = in_force(tmp_path, with_champion(answers=answers))
    ran = run(make_spec(tmp_path, deploy=guarded), world)
    assert "StopScalingNow" in ran.states and ran.recorded["failure"]["error"] == error
    assert ran.recorded["scaling"]["in_force"] is True and world.targets and world.policies


def test_what_a_repair_has_stopped_is_scaled_while_the_run_trains(tmp_path: Path) -> None:
    """The training fails, and with it the run: what served before is scaled all the same."""
    world = in_force(tmp_path, with_champion(plan={"drift": "the endpoint is on another configuration"}))
    world.on, world.answers["createTrainingJob"] = f"{ENDPOINT}-aaaaaaaaaaaa", refused("no")
    ran = run(spec_of(tmp_path), world)
    steps = ("deregisterScalableTarget", "updateEndpoint", "putScalingPolicy", "createTrainingJob")
    assert list(dict.fromkeys(name for name, _ in ran.calls if name in steps)) == list(steps)
    assert (world.on, ran.recorded["failure"]["state"]) == (OLD, "Train")
    assert world.targets and world.policies and ran.recorded["repaired"].startswith("the endpoint is on another")


def test_a_deployment_after_a_repair_stops_scaling_for_its_own_update(tmp_path: Path) -> None:
    world = in_force(tmp_path, with_champion(plan={"drift": "the endpoint is on another configuration"}))
    world.on = f"{ENDPOINT}-aaaaaaaaaaaa"
    ran = run(spec_of(tmp_path), world)
    assert len(ran.called("deregisterScalableTarget")) == len(ran.called("updateEndpoint")) == 2
    assert ran.recorded["outcome"] == "Promoted"
    assert (ran.recorded["scaling"]["was"], ran.recorded["scaling"]["in_force"]) == (scaling.STOPPED, True)


def test_a_first_model_that_isnt_good_enough_scales_nothing(tmp_path: Path) -> None:
    not_better = {"Payload": {"promote": False, "reason": "too bad", "metric": "f1_macro", "score": 0.1}}
    ran = run(spec_of(tmp_path), Scaled(answers={"gate": not_better}))
    assert not [name for name, _ in ran.calls if "Scal" in name]
    assert ran.recorded["scaling"] is None


def test_who_isnt_scaled_has_no_such_state_and_nobody_retrains(tmp_path: Path) -> None:
    plain = make_spec(tmp_path, deploy={"instance": "ml.m5.large"})
    states = definition(plain)["States"]
    assert not [name for name in states if "Scal" in name or "Autoscale" in name]
    assert spec_hash(plain) == spec_hash(spec_of(tmp_path))


def test_the_machine_is_one_that_step_functions_takes(tmp_path: Path) -> None:
    machine = definition(spec_of(tmp_path, schedule=[BY_CLOCK, {"at": "rate(1 day)", "max": 3}]))
    assert problems(json.dumps(machine), Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


def test_a_role_may_scale_its_own_pipelines_endpoint_alone(tmp_path: Path) -> None:
    grants = run_machine(surroundings(spec_of(tmp_path))).grants
    scaled = {action: grant for grant in grants for action in grant.actions if "autoscaling:" in action}
    for action in ("PutScalingPolicy", "PutScheduledAction", "DeregisterScalableTarget"):
        keys = scaled[f"application-autoscaling:{action}"].conditions["StringEquals"]
        assert keys["aws:ResourceTag/ratchet:pipeline"] == "digits-forest"
        assert keys["application-autoscaling:service-namespace"] == "sagemaker"
    register = scaled["application-autoscaling:RegisterScalableTarget"].conditions["StringEquals"]
    assert register["aws:RequestTag/ratchet:environment"] == "local"
    plain = run_machine(surroundings(make_spec(tmp_path))).grants
    assert not [action for grant in plain for action in grant.actions if "autoscaling" in action]


def test_a_record_says_how_the_endpoint_is_scaled(tmp_path: Path) -> None:
    ran = run(spec_of(tmp_path), Scaled())
    event = {**ran.recorded, "execution_arn": "arn"}
    record = run_record(event, begun={}, state=State(), evaluation=None, timings={}, at="now")
    assert record["scaling"]["max"] == 4


# ------------------------------------------------------------------------------------------------------- bad input


REFUSED: list[tuple[Document, str]] = [
    ({"instance": "ml.t3.medium"}, "autoscale: is said, but the instance is ml.t3.medium: SageMaker scales no"),
    ({"instance": "ml.t2.medium"}, "SageMaker scales no burstable instances (T2, T3)"),
    ({"instance": ["ml.m5.large", "ml.t3.medium"]}, "is said, but the instance is ml.t3.medium"),
    ({"autoscale": {"min": 5, "max": 4, "invocations_per_instance": 1}}, "autoscale.min: is 5, and max is 4"),
    ({"autoscale": {"max": 4}}, "write invocations_per_instance: 1000 (a minute), or schedule"),
    ({"autoscale": {"invocations_per_instance": 10}}, "autoscale.max: is required; write max: 4"),
    ({"autoscale": {"min": 0, "max": 4, "invocations_per_instance": 1}}, "autoscale.min: is 0; it must be at least 1"),
    ({"autoscale": {"max": 1, "invocations_per_instance": 1}}, "has 1 as min and as max, so that nothing is scaled"),
    ({"autoscale": {"max": 4, "invocations_per_instance": 0}}, "it must be greater than 0"),
    ({"autoscale": {"max": 4, "invocations_per_instance": 1, "cooldown_in": 300}}, "has no unit: write 300s"),
    ({"autoscale": {"max": 4, "invocations_per_instance": 1, "cooldown_out": "2d"}}, "a cooldown takes 0s to 1d"),
    ({"autoscale": {"max": 4, "schedule": [{"at": "rate(1 day)"}]}}, "schedule[0]: changes nothing; write min, max or"),
    ({"autoscale": {"max": 4, "schedule": [{"at": "noon", "min": 2}]}}, "schedule[0].at: is 'noon'; write rate("),
    ({"autoscale": {"max": 4, "schedule": [{"at": "rate(1 day)", "min": 3, "max": 2}]}}, "is 3, and max is 2"),
    ({"autoscale": {"max": 4, "schedule": [{**BY_CLOCK, "zone": "Mars"}]}}, "zone: is 'Mars', which is no time zone"),
    ({"instance_count": 5}, "instance_count: is 5, outside of autoscale's 2 to 4"),
    (
        {"shift": {"canary": 1}, "rollback_on": {"errors": "1%"}},
        "shift.canary: is 1, a number of instances, and autoscale changes how many there are; write percent, as 25%",
    ),
    (
        {"kind": "async", "queue": {"input": "asked/", "output": "answered/"}},
        "autoscale.invocations_per_instance: is said, but kind is async: requests wait in its queue",
    ),
    ({"kind": "batch", "input": "b/"}, "autoscale: is an endpoint's, and kind is batch, which has none"),
]


@pytest.mark.parametrize(("deploy", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_cant_be_scaled_is_refused_on_its_line(tmp_path: Path, deploy: Document, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_spec(tmp_path, deploy={**SCALED, **deploy})
    assert message in str(caught.value), str(caught.value)
