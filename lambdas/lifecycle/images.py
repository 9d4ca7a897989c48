"""Starting the build of a pipeline's image."""

from __future__ import annotations

from typing import Any


def start_build(codebuild: Any, s3: Any, request: dict[str, Any]) -> None:
    """Starts a build that answers the custom resource's request itself when it ends, with what that takes."""
    properties = request["ResourceProperties"]
    variables = {
        "TAG": properties["Tag"],
        "RESPONSE_URL": request["ResponseURL"],
        "STACK_ID": request["StackId"],
        "REQUEST_ID": request["RequestId"],
        "LOGICAL_ID": request["LogicalResourceId"],
    }
    codebuild.start_build(
        projectName=properties["Project"],
        sourceLocationOverride=f"{properties['Bucket']}/{properties['Key']}",
        **_version(s3, properties["Bucket"], properties["Key"]),
        # A retried request (Lambda invokes an asynchronous function up to three times) is the same build.
        idempotencyToken=request["RequestId"],
        environmentVariablesOverride=[{"name": name, "value": value} for name, value in variables.items()],
    )


def _version(s3: Any, bucket: str, key: str) -> dict[str, str]:
    """The version of the source that is built, where the bucket keeps versions: whatever is put there meanwhile."""
    found = s3.head_object(Bucket=bucket, Key=key).get("VersionId")
    return {"sourceVersion": found} if found and found != "null" else {}
