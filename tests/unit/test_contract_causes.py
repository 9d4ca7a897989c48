"""Failures in words: every form in which Step Functions and SageMaker give an error's cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract.causes import CAUSE_LENGTH, document_in, gist, outcome_of, readable, reason

TRAINING = {"TrainingJobName": "digits-r2-train", "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no"}


def failure(cause: Any, error: str = "States.TaskFailed", state: str = "Train") -> dict[str, str]:
    return {"state": state, "error": error, "cause": cause if isinstance(cause, str) else json.dumps(cause)}


@pytest.mark.parametrize(
    ("given", "outcome", "cause"),
    [
        (failure(TRAINING), "Failed", "training job digits-r2-train failed: AlgorithmError: no"),
        (
            failure({**TRAINING, "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}),
            "Stopped",
            "training job digits-r2-train was stopped (StopTrainingJob) before it was done",
        ),
        (
            failure({**TRAINING, "TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}),
            "Stopped",
            "training job digits-r2-train ran into its time limit and was stopped",
        ),
        (
            failure({"ProcessingJobName": "p", "ProcessingJobStatus": "Failed", "ExitMessage": "no such column"}),
            "Failed",
            "processing job p failed: no such column",
        ),
        (failure({"ProcessingJobName": "p", "ProcessingJobStatus": "Stopped"}), "Stopped", "(StopProcessingJob)"),
        (
            failure(
                {"TransformJobName": "t", "TransformJobStatus": "Failed", "FailureReason": "ClientError: See logs"}
            ),
            "Failed",
            "transform job t failed: ClientError: See logs",
        ),
        (failure({"TransformJobName": "t", "TransformJobStatus": "Stopped"}), "Stopped", "(StopTransformJob)"),
        (
            failure(
                {"errorMessage": "the channel 'train' has no data", "errorType": "EmptyChannelError"},
                "EmptyChannelError",
            ),
            "Failed",
            "the channel 'train' has no data",
        ),
        (failure("", "States.Timeout"), "Failed", "Train took longer than its time limit"),
        (failure("User: arn is not authorized to perform: x"), "Failed", "is not authorized to perform: x"),
        (failure("{not json"), "Failed", "{not json"),
        (failure(""), "Failed", "no cause was given"),
        # Some integrations write a sentence before the description.
        (failure(f"The job failed: {json.dumps(TRAINING)}"), "Failed", "digits-r2-train failed: AlgorithmError"),
    ],
)
def test_a_failure_becomes_an_outcome_and_a_sentence(given: dict[str, str], outcome: str, cause: str) -> None:
    assert outcome_of(given) == outcome
    assert cause in readable(given)["cause"]
    assert readable(given)["state"] == "Train"


@pytest.mark.parametrize(
    ("job", "outcome", "cause"),
    [
        (
            {"TrainingJobStatus": "Stopping", "TrainingJobName": "t"},
            "Stopped",
            "training job t was stopped (StopTrainingJob) before it was done",
        ),
        (
            {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded", "TrainingJobName": "t"},
            "Stopped",
            "training job t ran into its time limit and was stopped",
        ),
        (
            {"TrainingJobStatus": "Failed", "TrainingJobName": "t"},
            "Failed",
            "training job t failed: SageMaker gives no reason",
        ),
        ({"TrainingJobStatus": "Failed"}, "Failed", "training job  failed: SageMaker gives no reason"),
        (
            {"ProcessingJobStatus": "Failed", "ProcessingJobName": "p", "FailureReason": "x"},
            "Failed",
            "processing job p failed: x",
        ),
        # What the script said last says more than SageMaker's own words.
        (
            {"ProcessingJobStatus": "Failed", "ProcessingJobName": "p", "FailureReason": "x", "ExitMessage": "y"},
            "Failed",
            "processing job p failed: y",
        ),
        # A time limit that a job ran into, and failed for something else, isn't what ended it.
        (
            {"TrainingJobStatus": "Failed", "TrainingJobName": "t", "SecondaryStatus": "MaxRuntimeExceeded"},
            "Failed",
            "training job t failed: SageMaker gives no reason",
        ),
        (
            {"TrainingJobStatus": "", "TrainingJobName": "t"},
            "Failed",
            '{"TrainingJobStatus": "", "TrainingJobName": "t"}',
        ),
    ],
)
def test_a_job_is_told_of_exactly(job: dict[str, Any], outcome: str, cause: str) -> None:
    assert outcome_of(failure(job)) == outcome
    assert readable(failure(job, "E", "Evaluate")) == {"state": "Evaluate", "error": "E", "cause": cause}


def test_a_functions_error_is_told_without_its_trace() -> None:
    error = {"errorMessage": "no data", "errorType": "EmptyChannelError", "stackTrace": ["line"]}
    assert readable(failure(error))["cause"] == "no data"
    assert readable(failure("", "States.Timeout"))["cause"] == "Train took longer than its time limit"


def test_a_timeout_that_says_more_is_told_as_it_is() -> None:
    assert readable(failure("no heartbeat", "States.Timeout"))["cause"] == "no heartbeat"


def test_a_long_cause_is_cut() -> None:
    assert readable(failure("x" * 5000))["cause"] == "x" * CAUSE_LENGTH
    assert len(readable(failure({"errorMessage": "y" * 5000}))["cause"]) == CAUSE_LENGTH == 4000


@pytest.mark.parametrize(
    ("cause", "document"),
    [
        ('{"a": 1}', {"a": 1}),
        ('said: {"a": 1} and more', {"a": 1}),
        ("", {}),
        ("no brace", {}),
        ("{not json", {}),
        ('[{"a": 1}]', {"a": 1}),
    ],
)
def test_the_document_in_a_cause_is_found(cause: str, document: dict[str, Any]) -> None:
    assert document_in(cause) == document


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ('{"TrainingJobName": "j", "FailureReason": "AlgorithmError: x"}', "AlgorithmError: x"),
        ('{"FailureReason": "", "ExitMessage": "y"}', "y"),
        ('{"FailureReason": "x", "ExitMessage": "y"}', "x"),
        ('{"errorMessage": "no data", "errorType": "EmptyChannelError"}', "no data"),
        ('the run could not be recorded: {"errorMessage": "denied"}', "the run could not be recorded: denied"),
        ("plain {words", "plain {words"),
        ("plain", "plain"),
        ('{"other": 1}', '{"other": 1}'),
        ('{"errorMessage": 5}', "5"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_cause_is_told_by_its_reason(cause: str | None, told: str) -> None:
    assert reason(cause) == told


PREFIX = 'training job digits-r2-train failed: AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "'
ON_TWO = PREFIX.replace("AlgorithmError: ", "AlgorithmError: algo-2: ")
# What torchrun says of a process that has failed (torch/distributed/elastic/multiprocessing/errors).
TORCHRUN = """    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
  <NO_OTHER_FAILURES>
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-27_14:42:38
  host      : algo-2
  rank      : 1 (local_rank: 0)
  exitcode  : 1 (pid: 5)
  error_file: <N/A>
  traceback : {}
============================================================"
Command "torchrun --nnodes 2 train.py", exit code: 1"""
NOTICE = "[notice] A new release of pip is available: 25.0 -> 26.1\n[notice] To update, run: pip install --upgrade pip"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("", ""),
        ('one line: its "reason"', 'one line: its "reason"'),
        (
            PREFIX
            + 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    fit()\n    ^^^^^\n'
            'ValueError: Input X contains NaN.", exit code: 1',
            "ValueError: Input X contains NaN.",
        ),
        (
            PREFIX + f"Traceback (most recent call last):\nKeyError: 'price'\n{NOTICE}\", exit code: 1",
            "KeyError: 'price'",
        ),
        (
            PREFIX + f"ERROR: No matching distribution found for panadas\n{NOTICE}\n"
            "subprocess.CalledProcessError: Command '['pip', 'install']' returned non-zero exit status 1.\"",
            "ERROR: No matching distribution found for panadas",
        ),
        (
            PREFIX + f'{NOTICE}\ntrain.py: error: unrecognized arguments: --epoch 3"',
            "unrecognized arguments: --epoch 3",
        ),
        (PREFIX + 'ValueError: x"\nCommand "/usr/bin/python3 train.py --epochs 3"', "ValueError: x"),
        (
            PREFIX + 'torch.cuda.OutOfMemoryError: out of memory", exit code: 1',
            "torch.cuda.OutOfMemoryError: out of memory",
        ),
        (f'{PREFIX}{NOTICE}\nKilled", exit code: 137', "Killed"),
        (f'{PREFIX}epoch 1\nepoch 2\nno pump today\n{NOTICE}", exit code: 1', "no pump today"),
        (
            PREFIX.replace("ExitCode 1", "ExitCode -9") + '"\nCommand "python train.py --epochs 3", exit code: 1',
            "the script ended with ExitCode -9; what it said is in the job's log",
        ),
        (
            PREFIX + '"\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"\nCommand "x", exit code: 1',
            'ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)',
        ),
        (
            'training job j failed: AlgorithmError: ExecuteUserScriptError:\nCommand "python3 -m train", exit code: 1',
            "the script ended; what it said is in the job's log",
        ),
        ("the endpoint is Failed\nsee its log", "the endpoint is Failed"),
        (
            ON_TWO + 'Traceback (most recent call last):\nValueError: no such rank", exit code: 1',
            "algo-2: ValueError: no such rank",
        ),
        (
            ON_TWO + TORCHRUN.format("To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"),
            "algo-2: the script ended with ExitCode 1; what it said is in the job's log",
        ),
        (
            ON_TWO + TORCHRUN.format('Traceback (most recent call last):\n    File "train.py"\n  KeyError: 1'),
            "algo-2: KeyError: 1",
        ),
    ],
)
def test_the_gist_of_a_cause_is_what_was_wrong(cause: str, told: str) -> None:
    assert gist(cause).endswith(told)
    assert "\n" not in gist(cause)
    assert not gist(cause).startswith(("[notice]", "training job"))
