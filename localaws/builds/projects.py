"""Which settings of a project are done here. The others are refused by name, when the project is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-_]{1,254}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KNOWN = frozenset(
    {"name", "description", "source", "sourceVersion", "artifacts", "environment", "serviceRole", "timeoutInMinutes",
     "queuedTimeoutInMinutes", "encryptionKey", "tags", "logsConfig", "cache", "badgeEnabled"}
)  # fmt: skip
_OF_SOURCE = frozenset({"type", "location", "buildspec", "insecureSsl", "gitSubmodulesConfig", "auth"})
_OF_ENVIRONMENT = frozenset(
    {"type", "image", "computeType", "environmentVariables", "privilegedMode", "imagePullCredentialsType"}
)
_COMPUTE = (
    "BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_XLARGE",
    "BUILD_GENERAL1_2XLARGE",
)  # fmt: skip
_TYPES = ("LINUX_CONTAINER",)
_CURATED = "aws/codebuild/"
_SOURCES, _ARTIFACTS = ("S3", "NO_SOURCE"), ("NO_ARTIFACTS",)
SHORTEST, LONGEST = 5, 2160  # minutes


class InvalidInputError(Exception):
    """A request that CodeBuild, or this one, doesn't take; the text says which field."""


def check(project: Document, *, is_new: bool = True) -> None:
    """Refuse a project whose builds couldn't be run here as it says. Raises InvalidInputError."""
    for member in ("name", "source", "artifacts", "environment", "serviceRole") if is_new else ("name",):
        if not project.get(member):
            raise InvalidInputError(f"{member} is required")
    if not NAME.fullmatch(str(project["name"])):
        raise InvalidInputError(f"Project name is {project['name']}; it has to match {NAME.pattern}")
    _only(project, _KNOWN, "a project")
    if "source" in project:
        _check_source(project["source"])
    if "artifacts" in project:
        _one_of(project["artifacts"].get("type"), _ARTIFACTS, "artifacts/type")
    if "environment" in project:
        _check_environment(project["environment"])
    if (project.get("cache") or {}).get("type", "NO_CACHE") not in ("NO_CACHE", "LOCAL"):
        raise InvalidInputError("cache/type S3 isn't done here; images' layers are kept between builds")
    if project.get("badgeEnabled"):
        raise InvalidInputError("badgeEnabled isn't done here")
    check_minutes(project.get("timeoutInMinutes"))
    _check_logs(project.get("logsConfig") or {})


def check_minutes(minutes: Any) -> None:
    """Refuse a timeout that a build can't have. Raises InvalidInputError."""
    if minutes is not None and not (isinstance(minutes, int) and SHORTEST <= minutes <= LONGEST):
        raise InvalidInputError(f"timeoutInMinutes is {minutes}; it has to be from {SHORTEST} to {LONGEST}")


def check_variables(variables: Any, where: str) -> None:
    """Refuse environment variables that a build can't be given. Raises InvalidInputError."""
    for variable in variables or []:
        name, kind = str(variable.get("name", "")), variable.get("type", "PLAINTEXT")
        if not _VARIABLE_NAME.fullmatch(name):
            raise InvalidInputError(f"{where} has the name {name!r}; it has to match {_VARIABLE_NAME.pattern}")
        if name.startswith("CODEBUILD_"):
            raise InvalidInputError(f"{where} has {name}; names that begin with CODEBUILD_ are CodeBuild's own")
        if kind != "PLAINTEXT":
            raise InvalidInputError(f"{where}/{name} is of type {kind}; here it can be PLAINTEXT")


def _check_source(source: Document) -> None:
    _one_of(source.get("type"), _SOURCES, "source/type")
    _only(source, _OF_SOURCE, "source")
    if source["type"] == "S3" and not source.get("location"):
        raise InvalidInputError("source/location is required: bucket/key of a ZIP archive in S3")
    if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
        raise InvalidInputError("source/buildspec is required where source/type is NO_SOURCE")


def _check_environment(environment: Document) -> None:
    for member in ("type", "image", "computeType"):
        if not environment.get(member):
            raise InvalidInputError(f"environment/{member} is required")
    _only(environment, _OF_ENVIRONMENT, "environment")
    _one_of(environment["type"], _TYPES, "environment/type")
    _one_of(environment["computeType"], _COMPUTE, "environment/computeType")
    if not str(environment["image"]).startswith(_CURATED):
        told = f"environment/image is {environment['image']}; builds run here with the programs of this machine, aws, "
        raise InvalidInputError(f"{told}docker and curl, as in CodeBuild's own images, {_CURATED}standard:7.0")
    check_variables(environment.get("environmentVariables"), "environment/environmentVariables")


def _check_logs(logs: Document) -> None:
    if (logs.get("s3Logs") or {}).get("status", "DISABLED") != "DISABLED":
        raise InvalidInputError("logsConfig/s3Logs isn't done here; logsConfig/cloudWatchLogs is")


def _only(document: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(name for name, value in document.items() if name not in known and value)
    if unknown:
        raise InvalidInputError(f"not done here: {', '.join(unknown)} of {where}")


def _one_of(value: Any, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise InvalidInputError(f"{where} is {value}; here it can be {', '.join(known)}")
