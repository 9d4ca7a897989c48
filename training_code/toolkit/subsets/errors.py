"""The error of subset selection."""

from __future__ import annotations

from toolkit.errors import ToolkitError


class SubsetError(ToolkitError):
    """A subset can't be chosen; the message says what is wrong and what would be right."""
