"""The shared stack as a pipeline sees it: plain strings (CDK tokens, or literals in a test)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The names and ARNs of all that pipelines share."""

    data_bucket: str
    data_bucket_arn: str
    artifact_bucket: str
    artifact_bucket_arn: str
    run_table: str
    run_table_arn: str
    topic_arn: str
    key_arn: str
