"""An empty CDK app, with the settings that make its templates readable, deterministic and quick to make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App


def new_app(*, outdir: Path | None = None, context: Mapping[str, Any] | None = None) -> App:
    """An app that writes to `outdir` (by default where the cdk command says, or cdk.out).

    No tree of constructs and no version report: they are for CDK's own tools, and cost a third of a small synth.
    """
    return App(
        outdir=str(outdir) if outdir else None,
        context=dict(context or {}),
        analytics_reporting=False,
        tree_metadata=False,
    )
