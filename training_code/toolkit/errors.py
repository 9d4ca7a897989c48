"""The error that the toolkit raises, for the person who owns the model."""

from __future__ import annotations


class ToolkitError(Exception):
    """Data, a model or its code can't be used; the message says what is wrong, where, and what would be right."""


class NoAnswersError(ToolkitError):
    """One model doesn't answer the held-out examples, or with something that can't be judged.

    model: whose fault it is, `challenger` or `champion`.
    """

    def __init__(self, model: str, message: str) -> None:
        self.model = model
        super().__init__(message)


class ServingError(ToolkitError):
    """A model's serving code is missing or doesn't keep to the contract of the four functions."""
