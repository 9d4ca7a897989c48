"""CreateTrainingJob's ProfilerConfig: version 2 of the SageMaker SDK sends it with every framework's estimator."""

from typing import Any

import pytest
from test_sagemaker_job_requests import TRAINING

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs import training_request

# As SKLearn.fit() of sagemaker 2.257 sends it.
OF_THE_SDK = {"S3OutputPath": "s3://b/", "DisableProfiler": False}


def profiled(**changes: Any) -> dict[str, Any]:
    return {**TRAINING, "ProfilerConfig": {**OF_THE_SDK, **changes}}


@pytest.mark.fidelity(
    "Clients",
    "ProfilerConfig, which version 2 of the SageMaker SDK sends with every framework estimator, is accepted, and "
    "ProfilingStatus says whether it asks for profiling.",
    "aws/sagemaker-python-sdk pull request 6188; API reference: ProfilerConfig.DisableProfiler, ProfilingStatus",
)
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (profiled(), "Enabled"),
        (TRAINING | {"ProfilerConfig": {"DisableProfiler": True}}, "Disabled"),
        (TRAINING, "Disabled"),
    ],
)
def test_a_profiler_is_accepted_and_described(request_: dict[str, Any], status: str) -> None:
    training_request.check(request_)
    described = training_request.description(request_, "arn:job")
    assert described["ProfilingStatus"] == status
    assert described.get("ProfilerConfig") == request_.get("ProfilerConfig")


def test_the_log_says_that_nothing_is_measured_only_where_something_was_to_be() -> None:
    said = "ProfilerConfig has no effect here"
    assert [line for line in training_request.remarks(profiled()) if line.startswith(said)]
    assert not [line for line in training_request.remarks(profiled(DisableProfiler=True)) if line.startswith(said)]


@pytest.mark.fidelity(
    "Training jobs",
    "ProfilingIntervalInMilliseconds is one of 100, 200, 500, 1000, 5000 and 60000.",
    "API reference: ProfilerConfig.ProfilingIntervalInMilliseconds",
)
@pytest.mark.parametrize("interval", [100, 200, 500, 1000, 5000, 60000])
def test_the_intervals_of_the_api(interval: int) -> None:
    training_request.check(profiled(ProfilingIntervalInMilliseconds=interval))
    with pytest.raises(SageMakerError) as caught:
        training_request.check(profiled(ProfilingIntervalInMilliseconds=interval + 1))
    assert f"must be one of 100, 200, 500, 1000, 5000, 60000: {interval + 1}" in caught.value.message


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (
            profiled(ProfilingParameters={"PythonProfilingConfig": "{}"}),
            "not supported here: ProfilerConfig.ProfilingParameters (PythonProfilingConfig): frameworks aren't",
        ),
        (
            profiled() | {"ProfilerRuleConfigurations": [{"RuleConfigurationName": "ProfilerReport"}]},
            "not supported here: ProfilerRuleConfigurations",
        ),
        (TRAINING | {"ProfilerConfig": {}}, "ProfilerConfig.S3OutputPath is required unless DisableProfiler is true."),
        (profiled(S3OutputPath="https://example.com/x"), "ProfilerConfig.S3OutputPath is not an S3"),
    ],
)  # fmt: skip
def test_a_profiler_that_cannot_be_is_refused_by_name(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(SageMakerError) as caught:
        training_request.check(request_)
    assert caught.value.message.startswith(said)
