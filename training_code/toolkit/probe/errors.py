"""What the probe and its readers say when something can't be done."""

from __future__ import annotations

from toolkit.errors import ToolkitError


class ProbeError(ToolkitError):
    """The probe's configuration, or a folder of tensors, can't be used; the message says what would be right."""


class NotSaved(ToolkitError):  # noqa: N818 - it is an answer, more than a mistake
    """A tensor isn't there at that step; the message says why: no collection, interval, mode, not yet …"""
