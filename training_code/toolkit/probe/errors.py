"""Errors of the probe and of its readers."""

from __future__ import annotations

from toolkit.errors import ToolkitError


class ProbeError(ToolkitError):
    """The probe's configuration, or a folder of tensors, can't be used; the message says what would be right."""


class NotSavedError(ToolkitError):
    """A tensor isn't there at that step; the message says why: no collection, interval, mode, not yet …"""
