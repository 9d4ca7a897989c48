"""SageMaker Debugger's part in a training job: the hook's configuration, its tensors on their way to S3, the rules.

The script (or a library in it) reads ``/opt/ml/input/config/debughookconfig.json`` and leaves what it saves in the
hook's LocalPath. That folder is copied to ``<S3OutputPath>/<job>/debug-output/`` while the job runs, and rules read
it as it is written (`rule_evaluation`). An empty ``training_job_end.ts`` in it says that the container has ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from localaws.sagemaker.containers import artifacts, channels, container, image_table
from localaws.sagemaker.containers.beneath import Folder
from localaws.sagemaker.containers.objects import Objects, TransferError
from localaws.sagemaker.containers.opt_ml import located, write_json
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.debugger import debugger_request
from localaws.sagemaker.debugger.rule_evaluation import RuleJobs
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import INTERRUPTION, SCRIPT, JobFailedError, Outcome

_END_MARKER = "training_job_end.ts"
_SHARED = "tensors"  # the folder of several hosts, in the job's own


def check_rules(context: Context, request: Document) -> None:
    """Refuse rules that nothing here evaluates."""
    for index, rule in enumerate(debugger_request.rules(request)):
        if not context.rule_evaluator:
            raise errors.not_supported(
                "DebugRuleConfigurations: this server was started without a rule evaluator (--rule-evaluator)"
            )
        image = rule["RuleEvaluatorImage"]
        image_table.refuse_unknown(image)
        if image_table.repository(image) != debugger_request.EVALUATOR_REPOSITORY:
            raise errors.not_supported(
                f"DebugRuleConfigurations[{index}].RuleEvaluatorImage = {image!r}; the evaluator here is that of "
                f"{debugger_request.EVALUATOR_REPOSITORY}"
            )


def check_output(request: Document, objects: Objects) -> None:
    """Refuse an S3OutputPath in a bucket that doesn't exist."""
    if "DebugHookConfig" in request:
        channels.check_bucket(request["DebugHookConfig"]["S3OutputPath"], objects)


class Debugger:
    """Debugger in a training job's thread; nothing where the job has no DebugHookConfig.

    The hosts of a job leave their tensors in one folder, as their copies in S3 lie under one prefix.
    """

    def __init__(self, job: Job, engine: JobEngine) -> None:
        self._job = job
        self._engine = engine
        path = debugger_request.local_path(job.document)
        self._place = None if path is None else str(located(path, Path()))

    def prepare(self) -> None:
        """Write the hook's configuration and make its folder, before the containers start."""
        if self._place is None:
            return
        job = self._job
        for host in job.hosts:
            configuration = debugger_request.hook_configuration(job.document, container.ml_dir(host.ml))
            write_json(host.ml / "input" / "config" / "debughookconfig.json", configuration)
            (host.ml / self._place).mkdir(parents=True, exist_ok=True)
        if len(job.hosts) > 1:
            job.shared = {self._place: job.directory / _SHARED}
            (job.directory / _SHARED).mkdir()

    def watch(self, run: Callable[[], Outcome]) -> Outcome:
        """Run the training containers, with their tensors copied and judged meanwhile. Raises JobFailedError."""
        if self._place is None:
            return run()
        uri, folder = debugger_request.tensors_uri(self._job.document), self._job.first.folder(self._place)
        if self._job.shared:
            folder = dataclasses.replace(folder, root=self._job.directory, name=_SHARED)
        try:
            with artifacts.DirectorySync(folder, uri, self._job.role.objects, self._job.log.say):
                return self._judge(run, folder.root / folder.name, folder)
        except TransferError as error:
            raise JobFailedError(f"ClientError: Debug output upload failed: {error}") from error

    def _judge(self, run: Callable[[], Outcome], tensors: Path, shown: Folder) -> Outcome:
        rules = RuleJobs(self._job, self._engine, shown)
        cause = SCRIPT
        # Held open: the end is marked in the folder that the rules see, whatever the script makes of its path.
        folder = os.open(tensors, os.O_RDONLY | os.O_DIRECTORY)
        try:
            rules.start()
            outcome = run()
            cause = outcome.cause
            return outcome
        finally:
            if cause != INTERRUPTION and not self._job.signals.is_closing:
                _mark_end(folder)
                rules.training_ended(cause)
            os.close(folder)


def _mark_end(folder: int) -> None:
    with contextlib.suppress(OSError):  # the script has removed the folder, and the rules have nothing to read
        os.close(os.open(_END_MARKER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644, dir_fd=folder))
