"""Evaluate: challenger and champion answer the same held-out examples, in a processing job in the training image.

Where another framework serves, in the image in which that one trains: what is judged is what serves. Models of an image
of one's own have answered before (steps/ask.py); then the job judges what they said.
"""

from __future__ import annotations

from contract import compiled, evaluations, files, held_out, names
from contract.candidates import CANDIDATE, INPUT
from contract.code_archive import INPUTS
from contract.states import EVALUATE
from infra.workflow.conditions import exists
from infra.workflow.expressions import composed, expression, jsonata, lengthened, members, quoted, results
from infra.workflow.folder import opened, write_own_run
from infra.workflow.held_out_job import arn_of, code_and_examples, held_out_job, job_input
from infra.workflow.job_role import PROCESSING, PROCESSING_LOGS, JobRole, read_channels, read_code, run_container
from infra.workflow.jobs import completed, job, run_jobs
from infra.workflow.requests import Document, run_uri
from infra.workflow.run_grants import read_from_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings
from infra.workflow.way import Way

# The state by which evaluation begins.
OPEN = "OpenEvaluation"

SCRIPT = "evaluate.py"

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
    return Step(
        states={**states, **completed("Evaluated", EVALUATE, "$evaluation", then=then)},
        grants=run_jobs(at, "ProcessingJob", [arn_of(at, names.EVALUATE_STEP)]),
        role=role,
    )


def processing_job(at: Surroundings, role: JobRole, way: Way) -> Document:
    """CreateProcessingJob."""
    return held_out_job(
        at,
        role,
        step=names.EVALUATE_STEP,
        script=SCRIPT,
        arguments=_arguments(at, way),
        inputs=_inputs(at, way),
        output=files.EVALUATION_FOLDER,
    )


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
        asked = [job_input(files.ASKED, composed(run_uri(at, f"{files.ASKED}/")))]
    always = [
        *code_and_examples(at),
        *asked,
        *([] if way.challengers else [job_input(files.CHALLENGER_INPUT, challenger)]),
    ]
    with_champion = lengthened(always, job_input(files.CHAMPION_INPUT, champion), when=exists(archive))
    if way.challengers is None:
        return with_champion
    return expression(f"$append({jsonata(with_champion)}, {way.challengers}.{jsonata(_candidate())})")


def _candidate() -> Document:
    """A candidate's input, over its entry of the machine's variable."""
    name, path = (f"{quoted(beginning)} & {CANDIDATE}" for beginning in (INPUT, f"{INPUTS}/{INPUT}"))
    found = job_input(INPUT, expression("training.model_data"))
    return {"InputName": expression(name), "S3Input": {**found["S3Input"], "LocalPath": expression(path)}}


def _answers_uri(at: Surroundings, model: str) -> str:
    return composed(run_uri(at, f"{files.answers_of(model)}/"))


def _role(at: Surroundings) -> JobRole:
    judged = (
        (f"{files.ASKED}/*", f"{files.ANSWERED}/*")
        if at.judging_image
        else (f"{files.TRAIN}/*", f"{compiled.FOLDER}/{files.MODEL_ARCHIVE}")
    )
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
