"""The hyperparameters of a training job, all together: pipeline.yaml's, the tuned ones, and SageMaker's own."""

from __future__ import annotations

from contract import files
from ratchet.spec.candidates import most_hyperparameters
from ratchet.spec.pipeline import PipelineSpec
from ratchet.spec.train import HYPERPARAMETERS
from ratchet.spec.train_hosts import launched_by

# By which a framework's container finds the script (SageMaker Training Toolkit, params).
SCRIPT_MODE = (files.PROGRAM, "sagemaker_submit_directory", "sagemaker_job_name")
# Which a tuning job gives each of its training jobs.
_OBJECTIVE = "_tuning_objective_metric"


def check_hyperparameters(spec: PipelineSpec) -> None:
    """Raises SpecError for more than SageMaker takes, those counted that aren't written in the file."""
    said = most_hyperparameters(spec.candidates, spec.train.hyperparameters)
    ranges, taken = spec.tune.ranges if spec.tune else {}, _taken(spec)
    together = said + len(ranges) + len(taken)
    if together <= HYPERPARAMETERS:
        return
    other = "train.hyperparameters and " if ranges or spec.candidates else ""
    field = "tune.ranges" if ranges else "candidates" if spec.candidates else "train.hyperparameters"
    raise spec.error(
        field,
        f"make {together} with {other}SageMaker's own ({', '.join(taken)}); it takes at most {HYPERPARAMETERS}: leave "
        f"out {together - HYPERPARAMETERS}",
    )


def _taken(spec: PipelineSpec) -> list[str]:
    """The names of those that a job has without anybody's writing them."""
    objective = [_OBJECTIVE] if spec.tune else []
    if spec.is_own_container:
        return objective
    launcher = launched_by(spec.train.distribution, str(spec.train.instance))
    return [*SCRIPT_MODE, *launcher, *objective]
