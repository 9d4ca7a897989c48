"""Jobs whose clock jumps and whose containers are played: hours of theirs take milliseconds."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from image_uris import SKLEARN
from quiet_platform import QuietPlatform

from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents, training_request
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Job, Role
from localaws.sagemaker.jobs.training import TRAINING

START = 1_000_000.0
HOUR = 3600.0


class JumpingClock:
    """Time that jumps to the end of every wait, or to what happens before it."""

    def __init__(self) -> None:
        self.time = START
        self.happens: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def wait(self, descriptors: Sequence[int], seconds: float) -> set[int]:
        until = self.time + seconds
        while not (ready := set(select.select(list(descriptors), [], [], 0)[0])) and self.time < until:
            due = [at for at, _ in self.happens if at <= until]
            self.time = max(self.time, min(due, default=until))
            for happening in [item for item in self.happens if item[0] <= self.time]:
                self.happens.remove(happening)
                happening[1]()
        return ready

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen when the time has come."""
        self.happens.append((self.time + seconds, action))


class PlayedContainer:
    """A container whose script runs for a while, and takes a while to end after SIGTERM (None: it ignores it)."""

    exceeded = None

    def __init__(self, clock: JumpingClock, runs: float, obeys_after: float | None = 0.0, exit_code: int = 0) -> None:
        reader, self._writer = os.pipe()
        self.output = os.fdopen(reader, "rb", buffering=0)
        self.signals: list[tuple[str, float]] = []
        self._clock = clock
        self._obeys_after = obeys_after
        self._exit_code: int | None = None
        clock.after(runs, lambda: self._end(exit_code))

    def stop(self) -> None:
        self.signals.append(("TERM", self._clock.time - START))
        if self._obeys_after is not None:
            self._clock.after(self._obeys_after, lambda: self._end(143))

    def kill(self) -> None:
        if self._exit_code is None:
            self.signals.append(("KILL", self._clock.time - START))
            self._end(137)

    def wait(self) -> int:
        assert self._exit_code is not None
        return self._exit_code

    def poll(self) -> int | None:
        return self._exit_code

    def _end(self, exit_code: int) -> None:
        if self._exit_code is None:
            self._exit_code = exit_code
            os.close(self._writer)


class NoImages:
    """Environments that are made at once and hold nothing."""

    def environment(self, _image_uri: str, _progress: Callable[[str], None]) -> ImageEnvironment:
        return ImageEnvironment(Path("/image/bin/python"))


class NoS3:
    """An S3 client for jobs that have nothing to read and nothing to leave."""

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class World:
    """A server whose time jumps; `play` says how each of the next containers goes."""

    context: Context
    clock: JumpingClock
    plays: list[tuple[float, float | None, int]] = field(default_factory=list)
    containers: list[PlayedContainer] = field(default_factory=list)

    def play(self, runs: float, obeys_after: float | None = 0.0, exit_code: int = 0) -> None:
        self.plays.append((runs, obeys_after, exit_code))

    def launch(self, _spec: ContainerSpec) -> Any:
        self.containers.append(PlayedContainer(self.clock, *self.plays.pop(0)))
        return self.containers[-1]

    def job(self, **changes: Any) -> Job:
        """A training job that waits for its turn."""
        request = {
            "TrainingJobName": "long",
            "RoleArn": "arn:role",
            "AlgorithmSpecification": {"TrainingImage": SKLEARN, "ContainerEntrypoint": ["train"]},
            "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            **changes,
        }
        request["AlgorithmSpecification"]["TrainingInputMode"] = "File"
        described = training_request.description(request, "arn:aws:sagemaker:us-east-1:0:training-job/long")
        document = job_documents.created(TRAINING, described, "Starting", "Starting", self.clock.now())
        self.context.store.create(TRAINING.resource_type, "long", document)
        credentials = self.context.platform.assume_role("arn:role", "x", "arn:job")
        return Job(TRAINING, document, Role(credentials, Objects(NoS3(), "arn:role")), self.context)

    def train(self, **changes: Any) -> Document:
        """Run a training job to its end; its document."""
        job, engine = self.job(**changes), JobEngine(self.context)
        engine.submit(job, TRAINING.run)
        assert job.done.wait(30)
        document = self.context.store.get(TRAINING.resource_type, "long")
        assert document is not None
        return document


@contextmanager
def opened(directory: Path) -> Iterator[World]:
    """A world with its files in a directory."""
    clock = JumpingClock()
    context = Context.open(QuietPlatform(directory))
    images: Any = NoImages()
    world = World(replace(context, clock=clock, images=images), clock)
    world.context = replace(world.context, launch=world.launch)
    yield world
    context.lifecycle.close()
