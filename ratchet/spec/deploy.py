"""`deploy` of pipeline.yaml: the endpoint that serves the champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from ratchet.spec import units
from ratchet.spec.fields import Instance, duration
from ratchet.spec.model import Example, Model

DeploymentSeconds = Annotated[int, *duration(units.SECONDS["m"], 4 * units.SECONDS["h"], what="a deployment")]


class Deploy(Model):
    """The endpoint. `timeout` is in seconds."""

    not_yet: ClassVar[Mapping[str, str]] = {
        "shift": "shifting traffic in steps (every deployment is blue/green, all at once)",
        "rollback_on": "rolling back on alarms",
    }

    instance: Annotated[Instance, Example("instance: ml.t2.medium")]
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    timeout: DeploymentSeconds = 1800
