"""A model container that is ready to be started: its files are there, and what it is made of is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.sagemaker.containers.limits import Limits
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.aws_platform import Credentials


@dataclass(frozen=True)
class Place:
    """Where a container's files are, and what of this machine it may use.

    ml, tmp: its /opt/ml and its /tmp. layer: what it writes elsewhere. archives: its model's, shared by all instances.
    """

    ml: Path
    tmp: Path
    layer: Path
    archives: Path
    limits: Limits


@dataclass(frozen=True)
class Prepared:
    """A container, its model unpacked.

    source: what its variant or job runs, see `VariantPlan`; of several containers, with this one's members.
    log: is closed once it has ended. number: which of several it is, from 1 on; 0 where it is the only one.
    """

    context: Context
    place: Place
    source: Mapping[str, Any]
    credentials: Credentials
    log: ContainerLog
    number: int = 0
