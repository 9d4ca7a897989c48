"""Kinds of endpoints beside the usual one: whose answers are written to S3, and which has no instances of its own."""

from __future__ import annotations

# deploy.kind of pipeline.yaml.
ASYNC_KIND, SERVERLESS_KIND = "async", "serverless"
# Of an asynchronous endpoint: where below its answers those lie that say what went wrong.
FAILED = "failed/"
# How the InferenceId of a question begins that a run asks, not a user.
VERIFYING = "ratchet-verify-"
