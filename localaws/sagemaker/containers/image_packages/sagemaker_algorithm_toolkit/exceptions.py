"""Errors of an algorithm: the user's, its own, and the machine's."""

from __future__ import annotations


class BaseToolkitError(Exception):
    """An error that ends an algorithm; `message` is the reason, `caused_by` what was raised below it."""

    def __init__(self, message: str | None = None, caused_by: Exception | None = None) -> None:
        told = message or (str(caused_by) if caused_by else "unknown error occurred")
        self.message = f"{told} (caused by {type(caused_by).__name__})" if caused_by else told
        self.caused_by = caused_by
        super().__init__(self.message)


class AlgorithmError(BaseToolkitError):
    """The algorithm failed, which its user can't avoid."""


class UserError(BaseToolkitError):
    """The input or a setting is wrong, which its user can mend."""


class PlatformError(BaseToolkitError):
    """The machine or the network failed."""
