"""Hours of a job's time limits in milliseconds: the job's clock jumps, and its containers are played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import played_jobs
import pytest
from played_jobs import HOUR, START, World

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import INTERRUPTION, STOP, End, Outcome
from localaws.sagemaker.jobs.spot_market import SpotMarket


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(container, "isolation", lambda: "none")  # which is tried with a process
    with played_jobs.opened(tmp_path) as world:
        yield world


def spot(world: World, **market: Any) -> None:
    world.context = replace(world.context, spot_market=SpotMarket(**market))


def steps(document: Document) -> list[tuple[str, float]]:
    """Secondary statuses, and the hours after the start when each began."""
    return [(step["Status"], (step["StartTime"] - START) / HOUR) for step in document["SecondaryStatusTransitions"]]


@pytest.mark.fidelity(
    "Training jobs",
    "At MaxRuntimeInSeconds the container gets SIGTERM; the time until it ends is training time.",
    "SageMaker API, StoppingCondition",
)
def test_a_day_of_training_that_is_not_enough_ends_with_sigterm_and_the_model(world: World) -> None:
    world.play(runs=100 * HOUR, obeys_after=30.0)
    done = world.train(StoppingCondition={"MaxRuntimeInSeconds": 86_400})
    assert world.containers[0].signals == [("TERM", 86_400.0)]
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert done["TrainingEndTime"] == START + 86_430
    assert done["TrainingTimeInSeconds"] == done["BillableTimeInSeconds"] == 86_430


@pytest.mark.fidelity("Training jobs", "SIGKILL follows SIGTERM after 120 seconds.", "SageMaker API, StopTrainingJob")
def test_a_script_that_ignores_sigterm_is_killed_120_seconds_later(world: World) -> None:
    world.play(runs=100 * HOUR, obeys_after=None)
    world.train(StoppingCondition={"MaxRuntimeInSeconds": 5 * 3600})
    assert world.containers[0].signals == [("TERM", 5 * HOUR), ("KILL", 5 * HOUR + 120)]


def test_a_script_that_ends_in_time_is_left_alone(world: World) -> None:
    world.play(runs=23.99 * HOUR)
    done = world.train()
    assert world.containers[0].signals == []
    assert (done["TrainingJobStatus"], done["TrainingTimeInSeconds"]) == ("Completed", round(23.99 * HOUR))


@pytest.mark.fidelity(
    "Training jobs",
    "StopTrainingJob gives 120 seconds from SIGTERM to SIGKILL.",
    "SageMaker API, StopTrainingJob",
)
def test_a_stop_after_hours_gives_the_script_120_seconds(world: World) -> None:
    world.play(runs=100 * HOUR, obeys_after=None)
    job = world.job()
    world.clock.after(3 * HOUR, job.signals.stop)
    outcome = run(job, world)
    assert world.containers[0].signals == [("TERM", 3 * HOUR), ("KILL", 3 * HOUR + 120)]
    assert outcome == Outcome(137, STOP)


def test_of_several_ends_the_first_one_comes(world: World) -> None:
    world.play(runs=100 * HOUR)
    assert run(world.job(), world, End(START + HOUR, INTERRUPTION, 60.0)) == Outcome(143, INTERRUPTION)
    assert world.containers[0].signals == [("TERM", HOUR)]


def test_an_end_without_notice_kills_at_once(world: World) -> None:
    world.play(runs=100 * HOUR)
    assert run(world.job(), world, End(START + HOUR, INTERRUPTION, 0.0)) == Outcome(137, INTERRUPTION)
    assert world.containers[0].signals == [("KILL", HOUR)]


def run(job: Job, world: World, *ends: End) -> Outcome:
    """Run the job's next container alone, for ten hours at most."""
    nothing = Path("/nowhere")
    try:
        return job.run(ContainerSpec([], {}, nothing, nothing, nothing), 10 * HOUR, *ends)
    finally:
        job.release()


@pytest.mark.fidelity(
    "Spot training",
    "MaxRuntimeInSeconds is used up over interruptions; what is billed is less.",
    "SageMaker DG, Managed Spot Training in Amazon SageMaker AI",
)
def test_a_spot_job_trains_on_over_interruptions_until_its_runtime_is_used_up(world: World) -> None:
    spot(world, interrupt_every=2 * HOUR, interruptions=2, absence=HOUR, discount=0.5)
    for _ in range(3):
        world.play(runs=100 * HOUR)
    limits = {"MaxRuntimeInSeconds": 5 * 3600, "MaxWaitTimeInSeconds": 24 * 3600}
    done = world.train(EnableManagedSpotTraining=True, StoppingCondition=limits)
    trained = [at for status, at in steps(done) if status == "Training"]
    assert trained == [0.0, 3.0, 6.0]
    assert [status for status, _ in steps(done)].count("Interrupted") == 2
    assert steps(done)[-1] == ("MaxRuntimeExceeded", 7.0)
    assert (done["TrainingTimeInSeconds"], done["BillableTimeInSeconds"]) == (5 * 3600, 2.5 * 3600)


@pytest.mark.fidelity(
    "Spot training",
    "A job that waits in vain goes Interrupted, Stopping, MaxWaitTimeExceeded.",
    "SageMaker API, DescribeTrainingJob: SecondaryStatus",
)
def test_a_spot_job_that_waits_in_vain_is_given_up_when_its_time_is_up(world: World) -> None:
    spot(world, interrupt_every=2 * HOUR, absence=50 * HOUR)
    world.play(runs=100 * HOUR)
    limits = {"MaxRuntimeInSeconds": 5 * 3600, "MaxWaitTimeInSeconds": 24 * 3600}
    done = world.train(EnableManagedSpotTraining=True, StoppingCondition=limits)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert steps(done)[-3:] == [("Interrupted", 2.0), ("Stopping", 24.0), ("MaxWaitTimeExceeded", 24.0)]
    assert done["TrainingTimeInSeconds"] == 2 * 3600


def test_a_spot_job_that_still_trains_when_its_time_is_up_is_ended(world: World) -> None:
    spot(world, interrupt_every=2 * HOUR, absence=10 * HOUR)
    world.play(runs=100 * HOUR)
    world.play(runs=100 * HOUR, obeys_after=60.0)
    limits = {"MaxRuntimeInSeconds": 20 * 3600, "MaxWaitTimeInSeconds": 24 * 3600}
    done = world.train(EnableManagedSpotTraining=True, StoppingCondition=limits)
    assert world.containers[1].signals == [("TERM", 24 * HOUR)]
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert done["TrainingEndTime"] == START + 24 * HOUR + 60
    assert done["TrainingTimeInSeconds"] == 2 * 3600 + 12 * 3600 + 60
