"""A batch transform job's request: lines of text in, a line of answer each."""

from __future__ import annotations

from infra.workflow.requests import Document, tags
from infra.workflow.surroundings import KEY_ARN, Surroundings

TRANSFORM_LOGS = "/aws/sagemaker/TransformJobs"
CSV = "text/csv"


def transform_job(
    at: Surroundings,
    *,
    name: str,
    model: str,
    source: Document,
    content_type: str,
    output: str,
    instance: str,
    instances: int = 1,
) -> Document:
    """CreateTransformJob: many lines in a request, answered in CSV; `source` is an S3DataSource."""
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": content_type, "SplitType": "Line"},
        "TransformOutput": {
            "S3OutputPath": output,
            "Accept": CSV,
            "AssembleWith": "Line",
            "KmsKeyId": str(KEY_ARN),
        },
        "TransformResources": {"InstanceType": instance, "InstanceCount": instances},
        "BatchStrategy": "MultiRecord",
        "Tags": tags(at),
    }
