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

    own: all that is its own. archives: its model's, shared by all instances.
    """

    own: Path
    archives: Path
    limits: Limits

    @property
    def ml(self) -> Path:
        """Its /opt/ml."""
        return self.own / "ml"

    @property
    def tmp(self) -> Path:
        """Its /tmp."""
        return self.own / "tmp"

    @property
    def layer(self) -> Path:
        """What it writes elsewhere."""
        return self.own / "layer"


@dataclass(frozen=True)
class Prepared:
    """A container, its model unpacked.

    source: what its variant or job runs, see `VariantPlan`; of several containers, with this one's members.
    log: is closed once it has ended. startup_seconds: until /ping must be answered. number: which of several it is,
    from 1 on; 0 where it is the only one.
    """

    context: Context
    place: Place
    source: Mapping[str, Any]
    credentials: Credentials
    log: ContainerLog
    startup_seconds: float
    number: int = 0
