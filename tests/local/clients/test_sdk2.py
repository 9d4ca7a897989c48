"""Version 2 of the SageMaker SDK, unmodified: an estimator that fits, deploys, and whose predictor is asked."""

from __future__ import annotations

import pytest
from client_kit import SDK2, Client, needs
from job_kit import Jobs

pytestmark = needs(SDK2 / "python")


@pytest.mark.fidelity(
    "Clients",
    "SKLearn.fit sends ProfilerConfig and DebugHookConfig unasked, and DescribeTrainingJob shows both; register "
    "searches for the training job of the model's archive, and makes a model card of it.",
    "aws/sagemaker-python-sdk, branch master-v2: src/sagemaker/estimator.py; pull request 6188",
)
@pytest.mark.fidelity(
    "Clients",
    "PipelineModel makes a model of Containers without hostnames, and registers all of them as one package.",
    "aws/sagemaker-python-sdk, branch master-v2: src/sagemaker/pipeline.py",
)
def test_version_2_fits_deploys_and_predicts(client: Client, jobs: Jobs, role: str) -> None:
    outcome = client.script(SDK2, "sdk2_session.py", role, jobs.prefix)
    assert outcome["answer"].split() == ["8", "12"]  # row sums 3 and 7, offset 3, two training files

    assert outcome["chained"].split() == ["13", "17"], "its answers, asked of it once more"
    assert outcome["containers"] == 2

    assert outcome["registered"] == "Approved"
    assert outcome["card"]["training_details"]["training_job_details"]["training_arn"].endswith(outcome["job"])

    bucket = "sagemaker-us-east-1-000000000000"
    assert outcome["bucket"] == bucket
    assert outcome["profiler"] == {"S3OutputPath": f"s3://{bucket}/", "DisableProfiler": False}
    assert outcome["profiling"] == "Enabled"
    assert outcome["hook"]["S3OutputPath"] == f"s3://{bucket}/"
    assert [line for line in jobs.log_lines(outcome["job"]) if line.startswith("ProfilerConfig has no effect here")]
    assert client.outside.hosts == [], "STS at a URL of its own, telemetry"
