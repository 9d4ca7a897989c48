"""Builds of CodeBuild's projects: started, shown, stopped. What a restart finds cut off has ended.

The store of builds is a dictionary that its owner keeps on disk, told of by `changed`.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from localaws.builds import RUNNING, projects, records
from localaws.builds.projects import InvalidInputError
from localaws.builds.run import Run
from localaws.builds.surroundings import Surroundings
from localaws.sagemaker.containers import beneath

Document = dict[str, Any]

_PAGE = 100
_TOKEN_SECONDS = 300.0  # "valid for 5 minutes" (StartBuild, idempotencyToken)


class NotFoundError(Exception):
    """There is no such project or build; the text is CodeBuild's."""


class Builds:
    """The builds of an account. `project_of` knows its projects."""

    def __init__(
        self,
        surroundings: Surroundings,
        store: dict[str, Document],
        project_of: Callable[[str], Mapping[str, Any] | None],
        changed: Callable[[], None],
    ) -> None:
        self._aws = surroundings
        self._store = store
        self._project_of = project_of
        self._changed = changed
        self._lock = threading.RLock()
        self._cut_off: list[Document] = []
        self._running: dict[str, tuple[Run, threading.Thread]] = {}

    def recover(self) -> None:
        """After a restart, before anything is asked: end the builds that it has cut off, and delete what they wrote."""
        beneath.remove(self._aws.folder / RUNNING)
        self._cut_off = [build for build in self._store.values() if build["buildStatus"] == records.IN_PROGRESS]
        for build in self._cut_off:
            records.cut_off(build, time.time())
        self._changed()

    def tell(self) -> None:
        """Tell of the builds that a restart has ended, once events can be told."""
        for build in self._cut_off:
            self._aws.put_event("CodeBuild Build State Change", records.state_change(build), [build["arn"]])

    def start(self, request: Document, initiator: str) -> Document:
        """StartBuild. Raises NotFoundError or InvalidInputError."""
        name = str(request.get("projectName", ""))
        project = self._project_of(name)
        if project is None:
            raise NotFoundError(f"Project cannot be found: {self._project_arn(name)}")
        _check_start(request)
        with self._lock:
            token = request.get("idempotencyToken")
            again = self._started(name, token) if token else None
            if again is not None:
                return shown(again)
            for_this = records.overridden(project, request)
            projects.check({key: for_this[key] for key in _CHECKED if for_this.get(key)})
            build = self._begun(for_this, initiator, token)
            run = Run(self._aws, for_this, build, self._changed)
            thread = threading.Thread(target=self._run, args=(run,), name=f"build-{name}", daemon=True)
            self._running[build["id"]] = run, thread
            self._changed()
            answer = shown(build)
            thread.start()
            return answer

    def _started(self, name: str, token: str) -> Document | None:
        """The project's build that a request with this token has started, as long as the token is valid."""
        since = time.time() - _TOKEN_SECONDS
        with_token = (each for each in self._of(name) if each.get("_token") == token)
        return next((each for each in with_token if each["startTime"] > since), None)

    def _begun(self, project: Document, initiator: str, token: str | None) -> Document:
        build_id = f"{project['name']}:{uuid.uuid4()}"
        number = 1 + max((each["buildNumber"] for each in self._of(project["name"])), default=0)
        arn = f"arn:aws:codebuild:{self._aws.region}:{self._aws.account}:build/{build_id}"
        build = records.begun(project, arn, number, time.time(), initiator)
        self._store[build_id] = {**build, **({"_token": token} if token else {})}
        return self._store[build_id]

    def _run(self, run: Run) -> None:
        try:
            run.run()
        finally:
            with self._lock:
                self._running.pop(run.build["id"], None)

    def stop(self, build_id: str) -> Document:
        """StopBuild. Raises NotFoundError."""
        with self._lock:
            build = self._require(build_id)
            if build_id in self._running:
                self._running[build_id][0].ending = records.STOPPED
            return shown(build)

    def get(self, ids: list[str]) -> Document:
        """BatchGetBuilds, by ids or ARNs."""
        if not 1 <= len(ids) <= _PAGE:
            raise InvalidInputError(f"ids has to have 1 to {_PAGE} of them")
        named = {each: str(each).rpartition(":build/")[2] for each in ids}
        found = [shown(self._store[name]) for name in named.values() if name in self._store]
        return {"builds": found, "buildsNotFound": [each for each, name in named.items() if name not in self._store]}

    def listed(self, request: Document) -> Document:
        """ListBuilds, and ListBuildsForProject where a project is named: the latest first, unless asked otherwise."""
        name = request.get("projectName")
        if name is not None and self._project_of(str(name)) is None:
            raise NotFoundError(f"The provided project {self._project_arn(str(name))} does not exist")
        builds = self._of(str(name)) if name is not None else list(self._store.values())
        ascending = request.get("sortOrder", "DESCENDING") == "ASCENDING"
        ids = [each["id"] for each in sorted(builds, key=lambda each: each["startTime"], reverse=not ascending)]
        token = request.get("nextToken")
        start = ids.index(token) if token in ids else 0
        more = {"nextToken": ids[start + _PAGE]} if start + _PAGE < len(ids) else {}
        return {"ids": ids[start : start + _PAGE], **more}

    def delete(self, ids: list[str]) -> Document:
        """BatchDeleteBuilds: what still runs isn't deleted."""
        deleted, left = [], []
        with self._lock:
            for each in ids:
                name = each.rpartition(":build/")[2]
                if name in self._running:
                    left.append({"id": each, "statusCode": "BUILD_IN_PROGRESS"})
                elif self._store.pop(name, None) is not None:
                    deleted.append(each)
            self._changed()
        return {"buildsDeleted": deleted, "buildsNotDeleted": left}

    def close(self) -> None:
        """End what runs, at the server's stop; its record says that it was cut off."""
        with self._lock:
            running = list(self._running.values())
        for run, _ in running:
            run.ending = records.FAULT
        for _, thread in running:
            thread.join(2)

    def _of(self, project: str) -> list[Document]:
        return [each for each in self._store.values() if each["projectName"] == project]

    def _require(self, build_id: str) -> Document:
        build = self._store.get(build_id.rpartition(":build/")[2])
        if build is None:
            raise NotFoundError(f"Build {build_id} does not exist")
        return build

    def _project_arn(self, name: str) -> str:
        return f"arn:aws:codebuild:{self._aws.region}:{self._aws.account}:project/{name}"


_CHECKED = ("name", "source", "artifacts", "environment", "serviceRole", "timeoutInMinutes", "logsConfig", "cache")


def _check_start(request: Document) -> None:
    unknown = sorted(name for name in request if name not in records.OF_START)
    if unknown:
        raise InvalidInputError(f"not done here: {', '.join(unknown)} of StartBuild")
    projects.check_variables(request.get("environmentVariablesOverride"), "environmentVariablesOverride")


def shown(build: Document) -> Document:
    """A build without what only this service remembers of it."""
    now = dict(build)  # at one blow: the build's own thread changes it meanwhile
    return copy.deepcopy({name: value for name, value in now.items() if not name.startswith("_")})
