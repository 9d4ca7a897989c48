"""A job on its way: its document, its role, its hosts with their files, and its containers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.beneath import Folder, read_file, remove
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.instance_sizes import GIB
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.containers.networks import Network
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import hosts, job_documents, job_records
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.outcomes import MAX_RUNTIME, End, Outcome, StopRequestedError
from localaws.sagemaker.jobs.spot_market import Interruption
from localaws.sagemaker.jobs.supervision import Supervised, Supervision


@dataclass(frozen=True)
class Role:
    """A job's execution role: its credentials, and S3 as it may use it."""

    credentials: Credentials
    objects: Objects


@dataclass(frozen=True)
class Measurement:
    """A metric's value at a time in epoch seconds."""

    name: str
    value: float
    time: float


class Host:
    """One of the instances that a job runs on at once, in the job's thread.

    number: from 1 on. directory: its files on this machine. log: of its container, a stream of its own.
    """

    def __init__(self, job: Job, number: int, directory: Path) -> None:
        self.job, self.number, self.name = job, number, hosts.name(number)
        self.directory = directory
        self.log = job.new_log(self.name)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that stands for the job, where one is enough."""
        return self.number == 1

    @property
    def ml(self) -> Path:
        """The directory that its container sees as /opt/ml."""
        return self.directory / "ml"

    @property
    def tmp(self) -> Path:
        """The directory that its container sees as /tmp."""
        return self.directory / "tmp"

    def named(self, message: str) -> str:
        """A message about this host, with its name where the job has others."""
        return message if len(self.job.hosts) == 1 else f"{self.name}: {message}"

    def folder(self, name: str) -> Folder:
        """A folder of /opt/ml, as it may be read while the container does with it what it likes."""
        room = hosts.resources(self.job.document)["VolumeSizeInGB"] * GIB
        return Folder(self.ml, name, str(container.ml_dir(self.ml) / name), room)

    def read(self, name: str, limit: int) -> bytes | None:
        """The beginning of a file of /opt/ml; None, and a line in the log, for what is a link or no file."""
        try:
            return read_file(self.ml, name, limit)
        except OSError as error:
            self.log.say(f"{container.ml_dir(self.ml) / name} isn't read: {error.strerror}.")
            return None


class Job(LedJob):
    """A job with containers, and what it holds on this machine. The time is the context's clock.

    hosts: one for each instance, the first one first. variables: of its containers, which the service sets beside those
    of the request. remarks: of the service on it, for its log. shared: folders that all hosts have in common, by their
    places below /opt/ml. network: that in which they meet. installed: the layer that pip has made for all of them.
    on_metrics: called in the job's thread with what was measured in a line of its log.
    """

    takes_slot = True

    def __init__(self, kind: JobResource, document: Document, role: Role, context: Context) -> None:
        super().__init__(kind, document, context)
        self.role = role
        # A name can be used again once its job has been deleted, which may be before its files are gone.
        self.directory = context.jobs_dir(kind.resource_type) / f"{self.name}-{secrets.token_hex(8)}"
        self.hosts = self._new_hosts()
        self.variables: Mapping[str, str] = {}
        self.remarks: Sequence[str] = ()
        self.shared: Mapping[str, Path] = {}
        self.network: Network | None = None
        self.installed: Path | None = None
        self.on_metrics: Callable[[Sequence[Measurement]], None] = lambda _measured: None

    @property
    def first(self) -> Host:
        """The host that stands for all, where one is enough."""
        return self.hosts[0]

    @property
    def log(self) -> ContainerLog:
        """The log of the first host, where the service tells of the job."""
        return self.first.log

    def move(self, secondary: str, message: str, **members: object) -> None:
        """Enter a secondary status. Raises StopRequestedError when someone has asked the job to stop."""
        self.signals.keep_going()
        now = self.context.clock.now()

        def change(before: Document) -> Document:
            if before[self.kind.status] == "Stopping":
                raise StopRequestedError
            return job_documents.moved(self.kind, before, secondary, message, now, **members)

        changed = job_records.update(self.context, self.kind, self.name, change)
        if changed is not None:
            self.document = changed

    def run(self, spec: ContainerSpec, max_runtime: float, *ends: End) -> Outcome:
        """Run a container on the first host to its end, streaming its output; see `run_all`."""
        return self.run_all([spec], max_runtime, *ends)

    def run_all(self, specs: Sequence[ContainerSpec], max_runtime: float, *ends: End) -> Outcome:
        """Run a container on each of the first hosts, all at once, to the end of the last; `max_runtime` in seconds.

        SIGTERM on a stop, an interruption or when the time is up, SIGKILL 120 s later. Raises ServerClosingError.
        """
        clock = self.context.clock
        supervision = Supervision(self._launched(specs), self.signals, clock)
        limit = End(clock.monotonic() + max_runtime, MAX_RUNTIME)
        return supervision.until_end(min([limit, *ends], key=lambda end: end.at))

    def _launched(self, specs: Sequence[ContainerSpec]) -> list[Supervised]:
        """The hosts' containers; all or none."""
        started: list[Supervised] = []
        try:
            for host, spec in zip(self.hosts, specs, strict=False):
                started.append(Supervised(host.name, self.context.launch(spec), host.log))
        except BaseException:
            for each in started:
                each.running.kill()
                each.running.wait()
                each.running.output.close()
            raise
        return started

    def without_instance(self, seconds: float) -> None:
        """Wait for an instance, in vain for `seconds`. Raises ServerClosingError and StopRequestedError."""
        clock = self.context.clock
        deadline = clock.monotonic() + seconds
        while (left := deadline - clock.monotonic()) > 0:
            self.signals.keep_going()
            if clock.wait([self.signals.descriptor], left):
                self.signals.heard()
        self.signals.keep_going()

    def lose_instance(self) -> Interruption:
        """The instances are gone, with their files; the next ones write log streams of their own. What took them."""
        taken = self.signals.take_interruption() or self.context.spot_market.interruption()
        self._leave_nothing()
        self.hosts = self._new_hosts()
        return taken

    def say(self, text: str) -> None:
        """A line of the platform's own in the job's log."""
        self.log.say(text)

    def release(self) -> None:
        """Give back what the job held on this machine."""
        super().release()
        self.role.objects.close()
        self._leave_nothing()

    def _leave_nothing(self) -> None:
        if self.network is not None:
            self.network.close()
            self.network = None
        self.installed = None
        remove(self.directory)

    def new_log(self, host: str) -> ContainerLog:
        """A log for a host's container, a stream of its own."""
        clock, telemetry = self.context.clock, self.context.platform.telemetry_of(self.document["RoleArn"])
        return ContainerLog(telemetry, clock, self.kind.log_group, f"{self.name}/{host}-{int(clock.now())}")

    def _new_hosts(self) -> list[Host]:
        """Hosts with new logs. The files of an only one lie in the job's own folder."""
        wanted = hosts.count(self.document)
        if wanted == 1:
            return [Host(self, 1, self.directory)]
        return [Host(self, number, self.directory / hosts.name(number)) for number in range(1, wanted + 1)]
