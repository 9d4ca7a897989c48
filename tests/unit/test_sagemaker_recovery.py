"""A restarted SageMaker answers when it knows what became of what was under way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from quiet_platform import QuietPlatform

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Caller
from localaws.sagemaker.hosting.invocation import InvokeRequest
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.service import SageMaker

CALLER = Caller(arn="arn:aws:iam::000000000000:root", account="000000000000", region="us-east-1", source="client")
CUT_OFF = {
    "TrainingJobName": "cut-off",
    "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/cut-off",
    "TrainingJobStatus": "InProgress",
    "SecondaryStatus": "Training",
    "SecondaryStatusTransitions": [{"Status": "Training", "StartTime": 1.0}],
    "CreationTime": 1.0,
    "LastModifiedTime": 1.0,
    "ResourceConfig": {"InstanceCount": 1},
}


def test_requests_that_come_before_the_recovery_are_answered_after_it(tmp_path: Path) -> None:
    sagemaker = SageMaker(QuietPlatform(tmp_path))
    sagemaker.context.store.create(TRAINING.resource_type, "cut-off", CUT_OFF)
    asked = InvokeRequest(endpoint="none", body=b"", content_type="text/csv", accept="text/csv", target_variant=None)
    with ThreadPoolExecutor() as threads:
        job = threads.submit(sagemaker.handle, "DescribeTrainingJob", {"TrainingJobName": "cut-off"}, CALLER)
        answer = threads.submit(sagemaker.invoke_endpoint, asked)
        assert not job.done()
        assert not answer.done()
        sagemaker.recover()
        assert job.result()["TrainingJobStatus"] == "Failed"
        assert "the server that ran it ended" in job.result()["FailureReason"]
        with pytest.raises(SageMakerError, match="Endpoint none of account 000000000000 not found"):
            answer.result()
    sagemaker.close()
