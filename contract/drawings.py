"""What a job is asked that draws views of a finished training (`ratchet view`): one JSON document, in its arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

# CreateProcessingJob, API reference: ContainerArguments.
ARGUMENTS, ARGUMENT_LENGTH = 100, 256
# The job's input with the tensors, beside that with the code.
TENSORS_INPUT = "tensors"


def arguments(views: Sequence[Mapping[str, Any]], steps: Sequence[int] | None) -> list[str]:
    """The job's arguments: the views, as RATCHET_VIEWS has them, and the steps, None for all that are due.

    Raises:
        ValueError: they are longer than a job's arguments.
    """
    text = json.dumps({"views": list(views), "steps": steps and list(steps)}, separators=(",", ":"))
    found = [text[start : start + ARGUMENT_LENGTH] for start in range(0, len(text), ARGUMENT_LENGTH)]
    if len(found) > ARGUMENTS:
        raise ValueError(f"parameters and steps take {len(text)} characters; a job has {ARGUMENTS * ARGUMENT_LENGTH}")
    return found


def asked(arguments: Sequence[str]) -> tuple[list[dict[str, Any]], list[int] | None]:
    """The views and the steps that `arguments` has told.

    Raises:
        ValueError: they tell something else.
    """
    document = json.loads("".join(arguments))
    return document["views"], document["steps"]
