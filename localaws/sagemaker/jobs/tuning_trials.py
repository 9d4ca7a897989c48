"""A tuning job's trials: training jobs that the service makes, follows and stops, through training jobs' own path."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import (
    job_container,
    job_documents,
    job_records,
    operations,
    shared_cores,
    training_request,
    tuning_documents,
)
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Job, Measurement, Role
from localaws.sagemaker.jobs.job_documents import TERMINAL
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.outcomes import JobFailedError
from localaws.sagemaker.jobs.training import TRAINING

CURVES = "tuning-curve"  # in the store: what an ended trial reported, by the training job's name
# AWS's own (hashicorp/terraform-provider-aws pull request 47138).
VALIDATION_FAILED = (
    "One or more training jobs failed with ValidationError. For additional details, please take a look at the training "
    "job failures by listing training jobs for the hyperparameter tuning job."
)
_RESULTS = ("TrainingEndTime", "FailureReason", "TrainingTimeInSeconds", "BillableTimeInSeconds",
            "FinalMetricDataList", "ModelArtifacts")  # fmt: skip


@dataclass(frozen=True)
class _Ready:
    """A trial that may start at once: its number, its training job's name and ARN, its role or why there is none."""

    number: int
    name: str
    arn: str
    role: Role | SageMakerError


class Trials:
    """The trials of one tuning job, in its thread, which wakes when they report something or their status changes.

    keeps_curves: whether what they have reported is of use after a restart.
    """

    def __init__(self, tuning: LedJob, engine: JobEngine, *, keeps_curves: bool) -> None:
        self._tuning = tuning
        self._engine = engine
        self._context = engine.context
        self._labels = self._context.store.tags(tuning.document["HyperParameterTuningJobArn"])
        self._keeps_curves = keeps_curves
        found = of_tuning_job(engine, tuning.document)
        self._found = {tuning_documents.trial_number(job["TrainingJobName"]): job for job in found}
        self._curves = {number: self._kept_curve(job) for number, job in self._found.items()}
        self._stopping: set[int] = set()
        self._ready: _Ready | None = None

    @property
    def documents(self) -> list[Document]:
        """All trials' training jobs, in the order of starting."""
        return [self._found[number] for number in sorted(self._found)]

    @property
    def running(self) -> list[int]:
        """The numbers of the trials that aren't over."""
        return [number for number, job in self._found.items() if job["TrainingJobStatus"] not in TERMINAL]

    @property
    def uploading(self) -> frozenset[int]:
        """The numbers of those whose script has ended and whose model is on its way."""
        return frozenset(n for n in self.running if self._found[n]["SecondaryStatus"] == "Uploading")

    def curve(self, job: Document) -> list[float]:
        """What a trial has reported of the objective so far."""
        return list(self._curves[tuning_documents.trial_number(job["TrainingJobName"])])

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Wake the tuning job's thread whenever the status of one of its trials changes."""
        prefix = f"{self._tuning.name}-"

        def changed(resource_type: str, name: str) -> None:
            if resource_type == TRAINING.resource_type and name.startswith(prefix):
                self._tuning.signals.wake()

        self._context.changes.listen(changed)
        try:
            yield
        finally:
            self._context.changes.forget(changed)
            self.close()

    def get_ready(self, number: int) -> None:
        """Do what can be done of a trial before its values are known, while others run."""
        if self._ready is None or self._ready.number != number:
            self.close()
            name = tuning_documents.trial_name(self._tuning.name, number, secrets.token_hex(4))
            arn = self._context.arn(TRAINING.resource_type, name)
            role_arn = self._tuning.document["TrainingJobDefinition"]["RoleArn"]
            try:
                role: Role | SageMakerError = job_container.assumed_role(self._context, role_arn, arn)
            except SageMakerError as error:
                role = error
            self._ready = _Ready(number, name, arn, role)

    def start(self, number: int, values: Mapping[str, str]) -> None:
        """Start a trial. Raises JobFailedError where its training job can't be made."""
        self.get_ready(number)
        ready, self._ready = self._ready, None
        assert ready is not None  # noqa: S101 - it has just been made
        request = tuning_documents.trial_request(self._tuning.document, ready.name, values)
        accepted = training_request.description(request, ready.arn)
        accepted["TuningJobArn"] = self._tuning.document["HyperParameterTuningJobArn"]
        self._curves[number] = []
        if isinstance(ready.role, SageMakerError):
            self._found[number] = self._refused(accepted, ready.role)
            raise JobFailedError(VALIDATION_FAILED)
        new = operations.Accepted(accepted, ready.role, self._labels)
        self._found[number] = operations.begin(TRAINING, self._engine, new, self._preparation(number))

    def close(self) -> None:
        """Give back what was made ready and isn't needed."""
        if self._ready is not None and not isinstance(self._ready.role, SageMakerError):
            self._ready.role.objects.close()
        self._ready = None

    def stop(self, number: int, notice: float | None = 0.0) -> None:
        """Stop a trial that may run still, killing its container `notice` seconds after SIGTERM.

        By default at once: AWS gives two minutes, but nobody in the container of a framework image hears SIGTERM.
        """
        if number in self._stopping:
            return
        self._stopping.add(number)
        name = self._found[number]["TrainingJobName"]
        job_records.begin_stopping(self._context, TRAINING, name)
        self._engine.stop(TRAINING, name, notice)

    def look(self) -> None:
        """Read what has become of the running trials."""
        for number in self.running:
            self._look_at(number)

    def _look_at(self, number: int) -> None:
        before = self._found[number]
        name = before["TrainingJobName"]
        after = self._context.store.get(TRAINING.resource_type, name) or {**before, "TrainingJobStatus": "Failed"}
        self._found[number] = after
        if after["TrainingJobStatus"] not in TERMINAL:
            return
        if self._may_be_retried(after):
            self._retry(number, name)
        elif self._keeps_curves:
            kept = {"TrainingJobName": name, "Curve": self._curves[number]}
            self._context.store.create(CURVES, name, kept)

    def retry_what_failed(self) -> None:
        """After a restart: go on with trials that the server's end cut off, where RetryStrategy says so."""
        for number, job in list(self._found.items()):
            if self._may_be_retried(job):
                self._retry(number, job["TrainingJobName"])

    def _may_be_retried(self, job: Document) -> bool:
        attempts = job.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        failures = sum(step["Status"] == "Failed" for step in job["SecondaryStatusTransitions"])
        return tuning_documents.is_service_fault(job) and failures <= attempts

    def _retry(self, number: int, name: str) -> None:
        """Run a training job again that failed by the service's own fault; its status is Starting again."""
        secondary, now = operations.first_status(TRAINING, self._engine), self._context.clock.now()

        def begun_again(before: Document) -> Document:
            kept = {member: value for member, value in before.items() if member not in _RESULTS}
            return job_documents.moved(TRAINING, {**kept, TRAINING.status: "InProgress"}, *secondary, now)

        after = job_records.update(self._context, TRAINING, name, begun_again)
        if after is None:
            return
        role = job_container.assumed_role(self._context, after["RoleArn"], after["TrainingJobArn"])
        self._found[number], self._curves[number] = after, []
        self._stopping.discard(number)
        job = TRAINING.job(after, role, self._context)
        self._preparation(number)(job)
        self._engine.submit(job, TRAINING.run)

    def _preparation(self, number: int) -> operations.Preparation:
        """What a trial's job has beyond a training job's."""
        document, curve = self._tuning.document, self._curves[number]
        parallel = document["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
        at_once, cores = min(parallel, self._engine.slots), os.cpu_count() or 1
        own = document["TrainingJobDefinition"].get("Environment", {})
        objective, wake = tuning_documents.objective(document), self._tuning.signals.wake

        def heard(measured: Sequence[Measurement]) -> None:
            values = [each.value for each in measured if each.name == objective]
            curve.extend(values)
            if values:
                wake()

        def prepare(job: LedJob) -> None:
            if isinstance(job, Job):
                each = len(job.hosts)
                job.variables = shared_cores.variables(at_once * each, cores)
                what = "trials" if each == 1 else "hosts of trials"
                job.remarks = shared_cores.remarks(at_once * each, cores, own, what)
                job.on_metrics = heard

        return prepare

    def _refused(self, accepted: Document, error: SageMakerError) -> Document:
        """The document of a training job that couldn't be made: it has failed, and says why."""
        now = self._context.clock.now()
        document = job_documents.created(TRAINING, accepted, "Starting", "Starting the training job", now)
        ending = job_documents.failed(f"ValidationError: {error.message}")
        document = job_documents.ended(TRAINING, document, ending, now)
        self._context.store.create(TRAINING.resource_type, document["TrainingJobName"], document)
        return document

    def _kept_curve(self, job: Document) -> list[float]:
        kept = self._context.store.get(CURVES, job["TrainingJobName"])
        return [] if kept is None else list(kept["Curve"])


def of_tuning_job(engine: JobEngine, document: Document) -> list[Document]:
    """The training jobs that a tuning job has started, by name; not those of a deleted one whose name it has."""
    arn, since = document["HyperParameterTuningJobArn"], document["CreationTime"]
    found = engine.context.store.list(TRAINING.resource_type, f"{document['HyperParameterTuningJobName']}-")
    return [job for job in found if job.get("TuningJobArn") == arn and job["CreationTime"] >= since]
