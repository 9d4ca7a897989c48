"""A model container's output as a CloudWatch log stream, while it runs."""

from __future__ import annotations

import math
import os
import select
from typing import BinaryIO

from localaws.sagemaker.containers.logs import ContainerLog

LOG_GROUP = "/aws/sagemaker/Endpoints/"
_READ_SIZE = 64 * 1024


def follow(output: BinaryIO, log: ContainerLog) -> None:
    """Copy a pipe into the log until its last writer has closed it; then close both."""
    readable = select.poll()
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
    log.close()
