"""What stops a synth: one sentence that says where, what was wrong and what would be right."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """cdk.json or a pipeline's folder asks for something that can't be built. The message is for people."""
