"""The SageMaker SDK's own settings file, which keeps the SDK on this AWS, in a user's shell and in jobs.

The SDK (versions 2 and 3) builds the URLs of STS and of its telemetry itself, whatever AWS_ENDPOINT_URL says. Told its
bucket, it asks STS for no account; and telemetry can be declined.
"""

from __future__ import annotations

from pathlib import Path

FILE_NAME = "sagemaker_sdk.yaml"
VARIABLE = "SAGEMAKER_USER_CONFIG_OVERRIDE"
_TEXT = """\
# Written by the embedded AWS: what keeps the SageMaker SDK on it.
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
      Session:
        DefaultS3Bucket: sagemaker-{region}-{account}
"""


def write(folder: Path, region: str, account: str) -> Path:
    """Writes the file into a folder; its path."""
    path = folder.resolve() / FILE_NAME
    path.write_text(_TEXT.format(region=region, account=account), encoding="utf-8")
    return path
