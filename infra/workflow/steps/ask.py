"""Ask: challenger and champion of an image of one's own answer the held-out rows over HTTP, before they are judged.

Such an image holds nothing of Ratchet's, and maybe no Python. So each model is made as SageMaker's, as it would serve,
and a batch transform job sends it the rows, of which a function has written the labels away: neither the container nor
the role that it has can see what is right. Both answer at once, each in a branch of its own, which ends well whatever
happens in it, its model deleted. A model that is left (somebody has stopped the run) has a name of the pipeline's
content, by which the next run finds and deletes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from contract import files, functions, names
from contract.states import ASK_CHALLENGER, ASK_CHAMPION, EVALUATE, RECORD
from infra.grants import Grant, read_objects, use_key
from infra.workflow.branch import PAUSE_SECONDS, WRONG, branch_task
from infra.workflow.conditions import all_of, equals, exists, is_not, says_existing, says_quota_too_small
from infra.workflow.expressions import RUN_ID, composed, expression, members, quoted, results
from infra.workflow.hosting import content_name, script_mode
from infra.workflow.job_role import ANSWERING, JobRole, run_container
from infra.workflow.jobs import OVERHEAD_SECONDS, run_jobs
from infra.workflow.language import (
    State,
    States,
    assigning,
    caught,
    choice,
    when,
)
from infra.workflow.requests import Document, in_vpc, manifest, run_uri, tags
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.run_grants import read_from_runs, write_runs
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import HOSTING_IMAGE_URI, Surroundings
from infra.workflow.transform import TRANSFORM_LOGS, transform_job
from ratchet.spec.over_http import answering_instance

_WRITE, _ANSWER, _ANSWERED, _HEAR = "AskModels", "ModelsAnswer", "ModelsAnswered", "HearModels"
# Of the function: it reads one held-out file at a time, as a whole.
SECONDS, MEGABYTES = 900, 3008
# A container that hangs is asked four times (ModelClientConfig, CreateTransformJob); all of it is to end in time.
_TRIES, _LONGEST_ANSWER_SECONDS = 4, 600
# The branch's own variables, beside WRONG: the job that has ended, and until when instances are waited for.
_JOB, _UNTIL = "described", "until"
_DESCRIPTION = results("TransformJobName", "TransformJobStatus", "FailureReason")


def write(at: Surroundings, *, then: str) -> Step:
    """What they are asked is written before anything is trained: data that can't be asked so end the run there.

    Nothing, as of `answer`, where models are judged in a framework's image.
    """
    if at.judging_image is None:
        return NOTHING
    asked = {
        "run": expression("$run"),
        "held_out": asdict(at.spec.reading),
        "manifest": manifest(files.TEST_CHANNEL),
    }
    asker = _asker(at)
    return Step(states=invoke(_WRITE, asker, asked, then=then, result="asked"), function=asker)


def answer(at: Surroundings, *, then: str) -> Step:
    """They answer; of those that haven't it is heard why."""
    if at.judging_image is None:
        return NOTHING
    role = _role(at)
    return Step(states=_answering(at, role, then), grants=_grants(at), role=role)


def _answering(at: Surroundings, role: JobRole, then: str) -> States:
    heard = {"run": expression("$run"), "answered": expression(_answers())}
    both = all_of(*(_is_completed(number) for number in range(2)))
    failed = {"failure": expression(f"$merge([{{'state': {quoted(EVALUATE)}}}, $heard.failure])")}
    return {
        _ANSWER: {
            "Type": "Parallel",
            "Branches": [_branch(at, role, model) for model in (_challenger(), _champion())],
            "Assign": {"answers": expression("$states.result")},
            "Output": expression("$states.input"),
            "Catch": [caught(EVALUATE, RECORD)],
            "Next": _ANSWERED,
        },
        **choice(_ANSWERED, [when(both, then)], default=_HEAR),
        **invoke(_HEAR, _asker(at), heard, then="ModelsHeard", result="heard"),
        **choice("ModelsHeard", [when(exists("$heard.failure.error"), RECORD, failed)], default=then),
    }


def _answers() -> str:
    """What became of both, by their names; of no champion null."""
    models = (files.CHALLENGER_INPUT, files.CHAMPION_INPUT)
    return members({model: f"$answers[{number}].answered" for number, model in enumerate(models)})


def _is_completed(number: int) -> str:
    """Whether a model has answered; so has a champion that there isn't."""
    answered = f"$answers[{number}].answered"
    return f"({answered} = null or {equals(f'{answered}.description.TransformJobStatus', 'Completed')})"


# --------------------------------------------------------------------------------------------------------- the models


def _challenger() -> Document:
    container = {"Image": str(HOSTING_IMAGE_URI), "ModelDataUrl": expression("$training.model_data")}
    told = {"model": files.CHALLENGER_INPUT, "step": names.CHALLENGER_STEP, "state": ASK_CHALLENGER}
    return {**told, "container": container}


def _champion() -> Document:
    champion = "$plan.champion"
    container = {
        "Image": expression(f"{champion}.image_uri"),
        "ModelDataUrl": expression(f"{champion}.model_data"),
    }
    told = {"model": files.CHAMPION_INPUT, "step": names.CHAMPION_STEP, "state": ASK_CHAMPION}
    return {**told, "container": container, "is_there": exists(f"{champion}.model_data")}


def _model_name(at: Surroundings, model: str) -> str:
    return expression(content_name(at.content_prefix, ["$run.run_id", quoted(model)]))


def model(at: Surroundings, role: JobRole, name: str, container: Mapping[str, Any]) -> Document:
    """CreateModel."""
    return {
        "ModelName": _model_name(at, name),
        "ExecutionRoleArn": role.arn,
        "PrimaryContainer": {**container, "Environment": script_mode(at)},
        "Tags": tags(at),
        **in_vpc(at),
    }


def answering_job(at: Surroundings, name: str, step: str) -> Document:
    """CreateTransformJob."""
    seconds = at.spec.evaluate.max_runtime // _TRIES
    request = transform_job(
        at,
        name=composed(at.job(RUN_ID, step)),
        model=_model_name(at, name),
        source={"S3DataType": "S3Prefix", "S3Uri": composed(run_uri(at, f"{files.ASKED}/"))},
        content_type=expression("$asked.content_type"),
        output=composed(run_uri(at, files.answers_of(name))),
        instance=answering_instance(at.spec),
    )
    client = {
        "InvocationsTimeoutInSeconds": min(max(seconds, 1), _LONGEST_ANSWER_SECONDS),
        "InvocationsMaxRetries": _TRIES - 1,
    }
    return {**request, "ModelClientConfig": client}


# ----------------------------------------------------------------------------------------------------------- a branch


def _branch(at: Surroundings, role: JobRole, asked: Mapping[str, Any]) -> Document:
    """A model's way from its making to its end. Its output is {"answered": what became of its job, or null}."""
    name = str(asked["model"])
    word = name.capitalize()
    begin, make, drop, end = (f"{verb}{word}" for verb in ("Begin", "Make", "Drop", "End"))
    answer = str(asked["state"])
    made, refused, waits = f"{word}NotMade", f"{word}Refused", f"{word}Waits"
    has_time = all_of(is_not(says_quota_too_small(f"${WRONG}")), f"$millis() < ${_UNTIL}")
    wait_ends = expression(f"$millis() + {1000 * at.spec.evaluate.wait_for_instance}")
    job, made_of = answering_job(at, name, str(asked["step"])), model(at, role, name, asked["container"])
    states = {
        **_if_there(begin, asked.get("is_there"), make, {WRONG: None, _JOB: None, _UNTIL: wait_ends}),
        **branch_task(make, "sagemaker:createModel", made_of, then=answer, wrong=made),
        **choice(made, [when(says_existing(f"${WRONG}"), answer, {WRONG: None})], default=end),
        **branch_task(
            answer,
            "sagemaker:createTransformJob.sync",
            job,
            then=drop,
            wrong=drop,
            refused=refused,
            seconds=at.spec.evaluate.max_runtime + OVERHEAD_SECONDS,
            assign={_JOB: expression(members(_DESCRIPTION))},
        ),
        **choice(refused, [when(has_time, waits, {WRONG: None})], default=drop),
        waits: {"Type": "Wait", "Seconds": PAUSE_SECONDS, "Next": answer},
        **branch_task(drop, "aws-sdk:sagemaker:deleteModel", {"ModelName": made_of["ModelName"]}, then=end, wrong=None),
        end: {"Type": "Pass", "Output": {"answered": _answered(job["TransformJobName"])}, "End": True},
    }
    return {"StartAt": begin, "States": states}


def _if_there(name: str, condition: str | None, then: str, assign: Document) -> States:
    """The branch's beginning; it ends with nothing for a model that there isn't."""
    if condition is None:
        return assigning(name, assign, then=then)
    none = f"{name}Not"
    ends: State = {"Type": "Pass", "Output": {"answered": None}, "End": True}
    return {**choice(name, [when(condition, then, assign)], default=none), none: ends}


def _answered(job: str) -> Document:
    return {"job": job, "description": expression(f"${_JOB}"), "wrong": expression(f"${WRONG}")}


# ------------------------------------------------------------------------------------------------------------- grants


def _grants(at: Surroundings) -> list[Grant]:
    """The machine's: making the models and their jobs, and deleting the models."""
    jobs = [at.job(names.ANY_RUN_ID, step) for step in (names.CHALLENGER_STEP, names.CHAMPION_STEP)]
    actions = ["sagemaker:CreateModel", "sagemaker:DeleteModel", "sagemaker:AddTags"]
    return [
        Grant(actions=actions, resources=[at.model_arns]),
        *run_jobs(at, "TransformJob", [at.sagemaker("transform-job", job) for job in jobs]),
    ]


def _role(at: Surroundings) -> JobRole:
    """The models': their archives, and the rows without their labels. The held-out channel isn't theirs to read."""
    return JobRole(
        name=ANSWERING,
        purpose=f"Models of {at.pipeline} that are judged",
        grants=[
            *read_from_runs(at, f"*{files.ARCHIVE_ENDING}", f"{files.ASKED}/*"),
            write_runs(at, f"{files.ANSWERED}/*"),
            *run_container(at, at.hosting_image, TRANSFORM_LOGS),
        ],
    )


def _asker(at: Surroundings) -> RunFunction:
    own = f"{files.answers_of(files.CHAMPION_INPUT)}/{files.NO_ANSWERS}"
    jobs = [at.job(names.ANY_RUN_ID, step) for step in (names.CHALLENGER_STEP, names.CHAMPION_STEP)]
    streams = [f"log-group:{TRANSFORM_LOGS}:log-stream:{job}/*" for job in jobs]
    return RunFunction(
        folder="asker",
        purpose="Writes what models are asked over HTTP, and tells why one has no answers",
        seconds=SECONDS,
        megabytes=MEGABYTES,
        variables={functions.ARTIFACT_BUCKET: at.shared.artifact_bucket},
        grants=[
            *read_objects(
                at.shared.data_bucket_arn,
                [at.spec.data[files.TEST_CHANNEL]],
                "What lies under the channel's prefix is the data's own names.",
            ),
            *read_from_runs(at, files.manifest(files.TEST_CHANNEL), files.ASKED_INDEX),
            write_runs(at, f"{files.ASKED}/*", files.ASKED_INDEX, own),
            Grant(
                actions=["logs:DescribeLogStreams"],
                resources=[at.account.arn("logs", f"log-group:{TRANSFORM_LOGS}:*")],
                because="A log group's streams are asked for by the group's ARN, which ends so.",
            ),
            Grant(
                actions=["logs:GetLogEvents"],
                resources=[at.account.arn("logs", stream) for stream in streams],
                because="SageMaker names a log stream after the job and its host, which are known only when it starts.",
            ),
            use_key(at.account, at.shared.key_arn, "s3"),
        ],
    )
