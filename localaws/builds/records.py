"""A build as BatchGetBuilds shows it, and how it changes. Pure but for the clock that callers hand in.

Source: CodeBuild API reference, Build, BuildPhase, PhaseContext.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

IN_PROGRESS, SUCCEEDED, FAILED = "IN_PROGRESS", "SUCCEEDED", "FAILED"
FAULT, TIMED_OUT, STOPPED = "FAULT", "TIMED_OUT", "STOPPED"
COMPLETED = "COMPLETED"
CUT_OFF = "The embedded AWS was stopped while the build was running."
# What StartBuild may say in place of the project's, by the member of the build that it is.
_OVERRIDES = {
    "sourceLocationOverride": ("source", "location"),
    "sourceTypeOverride": ("source", "type"),
    "buildspecOverride": ("source", "buildspec"),
    "privilegedModeOverride": ("environment", "privilegedMode"),
    "imageOverride": ("environment", "image"),
    "computeTypeOverride": ("environment", "computeType"),
    "environmentTypeOverride": ("environment", "type"),
    "timeoutInMinutesOverride": ("timeoutInMinutes",),
    "serviceRoleOverride": ("serviceRole",),
    "logsConfigOverride": ("logsConfig",),
    "sourceVersion": ("sourceVersion",),
}
OF_START = frozenset({*_OVERRIDES, "projectName", "environmentVariablesOverride", "idempotencyToken"})


def overridden(project: Mapping[str, Any], request: Mapping[str, Any]) -> Document:
    """A project with what a request says in its place; the request's variables go before the project's."""
    found = copy.deepcopy(dict(project))
    for name, path in _OVERRIDES.items():
        if request.get(name) is not None:
            at = found
            for step in path[:-1]:
                at = at.setdefault(step, {})
            at[path[-1]] = copy.deepcopy(request[name])
    environment = found.setdefault("environment", {})
    variables = {each["name"]: each for each in environment.get("environmentVariables") or []}
    variables |= {each["name"]: each for each in request.get("environmentVariablesOverride") or []}
    environment["environmentVariables"] = list(variables.values())
    return found


def begun(project: Mapping[str, Any], arn: str, number: int, now: float, initiator: str) -> Document:
    """A build that has just been started, of a project as it is for this build."""
    logs = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    build_id = arn.rpartition(":build/")[2]
    stream = build_id.partition(":")[2]
    group = logs.get("groupName") or f"/aws/codebuild/{project['name']}"
    prefix = f"{logs['streamName']}/" if logs.get("streamName") else ""
    told = {"groupName": group, "streamName": f"{prefix}{stream}"}
    is_logged = logs.get("status", "ENABLED") == "ENABLED"
    region = arn.split(":")[3]
    return {
        "id": build_id,
        "arn": arn,
        "buildNumber": number,
        "startTime": now,
        "currentPhase": "SUBMITTED",
        "buildStatus": IN_PROGRESS,
        "sourceVersion": project.get("sourceVersion") or "",
        "projectName": project["name"],
        "phases": [{"phaseType": "SUBMITTED", "startTime": now}],
        "source": dict(project.get("source") or {}),
        "artifacts": {"location": ""},
        "cache": {"type": "NO_CACHE"},
        "environment": dict(project.get("environment") or {}),
        "serviceRole": project["serviceRole"],
        "logs": {
            **({**told, "deepLink": _deep_link(region, **told)} if is_logged else {}),
            "cloudWatchLogs": {"status": logs.get("status", "ENABLED"), **told},
            "s3Logs": {"status": "DISABLED"},
        },
        "timeoutInMinutes": project.get("timeoutInMinutes") or 60,
        "queuedTimeoutInMinutes": project.get("queuedTimeoutInMinutes") or 480,
        "buildComplete": False,
        "initiator": initiator,
        "encryptionKey": project.get("encryptionKey", ""),
    }


def _deep_link(region: str, *, groupName: str, streamName: str) -> str:  # noqa: N803 - the members' names
    """Where CloudWatch's console shows a log; its console takes a slash as $252F."""
    group, stream = (name.replace("/", "$252F") for name in (groupName, streamName))
    console = f"https://{region}.console.aws.amazonaws.com/cloudwatch/home?region={region}"
    return f"{console}#logsV2:log-groups/log-group/{group}/log-events/{stream}"


def enter(build: Document, phase: str, now: float) -> None:
    """Begin a phase; the one before has ended well where it hasn't ended otherwise."""
    leave(build, SUCCEEDED, now)
    build["phases"].append({"phaseType": phase, "startTime": now})
    build["currentPhase"] = phase


def leave(build: Document, status: str, now: float, code: str = "", message: str = "") -> None:
    """End the phase that is going on, with what is said of it."""
    phase = build["phases"][-1]
    if "endTime" in phase or phase["phaseType"] == COMPLETED:
        return
    ended = {"phaseStatus": status, "endTime": now, "durationInSeconds": int(now - phase["startTime"])}
    # A new one: who shows the build at this moment goes through the other.
    build["phases"][-1] = {**phase, **ended, "contexts": [{"statusCode": code, "message": message}]}


def end(build: Document, status: str, now: float) -> None:
    """End the build."""
    enter(build, COMPLETED, now)
    build |= {"buildStatus": status, "endTime": now, "buildComplete": True}


def cut_off(build: Document, now: float) -> None:
    """End a build that the server's end has cut off."""
    leave(build, FAULT, now, "INTERNAL_SERVICE_ERROR", CUT_OFF)
    end(build, FAULT, now)


def state_change(build: Mapping[str, Any]) -> Document:
    """The detail of the event "CodeBuild Build State Change" ("Build notifications input format reference")."""
    information = {
        name: build[name]
        for name in ("source", "environment", "artifacts", "cache", "initiator", "phases", "logs")
        if name in build
    }
    return {
        "build-status": build["buildStatus"],
        "project-name": build["projectName"],
        "build-id": build["arn"],
        "additional-information": {
            **{_dashed(name): _dashed_all(value) for name, value in information.items()},
            "timeout-in-minutes": build["timeoutInMinutes"],
            "build-complete": build["buildComplete"],
            "build-number": build["buildNumber"],
            "build-start-time": build["startTime"],
        },
        "current-phase": build["currentPhase"],
        "current-phase-context": _context(build),
        "version": "1",
    }


def _context(build: Mapping[str, Any]) -> str:
    contexts = [f"{each['statusCode']}: {each['message']}" for each in build["phases"][-1].get("contexts", [])]
    return f"[{', '.join(contexts)}]"


def _dashed_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {_dashed(name): _dashed_all(each) for name, each in value.items()}
    return [_dashed_all(each) for each in value] if isinstance(value, list) else value


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
