"""The way in which a run trains, once, in rounds or by tuning, as a value: its jobs' names and folders, and how it
goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import files, names
from contract.states import TRAIN
from infra.grants import Grant
from infra.workflow.expressions import RUN_ID
from infra.workflow.language import State
from infra.workflow.requests import Document, run_uri
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import Surroundings


@dataclass(frozen=True, kw_only=True)
class Way:
    """Training once, or again and again.

    Attributes:
        begins: the state by which training begins; writes: the run in whose folder its jobs write, as JSONata.
        completed: the state after a job that has done its work.
        goes_on: the ways in which a run goes on though a rule has stopped its job.
        round_: what ends a job's name and its folders'; any_round: the same as IAM's patterns.
        draws: whether the views are drawn of its jobs.
        channels: the job's channels, made from those of the data.
        hyperparameters: the job's, made from the spec's.
        variables: what the run keeps besides, and tells the recorder.
        candidate: what a model that was trained so keeps besides.
        plan: what Plan is told besides; plan_grants: what it may do for that.
        jobs: the names of jobs that the run makes besides, by their states.
        environment: the job's variables besides.
        candidates: the names of those jobs' models, of which one is chosen; challengers: those of the machine's that
            are judged, as JSONata text (None: `$training` is the challenger's); chosen: what the gate sets then.
        step: the states behind the training job's own.
    """

    completed: str
    begins: str = TRAIN
    writes: str = "$run.run_id"
    goes_on: Sequence[State] = ()
    round_: str | None = None
    any_round: Sequence[str | None] = (None,)
    draws: bool = True
    channels: Callable[[list[Document]], list[Document] | str] = list
    hyperparameters: Callable[[Document], Document | str] = dict
    variables: Mapping[str, Any] = field(default_factory=dict)
    candidate: Document = field(default_factory=dict)
    plan: Document = field(default_factory=dict)
    plan_grants: Sequence[Grant] = ()
    jobs: Document = field(default_factory=dict)
    environment: Document = field(default_factory=dict)
    candidates: Sequence[str] = ()
    challengers: str | None = None
    chosen: Document = field(default_factory=dict)
    step: Step = NOTHING

    def job_name(self, at: Surroundings) -> str:
        """The training job's name, with `<$variables>` in it."""
        return at.job(RUN_ID, names.TRAIN_STEP, self.round_)

    def job_arns(self, at: Surroundings) -> list[str]:
        """The ARNs of all runs' training jobs."""
        jobs = [at.job(names.ANY_RUN_ID, names.TRAIN_STEP, any_) for any_ in self.any_round]
        return [at.sagemaker("training-job", job) for job in jobs]

    def several(self, at: Surroundings, request: Document, described: str, longest: int) -> Step | None:  # noqa: ARG002 - of one job none of it
        """The step of several jobs at the same time, in the place of the one job's; None: there is one.

        Args:
            request: CreateTrainingJob's.
            described: what is kept of a job, as JSONata text over its description.
            longest: seconds after which SageMaker ends a job.
        """
        return None

    def folder(self, at: Surroundings, folder: str) -> str:
        """The S3 URI of a folder for one training job alone: a round must not take up what another has left there."""
        return self.uri(at, files.of_round(folder, self.round_))

    def uri(self, at: Surroundings, name: str) -> str:
        """The S3 URI of a folder or a file of the run's."""
        return run_uri(at, name)
