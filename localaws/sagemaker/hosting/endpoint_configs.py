"""Endpoint configurations: which models an endpoint serves, on how many instances and with what share of traffic."""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import always, refuse
from localaws.sagemaker.hosting.async_configs import check_async, check_async_model
from localaws.sagemaker.hosting.data_capture import check_capture
from localaws.sagemaker.hosting.models import find_model, resolved
from localaws.sagemaker.hosting.serverless_configs import check_serverless, check_serverless_model, is_serverless
from localaws.sagemaker.hosting.shadow_variants import SHADOW, check_containers, check_shadows

CONFIG = "endpoint-config"

# KmsKeyId and VolumeSizeInGB say how an instance's volume is kept; there is none here, so they change nothing.
_REFUSED = dict.fromkeys(
    (
        "ExplainerConfig", "ExecutionRoleArn", "VpcConfig", "MetricsConfig",
    ),
    always,
)  # fmt: skip
_REFUSED_OF_VARIANT = dict.fromkeys(
    (
        "InstancePools", "VariantInstanceProvisionTimeoutInSeconds", "AcceleratorType",
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
        for variant in [*request["ProductionVariants"], *request.get(SHADOW, [])]:
            self._check_model(request, variant)
        document = {key: value for key, value in request.items() if key != "Tags"} | {
            "EndpointConfigArn": arn,
            "CreationTime": context.clock.now(),
            **{
                member: [{"InitialVariantWeight": 1.0, **item} for item in request[member]]
                for member in ("ProductionVariants", SHADOW)
                if request.get(member)
            },
        }
        with context.store.transaction():
            if not context.store.create(CONFIG, name, document):
                raise errors.already_exists("endpoint configuration", arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        return {"EndpointConfigArn": arn}

    def _check_model(self, request: Document, variant: Document) -> None:
        model = find_model(self._context, variant["ModelName"])
        check_async_model(request, model)
        if is_serverless(variant) or request.get(SHADOW):
            images = [container["Image"] for container in resolved(self._context, model)]
            check_serverless_model(variant, model, images)
            check_containers(request, model["ModelName"], len(images))

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
    check_shadows(request)
    refuse(request, _REFUSED, of="an endpoint configuration")
    check_capture(request)
    if request.get("EnableNetworkIsolation"):
        raise errors.not_supported("EnableNetworkIsolation=true of an endpoint configuration")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) < len(names):
        raise errors.validation(f"Production variant names must be unique: {', '.join(names)}")
    for variant in request["ProductionVariants"]:
        _check_variant(variant, "production")
    for variant in request.get(SHADOW, []):
        _check_variant(variant, "shadow")
    check_async(request)
    check_serverless(request)
    if sum(variant.get("InitialVariantWeight", 1.0) for variant in request["ProductionVariants"]) <= 0:
        raise errors.validation("At least one production variant must have an InitialVariantWeight above 0.")


def _check_variant(variant: Document, kind: str) -> None:
    what = f"{kind} variant {variant['VariantName']}"
    refuse(variant, _REFUSED_OF_VARIANT, of=what)
    for member in ("ModelName",) if is_serverless(variant) else ("ModelName", "InstanceType", "InitialInstanceCount"):
        if member not in variant:
            raise errors.validation(f"{member} is missing in {what}.")
    if variant.get("EnableSSMAccess"):
        raise errors.not_supported(f"EnableSSMAccess=true of {what}")
    if variant.get("RoutingConfig", {}).get("RoutingStrategy") == "PREFIX_AWARE":
        raise errors.not_supported(f"RoutingStrategy=PREFIX_AWARE of {what}")
