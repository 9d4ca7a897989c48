"""A tuning job in its thread: it asks for values, starts trials with them, and ends when there is no more to find."""

from __future__ import annotations

import dataclasses
import math

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents, tuning_documents, tuning_endings, tuning_study, tuning_warm_start
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.outcomes import ServerClosingError
from localaws.sagemaker.jobs.tuning_ahead import Ahead, Suggest, seems_through
from localaws.sagemaker.jobs.tuning_resource import TUNING_JOB
from localaws.sagemaker.jobs.tuning_trials import Trials, of_tuning_job
from localaws.sagemaker.tuning import completion, early_stopping
from localaws.sagemaker.tuning.history import Study, Trial


class TuningRun:
    """One tuning job. Its steps raise JobFailedError, StopRequestedError or ServerClosingError."""

    def __init__(self, job: LedJob, engine: JobEngine, suggest: Suggest) -> None:
        self._job = job
        self._context = engine.context
        self._ahead = Ahead(suggest)
        self._parents = _parents(engine, job.document)
        inherited = tuning_study.inherited(job.document, [of_tuning_job(engine, parent) for parent in self._parents])
        self._settings = tuning_study.settings(job.document, inherited)
        config = job.document["HyperParameterTuningJobConfig"]
        self._criteria = completion.from_document(config.get("TuningJobCompletionCriteria", {}))
        self._deadline = job.document["CreationTime"] + config["ResourceLimits"].get("MaxRuntimeInSeconds", math.inf)
        self._trials = Trials(job, engine, keeps_curves=tuning_study.follows_curves(self._settings))
        self._told: Document = {}
        self._over: dict[str, Trial] = {}
        self._judged: dict[int, int] = {}  # how many of a trial's values were looked at

    def to_its_end(self) -> Ending:
        """From the first trial to the ending; none of its trials runs on after it."""
        with self._trials.followed():
            self._trials.retry_what_failed()
            try:
                return self._search()
            finally:
                self._wind_up()

    def _search(self) -> Ending:
        while True:
            self._job.signals.keep_going()
            self._trials.look()
            ending = self._ending()
            if ending is not None:
                return ending
            self._start_trials()
            self._stop_early()
            if not self._trials.running:
                return tuning_endings.of_all(self._trials.documents)
            self._tell()
            self._get_ready()
            self._wait(self._deadline - self._context.clock.now())

    def _ending(self) -> Ending | None:
        """How the job ends before its trials are used up; None while it goes on."""
        if self._context.clock.now() >= self._deadline:
            return job_documents.completed()
        if completion.is_complete(self._study(), self._criteria) is not None:
            return job_documents.completed()
        return tuning_endings.of_failures(self._trials.documents)

    def _start_trials(self) -> None:
        while (study := self._study()).has_room:
            suggestion = self._ahead.suggest(study)
            if suggestion is None:
                return
            self._job.signals.keep_going()
            self._trials.start(study.next_number, suggestion.values)

    def _get_ready(self) -> None:
        """While trials run, do what can be done of the next one."""
        study = self._study()
        if study.max_jobs is not None and study.next_number > study.max_jobs:
            return
        self._trials.get_ready(study.next_number)
        through = seems_through(study, self._trials.uploading) if study.strategy == "Bayesian" else None
        if through is not None:
            self._ahead.think(study, through)

    def _stop_early(self) -> None:
        """Judge the trials that have reported something new."""
        if not tuning_study.follows_curves(self._settings):
            return
        study = self._study()
        for number in self._trials.running:
            length = len(study.trial(number).curve)
            grown, self._judged[number] = length > self._judged.get(number, 0), length
            if grown and early_stopping.should_stop(study, number):
                self._trials.stop(number, self._notice(study, number))

    def _notice(self, study: Study, number: int) -> float | None:
        """A trial that has reached Hyperband's MaxResource is through but for its model: it has the usual time."""
        through = study.resources is not None and study.trial(number).epochs >= study.resources[1]
        return None if through else 0.0

    def _wait(self, seconds: float) -> None:
        """Wait for a change of a trial, a value that one reports, or a signal, so many seconds at most."""
        signals = self._job.signals
        if self._context.clock.wait([signals.descriptor], seconds):
            signals.heard()

    def _wind_up(self) -> None:
        """Stop what still runs, and count it. Raises ServerClosingError."""
        while not self._job.signals.is_closing:
            for number in self._trials.running:
                self._trials.stop(number)
            self._trials.look()
            self._tell()
            if not self._trials.running:
                return
            self._wait(math.inf)
        raise ServerClosingError

    def _study(self) -> Study:
        own = [self._trial(job) for job in self._trials.documents]
        return dataclasses.replace(self._settings, trials=(*self._settings.trials, *own))

    def _trial(self, job: Document) -> Trial:
        """A training job as a trial; one that is over stays as it is."""
        name = job["TrainingJobName"]
        found = self._over.get(name) or tuning_study.trial(self._job.document, job, self._trials.curve(job))
        if not found.is_running:
            self._over[name] = found
        return found

    def _tell(self) -> None:
        """Write down what the job's document says of its trials, where that has changed."""
        told = self._progress()
        if told == self._told:
            return
        self._told = told
        now, kind = self._context.clock.now(), self._job.kind

        def progressed(before: Document) -> Document:
            return {**before, **told, "LastModifiedTime": now}

        self._context.store.update(kind.resource_type, self._job.name, progressed)
        self._context.changes.announce(kind.resource_type, self._job.name)

    def _progress(self) -> Document:
        document, jobs, study = self._job.document, self._trials.documents, self._study()
        details: Document = {"NumberOfTrainingJobsObjectiveNotImproving": completion.not_improving(study)}
        before = (self._told or document).get("TuningJobCompletionDetails", {})
        if completion.has_converged(study):
            details["ConvergenceDetectedTime"] = before.get("ConvergenceDetectedTime", self._context.clock.now())
        best = tuning_documents.best(document, jobs)
        told = {**tuning_documents.counters(jobs), "TuningJobCompletionDetails": details}
        if best is not None:
            told["BestTrainingJob"] = best
        return {**told, **self._overall_best(best)}

    def _overall_best(self, own: Document | None) -> Document:
        """OverallBestTrainingJob, of a job that goes on with its parents' data and algorithm."""
        if not tuning_warm_start.is_identical(self._job.document):
            return {}
        found = tuning_warm_start.overall_best(self._job.document, own, self._parents)
        return {} if found is None else {"OverallBestTrainingJob": found}


def _parents(engine: JobEngine, document: Document) -> list[Document]:
    """The documents of a tuning job's parents, those that haven't been deleted meanwhile."""
    found = [engine.context.store.get(TUNING_JOB, name) for name in tuning_warm_start.parents(document)]
    return [parent for parent in found if parent is not None]
