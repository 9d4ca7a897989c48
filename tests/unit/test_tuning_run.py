"""Tuning jobs from their first trial to their end, on an engine that plays the training jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuning_kit import METRIC, Play, PlayedEngine, Script, Tuning, request, tuning_job

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import job_records, operations, tuning_operations, tuning_study
from localaws.sagemaker.jobs.job import Job, Measurement
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.jobs.tuning import TUNING
from localaws.sagemaker.jobs.tuning_ahead import Ahead, seems_through
from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.suggestion import Suggestion

CALLER = Caller(arn="arn:aws:iam::000000000000:root", account="000000000000", region="us-east-1", source="client")
Open = Callable[..., Tuning]


@pytest.fixture
def tuning(tmp_path: Path) -> Iterator[Open]:
    opened: list[Tuning] = []

    def open_(play: Play, **more: Any) -> Tuning:
        opened.append(Tuning.open(tmp_path, play, **more))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def scores(values: Mapping[str, str], _job: Job) -> Script:
    return Script((float(values["lr"]),))


def in_order(*reports: Script) -> Play:
    """The scripts of the first trials, by their numbers; the last of them goes on."""

    def play(_values: Mapping[str, str], job: Job) -> Script:
        number = int(job.name.split("-")[-2])
        return reports[min(number, len(reports)) - 1]

    return play


@pytest.mark.fidelity(
    "Tuning",
    "A tuning job starts as many training jobs as it may, so many at once, tags them as itself, and names the best.",
    "SageMaker DG, How Hyperparameter Tuning Works; View the status of training jobs: tags",
)
def test_a_tuning_job_runs_its_trials_and_names_the_best(tuning: Open) -> None:
    world = tuning(scores)
    done = world.tune(request(), {"team": "vision"})
    assert done["HyperParameterTuningJobStatus"] == "Completed"
    assert done["TrainingJobStatusCounters"]["Completed"] == 4
    assert done["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    trials = world.trials()
    assert [job["TrainingJobName"][:8] for job in trials] == ["tune-001", "tune-002", "tune-003", "tune-004"]
    assert {job["TuningJobArn"] for job in trials} == {done["HyperParameterTuningJobArn"]}
    assert all(world.context.store.tags(job["TrainingJobArn"]) == {"team": "vision"} for job in trials)
    best = max(trials, key=lambda job: float(job["HyperParameters"]["lr"]))
    assert done["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]
    assert done["HyperParameterTuningEndTime"] >= done["CreationTime"]
    listed = list_trials(world, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert listed[0]["TrainingJobName"] == best["TrainingJobName"]


def list_trials(world: Tuning, **asked: Any) -> list[Document]:
    asked = {"HyperParameterTuningJobName": "tune", **asked}
    found: list[Document] = tuning_operations.list_training_jobs(TUNING, world.engine, asked, CALLER)[
        "TrainingJobSummaries"
    ]
    return found


def test_at_most_so_many_trials_run_at_once(tuning: Open) -> None:
    running, most, lock = [0], [0], threading.Lock()
    started = threading.Barrier(2, timeout=20)

    def play(values: Mapping[str, str], job: Job) -> Script:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        started.wait()
        with lock:
            running[0] -= 1
        return scores(values, job)

    tuning(play, slots=4).tune(request(limits={"MaxNumberOfTrainingJobs": 6}))
    assert most == [2]


@pytest.mark.fidelity(
    "Tuning",
    "The same seed gives the same values with the Random strategy.",
    "SageMaker DG, Best Practices for Hyperparameter Tuning: reproducibility",
)
def test_the_same_seed_gives_the_same_trials(tuning: Open) -> None:
    world = tuning(scores)

    def values(name: str, seed: int) -> list[Document]:
        world.tune(request(name=name, RandomSeed=seed))
        names = ("lr", "depth", "kernel")
        jobs = [job for job in world.trials() if job["TrainingJobName"].startswith(f"{name}-")]
        return [{each: job["HyperParameters"][each] for each in names} for job in jobs]

    assert values("a", 1) == values("b", 1) != values("c", 2)


@pytest.mark.fidelity(
    "EventBridge",
    "A tuning job's changes of status are told as SageMaker HyperParameter Tuning Job State Change.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_its_statuses_are_told_on_the_event_bus(tuning: Open) -> None:
    world = tuning(scores)
    world.tune(request(), {"team": "vision"})
    world.engine.close()
    events: list[tuple[str, Document]] = world.context.platform.events  # type: ignore[attr-defined]
    told = [detail for kind, detail in events if kind == "SageMaker HyperParameter Tuning Job State Change"]
    assert [detail["HyperParameterTuningJobStatus"] for detail in told] == ["InProgress", "Completed"]
    assert told[1]["TrainingJobStatusCounters"]["Completed"] == 4
    assert (told[1]["Tags"], "BestTrainingJob" in told[1]) == ({"team": "vision"}, False)
    assert isinstance(told[1]["HyperParameterTuningEndTime"], str)


def test_five_failures_end_it(tuning: Open) -> None:
    world = tuning(in_order(Script(fails="AlgorithmError: no")))
    done = world.tune(request(limits={"MaxNumberOfTrainingJobs": 20}))
    assert done["HyperParameterTuningJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert 5 <= len(world.trials()) <= 6
    assert "BestTrainingJob" not in done


def test_failures_among_successes_do_not(tuning: Open) -> None:
    world = tuning(in_order(Script((0.5,)), *[Script(fails="AlgorithmError: no")] * 5, Script((0.6,))))
    done = world.tune(request(limits={"MaxNumberOfTrainingJobs": 8}))
    assert done["HyperParameterTuningJobStatus"] == "Completed"
    assert done["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert done["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 5}


def test_an_objective_that_is_never_printed_is_known_at_the_end(tuning: Open) -> None:
    done = tuning(in_order(Script())).tune(request())
    assert done["HyperParameterTuningJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("None of 4 training jobs has reported the objective metric validation:f1:")
    assert done["ObjectiveStatusCounters"]["Failed"] == 4


@pytest.mark.fidelity(
    "Tuning",
    "TargetObjectiveMetricValue, MaxNumberOfTrainingJobsNotImproving and convergence complete a tuning job early.",
    "SageMaker DG, Track and set completion criteria for your tuning job",
)
@pytest.mark.parametrize(
    ("criteria", "reports", "count"),
    [
        ({"TargetObjectiveMetricValue": 0.75}, (0.5, 0.6, 0.8, 0.9), 3),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, (0.5, 0.8, 0.8, 0.801, 0.7), 5),
        ({"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}, (0.5,), 11),
    ],
)
def test_a_criterion_that_is_met_completes_it(
    tuning: Open, criteria: Document, reports: tuple[float, ...], count: int
) -> None:
    world = tuning(in_order(*[Script((value,)) for value in reports]))
    limits = {"MaxNumberOfTrainingJobs": 40, "MaxParallelTrainingJobs": 1}
    done = world.tune(request(limits=limits, TuningJobCompletionCriteria=criteria))
    assert done["HyperParameterTuningJobStatus"] == "Completed"
    assert len(world.trials()) == count
    details = done["TuningJobCompletionDetails"]
    assert ("ConvergenceDetectedTime" in details) == (count == 11)
    assert details["NumberOfTrainingJobsObjectiveNotImproving"] == {3: 0, 5: 3, 11: 10}[count]


class Held:
    """Scripts that go on until they are let go or stopped."""

    def __init__(self, *reports: float) -> None:
        self.reports = reports
        self.running = threading.Semaphore(0)
        self.goes_on = threading.Event()

    def __call__(self, _values: Mapping[str, str], job: Job) -> Script:
        job.on_metrics([Measurement(METRIC, value, 1.0) for value in self.reports])
        self.running.release()
        while not self.goes_on.wait(0.01):
            job.signals.keep_going()
        return Script(self.reports)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.running.acquire(timeout=20)


@pytest.mark.fidelity(
    "Tuning",
    "StopHyperParameterTuningJob stops the running training jobs, which are counted as Stopped.",
    "SageMaker API, StopHyperParameterTuningJob",
)
def test_a_stop_stops_its_trials(tuning: Open) -> None:
    held = Held(0.5)
    world = tuning(held)
    world.begin(request(limits={"MaxNumberOfTrainingJobs": 9}))
    held.wait_for(2)
    operations.stop(TUNING, world.engine, {"HyperParameterTuningJobName": "tune"}, CALLER)
    done = world.ended("tune")
    assert done["HyperParameterTuningJobStatus"] == "Stopped"
    assert done["TrainingJobStatusCounters"]["Stopped"] == len(world.trials()) == 2
    with pytest.raises(SageMakerError, match="is in status Stopped"):
        operations.stop(TUNING, world.engine, {"HyperParameterTuningJobName": "tune"}, CALLER)


def test_a_target_that_is_reached_stops_what_still_runs(tuning: Open) -> None:
    held = Held()

    def play(values: Mapping[str, str], job: Job) -> Script:
        if job.name.startswith("tune-001"):
            held.wait_for(1)
            return Script((0.99,))
        return held(values, job)

    done = tuning(play).tune(request(TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.9}))
    assert done["HyperParameterTuningJobStatus"] == "Completed"
    assert done["TrainingJobStatusCounters"] == {
        "Completed": 1, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 1
    }  # fmt: skip


@pytest.mark.fidelity(
    "Tuning",
    "At MaxRuntimeInSeconds the running training jobs are stopped and the tuning job is complete.",
    "SageMaker DG, Track and set completion criteria for your tuning job: MaxRuntimeInSeconds",
)
def test_its_time_is_limited(tuning: Open) -> None:
    held = Held()
    world = tuning(held)
    asked = request(limits={"MaxRuntimeInSeconds": 0.2})
    done = world.tune(asked)
    assert done["HyperParameterTuningJobStatus"] == "Completed"
    assert done["TrainingJobStatusCounters"]["Stopped"] == 2


@pytest.mark.fidelity(
    "Tuning",
    "Early stopping Auto stops a trial whose value is worse than the median of the running averages at its epoch.",
    "SageMaker DG, Stop Training Jobs Early",
)
def test_early_stopping_stops_a_trial_that_is_worse_than_the_median(tuning: Open) -> None:
    def play(_values: Mapping[str, str], job: Job) -> Script:
        if job.name.startswith("tune-003"):
            return until_stopped(job, 0.1)
        return Script((0.5, 0.6, 0.7))

    world = tuning(play)
    limits = {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}
    done = world.tune(request(limits=limits, TrainingJobEarlyStoppingType="Auto"))
    assert done["HyperParameterTuningJobStatus"] == "Completed", done.get("FailureReason")
    assert done["TrainingJobStatusCounters"]["Stopped"] == 1
    assert [job["TrainingJobStatus"] for job in world.trials()] == ["Completed", "Completed", "Stopped"]


def until_stopped(job: Job, value: float) -> Script:
    """Report one value after a while, and go on until somebody stops the trial."""
    threading.Event().wait(0.05)
    job.on_metrics([Measurement("other", 1.0, 1.0), Measurement(METRIC, value, 1.0)])
    for _ in range(2000):
        job.signals.keep_going()
        threading.Event().wait(0.005)
    raise AssertionError("nobody stopped it")


def test_hyperband_stops_a_trial_that_has_used_up_its_epochs(tuning: Open) -> None:
    def play(_values: Mapping[str, str], job: Job) -> Script:
        return until_stopped(job, 0.5)

    world = tuning(play)
    done = world.tune(
        request(
            Strategy="Hyperband",
            StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 1}},
            limits={"MaxNumberOfTrainingJobs": 2},
        )
    )
    assert done["TrainingJobStatusCounters"]["Stopped"] == 2


@pytest.mark.fidelity(
    "Tuning",
    "RetryStrategy retries a training job that failed by the service's fault, as the same job, and no other.",
    "SageMaker API, RetryStrategy",
)
def test_only_the_services_own_faults_are_retried(tuning: Open) -> None:
    tries: dict[str, int] = {}

    def play(_values: Mapping[str, str], job: Job) -> Script:
        tries[job.name[:8]] = tries.get(job.name[:8], 0) + 1
        if job.name.startswith("tune-001"):
            return Script(fails="InternalServerError: x") if tries["tune-001"] == 1 else Script((0.5,))
        return Script(fails="InternalServerError: y" if job.name.startswith("tune-002") else "AlgorithmError: z")

    world = tuning(play)
    definition = {"RetryStrategy": {"MaximumRetryAttempts": 2}}
    done = world.tune(request(definition=definition, limits={"MaxNumberOfTrainingJobs": 3}))
    assert tries == {"tune-001": 2, "tune-002": 3, "tune-003": 1}
    assert done["TrainingJobStatusCounters"] == {
        "Completed": 1, "InProgress": 0, "RetryableError": 1, "NonRetryableError": 1, "Stopped": 0
    }  # fmt: skip
    first = world.trials()[0]
    assert "FailureReason" not in first
    steps = [step["Status"] for step in first["SecondaryStatusTransitions"] if step["Status"] != "Pending"]
    assert steps == ["Starting", "Failed", "Starting", "Completed"]


def test_after_a_restart_no_finished_trial_is_repeated(tmp_path: Path) -> None:
    held = Held(0.6)

    def play(values: Mapping[str, str], job: Job) -> Script:
        return Script((0.7,)) if job.name[:8] in ("tune-001", "tune-002") else held(values, job)

    before = Tuning.open(tmp_path, play)
    before.begin(request(limits={"MaxNumberOfTrainingJobs": 6}))
    held.wait_for(2)
    before.close()

    after = Tuning.open(tmp_path, in_order(Script((0.8,))))
    for kind in (TRAINING, TUNING):
        kind.recover(kind, after.engine)
    done = after.ended("tune")
    after.close()
    assert done["HyperParameterTuningJobStatus"] == "Completed"
    assert [job["TrainingJobName"][:8] for job in after.engine.played] == ["tune-005", "tune-006"]
    assert done["TrainingJobStatusCounters"] == {
        "Completed": 4, "InProgress": 0, "RetryableError": 2, "NonRetryableError": 0, "Stopped": 0
    }  # fmt: skip


def test_after_a_restart_what_was_cut_off_is_retried_where_the_request_says_so(tmp_path: Path) -> None:
    held = Held()
    asked = request(definition={"RetryStrategy": {"MaximumRetryAttempts": 1}}, limits={"MaxNumberOfTrainingJobs": 3})
    before = Tuning.open(tmp_path, held)
    before.begin(asked)
    held.wait_for(2)
    before.close()

    after = Tuning.open(tmp_path, in_order(Script((0.8,))))
    for kind in (TRAINING, TUNING):
        kind.recover(kind, after.engine)
    done = after.ended("tune")
    after.close()
    assert done["TrainingJobStatusCounters"]["Completed"] == 3
    assert sorted(job["TrainingJobName"][:8] for job in after.engine.played) == ["tune-001", "tune-002", "tune-003"]


def test_a_stop_that_a_restart_came_between_is_kept(tmp_path: Path) -> None:
    held = Held()
    before = Tuning.open(tmp_path, held)
    before.begin(request())
    held.wait_for(2)
    job_records.begin_stopping(before.context, TUNING, "tune")
    before.close()
    after = Tuning.open(tmp_path, in_order(Script((0.8,))))
    for kind in (TRAINING, TUNING):
        kind.recover(kind, after.engine)
    assert after.ended("tune")["HyperParameterTuningJobStatus"] == "Stopped"
    assert after.engine.played == []
    after.close()


def test_parents_trials_reach_the_strategy(tuning: Open) -> None:
    studies: list[Study] = []

    def suggest(study: Study) -> Suggestion | None:
        studies.append(study)
        return Suggestion({"lr": "0.02", "depth": "5", "kernel": "rbf"})

    world = tuning(in_order(Script((0.4,)), Script((0.9,))), suggest=suggest)
    world.tune(request(name="parent", limits={"MaxNumberOfTrainingJobs": 2}))
    start = {
        "WarmStartType": "IdenticalDataAndAlgorithm",
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
    }
    world.engine._play = in_order(Script((0.6,)))
    done = world.tune(request(warm_start=start, limits={"MaxNumberOfTrainingJobs": 1}))
    inherited = [trial for trial in studies[-1].trials if trial.parent]
    assert sorted(trial.objective or 0 for trial in inherited) == [0.4, 0.9]
    assert done["BestTrainingJob"]["TrainingJobName"].startswith("tune-001")
    assert done["OverallBestTrainingJob"]["TuningJobName"] == "parent"


def test_a_model_is_asked_while_a_trial_ends_and_learns_from_it_all_the_same(tuning: Open) -> None:
    asked: list[list[float | None]] = []
    beside, came = [threading.Event() for _ in range(6)], list[bool]()

    def suggest(study: Study) -> Suggestion | None:
        asked.append([trial.score for trial in study.own])
        beside[study.next_number].set()
        return Suggestion({"lr": f"0.0{study.next_number}", "depth": "5", "kernel": "rbf"})

    def play(values: Mapping[str, str], job: Job) -> Script:
        number = int(job.name.split("-")[-2])
        if number in (2, 3):  # how much a first trial has to tell nobody knows, and after the last one nothing comes
            return Script((float(values["lr"]),), then=lambda: came.append(beside[number + 1].wait(10)))
        return Script((float(values["lr"]),))

    limits = {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 1}
    done = tuning(play, suggest=suggest).tune(request(Strategy="Bayesian", limits=limits))
    assert done["TrainingJobStatusCounters"]["Completed"] == 4
    assert asked == [[], [0.01], [0.01, 0.02], [0.01, 0.02, 0.03]]
    assert came == [True, True]


def test_a_trial_seems_through_when_it_has_told_as_much_as_others_or_uploads() -> None:
    kind = tuning_study.settings(tuning_job(Strategy="Bayesian"))
    ended = Trial(1, {}, "completed", 0.5, (0.4, 0.5))
    first, second = Trial(2, {}, curve=(0.6,)), Trial(3, {}, curve=(0.7, 0.8))
    assert seems_through(replace(kind, trials=(first, second)), frozenset()) is None
    assert seems_through(replace(kind, trials=(ended, first, second)), frozenset()) == 3
    assert seems_through(replace(kind, trials=(ended, first, second)), frozenset({2})) == 2
    assert seems_through(replace(kind, trials=(Trial(2, {}),)), frozenset({2})) is None


def test_what_was_asked_ahead_is_used_only_if_it_has_come_so() -> None:
    asked: list[Study] = []

    def suggest(study: Study) -> Suggestion | None:
        asked.append(study)
        return Suggestion({"x": str(len(asked))})

    kind = tuning_study.settings(tuning_job(limits={"MaxParallelTrainingJobs": 1}))
    running, ended = Trial(1, {}, curve=(0.5,)), Trial(1, {}, "completed", 0.5, (0.5,))
    ahead = Ahead(suggest)
    ahead.think(replace(kind, trials=(running,)), 1)
    ahead.think(replace(kind, trials=(running,)), 1)
    assert ahead.suggest(replace(kind, trials=(ended,))) == Suggestion({"x": "1"})
    assert ahead.suggest(replace(kind, trials=(Trial(1, {}, "failed"),))) == Suggestion({"x": "2"})
    assert len(asked) == 2


def test_a_strategy_that_fails_fails_the_job_and_leaves_nothing_running(tuning: Open) -> None:
    held = Held()

    def suggest(study: Study) -> Suggestion | None:
        if study.own:
            raise RuntimeError("the model is singular")
        return Suggestion({"lr": "0.02", "depth": "5", "kernel": "rbf"})

    done = tuning(held, suggest=suggest).tune(request())
    assert done["HyperParameterTuningJobStatus"] == "Failed"
    assert done["FailureReason"] == "InternalServerError: RuntimeError: the model is singular"
    assert done["TrainingJobStatusCounters"]["Stopped"] == 1


@pytest.mark.fidelity(
    "Tuning",
    "A training job that can't be made is listed as failed, and ends the tuning job: One or more training jobs failed "
    "with ValidationError. ….",
    "hashicorp/terraform-provider-aws pull request 47138",
)
def test_a_role_that_is_gone_ends_it(tuning: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tuning(scores)

    def refuse(*_: object) -> None:
        raise SageMakerError("ValidationException", "Could not assume role arn:x.")

    monkeypatch.setattr(world.context.platform, "assume_role", refuse)
    done = world.tune(request())
    assert done["HyperParameterTuningJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("One or more training jobs failed with ValidationError.")
    [summary] = list_trials(world)
    assert summary["FailureReason"] == "ValidationError: Could not assume role arn:x."


@pytest.mark.fidelity(
    "Tuning",
    "DeleteHyperParameterTuningJob removes the tuning job and leaves its training jobs.",
    "SageMaker API, DeleteHyperParameterTuningJob",
)
def test_a_deleted_job_leaves_its_training_jobs_and_its_name(tuning: Open) -> None:
    world = tuning(scores)
    world.tune(request(TrainingJobEarlyStoppingType="Auto"))
    named = {"HyperParameterTuningJobName": "tune"}
    tuning_operations.delete(TUNING, world.engine, named, CALLER)
    assert len(world.trials()) == 4
    assert world.context.store.list("tuning-curve") == []
    with pytest.raises(SageMakerError, match="Amazon SageMaker can't find a tuning job called tune") as caught:
        tuning_operations.describe(TUNING, world.engine, named, CALLER)
    assert caught.value.code == "ResourceNotFound"
    again = world.tune(request(limits={"MaxNumberOfTrainingJobs": 2}))
    assert again["TrainingJobStatusCounters"]["Completed"] == 2, "those of the deleted job are another's"


def test_trials_that_run_at_once_are_told_to_share_the_cores(tuning: Open) -> None:
    seen: list[tuple[Mapping[str, str], list[str]]] = []

    def play(values: Mapping[str, str], job: Job) -> Script:
        seen.append((job.variables, list(job.remarks)))
        return scores(values, job)

    world = tuning(play)
    world.tune(request(limits={"MaxNumberOfTrainingJobs": 1}))
    world.tune(request(name="alone", limits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}))
    (shared, said), (alone, nothing) = seen
    assert int(shared["OMP_NUM_THREADS"]) >= 1
    assert said[0].startswith("2 trials run at once on ")
    assert (alone, nothing) == ({}, [])


@pytest.mark.fidelity(
    "Tuning",
    "A quota of instances is for as many training jobs as may run at once: … a request delta of 2 Instances.",
    "ResourceLimitExceeded of CreateHyperParameterTuningJob, as users of AWS quote it",
)
def test_a_quota_is_asked_for_all_trials_that_run_at_once(tuning: Open) -> None:
    world = tuning(scores)
    asked = TUNING.instances(request())
    assert (asked.quota, asked.count) == ("ml.m5.large for training job usage", 2)
    spot = {"EnableManagedSpotTraining": True}
    assert TUNING.instances(request(definition=spot)).quota == "ml.m5.large for spot training job usage"
    short = replace(world.context, quotas={"ml.m5.large for training job usage": 1})
    engine, kind = PlayedEngine(short, scores), replace(TUNING, accept=lambda *_: (tuning_job(), None))
    with pytest.raises(SageMakerError, match="a request delta of 2 Instances") as caught:
        operations.create(kind, engine, request(), CALLER)
    assert caught.value.code == "ResourceLimitExceeded"
    assert short.store.list(TUNING.resource_type) == []


def test_a_led_job_without_containers_takes_no_slot(tuning: Open) -> None:
    assert isinstance(TUNING.job({"HyperParameterTuningJobName": "x"}, None, tuning(scores).context), LedJob)
    world = tuning(scores, slots=1)
    assert world.tune(request(name="one"))["HyperParameterTuningJobStatus"] == "Completed"
