"""Evaluate: challenger and champion answer the same held-out examples, in a processing job in the training image.

Where another framework serves, in the image in which that one trains: what is judged is what serves. Models of an image
of one's own have answered before (steps/ask.py); then the job judges what they said.
"""

from __future__ import annotations

from contract import compiled, evaluations, files, held_out, names
from contract.states import EVALUATE
from infra.workflow.conditions import exists
from infra.workflow.expressions import composed, expression, lengthened, members, results
from infra.workflow.folder import opened, write_own_run
from infra.workflow.held_out_job import arn_of, code_and_examples, held_out_job, job_input
from infra.workflow.job_role import PROCESSING, PROCESSING_LOGS, JobRole, read_channels, read_code, run_container
from infra.workflow.jobs import completed, job, run_jobs
from infra.workflow.requests import Document, run_uri
from infra.workflow.run_grants import read_from_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings

# The state by which evaluation begins.
OPEN = "OpenEvaluation"

SCRIPT = "evaluate.py"

_DESCRIPTION = results("ProcessingJobName", "ProcessingJobStatus", "ExitMessage", "FailureReason")


def evaluate(at: Surroundings, *, then: str) -> Step:
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
        processing_job(at, role),
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


def processing_job(at: Surroundings, role: JobRole) -> Document:
    """CreateProcessingJob."""
    return held_out_job(
        at,
        role,
        step=names.EVALUATE_STEP,
        script=SCRIPT,
        arguments=_arguments(at),
        inputs=_inputs(at),
        output=files.EVALUATION_FOLDER,
    )


def _arguments(at: Surroundings) -> list[str]:
    """The options of toolkit/evaluate.py."""
    gate = at.spec.gate
    reading = held_out.arguments(at.spec.reading)
    classes = ["--classes"] if gate.classes else []
    # Half of the time for a metric of the user's own, which may be slow.
    seconds = ["--metric-seconds", str(at.spec.evaluate.max_runtime // 2)] if evaluations.is_own(gate.metric) else []
    over_http = ["--answered"] if at.judging_image else []
    return ["--metric", gate.metric, *reading, *classes, *seconds, *over_http, "--confidence", str(gate.confidence)]


def _inputs(at: Surroundings) -> str:
    """The job's inputs; the champion's is there when there is a champion. Of models over HTTP it gets their answers."""
    archive = "$plan.champion.model_data"
    challenger, champion = expression("$training.model_data"), expression(archive)
    asked = []
    if at.judging_image:
        challenger, champion = (_answers_uri(at, name) for name in (files.CHALLENGER_INPUT, files.CHAMPION_INPUT))
        asked = [job_input(files.ASKED, composed(run_uri(at, f"{files.ASKED}/")))]
    always = [
        *code_and_examples(at),
        *asked,
        job_input(files.CHALLENGER_INPUT, challenger),
    ]
    return lengthened(always, job_input(files.CHAMPION_INPUT, champion), when=exists(archive))


def _answers_uri(at: Surroundings, model: str) -> str:
    return composed(run_uri(at, f"{files.answers_of(model)}/"))


def _role(at: Surroundings) -> JobRole:
    judged = (
        (f"{files.ASKED}/*", f"{files.ANSWERED}/*")
        if at.judging_image
        else (f"{files.TRAIN}/*", f"{compiled.FOLDER}/*")
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
