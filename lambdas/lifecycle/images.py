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


def unanswered(codebuild: Any, event: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """The request that a build has left without an answer, and why, for an event that tells of its end; None where it
    has answered by itself, as one does that has come to its last commands, or has nobody to answer to: whoever starts a
    build by hand.

    No command runs of a build whose source can't be read or for which there is no machine, none to its end of one that
    is stopped or takes too long.
    """
    build_id = event["detail"]["build-id"].rpartition("/")[2]
    (build,) = codebuild.batch_get_builds(ids=[build_id])["builds"]
    status = {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}
    said = {each["name"]: each["value"] for each in build["environment"]["environmentVariables"]}
    if status.get("POST_BUILD") == "SUCCEEDED" or "RESPONSE_URL" not in said:
        return None
    request = {
        "ResponseURL": said["RESPONSE_URL"],
        "StackId": said["STACK_ID"],
        "RequestId": said["REQUEST_ID"],
        "LogicalResourceId": said["LOGICAL_ID"],
        "PhysicalResourceId": said["REPOSITORY"],
    }
    return request, f"The image build: {_why(build)}; its log: {_log(build.get('logs', {}))}"


def _log(logs: dict[str, Any]) -> str:
    """Where the build's log is: an address, or its group and stream; one that never began has none."""
    named = " ".join(logs[name] for name in ("groupName", "streamName") if logs.get(name))
    return str(logs.get("deepLink") or named or "there is none")


def _why(build: dict[str, Any]) -> str:
    """The first phase that didn't succeed, with CodeBuild's own words."""
    for phase in build["phases"]:
        if phase.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED":
            words = [each["message"] for each in phase.get("contexts", []) if each.get("message")]
            return ": ".join([f"{phase['phaseType']} ended {phase['phaseStatus']}", *words])
    return f"it ended {build['buildStatus']}"
