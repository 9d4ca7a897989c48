"""A run, from a trigger to a champion that answers, as one state machine (Amazon States Language, JSONata).

What the machine's role needs:
    lambda:InvokeFunction                           planner, gate, verifier, recorder
    dynamodb:GetItem                                the run table, leading key = the pipeline
    sagemaker:CreateTrainingJob, DescribeTrainingJob, StopTrainingJob, AddTags          training-job/<job_prefix>*
    sagemaker:CreateProcessingJob, DescribeProcessingJob, StopProcessingJob, AddTags    processing-job/<job_prefix>*
    sagemaker:CreateModelPackage, AddTags           model-package-group/<group>, model-package/<group>/*
    sagemaker:CreateModel, DescribeModel, AddTags   model/<content_prefix>*
    sagemaker:CreateEndpointConfig, DescribeEndpointConfig, AddTags     endpoint-config/<content_prefix>*
    sagemaker:CreateEndpoint, UpdateEndpoint        endpoint/<endpoint>, endpoint-config/<content_prefix>*
    sagemaker:DescribeEndpoint, DeleteEndpoint, AddTags                 endpoint/<endpoint>
    iam:PassRole (iam:PassedToService = sagemaker.amazonaws.com)        training, processing and hosting role
    events:PutTargets, PutRule, DescribeRule        rule/StepFunctionsGetEventsForSageMaker*Rule (for .sync)
    kms:Decrypt                                     the key of the run table
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from infra.workflow import deployment, evaluation, judging, rounds, spot, stopping, training
from infra.workflow.endpoint import put_endpoint, timer, undo
from infra.workflow.names import Names
from infra.workflow.states import (
    API_CALL_SECONDS,
    RECORD,
    RETRY_DYNAMODB,
    RETRY_EXPECTED,
    RETRY_SAGEMAKER,
    THROTTLED,
    State,
    States,
    choice,
    expression,
    failure,
    invoke,
    machine,
    retry,
    rule,
    task,
)
from ratchet.spec import PipelineSpec

# Each is the function's own time limit (infra gives the functions the same) and a little for the call around it.
PLANNER_SECONDS = 900
GATE_SECONDS = 60
VERIFIER_SECONDS = 120
RECORDER_SECONDS = 300
CALL_SECONDS = 10

# What a run learns on its way, part by part; the recorder gets all of it.
VARIABLES = (
    "run",
    "plan",
    "training",
    "evaluation",
    "decision",
    "package",
    "candidate",
    "deployment",
    "verification",
    "failure",
    "outcome",
)

# Besides its own runtime a job waits for instances, downloads its data and uploads its results.
JOB_OVERHEAD_SECONDS = 3600
# Data that keeps arriving mustn't put off training for ever: after so many quiet periods, and so many seconds, the run
# goes ahead.
LONGEST_SETTLING_PERIODS = 20
LONGEST_SETTLING_SECONDS = 600


def run_machine(spec: PipelineSpec, names: Names) -> State:
    """The states of one run, from a trigger to a champion that answers.

    Each part ends by naming the next; whatever fails goes to Record. The execution's input is
    `{"pipeline", "run_id", "trigger": {"kind", "at", "detail"}, "forced"}`.
    """
    return machine(
        begin(spec),
        settle(spec, names, then="Plan"),
        plan(spec, names, anew="Train", again="Deploy"),
        train(spec, names, then=rounds.ENDED if spec.rounds else "Evaluate"),
        rounds.judge(spec, again="Train", then="Evaluate"),
        evaluate(spec, names, then="Gate"),
        gate(spec, names, then="Register"),
        register(names, better="Deploy"),
        deploy(spec, names, then="Verify"),
        verify(names, wrong="Undo"),
        undo(spec, names),
        record(spec, names),
        comment=f"A run of {names.pipeline} in {names.environment}: from a trigger to a champion that answers",
    )


def begin(spec: PipelineSpec) -> States:
    """The run's variables; each part fills its own."""
    variables = {**dict.fromkeys(VARIABLES), **rounds.variables(spec), "run": expression("$states.input")}
    then = "Settle" if spec.triggers.data else "Plan"
    return {"Begin": {"Type": "Pass", "Assign": variables, "Next": then}}


def settle(spec: PipelineSpec, names: Names, *, then: str) -> States:
    """A run that data started waits until nothing more has arrived for the quiet period."""
    if not spec.triggers.data:
        return {}
    quiet = spec.triggers.data.quiet * 1000
    longest = max(LONGEST_SETTLING_PERIODS * quiet, LONGEST_SETTLING_SECONDS * 1000)
    started = "$toMillis($states.context.Execution.StartTime)"
    pending = "$states.result.Item.pending.M.last_at.S"
    look = task(
        "Settle",
        "arn:aws:states:::dynamodb:getItem",
        {
            "TableName": names.run_table,
            "Key": {"pipeline": {"S": names.pipeline}, "item": {"S": "state"}},
            "ConsistentRead": True,
        },
        then="Settled",
        timeout=API_CALL_SECONDS,
        retries=RETRY_DYNAMODB,
        assign={
            "quiet_at": expression(
                f"(($exists({pending}) ? $toMillis({pending}) : $toMillis($run.trigger.at)) + {quiet})"
            )
        },
    )
    ready = f"$run.trigger.kind != 'data' or $millis() >= $quiet_at or $millis() >= {started} + {longest}"
    wait: State = {"Type": "Wait", "Timestamp": expression("$fromMillis($quiet_at)"), "Next": "Settle"}
    return {**look, **choice("Settled", [rule(ready, then)], default="Quiet"), "Quiet": wait}


def plan(spec: PipelineSpec, names: Names, *, anew: str, again: str) -> States:
    """What the run works on. Nothing new: it ends. A rollback deploys `again` what was champion before."""
    look = invoke(
        "Plan",
        names.planner_arn,
        {
            "run": expression("$run"),
            "channels": dict(spec.data),
            "code_hash": names.code_hash,
            "spec_hash": spec_hash(spec),
            "image_uri": names.image_uri,
        },
        then="Planned",
        timeout=PLANNER_SECONDS + CALL_SECONDS,
        result="plan",
    )
    up_to_date = rule("$plan.outcome = 'UpToDate'", RECORD, {"outcome": "UpToDate"})
    rollback = rule("$plan.outcome = 'Rollback'", again, {"candidate": expression("$plan.candidate")})
    return {**look, **choice("Planned", [up_to_date, rollback], default=anew)}


def spec_hash(spec: PipelineSpec) -> str:
    """What a spec asks for, without when: other triggers make no other model."""
    document = spec.model_dump(mode="json", exclude={"triggers"})
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def train(spec: PipelineSpec, names: Names, *, then: str) -> States:
    """The training job; tuning would be another part in this place, with the same variable `$training` at its end."""
    described = {
        "training": expression(
            "{'status': $states.result.TrainingJobStatus,"
            " 'model_data': $states.result.ModelArtifacts.S3ModelArtifacts,"
            " 'metrics': $merge($states.result.FinalMetricDataList.{MetricName: Value}),"
            " 'seconds': $states.result.TrainingTimeInSeconds,"
            + spot.figures(spec)
            + " 'description': {'TrainingJobName': $states.result.TrainingJobName,"
            " 'TrainingJobStatus': $states.result.TrainingJobStatus,"
            " 'SecondaryStatus': $states.result.SecondaryStatus,"
            " 'FailureReason': $states.result.FailureReason}}"
        )
    }
    job = task(
        "Train",
        "arn:aws:states:::sagemaker:createTrainingJob.sync",
        training.training_job(spec, names),
        then="Trained",
        timeout=spot.longest(spec) + JOB_OVERHEAD_SECONDS,
        retries=RETRY_SAGEMAKER,
        assign=described,
        on_failure="TrainFailed" if spec.rules else RECORD,
    )
    if not spec.rules:
        return {**job, **completed("Trained", "Train", "$training", then)}
    job_name = training.training_job_name(spec, names)
    return {
        **job,
        **stopping.stopped_as_an_error("TrainFailed", job_name, described, then="Trained"),
        **completed("Trained", "Train", "$training", then, otherwise="WhyStopped"),
        **stopping.why_stopped(spec, names, then=then),
    }


def completed(name: str, job: str, variable: str, then: str, *, otherwise: str = RECORD) -> States:
    """`Stopped` is not `Failed`: Step Functions may end a stopped job either way, and the recorder reads the status
    from the description here as from an error's cause."""
    stopped = {"failure": failure(job, "JobNotCompleted", f"$string({variable}.description)")}
    return choice(name, [rule(f"{variable}.status = 'Completed'", then)], default=otherwise, assign=stopped)


def evaluate(spec: PipelineSpec, names: Names, *, then: str) -> States:
    """Challenger and champion answer the same held-out examples."""
    job = task(
        "Evaluate",
        "arn:aws:states:::sagemaker:createProcessingJob.sync",
        evaluation.processing_job(spec, names),
        then="Evaluated",
        timeout=spec.evaluate.max_runtime + JOB_OVERHEAD_SECONDS,
        retries=RETRY_SAGEMAKER,
        assign={
            "evaluation": expression(
                "{'status': $states.result.ProcessingJobStatus,"
                " 'description': {'ProcessingJobName': $states.result.ProcessingJobName,"
                " 'ProcessingJobStatus': $states.result.ProcessingJobStatus,"
                " 'ExitMessage': $states.result.ExitMessage,"
                " 'FailureReason': $states.result.FailureReason}}"
            )
        },
    )
    return {**job, **completed("Evaluated", "Evaluate", "$evaluation", then)}


def gate(spec: PipelineSpec, names: Names, *, then: str) -> States:
    """Is the challenger better than the champion?"""
    payload = {
        "run": expression("$run"),
        "gate": spec.gate.model_dump(mode="json"),
        "champion": expression("$plan.champion"),
    }
    return invoke("Gate", names.gate_arn, payload, then=then, timeout=GATE_SECONDS + CALL_SECONDS, result="decision")


def register(names: Names, *, better: str) -> States:
    """The challenger becomes a version in the model registry, approved or rejected; manual approval would wait here."""
    registered = task(
        "Register",
        "arn:aws:states:::aws-sdk:sagemaker:createModelPackage",
        evaluation.model_package(names),
        then="Better",
        timeout=API_CALL_SECONDS,
        retries=RETRY_SAGEMAKER,
        assign={
            "package": expression("$states.result.ModelPackageArn"),
            "candidate": {
                "run_id": expression("$run.run_id"),
                "image_uri": names.hosting_image_uri,
                "model_data": expression("$training.model_data"),
                "model_package_arn": expression("$states.result.ModelPackageArn"),
                "score": expression("$decision.score"),
                "metric": expression("$decision.metric"),
                "fingerprint": expression("$plan.fingerprint"),
            },
        },
    )
    verdict = choice("Better", [rule("$decision.promote", better)], default=RECORD, assign={"outcome": "NotBetter"})
    return {**registered, **verdict}


def deploy(spec: PipelineSpec, names: Names, *, then: str) -> States:
    """$candidate behind the endpoint: a model, an endpoint config, and the endpoint made or updated."""
    start: State = {
        "Type": "Pass",
        "Assign": {"deployment": deployment.content_names(spec, names), **timer(spec)},
        "Next": "CreateModel",
    }
    model_name, config_name = expression("$deployment.model_name"), expression("$deployment.endpoint_config_name")
    return {
        "Deploy": start,
        **once("Model", "ModelName", model_name, deployment.model(names), then="CreateEndpointConfig"),
        **once(
            "EndpointConfig",
            "EndpointConfigName",
            config_name,
            deployment.endpoint_config(spec, names),
            then="FindEndpoint",
        ),
        **put_endpoint(names, then=then),
    }


def once(kind: str, key: str, name: str, request: dict[str, Any], *, then: str) -> States:
    """Creates what is named by its content; that it exists already is as good (a rollback, a retry)."""
    create, find = f"Create{kind}", f"Find{kind}"
    created = task(
        create,
        f"arn:aws:states:::sagemaker:create{kind}",
        request,
        then=then,
        timeout=API_CALL_SECONDS,
        retries=RETRY_EXPECTED,
        on_failure=f"{kind}Exists",
    )
    again = f"WaitToCreate{kind}"
    exists = choice(
        f"{kind}Exists",
        [
            rule("$contains($lowercase($failure.cause), 'already exist')", find),
            rule(f"{THROTTLED} and $millis() < $deploy_deadline", again, {"failure": None}),
        ],
        default=RECORD,
    )
    found = task(
        find,
        f"arn:aws:states:::aws-sdk:sagemaker:describe{kind}",
        {key: name},
        then=then,
        timeout=API_CALL_SECONDS,
        retries=RETRY_SAGEMAKER,
        assign={"failure": None},
    )
    return {**created, **exists, again: {"Type": "Wait", "Seconds": 2, "Next": create}, **found}


def verify(names: Names, *, wrong: str) -> States:
    """The endpoint answers held-out examples as the evaluation did; `wrong` if not, or if that can't be found out."""
    ask = invoke(
        "Verify",
        names.verifier_arn,
        {
            "endpoint_name": names.endpoint,
            "endpoint_config_name": expression("$deployment.endpoint_config_name"),
            "evaluated_by": {"pipeline": names.pipeline, "run_id": expression("$candidate.run_id")},
        },
        then="Verified",
        timeout=VERIFIER_SECONDS + CALL_SECONDS,
        result="verification",
        on_failure=wrong,
    )
    verdict = choice(
        "Verified",
        [rule("$verification.verified", RECORD, {"outcome": "Promoted"})],
        default=wrong,
        assign={"failure": failure("Verify", "VerificationFailed", "$verification.reason")},
    )
    return {**ask, **verdict}


def record(spec: PipelineSpec, names: Names) -> States:
    """What the run was and did, whatever happened; the recorder names the outcome of a failure."""
    payload: dict[str, Any] = {name: expression(f"${name}") for name in VARIABLES}
    if spec.rounds:
        payload.update({"round": expression("$round"), "rounds": expression("$rounds")})
    payload["execution_arn"] = expression("$states.context.Execution.Id")
    payload["endpoint_name"] = names.endpoint
    payload["content_prefix"] = names.content_prefix
    payload["rules"] = judging.rules(spec)
    payload["rules_service"] = spec.rules_service
    payload["jobs"] = {
        "Train": training.training_job_name(spec, names),
        "Evaluate": training.job_name(names, "evaluate"),
    }
    write = invoke(
        RECORD,
        names.recorder_arn,
        payload,
        then="Recorded",
        timeout=RECORDER_SECONDS + CALL_SECONDS,
        result="record",
        on_failure="NotRecorded",
    )
    # A run that isn't recorded is the one thing that nobody would learn of: any error is tried again.
    write[RECORD]["Retry"].append(retry(["States.ALL"], interval=1, attempts=2))
    return {
        **write,
        **choice("Recorded", [rule("$record.outcome = 'Failed' or $not($record.complete)", "Failed")], default="Done"),
        "Done": {"Type": "Succeed", "Output": expression("$record")},
        "Failed": {
            "Type": "Fail",
            "Error": expression("$record.error.error"),
            "Cause": expression("$record.error.state & ': ' & $record.error.cause"),
        },
        "NotRecorded": {
            "Type": "Fail",
            # The launcher knows this name: such a run isn't tried again, since it would end the same.
            "Error": "NotRecorded",
            "Cause": expression("'the run could not be recorded: ' & $failure.error & ': ' & $failure.cause"),
        },
    }
