"""A job's document through its life."""

import pytest

from localaws.sagemaker.core.events import in_milliseconds
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents, training_times
from localaws.sagemaker.jobs.processing import PROCESSING
from localaws.sagemaker.jobs.spot_market import SpotMarket
from localaws.sagemaker.jobs.training import TRAINING


def job() -> Document:
    document = job_documents.created(TRAINING, {"TrainingJobName": "j"}, "Starting", "Starting", 100.0)
    return job_documents.moved(TRAINING, document, "Downloading", "Downloading", 101.0, TrainingStartTime=101.0)


@pytest.mark.fidelity(
    "Training jobs",
    "A transition's EndTime is the next one's StartTime.",
    "SageMaker API, SecondaryStatusTransition",
)
def test_transitions_follow_each_other_without_gaps() -> None:
    done = job_documents.ended(TRAINING, job(), job_documents.completed(), 110.5)
    assert [(step["Status"], step["StartTime"], step["EndTime"]) for step in done["SecondaryStatusTransitions"]] == [
        ("Starting", 100.0, 101.0),
        ("Downloading", 101.0, 110.5),
        ("Completed", 110.5, 110.5),
    ]
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Completed", "Completed")
    assert (done["TrainingEndTime"], done["TrainingTimeInSeconds"], done["BillableTimeInSeconds"]) == (110.5, 10, 10)


def test_documents_are_not_changed_in_place() -> None:
    before = job()
    job_documents.ended(TRAINING, before, job_documents.failed("x"), 110.0)
    assert before == job()


def test_a_job_over_its_time_is_stopped_with_its_artifacts() -> None:
    ending = job_documents.max_runtime_exceeded(60, ModelArtifacts={"S3ModelArtifacts": "s3://b/m"})
    done = job_documents.ended(TRAINING, job(), ending, 200.0)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert done["ModelArtifacts"] == {"S3ModelArtifacts": "s3://b/m"}


def test_a_stop_wins_over_a_completion_but_not_over_a_failure() -> None:
    stopping = job_documents.stopping(TRAINING, job(), 105.0)
    assert job_documents.unless_stopping(TRAINING, stopping, job_documents.completed(a=1)).status == "Stopped"
    assert job_documents.unless_stopping(TRAINING, stopping, job_documents.failed("x")).status == "Failed"
    assert job_documents.unless_stopping(TRAINING, job(), job_documents.completed()).status == "Completed"


@pytest.mark.fidelity(
    "Training jobs",
    "A FailureReason has at most 1,024 characters.",
    "SageMaker API, DescribeTrainingJob: FailureReason",
)
def test_a_long_reason_keeps_its_beginning_and_its_end() -> None:
    done = job_documents.ended(TRAINING, job(), job_documents.failed("Begin" + "x" * 5000 + "the error"), 110.0)
    assert len(done["FailureReason"]) == 1024
    assert done["FailureReason"].startswith("Begin")
    assert done["FailureReason"].endswith("the error")


@pytest.mark.fidelity(
    "Processing jobs",
    "A processing job has a status and no secondary one.",
    "botocore, sagemaker: DescribeProcessingJobResponse",
)
def test_processing_jobs_have_no_secondary_status() -> None:
    document = job_documents.created(PROCESSING, {"ProcessingJobName": "p"}, "Starting", "Starting", 100.0)
    done = job_documents.ended(PROCESSING, document, job_documents.completed(ExitMessage="fine"), 101.0)
    assert done == {
        "ProcessingJobName": "p", "ProcessingJobStatus": "Completed", "CreationTime": 100.0,
        "LastModifiedTime": 101.0, "ProcessingEndTime": 101.0, "ExitMessage": "fine",
    }  # fmt: skip


@pytest.mark.fidelity(
    "EventBridge",
    "Times in SageMaker's events are milliseconds at every depth.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_events_carry_times_in_milliseconds_at_every_depth() -> None:
    document = job()
    event = in_milliseconds({**document, "FinalMetricDataList": [{"Value": 0.5, "Timestamp": 101.25}]})
    assert event["CreationTime"] == 100_000
    assert event["SecondaryStatusTransitions"][0]["EndTime"] == 101_000
    assert event["FinalMetricDataList"] == [{"Value": 0.5, "Timestamp": 101_250}]
    limits = {"StoppingCondition": {"MaxRuntimeInSeconds": 60}, "TrainingTimeInSeconds": 9}
    assert in_milliseconds(limits) == limits


def spot_job(*steps: tuple[str, float]) -> Document:
    """A spot job that entered these statuses at these times."""
    limits = {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}}
    request = {"TrainingJobName": "j", "EnableManagedSpotTraining": True, **limits}
    document = job_documents.created(TRAINING, request, "Starting", "", 100.0)
    for status, at in steps:
        document = job_documents.moved(TRAINING, document, status, "", at, TrainingStartTime=101.0)
    return document


@pytest.mark.fidelity(
    "Spot training",
    "Waiting for an instance is neither trained nor billed.",
    "SageMaker API, DescribeTrainingJob: TrainingTimeInSeconds, BillableTimeInSeconds",
)
def test_waiting_for_an_instance_is_neither_trained_nor_billed() -> None:
    job = spot_job(
        ("Downloading", 101), ("Training", 102), ("Interrupted", 110), ("Starting", 150), ("Downloading", 155),
        ("Training", 156), ("Interrupted", 160), ("Starting", 160), ("Downloading", 161), ("Training", 162),
    )  # fmt: skip
    assert training_times.seconds_trained_before(job) == 12
    assert training_times.interruptions(job) == 2
    assert training_times.max_wait(job) == 120
    done = job_documents.ended(TRAINING, job, job_documents.completed(), 170.0, SpotMarket(discount=0.5))
    assert (done["TrainingTimeInSeconds"], done["BillableTimeInSeconds"]) == (9 + 5 + 9, 12)


def test_a_spot_job_that_is_given_up_while_it_waits_was_stopped() -> None:
    job = spot_job(("Downloading", 101), ("Training", 102), ("Interrupted", 110))
    stopping = job_documents.stopping(TRAINING, job, 220.0)
    done = job_documents.ended(TRAINING, stopping, job_documents.max_wait_exceeded(), 220.0)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert done["TrainingTimeInSeconds"] == 9


def test_a_job_on_demand_has_no_max_wait() -> None:
    assert training_times.max_wait({"EnableManagedSpotTraining": False, "StoppingCondition": {}}) is None
    assert training_times.max_wait({"ProcessingJobName": "p"}) is None
