"""A model container's start: its model unpacked, then the container of its image's kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from localaws.sagemaker.containers import image_table, instance_sizes
from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.containers.images import ImageBuildError
from localaws.sagemaker.containers.limits import Limits, SharedMemory
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import framework_container, own_container
from localaws.sagemaker.hosting.chain import Chain, Link
from localaws.sagemaker.hosting.endpoint_files import CONTAINERS
from localaws.sagemaker.hosting.endpoint_logs import LOG_GROUP
from localaws.sagemaker.hosting.instances import StartError, VariantPlan
from localaws.sagemaker.hosting.model_archive import ROOM, unpack_model
from localaws.sagemaker.hosting.model_data import Fetcher, ModelDataError
from localaws.sagemaker.hosting.own_container import OwnContainerError
from localaws.sagemaker.hosting.prepared import Place, Prepared
from localaws.sagemaker.hosting.serverless_configs import SERVERLESS, STORAGE, is_serverless, memory
from localaws.sagemaker.hosting.worker import Worker


def _place(directory: Path, plan: VariantPlan, instance_id: str, shared: SharedMemory | None = None) -> Place:
    return Place(directory / instance_id, directory, _limits(plan.source, shared))


class ContainerStarter:
    """Starts model containers. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fetching = threading.Lock()

    def start(self, endpoint: str, directory: Path, plan: VariantPlan, instance_id: str) -> Worker:
        """The container of an endpoint's instance, or all of them as one. StartError, UnhealthyError."""
        telemetry = self._context.platform.telemetry_of(plan.source["RoleArn"])

        def log(suffix: str) -> ContainerLog:
            stream = f"{plan.name}/{instance_id}{suffix}"
            return ContainerLog(telemetry, self._context.clock, LOG_GROUP + endpoint, stream)

        return self.start_for(self._context.arn("endpoint", endpoint), log, directory, plan, instance_id)

    def start_for(
        self,
        resource_arn: str,
        log: Callable[[str], ContainerLog],
        directory: Path,
        plan: VariantPlan,
        instance_id: str,
    ) -> Worker:
        """What an instance of an endpoint or a job runs, its files below `directory`. StartError, UnhealthyError.

        log: makes a container's log; it is given what comes after the instance's in the name of the stream.
        """
        links = plan.source.get("Links")
        if links is None:
            return self._start_one(resource_arn, log(""), _place(directory, plan, instance_id), plan)
        started: list[Link] = []
        shared = SharedMemory()
        try:
            for number, link in enumerate(links, 1):
                own, name = replace(plan, source={**plan.source, **link}), link["Hostname"]
                place = _place(directory / CONTAINERS / name, plan, instance_id, shared)
                worker = self._start_one(resource_arn, log(f"/{name}"), place, own, number)
                started.append(Link(name, worker))
        except BaseException:
            for each in started:
                each.worker.stop(grace=0.0)
            raise
        return Chain(started, is_direct=plan.source["IsDirect"])

    def _start_one(
        self, resource_arn: str, log: ContainerLog, place: Place, plan: VariantPlan, number: int = 0
    ) -> Worker:
        """A container that loads the plan's model for an endpoint or a job, its files below `directory`. StartError,
        UnhealthyError.

        An artifact that is there from an earlier start is used again, so that an instance comes back even when its
        object has gone, and another time where this machine had no room for it. `log` is closed once the container has
        ended, and what it has written is gone then.
        """
        context, source = self._context, plan.source
        try:
            credentials = context.platform.assume_role(source["RoleArn"], "SageMaker", resource_arn)
            deadline = time.monotonic() + source["DownloadSeconds"]
            fetcher = Fetcher(context, source["RoleArn"], credentials, deadline, self._fetching)
            _unpack(place, source, fetcher)
            prepared = Prepared(context, place, source, credentials, log, plan.startup_seconds, number)
            if image_table.is_own(source["Image"]):
                worker = own_container.start(prepared, plan.name)
            else:
                worker = framework_container.start(prepared, fetcher)
        except (ModelDataError, OwnContainerError, ImageBuildError, OSError) as error:
            log.say(str(error))
            raise StartError(str(error)) from error
        except SageMakerError as error:
            raise StartError(error.message) from error
        worker.when_over = partial(remove, place.own)
        return worker


def _unpack(place: Place, source: Mapping[str, Any], fetcher: Fetcher) -> None:
    """Fill /opt/ml/model."""
    for directory in (place.ml, place.tmp):  # an earlier container may have left links in them
        remove(directory)
    for directory in (place.ml / "model", place.tmp):
        directory.mkdir(parents=True, exist_ok=True)
    if source["ModelDataUri"]:
        archive = fetcher.fetched(source["ModelDataUri"], place.archives / "model.tar.gz")
        unpack_model(archive, place.ml / "model", source["ModelDataUri"])


def _limits(source: Mapping[str, Any], shared: SharedMemory | None) -> Limits:
    if is_serverless(source):
        return Limits(memory=min(memory(source[SERVERLESS]), instance_sizes.available()), disk=STORAGE)
    return Limits(memory=instance_sizes.usable(source["InstanceType"]), disk=ROOM, shared=shared)
