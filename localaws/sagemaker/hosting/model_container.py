"""A model container's start: model and code unpacked, environment made, model server started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from localaws.sagemaker.containers import environment, instance_sizes, layers, script_reading, warm_start
from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.containers.container import Container, ContainerSpec, describe_isolation, ml_dir, tmp_view
from localaws.sagemaker.containers.image_table import ImageNotFoundError
from localaws.sagemaker.containers.images import ImageBuildError, ImageEnvironment
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.limits import Limits, SharedMemory
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.containers.script_reading import NOTHING_KNOWN
from localaws.sagemaker.containers.warm_start import Warm
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import model_server
from localaws.sagemaker.hosting.chain import Chain, Link
from localaws.sagemaker.hosting.endpoint_logs import LOG_GROUP, follow
from localaws.sagemaker.hosting.instances import StartError, VariantPlan
from localaws.sagemaker.hosting.model_archive import ROOM, unpack_model, unpack_source
from localaws.sagemaker.hosting.model_data import Fetcher, ModelDataError
from localaws.sagemaker.hosting.model_server.code_install import BUILT_BY
from localaws.sagemaker.hosting.model_server.model import settings_of
from localaws.sagemaker.hosting.serverless_configs import SERVERLESS, STORAGE, is_serverless, memory
from localaws.sagemaker.hosting.worker import Worker, start_worker

_SERVER = Path(model_server.__file__).parent / "__main__.py"  # run by the image's own Python
_OPT_ML_CODE = "/opt/ml/code"
_CONTAINERS = "containers"  # below an instance's directory: one for each of several containers


class _Place(NamedTuple):
    """Where a container's files are: its /opt/ml, its /tmp, what it installs, and its model's archives, shared by all
    instances; and what of this machine it may use."""

    ml: Path
    tmp: Path
    layer: Path
    archives: Path
    limits: Limits


def _place(directory: Path, plan: VariantPlan, instance_id: str, shared: SharedMemory | None = None) -> _Place:
    own = directory / instance_id
    return _Place(own / "ml", own / "tmp", own / "layer", directory, _limits(plan.source, shared))


class ContainerStarter:
    """Starts model containers. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fetching = threading.Lock()

    def start(self, endpoint: str, directory: Path, plan: VariantPlan, instance_id: str) -> Worker:
        """The container of an endpoint's instance, or all of them as one. StartError."""
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
        """What an instance of an endpoint or a job runs, its files below `directory`. StartError.

        log: makes a container's log; it is given what comes after the instance's in the name of the stream.
        """
        links = plan.source.get("Links")
        if links is None:
            return self._start_one(resource_arn, log(""), _place(directory, plan, instance_id), plan)
        started: list[Link] = []
        shared = SharedMemory()
        try:
            for link in links:
                own, name = replace(plan, source={**plan.source, **link}), link["Hostname"]
                place = _place(directory / _CONTAINERS / name, plan, instance_id, shared)
                started.append(Link(name, self._start_one(resource_arn, log(f"/{name}"), place, own)))
        except BaseException:
            for each in started:
                each.worker.stop(grace=0.0)
            raise
        return Chain(started, is_direct=plan.source["IsDirect"])

    def _start_one(self, resource_arn: str, log: ContainerLog, place: _Place, plan: VariantPlan) -> Worker:
        """A container that loads the plan's model for an endpoint or a job, its files below `directory`. StartError.

        An artifact that is there from an earlier start is used again, so that an instance comes back even when its
        object has gone. `log` is closed once the container has ended.
        """
        try:
            credentials = self._context.platform.assume_role(plan.source["RoleArn"], "SageMaker", resource_arn)
            submitted = self._unpack(place, plan, credentials)
            image = self._context.images.environment(plan.source["Image"], log.say)
        except (ModelDataError, ImageNotFoundError, ImageBuildError) as error:
            log.say(str(error))
            raise StartError(str(error)) from error
        except SageMakerError as error:
            raise StartError(error.message) from error
        installed = layers.writable(image, place.layer, place.tmp)
        for note in filter(None, [*image.notes, describe_isolation(), layers.describe(installed)]):
            log.say(note)
        variables = self._variables(place, plan, installed.image, credentials)
        if submitted:
            variables["SAGEMAKER_SUBMIT_DIRECTORY"] = submitted
        return start_worker(lambda descriptor: self._launch(place, installed, variables, descriptor, log))

    def _unpack(self, place: _Place, plan: VariantPlan, credentials: Credentials) -> str | None:
        """Fill /opt/ml/model, and /opt/ml/code when the code is in S3; the new SAGEMAKER_SUBMIT_DIRECTORY."""
        source = plan.source
        for directory in (place.ml, place.tmp):  # an earlier container may have left links in them
            remove(directory)
        for directory in (place.ml / "model", place.tmp):
            directory.mkdir(parents=True, exist_ok=True)
        fetcher = Fetcher(self._context, source["RoleArn"], credentials, time.monotonic() + source["DownloadSeconds"])
        if source["ModelDataUri"]:
            archive = self._fetched(fetcher, source["ModelDataUri"], place.archives / "model.tar.gz")
            unpack_model(archive, place.ml / "model", source["ModelDataUri"])
        submitted: str | None = source["Environment"].get("SAGEMAKER_SUBMIT_DIRECTORY")
        if submitted is None or "://" not in submitted:
            return submitted
        archive = self._fetched(fetcher, submitted, place.archives / "sourcedir.tar.gz")
        unpack_source(archive, place.ml / "code", submitted)
        return _OPT_ML_CODE

    def _fetched(self, fetcher: Fetcher, uri: str, archive: Path) -> Path:
        with self._fetching:
            if not archive.exists():
                fetcher.fetch(uri, archive)
        return archive

    def _variables(
        self, place: _Place, plan: VariantPlan, image: ImageEnvironment, credentials: Credentials
    ) -> dict[str, str]:
        platform, base = self._context.platform, ml_dir(place.ml)
        return {
            **environment.variables(platform, credentials, image, base=base, tmp=tmp_view(place.tmp)),
            "SAGEMAKER_REGION": platform.region,
            **plan.source["Environment"],
        }

    def _launch(
        self, place: _Place, installed: Writable, variables: dict[str, str], descriptor: int, log: ContainerLog
    ) -> Container:
        command = [str(installed.image.python), str(_SERVER), "--control-fd", str(descriptor)]
        spec = ContainerSpec(
            command=command,
            environment=variables,
            base_dir=place.ml,
            tmp_dir=place.tmp,
            cwd=ml_dir(place.ml) / "model",
            hide=self._context.platform.private_dirs,
            needs=[_SERVER.parent],
            descriptors=[descriptor],
            limits=place.limits,
            warm=_warm(place, installed, variables),
        )
        container = self._context.launch(installed.given_to(spec))
        threading.Thread(target=follow, args=(container, place.limits, log), daemon=True).start()
        return container


def _limits(source: Mapping[str, Any], shared: SharedMemory | None) -> Limits:
    if is_serverless(source):
        return Limits(memory=min(memory(source[SERVERLESS]), instance_sizes.available()), disk=STORAGE)
    return Limits(memory=instance_sizes.usable(source["InstanceType"]), disk=ROOM, shared=shared)


def _warm(place: _Place, installed: Writable, variables: dict[str, str]) -> Warm | None:
    """How the model server may begin warm; None where it installs something first."""
    settings = settings_of({**variables, "SAGEMAKER_BASE_DIR": str(place.ml)})
    if not settings.code_dir.is_relative_to(place.ml) or any((settings.code_dir / name).exists() for name in BUILT_BY):
        return None
    program, image = settings.code_dir / settings.program, installed.image
    imports = warm_start.framework(image.imports)
    reading = script_reading.of_file(program, [program.parent], imports) if program.is_file() else NOTHING_KNOWN
    return Warm(image.python, image.imports, variables, reading)
