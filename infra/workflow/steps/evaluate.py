"""Evaluate: challenger and champion answer the same held-out examples, in a processing job in the training image.

Where another framework serves, in the image in which that one trains: what is judged is what serves. Models of an image
of one's own have answered before (steps/ask.py); then the job judges what they said.
"""

from __future__ import annotations

from contract import evaluations, files, held_out, names, thresholds
from contract.candidates import CANDIDATE, INPUT
from contract.code_archive import INPUTS, OUTPUT, program
from contract.states import EVALUATE
from infra.workflow.conditions import exists
from infra.workflow.expressions import (
    RUN_ID,
    composed,
    expression,
    jsonata,
    lengthened,
    members,
    quoted,
    results,
)
from infra.workflow.folder import opened, write_own_run
from infra.workflow.instances import instance_type
from infra.workflow.job_role import PROCESSING, PROCESSING_LOGS, JobRole, read_channels, read_code, run_container
from infra.workflow.jobs import completed, job, run_jobs
from infra.workflow.requests import Document, code_uri, manifest, run_uri, tags, vpc
from infra.workflow.run_grants import read_from_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import IMAGE_URI, JUDGING_IMAGE_URI, KEY_ARN, Surroundings
from infra.workflow.way import Way

# The state by which evaluation begins.
OPEN = "OpenEvaluation"

VOLUME_GIB = 30
SCRIPT = program(f"{files.TOOLKIT}/evaluate.py")

# Neither judge nor models call AWS: whoever had the job's credentials could read the held-out data (AWS SDKs and Tools
# Reference Guide, "Container credential provider"; "AWS access keys").
CREDENTIALS = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_WITHOUT_CREDENTIALS = [word for name in CREDENTIALS for word in ("-u", name)]

_DESCRIPTION = results("ProcessingJobName", "ProcessingJobStatus", "ExitMessage", "FailureReason")


def evaluate(at: Surroundings, way: Way, *, then: str) -> Step:
    """`$evaluation` is what became of the job; its figures lie in the run's folder."""
    role = _role(at)
    described = members(
        {
            "status": "$states.result.ProcessingJobStatus",
            "instance": "$states.result.ProcessingResources.ClusterConfig.InstanceType",
            "description": members(_DESCRIPTION),
        }
    )
    states = opened(OPEN, role, then=EVALUATE) | job(
        EVALUATE,
        "createProcessingJob",
        processing_job(at, role, way),
        types=at.spec.evaluate.instance,
        patience=at.spec.evaluate.wait_for_instance,
        longest=at.spec.evaluate.max_runtime,
        then="Evaluated",
        assign={"evaluation": expression(described)},
    )
    jobs = at.job(names.ANY_RUN_ID, names.EVALUATE_STEP)
    return Step(
        states={**states, **completed("Evaluated", EVALUATE, "$evaluation", then=then)},
        grants=run_jobs(at, "ProcessingJob", [at.sagemaker("processing-job", jobs)]),
        role=role,
    )


def processing_job(at: Surroundings, role: JobRole, way: Way) -> Document:
    """CreateProcessingJob."""
    network, threshold = vpc(at), at.spec.serving.told
    return {
        "ProcessingJobName": composed(at.job(RUN_ID, names.EVALUATE_STEP)),
        "AppSpecification": {
            "ImageUri": str(IMAGE_URI if at.evaluation_image == at.image else JUDGING_IMAGE_URI),
            "ContainerEntrypoint": ["/usr/bin/env", *_WITHOUT_CREDENTIALS, "python3", "-c", SCRIPT],
            "ContainerArguments": _arguments(at, way),
        },
        "ProcessingInputs": _inputs(at, way),
        "ProcessingOutputConfig": {"Outputs": [_output(at)], "KmsKeyId": str(KEY_ARN)},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": instance_type(at.spec.evaluate.instance),
                "VolumeSizeInGB": VOLUME_GIB,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": at.spec.evaluate.max_runtime},
        "RoleArn": role.arn,
        "Tags": tags(at),
        **({"Environment": {thresholds.THRESHOLD: threshold}} if threshold else {}),
        **({"NetworkConfig": {"VpcConfig": network}} if network else {}),
    }


def _arguments(at: Surroundings, way: Way) -> list[str]:
    """The options of toolkit/evaluate.py."""
    gate = at.spec.gate
    reading = held_out.arguments(at.spec.reading)
    classes = ["--classes"] if gate.classes else []
    several = [word for name in way.candidates for word in ("--candidate", name)]
    # Half of the time for a metric of the user's own, which may be slow, of all candidates together.
    longest = at.spec.evaluate.max_runtime // 2 // max(1, len(way.candidates))
    seconds = ["--metric-seconds", str(longest)] if evaluations.is_own(gate.metric) else []
    over_http = ["--answered"] if at.judging_image else []
    confidence = ["--confidence", str(gate.confidence)]
    return ["--metric", gate.metric, *reading, *classes, *seconds, *over_http, *several, *confidence]


def _inputs(at: Surroundings, way: Way) -> str:
    """The job's inputs; the champion's is there when there is a champion. Of models over HTTP it gets their answers, of
    candidates each that has left a model."""
    archive = "$plan.champion.model_data"
    challenger, champion = expression("$training.model_data"), expression(archive)
    asked = []
    if at.judging_image:
        challenger, champion = (_answers_uri(at, name) for name in (files.CHALLENGER_INPUT, files.CHAMPION_INPUT))
        asked = [_input(files.ASKED, composed(run_uri(at, f"{files.ASKED}/")))]
    always = [
        _input(files.CODE_INPUT, code_uri(at)),
        _input(files.TEST_INPUT, manifest(files.TEST_CHANNEL), kind="ManifestFile"),
        *asked,
        *([] if way.challengers else [_input(files.CHALLENGER_INPUT, challenger)]),
    ]
    with_champion = lengthened(always, _input(files.CHAMPION_INPUT, champion), when=exists(archive))
    if way.challengers is None:
        return with_champion
    return expression(f"$append({jsonata(with_champion)}, {way.challengers}.{jsonata(_candidate())})")


def _candidate() -> Document:
    """A candidate's input, over its entry of the machine's variable."""
    name, path = (f"{quoted(beginning)} & {CANDIDATE}" for beginning in (INPUT, f"{INPUTS}/{INPUT}"))
    found = _input(INPUT, expression("training.model_data"))
    return {"InputName": expression(name), "S3Input": {**found["S3Input"], "LocalPath": expression(path)}}


def _answers_uri(at: Surroundings, model: str) -> str:
    return composed(run_uri(at, f"{files.answers_of(model)}/"))


def _input(name: str, uri: str, kind: str = "S3Prefix") -> Document:
    s3 = {"S3Uri": uri, "LocalPath": f"{INPUTS}/{name}", "S3DataType": kind, "S3InputMode": "File"}
    return {"InputName": name, "S3Input": s3}


def _output(at: Surroundings) -> Document:
    uri = composed(run_uri(at, files.EVALUATION_FOLDER))
    return {
        "OutputName": "evaluation",
        "S3Output": {"S3Uri": uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
    }


def _role(at: Surroundings) -> JobRole:
    judged = (f"{files.ASKED}/*", f"{files.ANSWERED}/*") if at.judging_image else (f"{files.TRAIN}/*",)
    return JobRole(
        name=PROCESSING,
        purpose=f"Evaluation jobs of {at.pipeline}",
        grants=[
            *read_channels(at, [at.spec.data[files.TEST_CHANNEL]]),
            *read_from_runs(at, *judged, files.manifest(files.TEST_CHANNEL)),
            *read_code(at),
            write_own_run(at, files.EVALUATION_FOLDER),
            *run_container(at, at.evaluation_image, PROCESSING_LOGS),
        ],
        of_a_run=True,
    )
