"""Endpoint configurations: which models an endpoint serves, on how many instances and with what share of traffic."""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import always, refuse
from localaws.sagemaker.hosting import instance_pools
from localaws.sagemaker.hosting.models import find_model

CONFIG = "endpoint-config"

# KmsKeyId and VolumeSizeInGB say how an instance's volume is kept; there is none here, so they change nothing.
_REFUSED = dict.fromkeys(
    (
        "DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants", "ExecutionRoleArn",
        "VpcConfig", "MetricsConfig",
    ),
    always,
)  # fmt: skip
_REFUSED_OF_VARIANT = dict.fromkeys(
    (
        "ServerlessConfig", "AcceleratorType",
        "CoreDumpConfig", "ManagedInstanceScaling", "InferenceAmiVersion", "CapacityReservationConfig",
    ),
    always,
)  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    configs = _Configs(context)
    return {
        "CreateEndpointConfig": configs.create,
        "DescribeEndpointConfig": configs.describe,
        "ListEndpointConfigs": configs.list_,
        "DeleteEndpointConfig": configs.delete,
    }


def find_config(context: Context, name: str) -> Document:
    """An endpoint configuration's document. ValidationException when there is none."""
    document = context.store.get(CONFIG, name)
    if document is None:
        raise errors.validation(f'Could not find endpoint configuration "{context.arn(CONFIG, name)}".')
    return document


class _Configs:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, _caller: Caller) -> Document:
        context, name = self._context, request["EndpointConfigName"]
        arn = context.arn(CONFIG, name)
        _check(request)
        if context.store.get(CONFIG, name) is not None:
            raise errors.already_exists("endpoint configuration", arn)
        for variant in request["ProductionVariants"]:
            find_model(context, variant["ModelName"])
        document = {key: value for key, value in request.items() if key != "Tags"} | {
            "EndpointConfigArn": arn,
            "CreationTime": context.clock.now(),
            "ProductionVariants": [{"InitialVariantWeight": 1.0, **item} for item in request["ProductionVariants"]],
        }
        with context.store.transaction():
            if not context.store.create(CONFIG, name, document):
                raise errors.already_exists("endpoint configuration", arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        return {"EndpointConfigArn": arn}

    def describe(self, request: Document, _caller: Caller) -> Document:
        return find_config(self._context, request["EndpointConfigName"])

    def list_(self, request: Document, _caller: Caller) -> Document:
        found, more = page(request, self._context.store.list(CONFIG), name="EndpointConfigName")
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return {"EndpointConfigs": [summary(document, members) for document in found], **more}

    def delete(self, request: Document, _caller: Caller) -> Document:
        document = find_config(self._context, request["EndpointConfigName"])
        self._context.store.delete(CONFIG, document["EndpointConfigName"])
        self._context.store.delete_tags(document["EndpointConfigArn"])
        return {}


def _check(request: Document) -> None:
    refuse(request, _REFUSED, of="an endpoint configuration")
    if request.get("EnableNetworkIsolation"):
        raise errors.not_supported("EnableNetworkIsolation=true of an endpoint configuration")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) < len(names):
        raise errors.validation(f"Production variant names must be unique: {', '.join(names)}")
    for variant in request["ProductionVariants"]:
        _check_variant(variant)
    if sum(variant.get("InitialVariantWeight", 1.0) for variant in request["ProductionVariants"]) <= 0:
        raise errors.validation("At least one production variant must have an InitialVariantWeight above 0.")


def _check_variant(variant: Document) -> None:
    what = f"production variant {variant['VariantName']}"
    refuse(variant, _REFUSED_OF_VARIANT, of=what)
    variant = instance_pools.with_first_type(variant, what)
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if member not in variant:
            raise errors.validation(f"{member} is missing in {what}.")
    if variant.get("EnableSSMAccess"):
        raise errors.not_supported(f"EnableSSMAccess=true of {what}")
    if variant.get("RoutingConfig", {}).get("RoutingStrategy") == "PREFIX_AWARE":
        raise errors.not_supported(f"RoutingStrategy=PREFIX_AWARE of {what}")
