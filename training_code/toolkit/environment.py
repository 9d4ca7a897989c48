"""What the state machine tells a training job, in its environment.

SageMaker takes at most 512 characters a value (CreateTrainingJob, API reference, TrainingEnvironmentValue). A longer
one goes on in `<name>_1`, `<name>_2`, and so on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def variable(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """A variable's whole value; None where it isn't set."""
    found = os.environ if environment is None else environment
    if name not in found:
        return None
    parts, number = [found[name]], 1
    while f"{name}_{number}" in found:
        parts.append(found[f"{name}_{number}"])
        number += 1
    return "".join(parts)
