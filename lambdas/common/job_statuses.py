"""Statuses of SageMaker's training and tuning jobs that have ended (API reference)."""

from __future__ import annotations

COMPLETED, STOPPED, FAILED = "Completed", "Stopped", "Failed"
ENDED = (COMPLETED, STOPPED, FAILED)
