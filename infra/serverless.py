"""What AWS has not for serverless endpoints, of what others than the section itself say: the environment, the image."""

from __future__ import annotations

from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Environment

# How SageMaker's own images for GPUs are tagged.
_GPU = "-gpu-"
_EXCLUDED = 'SageMaker has no serverless endpoints {} (developer guide, "Feature exclusions"): write kind: endpoint'


def check_serverless(spec: PipelineSpec, environment: Environment) -> None:
    """Raises SpecError for a serverless endpoint that can't be in the environment, or not with its image."""
    if not spec.deploy.is_serverless:
        return
    if environment.vpc is not None:
        where = _EXCLUDED.format(f"in a VPC, and the environment {environment.name} has one (vpc in cdk.json)")
        raise spec.error("deploy.kind", f"is serverless, but {where}")
    if spec.image is not None and _GPU in spec.image:
        raise spec.error("image", f"is for GPUs, but {_EXCLUDED.format('with GPUs')}, or name an image without -gpu-")
