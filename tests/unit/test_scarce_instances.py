"""A run where instances are scarce: types in their order, pauses, and what no wait makes fit."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from run_world import CHAMPION, MISSING_ENDPOINT, PLAN, World, definition, in_service, make_spec, run

from contract import causes
from localaws.states.errors import StatesError
from ratchet.spec import SpecError

LIMIT = "SageMaker.ResourceLimitExceededException"
NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
TYPES = ["ml.m5.large", "ml.m5.xlarge", "ml.c5.xlarge"]
TRAIN = {"train": {"instance": TYPES}}


def quota(instance: str, limit: int, used: int) -> StatesError:
    return StatesError(
        LIMIT,
        f"The account-level service limit '{instance} for training job usage' is {limit} Instances, with current "
        f"utilization of {used} Instances and a request delta of 1 Instances. Please contact AWS support to request "
        "an increase for this limit.",
    )


def none(arguments: dict[str, Any], reason: str = NO_CAPACITY) -> StatesError:
    """How a `.sync` task ends whose job has failed."""
    description = {
        "TrainingJobName": arguments["TrainingJobName"],
        "TrainingJobStatus": "Failed",
        "FailureReason": reason,
    }
    return StatesError("States.TaskFailed", json.dumps(description))


class Scarce(World):
    """What becomes of each request for a training job, in order: an error, or "runs"; the last holds from then on."""

    def __init__(self, *found: Any) -> None:
        super().__init__(plan=dict(PLAN))
        self.found = list(found)
        self.answers = {"createTrainingJob": self.asked, "deleteTrainingJob": {}}

    def asked(self, arguments: dict[str, Any]) -> Any:
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if found == "none":
            return none(arguments)
        described = {"ResourceConfig": arguments["ResourceConfig"]}
        return {**self._createTrainingJob(arguments), **described} if found == "runs" else found

    def types(self) -> list[str]:
        return [
            arguments["ResourceConfig"]["InstanceType"] for name, arguments in self.calls if name == "createTrainingJob"
        ]


@pytest.mark.fidelity(
    "Training jobs",
    "A job for which there is no capacity fails with CapacityError; once it is deleted, another may have its name.",
    "github.com/DIAGNijmegen/rse-grand-challenge/issues/2631; SageMaker API, DeleteTrainingJob",
)
def test_the_next_type_is_tried_where_there_is_no_capacity(tmp_path: Path) -> None:
    world = Scarce("none", "none", "runs")
    ran = run(make_spec(tmp_path, **TRAIN), world)
    assert world.types() == TYPES
    names = {arguments["TrainingJobName"] for arguments in ran.called("createTrainingJob")}
    assert [arguments["TrainingJobName"] for arguments in ran.called("deleteTrainingJob")] == [*names] * 2
    assert "TrainWaits" not in ran.states
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("Promoted", None)
    assert ran.recorded["training"]["instance"] == "ml.c5.xlarge", "the record says on which it ran"


def test_a_quota_that_never_fits_leads_to_the_next_type_at_once(tmp_path: Path) -> None:
    world = Scarce(quota("ml.m5.large", 0, 0), "runs")
    ran = run(make_spec(tmp_path, **TRAIN), world)
    assert world.types() == TYPES[:2] and not ran.called("deleteTrainingJob"), "there was no job"
    assert ran.recorded["outcome"] == "Promoted" and "TrainWaits" not in ran.states


def test_where_all_are_in_use_the_first_has_its_turn_again_after_a_pause(tmp_path: Path) -> None:
    world = Scarce(*(quota(each, 2, 2) for each in TYPES), "none", "runs")
    ran = run(make_spec(tmp_path, **TRAIN), world)
    assert world.types() == [*TYPES, *TYPES[:2]] and ran.states.count("TrainWaits") == 1
    assert ran.recorded["outcome"] == "Promoted"


def test_what_may_be_had_later_is_waited_for_though_the_last_type_never_is(tmp_path: Path) -> None:
    world = Scarce("none", quota("ml.m5.xlarge", 0, 0), quota("ml.c5.xlarge", 0, 0), "runs")
    ran = run(make_spec(tmp_path, **TRAIN), world)
    assert world.types() == [*TYPES, TYPES[0]] and ran.states.count("TrainWaits") == 1


def test_quotas_that_never_fit_end_the_run_at_once(tmp_path: Path) -> None:
    world = Scarce(*(quota(each, 0, 0) for each in TYPES))
    ran = run(make_spec(tmp_path, **TRAIN), world)
    assert world.types() == TYPES and "TrainWaits" not in ran.states
    assert "'ml.c5.xlarge for training job usage' is 0" in causes.readable(ran.recorded["failure"])["cause"]


def test_one_type_is_waited_for_too(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path), Scarce("none", "none", "runs"))
    assert ran.states.count("TrainWaits") == 2 and len(ran.called("deleteTrainingJob")) == 2
    assert ran.recorded["outcome"] == "Promoted"


def test_a_wait_ends_with_sagemakers_words_when_its_time_is_over(tmp_path: Path) -> None:
    train = {"instance": TYPES[:2], "wait_for_instance": "0s"}
    world = Scarce("none")
    ran = run(make_spec(tmp_path, train=train), world)
    assert world.types() == TYPES[:2] and "TrainWaits" not in ran.states
    assert causes.readable(ran.recorded["failure"])["cause"].endswith(f"failed: {NO_CAPACITY}")
    assert ran.recorded["failure"]["state"] == "Train"


@pytest.mark.parametrize("rules", [[], [{"rule": "LossNotDecreasing"}]], ids=["", "judged"])
def test_a_script_that_fails_is_not_tried_on_another_type(tmp_path: Path, rules: list[Any]) -> None:
    world = Scarce("runs")
    world.answers["createTrainingJob"] = lambda arguments: none(arguments, "AlgorithmError: no such column")
    world.answers["describeTrainingJob"] = {"TrainingJobName": "t", "TrainingJobStatus": "Failed"}
    ran = run(make_spec(tmp_path, **TRAIN, rules=rules), world)
    assert world.types() == TYPES[:1] and not ran.called("deleteTrainingJob")
    assert "no such column" in ran.recorded["failure"]["cause"]


def test_a_job_that_cannot_be_deleted_ends_the_run(tmp_path: Path) -> None:
    world = Scarce("none")
    world.answers["deleteTrainingJob"] = StatesError("SageMaker.SageMakerException", "not authorized")
    ran = run(make_spec(tmp_path, **TRAIN), world)
    assert (ran.recorded["failure"]["state"], ran.recorded["failure"]["cause"]) == ("TrainCleared", "not authorized")


def test_each_step_begins_with_its_first_type(tmp_path: Path) -> None:
    """What training has waited for is nothing to evaluation."""
    world = Scarce("none", "runs")
    evaluate = {"instance": ["ml.t3.medium", "ml.m5.large"]}
    ran = run(make_spec(tmp_path, **TRAIN, evaluate=evaluate), world)
    (request,) = ran.called("createProcessingJob")
    assert request["ProcessingResources"]["ClusterConfig"]["InstanceType"] == "ml.t3.medium"


def test_one_type_is_told_as_it_was(tmp_path: Path) -> None:
    states = definition(make_spec(tmp_path, train={"instance": ["ml.m5.large"]}))["States"]
    assert states["Train"]["Arguments"]["ResourceConfig"]["InstanceType"] == "ml.m5.large"


BATCH = {"kind": "batch", "input": "digits/rows/"}
SHIFTED = {"shift": {"canary": "10%"}, "rollback_on": {"errors": "1%"}}
SCALED = {"autoscale": {"min": 1, "max": 3, "invocations_per_instance": 100}}
TUNED = {
    "train": {"instance": TYPES, "metrics": {"f1": "f1=(.*)"}},
    "tune": {"objective": {"maximize": "f1"}, "ranges": {"depth": {"integer": [1, 9]}}, "max_jobs": 2},
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train": {"instance": []}}, "train.instance: has 0 entries; a list of instance types has 1 to 5"),
        ({"train": {"instance": ["ml.m5.large"] * 2}}, "train.instance: has ml.m5.large twice"),
        (
            {"train": {"instance": ["ml.m5.large", "m5.xlarge"]}},
            "'m5.xlarge', which is no SageMaker instance type; did",
        ),
        ({"train": {"instance": ["ml.m5.large", 3]}}, "train.instance: is 3, which is no SageMaker instance type"),
        ({"deploy": {"instance": [f"ml.m5.{size}xlarge" for size in (1, 2, 4, 8, 12, 24)]}}, "has 6 entries"),
        ({"train": {"instance": "ml.m5.large", "wait_for_instance": "8d"}}, "waiting for instances takes 0s to 7d"),
        ({"deploy": {**BATCH, "instance": TYPES}}, "deploy.instance: is a list, and kind is batch"),
        (TUNED, "train.instance: is a list, and tune is said"),
        ({"deploy": {"instance": ["ml.m5.large", "ml.inf1.xlarge"], **SHIFTED}}, "the instance is ml.inf1.xlarge"),
        ({"deploy": {"instance": ["ml.m5.large", "ml.t2.medium"], **SCALED}}, "ml.t2.medium"),
    ],
)
def test_lists_that_cannot_be(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as refused:
        make_spec(tmp_path, **changes)
    assert told in str(refused.value) and str(refused.value).startswith(f"{tmp_path}/pipeline.yaml:")


# -------------------------------------------------------------------------------------------------------- the endpoint

ICE = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type."
)


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint for which there is no capacity is Failed, or stays on its old configuration; its FailureReason says "
    "InsufficientInstanceCapacity.",
    "github.com/aws/deep-learning-containers/pull/6673",
)
def test_a_first_endpoint_without_capacity_is_made_anew_after_a_pause(tmp_path: Path) -> None:
    world = World(plan=dict(PLAN))
    failed = {"EndpointStatus": "Failed", "EndpointConfigName": "c", "FailureReason": ICE}
    world.answers["describeEndpoint"] = [MISSING_ENDPOINT, failed, failed, MISSING_ENDPOINT, lambda _: on(world)]
    ran = run(make_spec(tmp_path), world)
    after = ran.states.index("WaitForCapacity") + 1
    assert ran.states[after : after + 5] == [
        "FindEndpoint", "EndpointFound", "DeleteEndpoint", "FindEndpoint", "EndpointMissing",
    ]  # fmt: skip
    assert len(ran.called("createEndpoint")) == 2 and ran.recorded["outcome"] == "Promoted"


def test_an_update_without_capacity_is_tried_again_while_the_champion_serves(tmp_path: Path) -> None:
    old = CHAMPION["endpoint_config_name"]
    world = World(plan={**PLAN, "champion": CHAMPION}, on=old)
    changing = {"EndpointStatus": "Updating", "EndpointConfigName": old}
    back = in_service(old, FailureReason=ICE)
    world.answers["describeEndpoint"] = [in_service(old), changing, back, back, lambda _: on(world)]
    ran = run(make_spec(tmp_path), world)
    assert len(ran.called("updateEndpoint")) == 2 and "WaitForCapacity" in ran.states
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("Promoted", None)


def test_an_update_that_never_has_capacity_leaves_the_champion(tmp_path: Path) -> None:
    """Patience is the deployment's own time, whatever is accepted meanwhile; here a minute."""
    old = CHAMPION["endpoint_config_name"]
    world = World(plan={**PLAN, "champion": CHAMPION}, on=old)
    looks = itertools.cycle([in_service(old), {"EndpointStatus": "Updating", "EndpointConfigName": old}])
    back = in_service(old, FailureReason=ICE)
    world.answers["describeEndpoint"] = lambda _: next(looks) if world.calls[-2][0] != "sendMessage" else back
    ran = run(make_spec(tmp_path, deploy={"instance": "ml.t2.medium", "timeout": "1m"}), world)
    assert 3 <= len(ran.called("updateEndpoint")) <= 4
    assert ran.recorded["outcome"] == "RolledBack" and ICE in ran.recorded["failure"]["cause"]


def on(world: World) -> dict[str, Any]:
    pools = {"ProductionVariants": [{"VariantName": "AllTraffic", "InstancePools": POOLS_NOW}]}
    return in_service(world.on, **pools)


POOLS_NOW = [
    {"InstanceType": "ml.m5.large", "CurrentInstanceCount": 0},
    {"InstanceType": "ml.m5.xlarge", "CurrentInstanceCount": 1},
]


def test_another_time_for_instances_is_another_config(tmp_path: Path) -> None:
    names = set[str]()
    for minutes in (10, 20, 20):
        ran = run(make_spec(tmp_path, deploy={"instance": TYPES, "timeout": f"{minutes}m"}), World(plan=dict(PLAN)))
        (config,) = ran.called("createEndpointConfig")
        (variant,) = config["ProductionVariants"]
        assert variant["VariantInstanceProvisionTimeoutInSeconds"] == minutes * 60
        names.add(config["EndpointConfigName"])
    assert len(names) == 2


def test_an_endpoints_types_are_sagemakers_pools_and_the_record_says_which_it_has(tmp_path: Path) -> None:
    world = World(plan=dict(PLAN))
    world.answers["describeEndpoint"] = [MISSING_ENDPOINT, lambda _: on(world)]
    ran = run(make_spec(tmp_path, deploy={"instance": TYPES, "timeout": "10m"}), world)
    (variant,) = ran.called("createEndpointConfig")[0]["ProductionVariants"]
    assert variant["InstancePools"] == [
        {"InstanceType": one, "Priority": place} for place, one in enumerate(TYPES, start=1)
    ]
    assert variant["VariantInstanceProvisionTimeoutInSeconds"] == 600 and "InstanceType" not in variant
    assert ran.recorded["deployment"]["instance"] == "ml.m5.xlarge"


def test_another_list_is_another_configuration(tmp_path: Path) -> None:
    def name(instance: Any) -> str:
        ran = run(make_spec(tmp_path, deploy={"instance": instance}), World(plan=dict(PLAN)))
        return str(ran.called("createEndpointConfig")[0]["EndpointConfigName"])

    assert len({name("ml.m5.large"), name(TYPES), name(TYPES[:2])}) == 3
    assert name(["ml.m5.large"]) == name("ml.m5.large")
