"""Debugger's rules at work: each is a processing job beside its training job, and its end is the rule's verdict.

The image ``sagemaker-debugger-rules`` runs the program that the server was started with (``--rule-evaluator``): the
image's Python on that file, with the rule's RuleParameters in its environment and the training job's tensors, live,
in ``/opt/ml/processing/input/tensors``. The folder two levels above the file, which holds its package, stays visible.

Exit code 0 is NoIssuesFound. With any other, ``/opt/ml/output/message`` decides: IssuesFound where it begins with
"RuleEvaluationConditionMet", otherwise Error. The message becomes the job's ExitMessage and the evaluation's
StatusDetails; without one, an Error's details are the job's FailureReason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.beneath import Folder
from localaws.sagemaker.containers.container import ContainerSpec, Shown
from localaws.sagemaker.containers.logs import failure_message
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.debugger import debugger_request
from localaws.sagemaker.jobs import job_container, job_documents, job_records, processing
from localaws.sagemaker.jobs.engine import JobEngine, Work
from localaws.sagemaker.jobs.job import Job, Role
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.outcomes import MAX_RUNTIME, SCRIPT, STOP, Outcome
from localaws.sagemaker.jobs.processing import PROCESSING
from localaws.sagemaker.jobs.supervision import STOP_GRACE

_CONCLUDING = 60.0  # seconds that rules have to read the rest, once the training container has ended
_CONCLUDING_STOPPED = 1.0  # the same, for a training job that was stopped
_ENDING = 5.0  # seconds from a rule job's SIGKILL to its end
_MAX_READ = 4096  # bytes of /opt/ml/output/message


def follow(context: Context, training: JobResource) -> None:
    """Keep training jobs' DebugRuleEvaluationStatuses in step with the rules' jobs, from now on and after restarts."""

    def changed(resource_type: str, name: str) -> None:
        if resource_type == PROCESSING.resource_type:
            _write_evaluation(context, training, name)

    def recover() -> None:
        for document in context.store.list(training.resource_type):
            for name in debugger_request.jobs_under_way(document):
                _write_evaluation(context, training, name)

    context.changes.listen(changed)
    context.lifecycle.on_recover.append(recover)


def _write_evaluation(context: Context, training: JobResource, rule_job: str) -> None:
    """Write the state of a rule's job into its training job's document; nothing for any other processing job."""
    with context.store.transaction():  # so that of two threads the later one writes what is newer
        document = context.store.get(PROCESSING.resource_type, rule_job)
        if document is None or "TrainingJobArn" not in document:
            return
        name = document["TrainingJobArn"].rpartition("/")[2]
        before = context.store.get(training.resource_type, name)
        after = before and debugger_request.with_evaluation(before, document, context.clock.now())
        if not after:
            return
        context.store.update(training.resource_type, name, lambda _before: after)
    job_records.announce(context, training, after)


class RuleJobs:
    """The rules of one training job, in its thread.

    tensors: what the training container's hook writes into.
    """

    def __init__(self, training: Job, engine: JobEngine, tensors: Folder) -> None:
        self._training = training
        self._engine = engine
        self._rules = debugger_request.rules(training.document)
        self._tensors = tensors
        self._jobs: list[Job] = []
        self._deadline = 0.0

    def start(self) -> None:
        """Make and start a processing job for every rule; their events are sent before the container starts."""
        context = self._training.context
        evaluator = context.rule_evaluator
        if not self._rules or not evaluator:
            return
        self._jobs = [self._new(rule) for rule in self._rules]
        training = self._store()
        self._training.afterwards = self._conclude
        if training is not None:
            job_records.announce(context, self._training.kind, training)
        for job in self._jobs:
            job_records.announce(context, PROCESSING, job.document)
            self._engine.start_now(job, self._work(job, evaluator))

    def _work(self, job: Job, evaluator: Sequence[Path]) -> Work:
        run = RuleRun(job, evaluator, self._tensors)
        return lambda _job, _engine: run.to_its_verdict()

    def training_ended(self, cause: str) -> None:
        """The training container has ended, by itself (SCRIPT) or because it was stopped."""
        self._deadline = time.monotonic() + (_CONCLUDING if cause == SCRIPT else _CONCLUDING_STOPPED)

    def _new(self, rule: Document) -> Job:
        """A rule's job, not stored yet. It acts with its training job's role."""
        context, training = self._training.context, self._training
        name = debugger_request.rule_job_name(training.name, rule["RuleConfigurationName"], secrets.token_hex(4))
        arn = context.arn(PROCESSING.resource_type, name)
        document = debugger_request.rule_job(training.document, rule, name, arn)
        document = job_documents.created(PROCESSING, document, "Starting", "Starting the job", context.clock.now())
        credentials = training.role.credentials
        objects = Objects(context.wire.s3(credentials), document["RoleArn"])
        return Job(PROCESSING, document, Role(credentials, objects), context)

    def _store(self) -> Document | None:
        """The jobs and what the training job says of them, all or nothing; the training job's document."""
        context, training = self._training.context, self._training
        now = context.clock.now()
        names = [rule["RuleConfigurationName"] for rule in self._rules]
        named = [(name, job.document[PROCESSING.arn]) for name, job in zip(names, self._jobs, strict=True)]
        with context.store.transaction():
            for job in self._jobs:
                context.store.create(PROCESSING.resource_type, job.name, job.document)
            return context.store.update(
                training.kind.resource_type,
                training.name,
                lambda before: debugger_request.with_evaluations(before, named, now),
            )

    def _conclude(self) -> None:
        """Wait for the rules' verdicts, and stop those that don't come to one in time."""
        for job in self._jobs:
            job.done.wait(max(0.0, self._deadline - time.monotonic()))
        late = [job for job in self._jobs if not job.done.is_set()]
        for job in late:
            _stop(job)
        for job in late:
            job.done.wait(STOP_GRACE + _ENDING)


class RuleRun:
    """One rule's processing job in its thread. Steps raise what a processing job's do."""

    def __init__(self, job: Job, evaluator: Sequence[Path], tensors: Folder) -> None:
        self._job = job
        self._evaluator = evaluator
        self._tensors = tensors

    def to_its_verdict(self) -> Ending:
        """From InProgress to the verdict."""
        job = self._job
        processing.prepare_directories(job.first)
        job.move("Training", "Evaluating the rule", ProcessingStartTime=job.context.clock.now())
        spec = self._spec()
        job.signals.keep_going()
        return self._conclude(job.run(spec, job.document["StoppingCondition"]["MaxRuntimeInSeconds"]))

    def _spec(self) -> ContainerSpec:
        job = self._job
        processing.write_configuration(job.first)
        installed = job_container.image_environment(job.first, job.document["AppSpecification"]["ImageUri"])
        job_container.say_all(job.first, installed, [])
        program, *folders = self._evaluator
        command = [str(installed.image.python), str(program)]
        variables = processing.variables(job.first, installed.image)
        spec = job_container.spec(job.first, command, variables, cwd=container.ml_dir(job.first.ml), isolated=False)
        given = installed.given_to(spec)
        return dataclasses.replace(given, needs=[*given.needs, *folders], shows=self._shown())

    def _shown(self) -> Mapping[str, Shown]:
        """The tensors; an empty folder where the script has made something else of theirs."""
        tensors = self._tensors
        with tensors.open(self._job.log.say) as found:
            if found is None:
                (self._job.first.ml / debugger_request.TENSORS).mkdir(parents=True)
                return {}
            status = os.fstat(found.descriptor)
            shown = Shown(tensors.root / tensors.name, f"{status.st_dev}:{status.st_ino}")
            return {debugger_request.TENSORS: shown}

    def _conclude(self, outcome: Outcome) -> Ending:
        message = self._message()
        has_found = message.startswith(debugger_request.CONDITION_MET)
        said = {"ExitMessage": message} if message else {}
        if outcome.cause == STOP:
            return job_documents.stopped(**said)
        if outcome.cause == MAX_RUNTIME:
            limit = self._job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
            return job_documents.max_runtime_exceeded(limit, **said)
        if outcome.exit_code == 0:  # which counts for more than a message that contradicts it
            return job_documents.completed(**({} if has_found else said))
        if has_found:
            return job_documents.completed(**said)
        told = failure_message(self._job.log.tail)
        return job_documents.failed(f"AlgorithmError: {told}, exit code: {outcome.exit_code}", **said)

    def _message(self) -> str:
        said = self._job.first.read("output/message", _MAX_READ) or b""
        return said.decode("utf-8", "replace").strip()[: debugger_request.MAX_DETAILS]


def _stop(job: Job) -> None:
    """As StopProcessingJob does, unless the job has ended meanwhile."""
    now = job.context.clock.now()

    def stopping(before: Document) -> Document:
        if before[PROCESSING.status] in TERMINAL:
            raise _OverError
        return job_documents.stopping(PROCESSING, before, now)

    with contextlib.suppress(_OverError):
        job_records.update(job.context, PROCESSING, job.name, stopping)
        job.signals.stop()


class _OverError(Exception):
    """The job has ended."""
