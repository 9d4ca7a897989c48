"""The requests of a deployment: a model and an endpoint config named by what they hold, and one endpoint that stays."""

from __future__ import annotations

from typing import Any

from infra.workflow.names import CONTENT_HASH_LENGTH, Names
from infra.workflow.states import expression, jsonata
from infra.workflow.training import tags, vpc
from ratchet.spec import PipelineSpec

Document = dict[str, Any]

VARIANT = "AllTraffic"
# Where the framework's inference toolkit finds the model's own code: model.tar.gz brings it along.
ENVIRONMENT = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


def content_names(spec: PipelineSpec, names: Names) -> str:
    """`{model_name, endpoint_config_name}` for $candidate, as an expression: the hash of what each will hold."""
    model = ["$candidate.image_uri", "$candidate.model_data", *_texts(names.hosting_role_arn, ENVIRONMENT, vpc(names))]
    config = ["$model_name", *_texts(spec.deploy.instance, spec.deploy.instance_count)]
    return expression(
        f"($model_name := {_content_name(names, model)}; "
        f'{{"model_name": $model_name, "endpoint_config_name": {_content_name(names, config)}}})'
    )


def _texts(*values: object) -> list[str]:
    return [f"$string({jsonata(value)})" for value in values]


def _content_name(names: Names, contents: list[str]) -> str:
    text = f"$join([{', '.join(contents)}], ' ')"
    return f"('{names.content_prefix}' & $substring($hash({text}, 'SHA-256'), 0, {CONTENT_HASH_LENGTH}))"


def model(names: Names) -> Document:
    """CreateModel: the candidate's image and model.tar.gz."""
    request: Document = {
        "ModelName": expression("$deployment.model_name"),
        "PrimaryContainer": {
            "Image": expression("$candidate.image_uri"),
            "ModelDataUrl": expression("$candidate.model_data"),
            "Environment": ENVIRONMENT,
        },
        "ExecutionRoleArn": names.hosting_role_arn,
        "Tags": tags(names),
    }
    network = vpc(names)
    return {**request, "VpcConfig": network} if network else request


def endpoint_config(spec: PipelineSpec, names: Names) -> Document:
    """CreateEndpointConfig: one variant that takes all traffic."""
    return {
        "EndpointConfigName": expression("$deployment.endpoint_config_name"),
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": expression("$deployment.model_name"),
                "InstanceType": spec.deploy.instance,
                "InitialInstanceCount": spec.deploy.instance_count,
                "InitialVariantWeight": 1,
            }
        ],
        "Tags": tags(names),
    }


def new_endpoint(names: Names) -> Document:
    """CreateEndpoint."""
    return {**endpoint_update(names, "$deployment.endpoint_config_name"), "Tags": tags(names)}


def endpoint_update(names: Names, config: str) -> Document:
    """UpdateEndpoint to the config named by the JSONata text `config`; SageMaker does it blue/green, all at once.

    A canary, a linear shift and the alarms that roll back are this request's DeploymentConfig. It takes the SDK
    integration: the optimized one knows no DeploymentConfig.
    """
    return {"EndpointName": names.endpoint, "EndpointConfigName": expression(config)}
