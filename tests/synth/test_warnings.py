"""What `cdk synth` says without refusing: warnings that the cdk command prints."""

from __future__ import annotations

import json
from pathlib import Path

from synthesis import settings, synthesize, write_pipeline


def test_images_past_their_end_of_patch_are_told_with_their_line(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "models", framework={"name": "pytorch", "version": "2.6.0"})
    synthesize(settings("local"), tmp_path / "models", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    files = [
        artifact["additionalMetadataFile"]
        for artifact in manifest["artifacts"].values()
        if "additionalMetadataFile" in artifact
    ]
    metadata = [artifact.get("metadata", {}) for artifact in manifest["artifacts"].values()]
    metadata += [json.loads((tmp_path / "out" / file).read_text()) for file in files]
    warnings = [
        e["data"] for entries in metadata for found in entries.values() for e in found if e["type"] == "aws:cdk:warning"
    ]
    assert len(warnings) == 2
    for warning, scope in zip(warnings, ("training", "inference"), strict=True):
        assert warning.startswith(f"{folder / 'pipeline.yaml'}:")
        assert f"framework.version: AWS has not patched the {scope} image of pytorch 2.6.0 since 2026-" in warning
