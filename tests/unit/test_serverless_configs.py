"""Serverless variants and the deployments that they can't have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from quiet_platform import QuietPlatform

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Caller
from localaws.sagemaker.hosting.endpoints import Endpoints

CALLER = Caller("arn:aws:iam::000000000000:root", "000000000000", "us-east-1")
ONE = {"Type": "INSTANCE_COUNT", "Value": 1}
CANARY = {"Type": "CANARY", "CanarySize": ONE, "WaitIntervalInSeconds": 0}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"RollingUpdatePolicy": {"MaximumBatchSize": ONE, "WaitIntervalInSeconds": 0}}, "RollingUpdatePolicy can't"),
        ({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": CANARY}}, "CanarySize of a serverless endpoint"),
    ],
)
def test_what_counts_instances_is_refused_when_the_endpoint_is_made(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    context = Context.open(QuietPlatform(tmp_path))
    endpoints = Endpoints(context)
    model = {"ModelName": "m", "PrimaryContainer": {"Image": "image"}, "ExecutionRoleArn": "role"}
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    variant = {"VariantName": "A", "ModelName": "m", "InitialVariantWeight": 1.0, "ServerlessConfig": serverless}
    context.store.create("model", "m", model)
    context.store.create("endpoint-config", "c", {"EndpointConfigName": "c", "ProductionVariants": [variant]})
    request = {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": config}
    with pytest.raises(SageMakerError, match=message):
        endpoints.create(request, CALLER)
    context.lifecycle.close()
