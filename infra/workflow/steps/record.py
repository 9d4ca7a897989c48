"""Record: the run is written down, whatever happened to it; the recorder names the outcome of a failure."""

from __future__ import annotations

from typing import Any

from contract import files, functions, names, outcomes
from contract.approvals import APPROVAL
from contract.batches import BATCH
from contract.compiled import COMPILING
from contract.scaling import SCALING
from contract.shadows import SHADOW
from contract.states import (
    ANSWER,
    ASK_CHALLENGER,
    ASK_CHAMPION,
    COMPILE,
    EVALUATE,
    NOT_RECORDED,
    RECORD,
    TRAIN,
    VARIABLES,
)
from infra.grants import Grant, use_key
from infra.workflow.conditions import any_of, equals, is_not
from infra.workflow.expressions import RUN_ID, composed, expression
from infra.workflow.guardrails import clear_alarms_away, own_alarms
from infra.workflow.language import RETRY_ANYTHING, RETRY_LAMBDA, State, States, choice, when
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.run_grants import change_run_table, clear_away, read_runs, write_runs
from infra.workflow.scaling import stop
from infra.workflow.step import Step, variables
from infra.workflow.surroundings import Surroundings
from infra.workflow.training import Training

_VERSIONS = "A model package's version is the registry's to give."


def record(at: Surroundings, training: Training) -> Step:
    """The execution ends well unless the run failed, or its record is incomplete."""
    recorder = _function(at, training)
    failed = any_of(equals("$record.outcome", outcomes.FAILED), is_not("$record.complete"))
    write = invoke(
        RECORD,
        recorder,
        _payload(at, training),
        then="Recorded",
        result="record",
        # A run that isn't recorded is the one thing that nobody would learn of.
        retries=[*RETRY_LAMBDA, RETRY_ANYTHING],
        on_failure=NOT_RECORDED,
    )
    return Step(
        states={**write, **choice("Recorded", [when(failed, "Failed")], default="Done"), **_ends()},
        function=recorder,
    )


def _ends() -> States:
    return {
        "Done": {"Type": "Succeed", "Output": expression("$record")},
        "Failed": _fail(expression("$record.error.error"), "<$record.error.state>: <$record.error.cause>"),
        # The launcher knows this error: such a run isn't tried again, since it would end the same.
        NOT_RECORDED: _fail(NOT_RECORDED, "the run could not be recorded: <$failure.error>: <$failure.cause>"),
    }


def _payload(at: Surroundings, training: Training) -> dict[str, Any]:
    """The run's variables, and what of the pipeline the record and the housekeeping need."""
    return {
        **variables(*VARIABLES, *training.way.variables),
        "execution_arn": expression("$states.context.Execution.Id"),
        "endpoint_name": at.endpoint,
        **(variables(BATCH) if at.spec.deploy.is_batch else {}),
        **(variables(COMPILING) if at.spec.deploy.compile else {}),
        **(variables(SCALING) if at.spec.deploy.autoscale else {}),
        **(variables(APPROVAL) if at.spec.approval.manual else {}),
        **(variables(SHADOW) if at.spec.deploy.has_shadow else {}),
        "content_prefix": at.content_prefix,
        **({"alarms": True} if own_alarms(at) else {}),
        "jobs": {
            TRAIN: composed(training.way.job_name(at)),
            **({COMPILE: composed(at.job(RUN_ID, names.COMPILE_STEP))} if at.spec.deploy.compile else {}),
            EVALUATE: composed(at.job(RUN_ID, names.EVALUATE_STEP)),
            **(_asked(at) if at.judging_image else {}),
            **({ANSWER: composed(at.job(RUN_ID, names.ANSWER_STEP))} if at.spec.deploy.is_batch else {}),
            **training.way.jobs,
        },
    }


def _asked(at: Surroundings) -> dict[str, str]:
    steps = {ASK_CHALLENGER: names.CHALLENGER_STEP, ASK_CHAMPION: names.CHAMPION_STEP}
    return {state: composed(at.job(RUN_ID, step)) for state, step in steps.items()}


def _fail(error: str, cause: str) -> State:
    return {"Type": "Fail", "Error": error, "Cause": composed(cause)}


def _function(at: Surroundings, training: Training) -> RunFunction:
    return RunFunction(
        folder="recorder",
        purpose="Writes what a run did, and clears away what nobody needs",
        seconds=300,
        variables={
            functions.RUN_TABLE: at.shared.run_table,
            functions.ARTIFACT_BUCKET: at.shared.artifact_bucket,
            functions.TOPIC_ARN: at.shared.topic_arn,
            functions.RETAINED_CHAMPIONS: str(at.spec.deploy.keep_champions),
        },
        grants=[
            change_run_table(at),
            *read_runs(at),
            write_runs(at, files.RECORD),
            Grant(actions=["sns:Publish"], resources=[at.shared.topic_arn]),
            *training.judging.recorder_grants,
            *clear_away(at),
            *clear_alarms_away(at),
            *(stop(at) if at.spec.deploy.autoscale else []),
            Grant(actions=["sagemaker:UpdateModelPackage"], resources=[at.model_package_arns], because=_VERSIONS),
            use_key(at.account, at.shared.key_arn, "dynamodb", "s3", "sns"),
        ],
        # How long each state took.
        execution_actions=["states:GetExecutionHistory"],
    )
