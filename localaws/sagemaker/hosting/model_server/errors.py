"""The errors of a model server."""

from __future__ import annotations


class ModelServerError(Exception):
    """A request that isn't one for a model: the status and the sentence that its sender reads."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class StartError(Exception):
    """The container can't serve this model: what is missing, and where it was looked for."""
