"""Autoscaling of an endpoint: what a run keeps of its own, and how Application Auto Scaling names a variant.

A run of a pipeline with `deploy.autoscale` ends by looking whether the endpoint is scaled as the spec says. Its record
has, of a run that has looked,

    scaling     {"in_force": whether it is, "was": how it was before the run looked (below),
                 "min"?, "max"?, "invocations_per_instance"?, "times"?: as they were read back,
                 "reason"?: why it isn't in force}
"""

from __future__ import annotations

# deploy.autoscale of pipeline.yaml: the variable of the run's machine, and the record's field.
SCALING = "scaling"
# What a run finds: what the spec says; something else; nothing; nothing, since it has stopped scaling for its update.
AS_SAID, OTHERWISE, NOT_SCALED, STOPPED = "as the spec says", "otherwise", "not scaled", "stopped for the update"

NAMESPACE, DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
# The service-linked role, and the service that it is of ("Service-linked roles for Application Auto Scaling").
LINKED_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
LINKED_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


def resource(endpoint: str, variant: str) -> str:
    """The ID of an endpoint's variant as a scalable target (RegisterScalableTarget, API reference)."""
    return f"endpoint/{endpoint}/variant/{variant}"
