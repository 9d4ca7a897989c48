"""The phrases by which AWS says that something isn't there, or is there already, where it has no modelled error.

SageMaker answers ValidationException to both ("Could not find endpoint …", "Cannot create already existing model …"),
CloudFormation to a missing stack. They are looked for whatever their case.
"""

from __future__ import annotations

MISSING = ("could not find", "does not exist", "not found")
EXISTING = "already exist"
THROTTLED = ("Throttling", "Rate exceeded")


def says_missing(message: object) -> bool:
    """Whether an error's message says that the thing isn't there."""
    text = str(message).lower()
    return any(phrase in text for phrase in MISSING)
