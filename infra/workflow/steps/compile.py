"""Compile: the trained model becomes one in ONNX, in a processing job of its own, before anything judges it.

So the gate judges what will serve: from here on the run's model is the compiled one. One that answers the held-out
examples otherwise than the original, by more than `deploy.compile.tolerance`, fails the job, and so the run. As with
training, the run's folder is opened to the job's role, and closed before the model is judged.
"""

from __future__ import annotations

from contract import compiled, files, held_out, names
from contract.states import COMPILE
from infra.workflow.expressions import expression, members, results, sentence
from infra.workflow.folder import closed, opened, write_own_run
from infra.workflow.held_out_job import arn_of, code_and_examples, held_out_job, job_input
from infra.workflow.job_role import COMPILING, PROCESSING_LOGS, JobRole, read_channels, read_code, run_container
from infra.workflow.jobs import completed, job, run_jobs
from infra.workflow.requests import Document, run_uri
from infra.workflow.run_grants import read_from_runs
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import Surroundings
from ratchet.spec.deploy_compile import Compile

# The states by which it begins and ends.
OPEN, CLOSE = "OpenCompiling", "CloseCompiling"
SCRIPT = "compiler.py"

_DESCRIPTION = results("ProcessingJobName", "ProcessingJobStatus", "ExitMessage", "FailureReason")


def compile_model(at: Surroundings, *, then: str) -> Step:
    """`$compiling` is what became of the job, and `$training` has the compiled model in place of the trained one."""
    settings = at.spec.deploy.compile
    if settings is None:
        return NOTHING
    role = _role(at)
    described = members(
        {
            "status": "$states.result.ProcessingJobStatus",
            "instance": "$states.result.ProcessingResources.ClusterConfig.InstanceType",
            "said": "$states.result.ExitMessage",
            "description": members(_DESCRIPTION),
        }
    )
    states = opened(OPEN, role, then=COMPILE) | job(
        COMPILE,
        "createProcessingJob",
        processing_job(at, role, settings),
        types=at.spec.evaluate.instance,
        patience=at.spec.evaluate.wait_for_instance,
        longest=at.spec.evaluate.max_runtime,
        then="Compiled",
        assign={compiled.COMPILING: expression(described), "training": _trained(at)},
    )
    ended = completed("Compiled", COMPILE, f"${compiled.COMPILING}", then=CLOSE)
    return Step(
        states={**states, **ended, **closed(CLOSE, role, then=then)},
        grants=run_jobs(at, "ProcessingJob", [arn_of(at, names.COMPILE_STEP)]),
        role=role,
    )


def _trained(at: Surroundings) -> str:
    """`$training` with the compiled model, and where the one is that it was made from."""
    uri = sentence(run_uri(at, f"{compiled.FOLDER}/{files.MODEL_ARCHIVE}"))
    model = members({"model_data": uri, compiled.TRAINED_MODEL_DATA: "$training.model_data"})
    return expression(f"$merge([$training, {model}])")


def processing_job(at: Surroundings, role: JobRole, settings: Compile) -> Document:
    """CreateProcessingJob."""
    int8 = ["--int8"] if settings.int8 else []
    told = ["--tolerance", str(settings.tolerance), *int8, *held_out.arguments(at.spec.reading)]
    trained = job_input(compiled.TRAINED_INPUT, expression("$training.model_data"))
    return held_out_job(
        at,
        role,
        step=names.COMPILE_STEP,
        script=SCRIPT,
        arguments=told,
        inputs=[*code_and_examples(at), trained],
        output=compiled.FOLDER,
    )


def _role(at: Surroundings) -> JobRole:
    return JobRole(
        name=COMPILING,
        purpose=f"Jobs that compile models of {at.pipeline}",
        grants=[
            *read_channels(at, [at.spec.data[files.TEST_CHANNEL]]),
            *read_from_runs(at, f"{files.TRAIN}/*", files.manifest(files.TEST_CHANNEL)),
            *read_code(at),
            write_own_run(at, compiled.FOLDER),
            *run_container(at, at.evaluation_image, PROCESSING_LOGS),
        ],
        of_a_run=True,
    )
