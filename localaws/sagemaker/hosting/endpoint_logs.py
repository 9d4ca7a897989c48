"""A model container's output as a CloudWatch log stream, while it runs, and what has ended it."""

from __future__ import annotations

import contextlib
import math
import os
import select
import subprocess
from collections.abc import Mapping

from localaws.sagemaker.containers.container import Container
from localaws.sagemaker.containers.instance_sizes import GIB
from localaws.sagemaker.containers.limits import DISK, MAX_PROCESSES, MEMORY, PROCESSES, Exceeded, Limits
from localaws.sagemaker.containers.logs import ContainerLog

LOG_GROUP = "/aws/sagemaker/Endpoints/"
_READ_SIZE = 64 * 1024


# What is told of a container that a limit has ended.
ENDS: Mapping[Exceeded, str] = {
    MEMORY: "The container ran out of memory.",
    DISK: "The container filled its disk.",
    PROCESSES: f"The container started more than {MAX_PROCESSES} processes.",
}
_ENDING_SECONDS = 5.0  # between the end of a container's output and its own


def follow(container: Container, limits: Limits, log: ContainerLog) -> None:
    """Copy a container's output into the log until its last writer closes it; say what ended it; then close both."""
    copy_output(container, log)
    with contextlib.suppress(subprocess.TimeoutExpired):
        container.wait(_ENDING_SECONDS)
        if container.exceeded:
            log.say(last_words(container.exceeded, limits))
    log.close()


def copy_output(container: Container, log: ContainerLog) -> None:
    """Copy a container's output into the log until its last writer closes it; then close it."""
    output, readable = container.output, select.poll()
    readable.register(output, select.POLLIN)
    with output:
        while True:
            due = log.flush_if_due()
            if not readable.poll(None if due is None else math.ceil(due * 1000)):
                continue
            chunk = os.read(output.fileno(), _READ_SIZE)
            if not chunk:
                break
            log.feed(chunk)


def last_words(exceeded: Exceeded, limits: Limits) -> str:
    """What the log says of a container that a limit has ended."""
    if exceeded != MEMORY:
        return ENDS[exceeded]
    whose = " together with the instance's other containers" if limits.shared else ""
    return (
        f"{ENDS[exceeded]} It may use {limits.memory / GIB:.1f} GiB{whose}, which its instance type or MemorySizeInMB "
        "gives it, or this machine a container: take an instance type or a size with more, or a smaller model."
    )
