"""The settings file that keeps the SageMaker SDK on the embedded AWS."""

from pathlib import Path

import pytest
import yaml

from localaws.sagemaker.containers import sdk_settings


@pytest.mark.fidelity(
    "Clients",
    "The SageMaker SDK asks STS at a URL of its own for the account of its default bucket, and sends telemetry to a "
    "bucket of AWS's, unless its defaults say otherwise.",
    "aws/sagemaker-python-sdk, sagemaker-core: session_helper.py, telemetry_logging.py, config_schema.py",
)
def test_the_sdk_s_settings_name_its_bucket_and_decline_telemetry(tmp_path: Path) -> None:
    path = sdk_settings.write(tmp_path, "eu-west-1", "111122223333")
    modules = yaml.safe_load(path.read_text())["SageMaker"]["PythonSDK"]["Modules"]
    assert modules == {"TelemetryOptOut": True, "Session": {"DefaultS3Bucket": "sagemaker-eu-west-1-111122223333"}}
