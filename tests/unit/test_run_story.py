"""The story of a run, path by path: the real state machine, interpreted, every request checked by botocore's model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from run_world import (
    CHAMPION,
    DECISION,
    ENDPOINT,
    MANIFESTS,
    MODEL_DATA,
    PLAN,
    RUN_ID,
    World,
    arns,
    definition,
    in_service,
    make_spec,
    refused,
    run,
    surroundings,
)

from contract import causes
from contract.states import NOT_RECORDED
from infra.workflow.language import SAGEMAKER_LIMIT
from infra.workflow.machine import run_machine
from infra.workflow.surroundings import values
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from localaws.states.errors import StatesError
from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Vpc

NOT_BETTER = {**DECISION, "promote": False, "reason": "not better"}
JOB = {"TrainingJobName": "digits-forest-x-train", "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}


def with_champion(**more: Any) -> World:
    """A world in which a champion serves."""
    return World(plan={**PLAN, "champion": CHAMPION}, on=CHAMPION["endpoint_config_name"], **more)


def visible(states: list[str]) -> list[str]:
    """The story's own states, without those that only look and choose."""
    told = ("Plan", "Train", "Evaluate", "Gate", "Register", "Deploy", "Verify", "Record", "Done", "Failed")
    return [state for state in states if state in told]


# ------------------------------------------------------------------------------------------------------- what happens


def test_a_first_model_goes_live(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path), World())
    assert ran.error is None
    assert visible(ran.states) == [
        "Plan",
        "Train",
        "Evaluate",
        "Gate",
        "Register",
        "Deploy",
        "Verify",
        "Record",
        "Done",
    ]
    assert ran.called("createEndpoint") and not ran.called("updateEndpoint")
    assert ran.recorded["outcome"] == "Promoted"
    assert ran.recorded["failure"] is None
    assert ran.recorded["deployment"]["endpoint_config_name"].startswith("local-digits-forest-")


def tagged(run: str, role: str) -> tuple[str, dict[str, Any]]:
    return "tagRole", {"RoleName": role, "Tags": [{"Key": "ratchet-run", "Value": run}]}


def test_the_runs_folder_is_open_to_training_while_it_trains_and_closed_before_its_model_is_judged(
    tmp_path: Path,
) -> None:
    """What is registered and deployed is what was judged: nobody's role may write it any more."""
    calls = run(make_spec(tmp_path), World()).calls
    kinds = ("tagRole", "createTrainingJob", "createProcessingJob", "gate")
    assert [(name, asked if name == "tagRole" else None) for name, asked in calls if name in kinds] == [
        tagged(RUN_ID, "Training"),
        ("createTrainingJob", None),
        tagged("none", "Training"),
        tagged(RUN_ID, "Processing"),
        ("createProcessingJob", None),
        ("gate", None),
    ]


@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_run_that_may_not_open_or_close_its_folder_fails_and_deploys_nothing(tmp_path: Path, call: int) -> None:
    denied = StatesError("Iam.IamException", "User is not authorized to perform: iam:TagRole")
    answers: list[Any] = [{}] * call + [denied] * 4
    ran = run(make_spec(tmp_path), World(answers={"tagRole": answers}))
    assert ran.recorded["failure"]["state"] == ("OpenTraining", "CloseTraining", "OpenEvaluation")[call]
    assert len(ran.called("createTrainingJob")) == min(call, 1)
    assert not ran.called("createProcessingJob") and not ran.called("createModel")


def test_a_better_challenger_replaces_the_champion(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path), with_champion())
    (update,) = ran.called("updateEndpoint")
    assert update["EndpointConfigName"] == ran.recorded["deployment"]["endpoint_config_name"]
    assert not ran.called("createEndpoint")
    (job,) = ran.called("createProcessingJob")
    inputs = {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in job["ProcessingInputs"]}
    assert inputs["champion"] == CHAMPION["model_data"]
    assert inputs["test"] == MANIFESTS["test"]


def test_without_a_champion_evaluation_gets_none(tmp_path: Path) -> None:
    (job,) = run(make_spec(tmp_path), World()).called("createProcessingJob")
    assert [entry["InputName"] for entry in job["ProcessingInputs"]] == ["code", "test", "challenger"]


def test_a_champion_whose_archive_is_gone_is_not_fetched_and_still_told_to_the_gate(tmp_path: Path) -> None:
    gone = {name: value for name, value in CHAMPION.items() if name != "model_data"} | {"cannot_answer": "it is gone"}
    ran = run(make_spec(tmp_path), World(plan={**PLAN, "champion": gone}, on=CHAMPION["endpoint_config_name"]))
    (job,) = ran.called("createProcessingJob")
    assert [entry["InputName"] for entry in job["ProcessingInputs"]] == ["code", "test", "challenger"]
    assert ran.called("gate")[0]["Payload"]["champion"] == gone
    assert ran.recorded["outcome"] == "Promoted"


def test_training_never_sees_the_held_out_channel(tmp_path: Path) -> None:
    (job,) = run(make_spec(tmp_path), World()).called("createTrainingJob")
    channels = {entry["ChannelName"]: entry["DataSource"]["S3DataSource"]["S3Uri"] for entry in job["InputDataConfig"]}
    assert channels == {name: MANIFESTS[name] for name in ("train", "extra-1")}
    assert job["TrainingJobName"] == f"local-digits-forest-{RUN_ID}-train"


def test_not_better_is_registered_as_rejected_and_deploys_nothing(tmp_path: Path) -> None:
    world = with_champion(answers={"gate": {"Payload": NOT_BETTER}})
    ran = run(make_spec(tmp_path), world)
    assert ran.called("createModelPackage")[0]["ModelApprovalStatus"] == "Rejected"
    assert ran.recorded["outcome"] == "NotBetter"
    assert not ran.called("createModel")
    assert world.on == CHAMPION["endpoint_config_name"]


@pytest.mark.parametrize("outcome", ["UpToDate", "WaitsForData"])
def test_a_run_that_has_nothing_to_do_ends_well_and_at_once(tmp_path: Path, outcome: str) -> None:
    ran = run(make_spec(tmp_path), World(plan={**PLAN, "outcome": outcome}))
    assert ran.recorded["outcome"] == outcome
    assert not ran.called("createTrainingJob")
    assert ran.output["outcome"] == outcome


def test_a_rollback_deploys_the_champion_before_without_training(tmp_path: Path) -> None:
    before = {**CHAMPION, "run_id": "20261118-101112-cafe", "model_data": "s3://artifacts/older/model.tar.gz"}
    plan = {**PLAN, "outcome": "Rollback", "data": None, "champion": CHAMPION, "candidate": before}
    plan["decision"] = {"promote": True, "reason": "chosen by ann: back to the model of run 20261118-101112-cafe"}
    world = World(plan=plan, on=CHAMPION["endpoint_config_name"])
    ran = run(make_spec(tmp_path), world, kind="rollback")
    assert not ran.called("tagRole"), "it opens no folder"
    assert visible(ran.states) == ["Plan", "Deploy", "Verify", "Record", "Done"]
    assert ran.called("createModel")[0]["PrimaryContainer"]["ModelDataUrl"] == before["model_data"]
    assert ran.called("verifier")[0]["Payload"]["evaluated_by"]["run_id"] == before["run_id"]
    assert (ran.recorded["candidate"], ran.recorded["decision"]) == (before, plan["decision"])
    assert not ran.called("createModelPackage"), "it is in the registry already"


def test_what_exists_already_by_its_contents_name_is_used(tmp_path: Path) -> None:
    exists = refused("Cannot create already existing model", "SageMaker.AmazonSageMakerException")
    ran = run(make_spec(tmp_path), World(answers={"createModel": exists, "createEndpointConfig": exists}))
    assert ran.recorded["outcome"] == "Promoted"
    assert ran.recorded["failure"] is None
    assert len(ran.called("createModel")) == 1, "an answer that is expected isn't asked for again"


def test_the_same_content_has_the_same_names_and_other_content_others(tmp_path: Path) -> None:
    def deployed(**changes: Any) -> dict[str, str]:
        found: dict[str, str] = run(make_spec(tmp_path, **changes), World()).recorded["deployment"]
        return found

    first, again, larger = deployed(), deployed(), deployed(deploy={"instance": "ml.m5.large"})
    assert first == again
    assert larger["model_name"] == first["model_name"]
    assert larger["endpoint_config_name"] != first["endpoint_config_name"]


# -------------------------------------------------------------------------------------------------- waiting for calm


def test_a_run_that_data_started_waits_for_the_last_arrival(tmp_path: Path) -> None:
    arrivals = [
        {"Item": {"pending": {"M": {"last_at": {"S": f"{year}-01-01T00:00:00.000Z"}}}}} for year in (2999, 2020)
    ]
    ran = run(make_spec(tmp_path, triggers={"data": {"quiet": "1h"}}), World(answers={"getItem": arrivals}))
    assert ran.states[:7] == ["Begin", "Launched", "Settle", "Settled", "Quiet", "Settle", "Settled"]
    assert ran.recorded["outcome"] == "Promoted"


def test_a_person_need_not_wait(tmp_path: Path) -> None:
    late = {"Item": {"pending": {"M": {"last_at": {"S": "2999-01-01T00:00:00.000Z"}}}}}
    spec = make_spec(tmp_path, triggers={"data": {"quiet": "1h"}})
    ran = run(spec, World(answers={"getItem": late}), kind="manual")
    assert "Quiet" not in ran.states


def test_without_a_data_trigger_there_is_no_settling(tmp_path: Path) -> None:
    machine = definition(make_spec(tmp_path, triggers={"data": False}))
    assert "Settle" not in machine["States"]


# ----------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "given",
    [{}, [], "now", {"kind": "manual"}, {"pipeline": "digits-forest", "run_id": "mine"}, {"run_id": RUN_ID}],
    ids=str,
)
def test_an_execution_past_the_launcher_says_how_runs_are_started(tmp_path: Path, given: Any) -> None:
    ran = run(make_spec(tmp_path), World(), given=given)
    assert ran.states == ["Begin", "Launched", "NotLaunched"]
    assert ran.calls == []
    assert ran.error is not None
    assert ran.error.error == "NotLaunched"
    assert "the stack ratchet-local-digits-forest gives as its output LauncherFunctionName" in ran.error.cause
    assert 'with the payload {"kind": "manual"}' in ran.error.cause


def test_a_stopped_training_job_is_not_taken_for_a_model(tmp_path: Path) -> None:
    """Step Functions may end the task well, with the status in its result, or badly, with it in the cause."""
    as_result = run(make_spec(tmp_path), World(answers={"createTrainingJob": JOB}))
    as_error = run(
        make_spec(tmp_path), World(answers={"createTrainingJob": StatesError("States.TaskFailed", json.dumps(JOB))})
    )
    for ran in (as_result, as_error):
        assert visible(ran.states)[:3] == ["Plan", "Train", "Record"]
        assert ran.recorded["outcome"] is None
        assert ran.recorded["failure"]["state"] == "Train"
        assert json.loads(ran.recorded["failure"]["cause"])["TrainingJobStatus"] == "Stopped"


SPOT = {"train": {"instance": "ml.m5.large", "max_runtime": "1h", "spot": {"max_wait": "2h"}}}
INTERRUPTED = [{"Status": status} for status in ("Training", "Interrupted", "Starting", "Training", "Interrupted")]


def spot_spec(folder: Path) -> PipelineSpec:
    (folder / "train.py").write_text("from toolkit.checkpoint import Checkpoints")
    return make_spec(folder, **SPOT)


def test_a_spot_job_may_wait_and_keeps_checkpoints_in_the_runs_own_folder(tmp_path: Path) -> None:
    request = run(spot_spec(tmp_path), World()).called("createTrainingJob")[0]
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    folder = f"s3://artifacts/runs/digits-forest/{RUN_ID}/train/checkpoints"
    assert request["CheckpointConfig"] == {"S3Uri": folder}
    on_demand = run(make_spec(tmp_path), World()).called("createTrainingJob")[0]
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & on_demand.keys()
    assert "MaxWaitTimeInSeconds" not in on_demand["StoppingCondition"]


@pytest.mark.parametrize(("transitions", "count"), [(INTERRUPTED, 2), (INTERRUPTED[:2], 1), (INTERRUPTED[:1], 0)])
def test_the_recorder_is_told_what_spot_came_to(tmp_path: Path, transitions: list[Any], count: int) -> None:
    job = {
        "TrainingJobName": "job",
        "TrainingJobStatus": "Completed",
        "SecondaryStatusTransitions": transitions,
        "TrainingTimeInSeconds": 100,
        "BillableTimeInSeconds": 30,
        "ModelArtifacts": {"S3ModelArtifacts": MODEL_DATA},
    }
    ran = run(spot_spec(tmp_path), World(answers={"createTrainingJob": job}))
    figures = {"interruptions": count, "training_seconds": 100, "billable_seconds": 30}
    assert ran.recorded["training"]["spot"] == figures
    assert "spot" not in run(make_spec(tmp_path), World(answers={"createTrainingJob": job})).recorded["training"]


TASKS = [
    ("getItem", "Settle"),
    ("planner", "Plan"),
    ("createTrainingJob", "Train"),
    ("createProcessingJob", "Evaluate"),
    ("gate", "Gate"),
    ("createModelPackage", "Register"),
    ("createModel", "CreateModel"),
    ("createEndpointConfig", "CreateEndpointConfig"),
    ("describeEndpoint", "FindEndpoint"),
    ("updateEndpoint", "UpdateEndpoint"),
]


@pytest.mark.parametrize(("task", "state"), TASKS)
def test_whatever_fails_is_recorded_by_its_state(tmp_path: Path, task: str, state: str) -> None:
    denied = refused("User: role is not authorized to perform: it")
    ran = run(make_spec(tmp_path), with_champion(answers={task: denied}))
    assert ran.recorded["failure"] == {"state": state, "error": denied.error, "cause": denied.cause}
    assert ran.recorded["outcome"] is None
    assert ran.error is not None and ran.error.error == denied.error
    assert state in ran.error.cause


@pytest.mark.parametrize("task", ["createModel", "createEndpointConfig", "describeEndpoint"])
def test_throttling_of_a_call_whose_refusal_is_an_answer_is_waited_out(tmp_path: Path, task: str) -> None:
    world = with_champion()
    answers = iter([refused("Rate exceeded")])
    world.answers[task] = lambda arguments: next(answers, None) or getattr(world, f"_{task}")(arguments)
    recorded = run(make_spec(tmp_path), world).recorded
    assert (recorded["outcome"], recorded["failure"]) == ("Promoted", None)


def test_an_update_that_sagemaker_takes_back_is_rolled_back(tmp_path: Path) -> None:
    old = CHAMPION["endpoint_config_name"]
    answers = [in_service(old), in_service(old, EndpointStatus="Updating"), in_service(old, FailureReason="no ping")]
    ran = run(make_spec(tmp_path), with_champion(answers={"describeEndpoint": answers}))
    assert ran.recorded["outcome"] == "RolledBack"
    assert ran.recorded["failure"]["error"] == "DeploymentRolledBack"
    assert ran.recorded["failure"]["state"] == "AwaitEndpoint"
    assert "no ping" in ran.recorded["failure"]["cause"]
    assert not ran.called("verifier")


def test_an_endpoint_that_does_not_show_its_update_yet_is_not_taken_for_rolled_back(tmp_path: Path) -> None:
    world = with_champion()
    old = in_service(CHAMPION["endpoint_config_name"])
    seen = iter([old, old])
    world.answers["describeEndpoint"] = lambda _arguments: next(seen, None) or in_service(world.on)
    assert run(make_spec(tmp_path), world).recorded["outcome"] == "Promoted"


def test_a_first_endpoint_that_never_comes_up_fails_with_its_reason(tmp_path: Path) -> None:
    failed = in_service("x", EndpointStatus="Failed", FailureReason="the container did not pass the ping health check")
    answers = [World()._describeEndpoint(None), in_service("x", EndpointStatus="Creating"), failed]
    ran = run(make_spec(tmp_path), World(answers={"describeEndpoint": answers}))
    assert ran.recorded["outcome"] is None
    assert ran.recorded["failure"]["error"] == "DeploymentFailed"
    assert ran.recorded["failure"]["state"] == "AwaitEndpoint"
    assert "ping health check" in ran.recorded["failure"]["cause"]


def test_a_failed_endpoint_that_lies_around_is_replaced(tmp_path: Path) -> None:
    world = World(on="gone")
    failed = iter([in_service("gone", EndpointStatus="Failed"), in_service("gone", EndpointStatus="Deleting")])
    world.answers["describeEndpoint"] = lambda arguments: next(failed, None) or world._describeEndpoint(arguments)
    ran = run(make_spec(tmp_path), world)
    assert [name for name, _ in ran.calls if name.endswith("teEndpoint")] == ["deleteEndpoint", "createEndpoint"]
    assert ran.recorded["outcome"] == "Promoted"


def test_an_endpoint_in_a_status_that_nobody_knows_is_named(tmp_path: Path) -> None:
    answers = {"describeEndpoint": in_service("x", EndpointStatus="Hibernating")}
    ran = run(make_spec(tmp_path), with_champion(answers=answers))
    cause = f"endpoint {ENDPOINT} is Hibernating, which cannot be updated"
    assert ran.recorded["failure"] == {"state": "FindEndpoint", "error": "EndpointNotUsable", "cause": cause}


def test_wrong_answers_bring_the_champion_back(tmp_path: Path) -> None:
    world = with_champion(answers={"verifier": {"Payload": {"verified": False, "reason": "answered 3", "asked": 0}}})
    ran = run(make_spec(tmp_path), world)
    assert world.on == CHAMPION["endpoint_config_name"]
    assert ran.recorded["outcome"] == "RolledBack"
    assert ran.recorded["failure"] == {"state": "Verify", "error": "VerificationFailed", "cause": "answered 3"}


def test_an_endpoint_that_cannot_be_asked_brings_the_champion_back_too(tmp_path: Path) -> None:
    world = with_champion(answers={"verifier": StatesError("ClientError", '{"errorMessage": "denied"}')})
    assert run(make_spec(tmp_path), world).recorded["outcome"] == "RolledBack"
    assert world.on == CHAMPION["endpoint_config_name"]


def test_wrong_answers_of_a_first_model_leave_it_to_the_recorder(tmp_path: Path) -> None:
    world = World(answers={"verifier": {"Payload": {"verified": False, "reason": "answered 3", "asked": 0}}})
    ran = run(make_spec(tmp_path), world)
    assert ran.recorded["outcome"] is None
    assert ran.recorded["failure"]["error"] == "VerificationFailed"


def test_a_champion_that_cannot_be_restored_is_said_with_both_reasons(tmp_path: Path) -> None:
    world = with_champion(answers={"verifier": {"Payload": {"verified": False, "reason": "answered 3", "asked": 0}}})
    states = iter([None, None, in_service("x", EndpointStatus="Hibernating", FailureReason="both broke")])
    world.answers["describeEndpoint"] = lambda _arguments: next(states, None) or in_service(world.on)
    ran = run(make_spec(tmp_path), world)
    assert ran.recorded["failure"]["error"] == "ChampionNotRestored"
    assert ran.recorded["failure"]["state"] == "RestoreChampion"
    assert "answered 3" in ran.recorded["failure"]["cause"] and "both broke" in ran.recorded["failure"]["cause"]


def test_a_run_that_cannot_be_recorded_fails_and_says_so(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path), World(answers={"recorder": StatesError("ClientError", "no PutItem")}))
    assert len(ran.called("recorder")) == 3
    assert ran.error is not None and "no PutItem" in ran.error.cause
    assert ran.error.error == NOT_RECORDED


def test_a_run_whose_aftermath_failed_is_seen_to_fail(tmp_path: Path) -> None:
    error = {"state": "Record", "error": "AfterwardsFailed", "cause": "not authorized to perform: sns:Publish"}
    answer = {"run_id": RUN_ID, "outcome": "Promoted", "error": error, "record": "s3://r", "complete": False}
    ran = run(make_spec(tmp_path), World(answers={"recorder": {"Payload": answer}}))
    assert ran.error is not None and "sns:Publish" in ran.error.cause


LIMIT = set(SAGEMAKER_LIMIT)


def limited(usage: str, quota: int, used: int, delta: int = 1) -> str:
    """ResourceLimitExceeded in AWS's words."""
    return (
        f"The account-level service limit '{usage}' is {quota} Instances, with current utilization of {used} "
        f"Instances and a request delta of {delta} Instances. Please contact AWS support to request an increase for "
        "this limit."
    )


USAGES = {
    "createTrainingJob": ("Train", "ml.m5.large for training job usage"),
    "createProcessingJob": ("Evaluate", "ml.t3.medium for processing job usage"),
    "createEndpoint": ("CreateEndpoint", "ml.t2.medium for endpoint usage"),
}


@pytest.mark.fidelity(
    "Step Functions",
    "A quota of 0 and instances that others use up are one error, ResourceLimitExceeded; its words tell them apart.",
    "github.com/aws-samples/sagemaker-custom-project-templates/issues/51; "
    "github.com/aws/amazon-sagemaker-examples/issues/1543",
)
@pytest.mark.parametrize("operation", USAGES)
@pytest.mark.parametrize(("quota", "delta"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("error", sorted(LIMIT))
def test_a_quota_that_never_fits_ends_the_run_at_once(
    tmp_path: Path, operation: str, quota: int, delta: int, error: str
) -> None:
    state, usage = USAGES[operation]
    cause = limited(usage, quota, used=0, delta=delta)
    ran = run(make_spec(tmp_path), World(answers={operation: StatesError(error, cause)}))
    assert len(ran.called(operation)) == 1
    assert ran.recorded["failure"] == {"state": state, "error": error, "cause": cause}
    told = causes.readable(ran.recorded["failure"])["cause"]
    assert told.startswith(f"this account's quota '{usage}' is {quota}, and waiting doesn't raise it: request")


@pytest.mark.parametrize("operation", USAGES)
def test_instances_that_others_use_are_waited_for(tmp_path: Path, operation: str) -> None:
    state, usage = USAGES[operation]
    busy = StatesError("SageMaker.ResourceLimitExceeded", limited(usage, quota=10, used=10))
    world = World()
    answers = iter([busy] * 6)
    world.answers[operation] = lambda arguments: next(answers, None) or getattr(world, f"_{operation}")(arguments)
    ran = run(make_spec(tmp_path), world)
    assert len(ran.called(operation)) == 7
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("Promoted", None)
    assert ran.states.count(f"{state}Waits") == 6


def test_instances_that_others_never_give_back_end_the_run_with_sagemakers_words(tmp_path: Path) -> None:
    cause = limited("ml.m5.large for training job usage", quota=1, used=1)
    spec = make_spec(tmp_path, train={"instance": "ml.m5.large", "wait_for_instance": "5m"})
    ran = run(spec, World(answers={"createTrainingJob": StatesError(SAGEMAKER_LIMIT[0], cause)}))
    assert len(ran.called("createTrainingJob")) in (5, 6), "half of each pause is chance"
    assert causes.readable(ran.recorded["failure"])["cause"] == cause


def test_throttled_jobs_are_tried_again(tmp_path: Path) -> None:
    world = World()
    throttled = StatesError("SageMaker.AmazonSageMakerException", "Rate exceeded")
    answers = iter([throttled, throttled])
    world.answers["createTrainingJob"] = lambda arguments: next(answers, None) or world._createTrainingJob(arguments)
    ran = run(make_spec(tmp_path), world)
    assert len(ran.called("createTrainingJob")) == 3
    assert ran.recorded["outcome"] == "Promoted"


# ---------------------------------------------------------------------------------------------------- the definition


def test_step_functions_takes_the_definition(tmp_path: Path) -> None:
    text = json.dumps(definition(make_spec(tmp_path)))
    assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []
    assert len(text) < 1_000_000


def test_every_task_has_a_timeout_retries_and_a_catch(tmp_path: Path) -> None:
    states = definition(make_spec(tmp_path))["States"]
    waits = ("WaitForEndpoint", "WaitToFindEndpoint", "WaitForChampion")  # test_run_patience.py has theirs
    tasks = {name: state for name, state in states.items() if state["Type"] == "Task" and name not in waits}
    assert len(tasks) >= 15
    for name, state in tasks.items():
        assert state["TimeoutSeconds"] > 0, name
        assert all(entry["JitterStrategy"] == "FULL" and entry["MaxDelaySeconds"] for entry in state["Retry"]), name
        assert state["Retry"], name
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        assert {error for entry in state["Catch"][:-1] for error in entry["ErrorEquals"]} <= LIMIT, name


def test_jobs_are_waited_for_and_what_the_optimized_integrations_lack_is_the_sdks(tmp_path: Path) -> None:
    rules = [{"rule": "LossNotDecreasing"}]
    states = definition(make_spec(tmp_path, rules=rules))["States"]
    called = {name: state["Resource"] for name, state in states.items() if state["Type"] == "Task"}
    assert {name: resource.removeprefix("arn:aws:states:::") for name, resource in called.items()} == {
        **dict.fromkeys(("Plan", "Gate", "Verify", "Record"), "lambda:invoke"),
        **dict.fromkeys(("Settle", "WhyStopped"), "dynamodb:getItem"),
        "Train": "sagemaker:createTrainingJob.sync",
        "Evaluate": "sagemaker:createProcessingJob.sync",
        **dict.fromkeys(("OpenTraining", "CloseTraining", "OpenEvaluation"), "aws-sdk:iam:tagRole"),
        "TrainCleared": "aws-sdk:sagemaker:deleteTrainingJob",
        "EvaluateCleared": "aws-sdk:sagemaker:deleteProcessingJob",
        "DescribeStopped": "aws-sdk:sagemaker:describeTrainingJob",
        "Register": "aws-sdk:sagemaker:createModelPackage",
        "CreateModel": "sagemaker:createModel",
        "FindModel": "aws-sdk:sagemaker:describeModel",
        "CreateEndpointConfig": "sagemaker:createEndpointConfig",
        "FindEndpointConfig": "aws-sdk:sagemaker:describeEndpointConfig",
        **dict.fromkeys(("UpdateEndpoint", "RestoreChampion"), "aws-sdk:sagemaker:updateEndpoint"),
        **dict.fromkeys(("CreateEndpoint", "BringBackChampion"), "aws-sdk:sagemaker:createEndpoint"),
        **dict.fromkeys(("DeleteEndpoint", "TakeAway"), "aws-sdk:sagemaker:deleteEndpoint"),
        **dict.fromkeys(("FindEndpoint", "AwaitEndpoint", "LookAtEndpoint"), "aws-sdk:sagemaker:describeEndpoint"),
        **dict.fromkeys(
            ("WaitForEndpoint", "WaitToFindEndpoint", "WaitForChampion"), "sqs:sendMessage.waitForTaskToken"
        ),
    }


def test_the_definition_has_no_other_placeholders_than_names(tmp_path: Path) -> None:
    """A stack substitutes ${field} when it is deployed; anything else that looks so would be taken for one."""
    at = surroundings(make_spec(tmp_path))
    machine = run_machine(at)
    said = set(re.findall(r"\$\{[^}]*\}?", json.dumps(machine.definition)))
    assert said == {f"${{{name}}}" for name in {**values(at), **arns(machine)}}
    assert set(arns(machine)) == {
        *("planner_arn", "gate_arn", "verifier_arn", "recorder_arn"),
        *("training_role_arn", "processing_role_arn", "hosting_role_arn"),
        *("training_role_name", "processing_role_name"),
    }


def test_a_vpc_reaches_jobs_and_model(tmp_path: Path) -> None:
    network = Vpc(subnets=("subnet-1",), security_groups=("sg-1",))
    ran = run(make_spec(tmp_path), World(), vpc=network)
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert ran.called("createTrainingJob")[0]["VpcConfig"] == vpc
    assert ran.called("createProcessingJob")[0]["NetworkConfig"]["VpcConfig"] == vpc
    assert ran.called("createModel")[0]["VpcConfig"] == vpc


@pytest.mark.fidelity(
    "Step Functions",
    "A redriven execution goes on from the state that failed, under its own name; its context counts the redrives.",
    "Step Functions API reference, RedriveExecution; Developer Guide, Accessing execution data from the Context object",
)
@pytest.mark.parametrize("world", [World(), with_champion()], ids=["first", "with a champion"])
def test_a_run_that_has_ended_and_is_redriven_changes_no_endpoint(tmp_path: Path, world: World) -> None:
    ran = run(make_spec(tmp_path), world, redriven=1)
    assert ran.recorded["failure"]["error"] == "RunHasEnded"
    assert not ran.called("createEndpoint") and not ran.called("updateEndpoint")
