"""Processing jobs."""

from __future__ import annotations

from localaws.sagemaker.context import Context, Handler


def operations(_context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    return {}
