"""An empty CDK app, with the settings that make its templates readable, deterministic and quick to make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from aws_cdk import App


def new_app(
    *,
    outdir: Path | None = None,
    context: Mapping[str, Any] | None = None,
    validation: Literal["lint", "synth"] = "synth",
) -> App:
    """An app that writes to `outdir` (by default where the cdk command says, or cdk.out).

    Without the tree of constructs and the version report, which are for CDK's own tools; and without CDK's built-in
    validation of templates, two thirds of a synth's time, except for `lint`, which every change has to pass.
    """
    return App(
        outdir=str(outdir) if outdir else None,
        context=dict(context or {}),
        analytics_reporting=False,
        tree_metadata=False,
        builtin_cloud_formation_validation=validation == "lint",
    )
