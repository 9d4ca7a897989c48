"""Put our CodeBuild behind MiniStack's: its builds say SUCCEEDED without doing anything, ours are done.

MiniStack's projects stay, with the settings that it forgets; what a project asks for that isn't done here is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from localaws.builds import RUNNING
from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported

if TYPE_CHECKING:
    from localaws.builds.service import Builds

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Operation = Callable[[Document], Document]

SERVICE = "builds"
# What MiniStack's projects have no place for.
_FORGOTTEN = ("logsConfig", "queuedTimeoutInMinutes", "cache")


def install(aws: EmbeddedAws) -> None:
    aws.keep(SERVICE, aws.kept_builds)
    aws.when_restored(partial(_recover, aws))
    aws.when_ready(partial(_tell, aws))
    when_imported("ministack.services.codebuild", partial(_register, aws))


def make_builds(aws: EmbeddedAws) -> Builds:
    """The builds of this AWS's account."""
    from localaws.builds.service import Builds
    from localaws.ministack_adapter.build_surroundings import BuildSurroundings

    return Builds(BuildSurroundings(aws), aws.kept_builds, partial(project_of, aws), partial(aws.changed, SERVICE))


def project_of(aws: EmbeddedAws, name: str) -> Mapping[str, Any] | None:
    """A project by its name."""
    from ministack.core.responses import request_scope
    from ministack.services import codebuild

    with request_scope(aws.account, aws.region):
        found: Mapping[str, Any] | None = codebuild._projects.get(name)
    return found


def keep_settings(name: str, request: Document) -> None:
    """Give a project the settings that MiniStack forgets. Raises InvalidInputError for what isn't done here."""
    from ministack.services import codebuild

    from localaws.builds import projects

    projects.check({**request, "name": name})
    project = codebuild._projects[name]
    for member in _FORGOTTEN:
        project.pop(member, None)
    project.update({member: request[member] for member in _FORGOTTEN if member in request})


def request_of(properties: Document) -> Document:
    """The request that makes a project, by a template's properties: its numbers and truths may be texts there."""
    from ministack.services.cloudformation import provisioners

    request: Document = provisioners._codebuild_cfn_to_api(properties)
    source = request.get("source") or {}
    if "buildSpec" in source:
        source["buildspec"] = source.pop("buildSpec")
    for minutes in ("timeoutInMinutes", "queuedTimeoutInMinutes"):
        if minutes in request:
            request[minutes] = int(request[minutes])
    return request


def _recover(aws: EmbeddedAws) -> None:
    running = aws.state_dir / SERVICE / RUNNING
    # A build that had only just begun has left files and no record.
    has_files = running.exists() and any(running.iterdir())
    if has_files or any(build["buildStatus"] == "IN_PROGRESS" for build in aws.kept_builds.values()):
        aws.builds.recover()


def _tell(aws: EmbeddedAws) -> None:
    if "builds" in aws.__dict__:
        aws.builds.tell()


def _register(aws: EmbeddedAws, codebuild: ModuleType) -> None:
    create, update, shape = codebuild._create_project, codebuild._update_project, codebuild._project_shape

    def _create_project(request: Document) -> Response:
        return _checked(create, request, is_new=True)

    def _update_project(request: Document) -> Response:
        return _checked(update, request, is_new=False)

    def _checked(inner: Callable[[Document], Response], request: Document, *, is_new: bool) -> Response:
        from localaws.builds import projects

        try:
            projects.check(request, is_new=is_new)
        except projects.InvalidInputError as error:
            return _error("InvalidInputException", str(error))
        status, headers, body = inner(request)
        if status == 200:
            project = codebuild._projects[request["name"]]
            project.update({member: request[member] for member in _FORGOTTEN if member in request})
            body = json.dumps({"project": _project_shape(project)}).encode()
        return status, headers, body

    def _project_shape(project: Document) -> Document:
        more = {member: project[member] for member in _FORGOTTEN if member in project}
        return {**shape(project), **more}

    codebuild.__dict__.update(
        _create_project=_create_project, _update_project=_update_project, _project_shape=_project_shape
    )
    codebuild.__dict__.update({name: _answering(do) for name, do in _operations(aws).items()})


def _operations(aws: EmbeddedAws) -> dict[str, Operation]:
    return {
        "_start_build": lambda request: {"build": aws.builds.start(request, _initiator())},
        "_stop_build": lambda request: {"build": aws.builds.stop(str(request.get("id", "")))},
        "_batch_get_builds": lambda request: aws.builds.get(_allowed(aws, "BatchGetBuilds", request)),
        "_list_builds": lambda request: aws.builds.listed({**request, "projectName": None}),
        "_list_builds_for_project": lambda request: aws.builds.listed({"projectName": "", **request}),
        "_batch_delete_builds": lambda request: aws.builds.delete(_allowed(aws, "BatchDeleteBuilds", request)),
    }


def _allowed(aws: EmbeddedAws, action: str, request: Document) -> list[str]:
    """The builds that a request names, each of whose projects its sender may ask about: it was asked of the first.

    Raises AccessDeniedError.
    """
    from ministack.core.iam_evaluator import caller_arn

    ids = [str(each) for each in request.get("ids") or []]
    for project in dict.fromkeys(each.rpartition(":build/")[2].partition(":")[0] for each in ids):
        arn = f"arn:aws:codebuild:{aws.region}:{aws.account}:project/{project}"
        authorization.authorize(caller_arn(), f"codebuild:{action}", arn)
    return ids


def _initiator() -> str:
    """Who starts a build: a role's session is told by its name ("CODEBUILD_INITIATOR")."""
    from ministack.core.iam_evaluator import caller_arn

    return str(caller_arn()).rpartition(":")[2].removeprefix("assumed-role/").removeprefix("user/")


def _answering(do: Operation) -> Callable[[Document], Response]:
    def answer(request: Document) -> Response:
        from localaws.builds.projects import InvalidInputError
        from localaws.builds.service import NotFoundError

        try:
            answered = do(request)
        except authorization.AccessDeniedError as denied:
            return _error(denied.code, denied.message)
        except NotFoundError as error:
            return _error("ResourceNotFoundException", str(error))
        except InvalidInputError as error:
            return _error("InvalidInputException", str(error))
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answered).encode()

    return answer


def _error(code: str, message: str) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return 400, headers, json.dumps({"__type": code, "message": message}).encode()
